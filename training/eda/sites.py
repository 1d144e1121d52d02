"""Sections about the body sites of the lesions."""

from typing import Any, Final

import pandas as pd

from recognition.taxonomy import SITES, Diagnosis
from training.eda.labels import MALIGNANT_CODES
from training.eda.sections import Column, Section, count, percent

MISSING: Final = "missing"
NOT_STATED: Final = "not stated"
ENOUGH: Final = 50
"""The least images of one site and diagnosis for a sentence about them."""


def _sites(table: pd.DataFrame) -> "pd.Series[str]":
    return table["anatom_site_general"].fillna(MISSING)


def site_distribution(table: pd.DataFrame) -> Section:
    """How many images each site has, and how many of them are malignant."""
    sites = _sites(table)
    counts = sites.value_counts()
    malignant = table["diagnosis"].isin(MALIGNANT_CODES).groupby(sites).mean()
    order = [site for site in counts.index if site != MISSING] + ([MISSING] if MISSING in counts.index else [])
    known = int(counts.drop(MISSING, errors="ignore").sum())
    if known:
        top = str(counts.drop(MISSING, errors="ignore").idxmax())
        reading = (
            f"The most frequent site is the {top} with {percent(counts[top] / len(table))} of the images; for "
            f"{count(int(counts.get(MISSING, 0)))} images no site is stated."
        )
    else:
        reading = "No image carries a site."
    rare = [site for site in SITES if 0 < counts.get(site, 0) < ENOUGH * 2]
    absent = [site for site in SITES if not counts.get(site, 0)]
    caution = ""
    if rare and known:
        caution = f"Hardly anything can be said about {' and '.join(rare)}: fewer than {ENOUGH * 2} images each."
    if absent and known:
        caution += f" There is no image of {' or '.join(absent)}."
    return Section(
        "site",
        "Anatomical site",
        reading,
        (
            Column("site", "Site", "text"),
            Column("images", "Images"),
            Column("share", "Share", "share"),
            Column("malignant", "Malignant", "share"),
        ),
        [
            (
                NOT_STATED if site == MISSING else site,
                int(counts[site]),
                counts[site] / len(table),
                float(malignant[site]),
            )
            for site in order
        ],
        {"counts": {site: int(counts.get(site, 0)) for site in (*SITES, MISSING)}},
        caution.strip(),
    )


def site_by_diagnosis(table: pd.DataFrame) -> Section:
    """The sites of each diagnosis, as shares of its images."""
    sites = _sites(table)
    columns = [site for site in (*SITES, MISSING) if (sites == site).any()]
    codes = [d.value for d in Diagnosis]
    crossed = pd.crosstab(table["diagnosis"], sites).reindex(index=codes, columns=columns, fill_value=0)
    crossed = crossed[crossed.sum(axis=1) > 0]
    shares = crossed.div(crossed.sum(axis=1), axis=0)
    share_of: dict[str, dict[str, float]] = shares.to_dict("index")  # type: ignore[assignment]  # keys are our own words
    counted: dict[str, dict[str, int]] = crossed.to_dict("index")  # type: ignore[assignment]  # as above
    overall: dict[str, float] = (crossed.sum(axis=0) / crossed.to_numpy().sum()).to_dict()
    # The site and diagnosis with the highest ratio, among those with enough images.
    ratio = shares.div(pd.Series(overall), axis=1).where(crossed >= ENOUGH)
    stated: Any = ratio.drop(columns=MISSING, errors="ignore").stack().dropna()
    if len(stated):
        code, site = stated.idxmax()
        reading = (
            f"{percent(float(share_of[code][site]))} of {code} images show the {site}, against "
            f"{percent(float(overall[site]))} of all images: {float(stated.max()):.1f} times as many."
        )
    else:
        reading = "Too few images carry a site to compare the diagnoses."
    return Section(
        "site-by-diagnosis",
        "Site by diagnosis",
        reading,
        (
            Column("code", "Diagnosis", "text"),
            *(Column(site, NOT_STATED if site == MISSING else site, "share") for site in columns),
            Column("images", "Images"),
        ),
        [
            (code, *(float(share_of[code][site]) for site in columns), sum(int(n) for n in counted[code].values()))
            for code in counted
        ],
        {"counts": {code: {site: int(counted[code][site]) for site in columns} for code in counted}},
        "Where a lesion is hints at what it is; a model given the site can lean on the hint." if len(stated) else "",
    )
