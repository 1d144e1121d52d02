"""Sections about what is missing: missing values, what they give away, and what no column records."""

from typing import Any, Final

import pandas as pd

from recognition.taxonomy import Diagnosis
from training.eda.labels import MALIGNANT_CODES
from training.eda.sections import Column, Section, count, percent

METADATA: Final = {
    "age_approx": "age",
    "sex": "sex",
    "anatom_site_general": "site",
    "lesion_id": "lesion id",
}
ENOUGH: Final = 100
"""A share of fewer images changes by several percentage points by chance."""

SKIN_TONE: Final = ("Skin tone", "No column records it, so how well a classifier works on dark skin cannot be measured "
                    "here.")  # fmt: skip
PATIENT: Final = ("Patient", "There is no patient id: two lesions of one person may lie on both sides of the split.")
CAMERA: Final = ("Camera and clinic", "No column names them. Images of one diagnosis may share a device, a lens or a "
                 "framing, and a network can learn that instead of the lesion.")  # fmt: skip
CONFIRMATION: Final = ("How the diagnosis was made", "The tables do not say which labels come from histopathology and "
                       "which from experts looking at the image.")  # fmt: skip
TOLD_IN_DETAILS: Final = {SKIN_TONE: ("skin_tone_class", "fitspatrick"), CONFIRMATION: ("diagnosis_confirm_type",)}
"""What some sources say after all, with the names of their columns."""


def missing_values(table: pd.DataFrame) -> Section:
    """How often each column is empty, overall and by diagnosis."""
    empty = table[list(METADATA)].isna()
    by_diagnosis: dict[str, dict[str, float]] = (
        empty.groupby(table["diagnosis"]).mean().to_dict("index")  # type: ignore[assignment]  # keys are column names
    )
    codes = [d.value for d in Diagnosis if d.value in by_diagnosis]
    worst = str(empty.mean().idxmax())
    total = int(empty[worst].sum())
    reading = (
        f"The {METADATA[worst]} is missing most often, in {count(total)} images ({percent(total / len(table))})."
        if total
        else "No value is missing."
    )
    return Section(
        "missing",
        "Missing values",
        reading,
        (
            Column("column", "Column", "text"),
            Column("missing", "Missing"),
            Column("share", "Share", "share"),
            *(Column(code, code, "share") for code in codes),
        ),
        [
            (name, int(empty[column].sum()), float(empty[column].mean()),
             *(float(by_diagnosis[code][column]) for code in codes))
            for column, name in METADATA.items()
        ],
        {"missing": {column: int(empty[column].sum()) for column in METADATA}},
    )  # fmt: skip


def malignant_where_missing(table: pd.DataFrame) -> Section:
    """The share of malignant images with and without a value: a model can learn from the gap."""
    malignant = table["diagnosis"].isin(MALIGNANT_CODES)
    overall = float(malignant.mean())
    rows: list[tuple[Any, ...]] = []
    figures: dict[str, Any] = {"overall": overall}
    telling: list[tuple[float, str, float]] = []
    for column, name in METADATA.items():
        empty = table[column].isna()
        where_missing = float(malignant[empty].mean()) if empty.any() else None
        where_known = float(malignant[~empty].mean()) if (~empty).any() else None
        rows.append((name, int(empty.sum()), where_missing, where_known))
        figures[column] = {"missing": int(empty.sum()), "where_missing": where_missing, "where_known": where_known}
        if where_missing is not None and empty.sum() >= ENOUGH:
            telling.append((abs(where_missing - overall), name, where_missing))
    if telling:
        _, name, share = max(telling)
        reading = (
            f"Where the {name} is missing, {percent(share)} of the images are malignant, "
            f"against {percent(overall)} overall."
        )
    else:
        reading = f"Too few values are missing to say whether that goes with malignancy ({percent(overall)} overall)."
    strong = telling and max(telling)[0] >= 0.05
    return Section(
        "malignant-where-missing",
        "What a missing value gives away",
        reading,
        (
            Column("column", "Column", "text"),
            Column("missing", "Missing"),
            Column("where_missing", "Malignant where missing", "share"),
            Column("where_known", "Malignant where stated", "share"),
        ),
        rows,
        figures,
        "This says how the images were collected, not what lesions are like. A model fed with metadata can learn the "
        "gap instead of the lesion, and will be wrong wherever people leave a field empty for another reason."
        if strong
        else "",
    )


def untold(table: pd.DataFrame) -> Section:
    """What a reader wants to know but no column records, for at least one image."""
    told = {name for details in table["details"] for name, value in (details or {}).items() if value not in (None, "")}
    rows = [
        row
        for row in (SKIN_TONE, PATIENT, CAMERA, CONFIRMATION)
        if not told.intersection(TOLD_IN_DETAILS.get(row, ())) and (row != PATIENT or table["patient_id"].isna().all())
    ]
    return Section(
        "untold",
        "What no column tells",
        "Some of what decides whether a classifier can be trusted is not in the tables at all.",
        (Column("what", "What", "text"), Column("why", "What follows", "text")),
        rows,
        {"images": len(table)},
    )
