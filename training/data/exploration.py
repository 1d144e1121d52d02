"""Computes and stores `Dataset.eda`: the sections as JSON, the charts of each as files on the storage."""

import time
from typing import Any, Final

import pandas as pd
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from recognition.progress import Progress, Report
from training.charts.output import as_png, as_svg
from training.data.import_errors import writing
from training.eda.drawing import draw
from training.eda.explore import explore
from training.eda.sections import Section
from training.models import Dataset

VERSION: Final = 1
"""Version of the layout of the JSON."""

_COLUMNS: Final = (
    "diagnosis", "image_type", "age_approx", "sex", "anatom_site_general", "lesion_id", "patient_id", "details",
    "photo", "width", "height",
)  # fmt: skip


def explore_and_draw(table: pd.DataFrame, *, folder: str, report: Report) -> dict[str, Any]:
    """Compute, draw, and store the charts under `folder`; returns what `Dataset.eda` holds.

    {"version", "computed", "rows", "seconds", "sections": [...], "charts": {key: {"svg": name, "png": name}}}.
    Raises DatasetImportError if the storage does not take a chart.
    """
    started = time.perf_counter()
    report(Progress("figures", 0, 1))
    sections = explore(table)
    seconds = time.perf_counter() - started
    report(Progress("figures", 1, 1))
    charts = {}
    for done, section in enumerate(sections, start=1):
        files = _store_chart(section, folder)
        if files:
            charts[section.key] = files
        report(Progress("charts", done, len(sections)))
    return {
        "version": VERSION,
        "computed": timezone.now().isoformat(timespec="seconds"),
        "rows": len(table),
        "seconds": round(seconds, 3),
        "sections": [section.as_json() for section in sections],
        "charts": charts,
    }


def explore_dataset(dataset: Dataset) -> list[Section]:
    """The sections of a data set, computed from its rows."""
    return explore(dataset_frame(dataset))


def dataset_frame(dataset: Dataset) -> pd.DataFrame:
    """The rows of a data set as the columns that `explore` reads; missing values are None."""
    table = pd.DataFrame.from_records(
        list(dataset.examples.order_by("image").values_list(*_COLUMNS)), columns=list(_COLUMNS)
    )
    table["age_approx"] = pd.to_numeric(table["age_approx"])
    for column in ("image_type", "sex", "anatom_site_general", "lesion_id", "patient_id"):
        words = table[column].astype(object)
        table[column] = words.where(words != "", None)
    return table


def _store_chart(section: Section, folder: str) -> dict[str, str]:
    figure = draw(section)
    if figure is None:
        return {}
    svg = as_svg(figure, title=section.title, description=section.reading)
    with writing("the charts"):
        return {
            "svg": default_storage.save(f"{folder}/{section.key}.svg", ContentFile(svg.encode())),
            "png": default_storage.save(f"{folder}/{section.key}.png", ContentFile(as_png(figure))),
        }
