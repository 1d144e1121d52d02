"""Similar confirmed cases: the search that clinicians see beside a photo.

Open `cases.py` first: it selects which neighbours are shown. `search.py` finds the nearest vectors. `indexing.py` makes
the vectors of all pictures for the live classifier, in the background. `projection.py` makes a short vector from the
network's features. `references.py` saves small copies of data-set pictures.

Imports no other feature, only tables and `recognition`.
"""
