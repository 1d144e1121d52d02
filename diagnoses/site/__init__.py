"""The pages of the site itself: start page, about page and error pages.

Open `home.py` for the start and about page, `errors.py` for the answers to a lost database and a full disk.

May import only the shared `labels` and `classifiers`.
"""
