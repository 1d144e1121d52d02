"""The section about kinds of picture: through a dermatoscope or with a camera, and of which lesions."""

from typing import Any, Final

import pandas as pd

from recognition.taxonomy import DERMOSCOPIC, IMAGE_TYPES, Diagnosis
from training.eda.labels import MALIGNANT_CODES, NONE_OF_THE_EIGHT, kind_of
from training.eda.sections import Column, Section, count, percent

NOT_STATED: Final = "not stated"
UNLIKE: Final = 0.05
"""Kinds differ in their class mix if the share of one diagnosis differs by at least this much."""
FEW: Final = 50
"""The least images of a kind for a sentence that compares it."""


def image_types(table: pd.DataFrame) -> Section:
    """How many images of each kind there are, by diagnosis, and how many of them are cancers."""
    kinds = _kinds(table)
    crossed = pd.crosstab(kinds, table["diagnosis"]).reindex(columns=[d.value for d in Diagnosis] + [""], fill_value=0)
    order = [kind for kind in (*IMAGE_TYPES, NOT_STATED) if kind in crossed.index]
    counts: dict[str, dict[str, int]] = crossed.loc[order].to_dict("index")  # type: ignore[assignment]  # our own words
    learned = {kind: sum(counts[kind][d.value] for d in Diagnosis) for kind in order}
    cancers = {kind: sum(counts[kind][code] for code in MALIGNANT_CODES) for kind in order}
    rows: list[tuple[Any, ...]] = []
    for kind in order:
        by_kind = {name: sum(counts[kind][d.value] for d in Diagnosis if kind_of(d) == name) for name in _MIX}
        rows.append(
            (
                kind,
                learned[kind] + counts[kind][""],
                _share(learned[kind] + counts[kind][""], len(table)),
                *by_kind.values(),
                counts[kind][""],
                _share(cancers[kind], learned[kind]),
                *(counts[kind][d.value] for d in Diagnosis),
            )
        )
    enough = [kind for kind in order if learned[kind] >= FEW]
    return Section(
        "image_type",
        "Kinds of picture",
        _reading(order, counts, learned, cancers),
        (
            Column("image_type", "Kind", "text"),
            Column("images", "Images"),
            Column("share", "Share", "share"),
            *(Column(name, label) for name, label in _MIX.items()),
            Column("none", "None of the eight"),
            Column("malignant_share", "Malignant, of the eight", "share"),
            *(Column(d.value, d.value) for d in Diagnosis),
        ),
        rows,
        {
            "counts": {
                kind: {(code or NONE_OF_THE_EIGHT): number for code, number in counts[kind].items()} for kind in order
            },
            "malignant_share": {kind: _share(cancers[kind], learned[kind]) for kind in order},
        },
        _caution(enough, counts, learned),
    )


_MIX: Final = {"malignant": "Malignant", "precursor": "Can become malignant", "benign": "Benign"}


def _kinds(table: pd.DataFrame) -> "pd.Series[str]":
    """The kind of each image.

    Imports from before there was more than one kind say nothing: those images are dermoscopic. A photo of the
    application that says nothing may be either.
    """
    stated = table["image_type"].fillna("")
    unstated = table["photo"].isna().map({True: DERMOSCOPIC, False: NOT_STATED})
    return stated.where(stated != "", unstated)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _said(share: float | None) -> str:
    return "–" if share is None else percent(share)


def _reading(
    order: list[str], counts: dict[str, dict[str, int]], learned: dict[str, int], cancers: dict[str, int]
) -> str:
    if len(order) == 1:
        return (
            f"Every image is {order[0]}; {_said(_share(cancers[order[0]], learned[order[0]]))} of those with one of "
            "the eight diagnoses are malignant."
        )
    parts = []
    for kind in order:
        malignant = _said(_share(cancers[kind], learned[kind]))
        parts.append(f"{count(sum(counts[kind].values()))} images are {kind} ({malignant} malignant)")
    return f"{', '.join(parts[:-1])} and {parts[-1]}."


def _caution(enough: list[str], counts: dict[str, dict[str, int]], learned: dict[str, int]) -> str:
    """Where the kinds differ most in a diagnosis; "" if there is one kind or they differ little."""
    widest = (0.0, "", "", "")
    for diagnosis in Diagnosis:
        shares = {kind: counts[kind][diagnosis.value] / learned[kind] for kind in enough}
        if len(shares) > 1:
            most, least = max(shares, key=lambda kind: shares[kind]), min(shares, key=lambda kind: shares[kind])
            widest = max(widest, (shares[most] - shares[least], diagnosis.value, most, least))
    difference, code, most, least = widest
    if difference < UNLIKE:
        return ""
    return (
        f"The kinds differ in their class mix: {code} is {percent(counts[most][code] / learned[most])} of the {most} "
        f"images and {percent(counts[least][code] / learned[least])} of the {least} images. A network can learn the "
        "kind of picture instead of the lesion: judge each kind apart."
    )
