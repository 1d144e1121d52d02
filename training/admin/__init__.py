"""Training in the admin: data sets, and where they exist the pages of runs, evaluations and classifiers."""

import importlib
import importlib.util
from typing import Final

PAGES: Final = ("datasets", "runs", "evaluations", "evaluation_jobs", "classifiers")

for _page in PAGES:
    if importlib.util.find_spec(f"{__name__}.{_page}") is not None:
        importlib.import_module(f"{__name__}.{_page}")
