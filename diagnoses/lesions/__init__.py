"""Lesions: the spots that a patient follows, from upload to reminder.

Open `views/upload.py` and `upload_form.py` for the upload, `services.py` for changes of a spot, `reminders.py` for
reminders, `spots.py` for the data of the spots page, `bodymap.py` for the drawing of the body. `views/spots.py` shows
spots, `views/changes.py` changes them, `api.py` offers both to programs.

May import `photos` and `results`, and the shared `fields`, `labels`, `paging`, `api` and `site`.
"""
