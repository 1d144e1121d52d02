"""The pages of the site itself: start page, about page and error pages.

Open `home.py` for the start and about page, `classifier_facts.py` for what is said of the live classifier, `errors.py`
for the answers to a lost database and a full disk.

May import only the shared `labels` and the table of classifiers.
"""
