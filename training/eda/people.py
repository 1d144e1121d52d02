"""Sections about the people: age and sex, overall and by diagnosis."""

from collections import Counter
from typing import Any, Final

import numpy as np
import pandas as pd

from recognition.taxonomy import Diagnosis
from training.eda.sections import Column, Section, count, percent

BIN: Final = 5
"""Years: the ISIC tables round every age to five."""

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
FEW: Final = 20
"""The least images of a diagnosis for a sentence about its share or median."""


def age_distribution(table: pd.DataFrame) -> Section:
    """Ages in steps of five years, with mean, standard deviation and range."""
    ages = table["age_approx"].dropna()
    if ages.empty:
        return Section("age", "Age", "No image carries an age.", figures={"known": 0, "missing": len(table)})
    steps = (ages // BIN * BIN).astype(int).value_counts()
    first, last = int(steps.index.min()), int(steps.index.max())
    in_steps = bool((ages % BIN == 0).all())
    figures: dict[str, Any] = {
        "known": len(ages),
        "missing": len(table) - len(ages),
        "mean": float(ages.mean()),
        "sd": float(ages.std()) if len(ages) > 1 else None,
        "min": float(ages.min()),
        "max": float(ages.max()),
        "median": float(ages.median()),
        "in_steps_of_five": in_steps,
    }
    spread = f" (SD {figures['sd']:.1f})" if len(ages) > 1 else ""
    reading = (
        f"Age is known for {count(len(ages))} of {count(len(table))} images: {figures['mean']:.1f} years on average"
        f"{spread}, from {figures['min']:.0f} to {figures['max']:.0f}"
        f"{' in steps of 5' if in_steps else ''}."
    )
    children = int((ages < 18).sum())
    caution = (
        f"Only {percent(children / len(ages))} are under 18: little can be said about children."
        if children / len(ages) < 0.05
        else ""
    )
    figures["under_18"] = children
    return Section(
        "age",
        "Age",
        reading,
        (Column("age", "Age from", "text"), Column("images", "Images"), Column("share", "Share", "share")),
        [
            (
                f"{age}" if in_steps else f"{age} to {age + BIN - 1}",
                int(steps.get(age, 0)),
                steps.get(age, 0) / len(ages),
            )
            for age in range(first, last + 1, BIN)
        ],
        figures,
        caution,
    )


def age_by_diagnosis(table: pd.DataFrame) -> Section:
    """Mean, SD and quantiles of age for each diagnosis."""
    known = table.dropna(subset=["age_approx"]).groupby("diagnosis")["age_approx"]
    rows: list[tuple[Any, ...]] = []
    medians: dict[str, float] = {}
    if known.ngroups:
        size, mean, sd = known.size(), known.mean(), known.std()
        quantiles: Any = known.quantile(np.array(QUANTILES)).unstack()
        for diagnosis in Diagnosis:
            code = diagnosis.value
            if code not in size.index:
                continue
            spread = None if pd.isna(sd[code]) else float(sd[code])
            at = [float(value) for value in quantiles.loc[code].to_numpy()]
            rows.append((code, int(size[code]), float(mean[code]), spread, *at))
            if size[code] >= FEW:
                medians[code] = at[2]
    if len(medians) > 1:
        young, old = min(medians, key=lambda c: medians[c]), max(medians, key=lambda c: medians[c])
        reading = (
            f"Half of the {Diagnosis(young).full_name.lower()} images show people of {medians[young]:.0f} or younger, "
            f"half of the {Diagnosis(old).full_name.lower()} images people of {medians[old]:.0f} or older."
        )
        caution = (
            "Age alone tells some diagnoses apart; a model given the age can lean on it instead of on the image."
            if medians[old] - medians[young] >= 10
            else ""
        )
    else:
        reading, caution = "Too few ages are known to compare the diagnoses.", ""
    return Section(
        "age-by-diagnosis",
        "Age by diagnosis",
        reading,
        (
            Column("code", "Diagnosis", "text"),
            Column("known", "Images with an age"),
            Column("mean", "Mean", "number"),
            Column("sd", "SD", "number"),
            *(Column(f"p{quantile * 100:.0f}", _quantile_name(quantile), "number") for quantile in QUANTILES),
        ),
        rows,
        {"by_diagnosis": {row[0]: dict(zip(("known", "mean", "sd"), row[1:4], strict=True)) for row in rows}},
        caution,
    )


def sex_by_diagnosis(table: pd.DataFrame) -> Section:
    """Women, men and not stated, for each diagnosis."""
    sex = table["sex"].fillna("missing")
    overall = sex.value_counts().reindex(["female", "male", "missing"], fill_value=0)
    crossed = Counter(zip(table["diagnosis"], sex, strict=True))
    rows = []
    for diagnosis in Diagnosis:
        female, male, missing = (crossed[diagnosis.value, word] for word in ("female", "male", "missing"))
        if female + male + missing:
            rows.append((diagnosis.value, female, male, missing, male / (female + male) if female + male else 0.0))
    reading = (
        f"{count(int(overall['male']))} images are of men, {count(int(overall['female']))} of women, and for "
        f"{count(int(overall['missing']))} the sex is not stated."
    )
    spoken = [row for row in rows if row[1] + row[2] >= FEW]
    caution = ""
    if len(spoken) > 1:
        most, least = max(spoken, key=lambda row: row[4]), min(spoken, key=lambda row: row[4])
        caution = (
            f"Men are {percent(most[4])} of {most[0]} and {percent(least[4])} of {least[0]} where the sex is known."
        )
    return Section(
        "sex-by-diagnosis",
        "Sex by diagnosis",
        reading,
        (
            Column("code", "Diagnosis", "text"),
            Column("female", "Women"),
            Column("male", "Men"),
            Column("missing", "Not stated"),
            Column("male_share", "Men, of those stated", "share"),
        ),
        rows,
        {"female": int(overall["female"]), "male": int(overall["male"]), "missing": int(overall["missing"])},
        caution,
    )


def _quantile_name(quantile: float) -> str:
    return "Median" if quantile == 0.5 else f"{quantile:.0%}"
