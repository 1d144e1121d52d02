"""Own the search for similar confirmed cases, which clinicians see beside a photo.

`projection` makes a short vector of a network's features, `references` keeps the pictures of data sets small,
`indexing` gives every picture its vector for the live classifier, `search` finds the nearest, `cases` says which of
them may be shown, and how.
"""
