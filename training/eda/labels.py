"""Sections about labels: how the diagnoses are distributed, and how many images show one lesion."""

import pandas as pd

from recognition.taxonomy import CODES, MALIGNANT, Diagnosis
from training.eda.sections import Column, Section, count, percent

NONE_OF_THE_EIGHT = "none of the eight"
MALIGNANT_CODES = [diagnosis.value for diagnosis in MALIGNANT]


def kind_of(diagnosis: Diagnosis) -> str:
    """ "malignant", "precursor" or "benign"."""
    return "malignant" if diagnosis.malignant else "precursor" if diagnosis.precursor else "benign"


def class_distribution(table: pd.DataFrame) -> Section:
    """How many images each diagnosis has, and how many images show none of the eight."""
    others = table[table["diagnosis"] == ""]
    table = table[table["diagnosis"] != ""]
    counts = table["diagnosis"].value_counts().reindex(list(CODES), fill_value=0)
    lesions = table.dropna(subset=["lesion_id"]).groupby("diagnosis")["lesion_id"].nunique()
    total = len(table)
    malignant = int(counts[MALIGNANT_CODES].sum())
    present = counts[counts > 0]
    most, least = Diagnosis(str(present.idxmax())), Diagnosis(str(present.idxmin()))
    reading = (
        f"{most.full_name} makes up {percent(present.max() / total)} of the {count(total)} images and "
        f"{least.full_name.lower()} {percent(present.min() / total)}; {percent(malignant / total)} are malignant."
    )
    caution = (
        f"Answering {most.value} to every image would be right in {percent(present.max() / total)} of them: judge by "
        "balanced accuracy, not by accuracy."
    )
    if len(others):
        reading += f" {count(len(others))} more show none of the eight."
        caution += (
            " Images of none of the eight are in no split and are never learned. The shares and the other sections "
            "leave them out; kinds of picture count them apart."
        )
    return Section(
        "class-distribution",
        "Diagnoses",
        reading,
        (
            Column("code", "Code", "text"),
            Column("diagnosis", "Diagnosis", "text"),
            Column("kind", "Kind", "text"),
            Column("images", "Images"),
            Column("share", "Share", "share"),
            Column("lesions", "Lesions with an id"),
        ),
        [
            (
                d.value,
                d.full_name,
                kind_of(d),
                int(counts[d.value]),
                counts[d.value] / total,
                int(lesions.get(d.value, 0)),
            )
            for d in Diagnosis
        ]
        + (
            [("", "None of the eight", NONE_OF_THE_EIGHT, len(others), None, int(others["lesion_id"].nunique()))]
            if len(others)
            else []
        ),
        {
            "images": total,
            "counts": {code: int(counts[code]) for code in CODES},
            "none_of_the_eight": len(others),
            "malignant": malignant,
            "malignant_share": malignant / total,
            "majority_share": float(present.max() / total),
            "imbalance": float(present.max() / present.min()),
        },
        caution,
    )


def images_per_lesion(table: pd.DataFrame) -> Section:
    """How many images show one lesion, for images with a lesion id."""
    known = table.dropna(subset=["lesion_id"])
    per_lesion = known.groupby("lesion_id").size()
    sizes = per_lesion.value_counts().sort_index()
    conflicts = int((known.groupby("lesion_id")["diagnosis"].nunique() > 1).sum())
    several = int((per_lesion > 1).sum())
    without = len(table) - len(known)
    if len(per_lesion):
        reading = (
            f"{count(len(known))} images carry a lesion id and show {count(len(per_lesion))} lesions, "
            f"{count(several)} of them in more than one image (at most {int(per_lesion.max())})."
        )
    else:
        reading = "No image carries a lesion id."
    caution = ""
    if several:
        caution = (
            "Images of one lesion are near copies: dealt to training and validation at random they are recognised, not "
            "diagnosed, and the score means nothing."
        )
    if without:
        caution += f" {count(without)} images have no lesion id; how many lesions they show is unknown."
    return Section(
        "images-per-lesion",
        "Images per lesion",
        reading,
        (Column("images", "Images of the lesion"), Column("lesions", "Lesions"), Column("share", "Share", "share")),
        [
            (int(size), int(number), number / len(per_lesion))
            for size, number in zip(sizes.index.astype(int), sizes, strict=True)
        ],
        {
            "with_lesion_id": len(known),
            "without_lesion_id": without,
            "lesions": len(per_lesion),
            "lesions_with_several_images": several,
            "most_images_of_one_lesion": int(per_lesion.max()) if len(per_lesion) else 0,
            "label_conflicts": conflicts,
        },
        caution.strip(),
    )
