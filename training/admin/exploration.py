"""Turns the stored figures of a data set into rows of a page and files to download. Computes nothing."""

import io
from dataclasses import dataclass
from typing import Any, Final

from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, StreamingHttpResponse

from accounts.csv_rows import csv_response
from training.charts import dark_twin
from training.models import Dataset

NBSP: Final = "\u00a0"
_TYPES: Final = {"svg": "image/svg+xml", "png": "image/png"}


@dataclass(frozen=True, slots=True)
class ShownSection:
    """A section for a template: cells as text, each with a flag for numbers."""

    key: str
    title: str
    reading: str
    caution: str
    headings: list[tuple[str, bool]]
    rows: list[list[tuple[str, bool]]]
    has_chart: bool


def shown_sections(dataset: Dataset) -> list[ShownSection]:
    """The stored sections of a data set; empty if nothing was computed."""
    eda = dataset.eda or {}
    charts = eda.get("charts", {})
    return [
        ShownSection(
            key=section["key"],
            title=section["title"],
            reading=section["reading"],
            caution=section["caution"],
            headings=[(column["label"], column["kind"] != "text") for column in section["columns"]],
            rows=[
                [
                    (shown_cell(value, column["kind"]), column["kind"] != "text")
                    for value, column in zip(row, section["columns"], strict=True)
                ]
                for row in section["rows"]
            ],
            has_chart=section["key"] in charts,
        )
        for section in eda.get("sections", [])
    ]


def shown_cell(value: Any, kind: str) -> str:
    """One cell as text."""
    if value is None:
        return "–"
    if kind == "share":
        return f"{value:.1%}".replace("%", f"{NBSP}%")
    if kind == "number":
        return f"{value:.1f}"
    return f"{value:,}" if kind == "count" else str(value)


def chart_response(dataset: Dataset, key: str, kind: str, *, dark: bool, download: bool) -> Any:
    """A stored chart. Raises Http404 if there is none."""
    name = (dataset.eda or {}).get("charts", {}).get(key, {}).get(kind)
    if name is None:
        raise Http404
    try:
        with default_storage.open(name, "rb") as file:
            content = file.read()
    except FileNotFoundError as error:
        raise Http404 from error
    if kind == "svg" and dark:
        content = dark_twin(content.decode()).encode()
    response = FileResponse(
        io.BytesIO(content),
        content_type=_TYPES[kind],
        as_attachment=download,
        filename=f"{dataset.name}-{key}.{kind}",
    )
    response["Cache-Control"] = "private, max-age=3600"
    return response


def table_response(dataset: Dataset, key: str) -> StreamingHttpResponse:
    """The table of a section as CSV, with full precision. Raises Http404 if there is none."""
    section = next((each for each in (dataset.eda or {}).get("sections", []) if each["key"] == key), None)
    if section is None or not section["columns"]:
        raise Http404
    header = [column["key"] for column in section["columns"]]
    return csv_response(f"{dataset.name}-{key}.csv", header, section["rows"], byte_order_mark=False)
