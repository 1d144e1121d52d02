"""Results: what a patient or clinician sees of an analysed photo.

Open `result.py` first: the result as one kind of reader may see it. `advice.py` turns the assessment into advice,
`clinical_outcome.py` the readings, `basis.py` says what the answer rests on, `sealed_figures.py` reads measured figures
from the manifest. `views/` has the photo page, `report/` the PDF, `api/` the photo endpoints.

May import `photos` and `readings`, the shared `fields`, `labels`, `paging` and `api`, and the template filters of
`words`.
"""
