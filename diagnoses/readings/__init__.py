"""Readings: clinicians read photos, first blind, then with the prediction.

Open `rules.py` for the rules, `services.py` for the steps of a reading, `outcome.py` for the result of all readings.
`worklist.py` has the filters of the worklist, `counts.py` and `views/agreement.py` the statistics, `findings.py`
records diagnoses. `views/reader_page.py` decides what a reader may see, so it keeps readers blind.

May import `photos`, and the shared `fields`, `paging` and `api`.
"""
