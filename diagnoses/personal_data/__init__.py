"""Personal data: the rights of a user over their own data.

Open `export.py` for the download of everything, `erasure.py` for erasing an account, `access_log.py` for who viewed
their photos. `views.py` has the pages, `api.py` the export for programs.

May import `photos` and the shared `api`; other features only by their tables.
"""
