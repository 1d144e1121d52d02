"""Learning the metadata table: how often each age, sex, site and answer comes with each diagnosis.

A row counts in every field that is known in it, with or without a picture. Only rows of the training split count, and
none of a lesion or a patient with rows in another split. All rows of one lesion count as one: pictures of one lesion
do not make its site more frequent.

Sites of MILK10k do not count. Its word for the torso does not tell the side and is no word of ISIC 2019, so its known
sites leave the torso out, as if basal cell carcinomas were hardly ever there.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recognition.datasets.examples import Examples, metadata_of
from recognition.datasets.splits import TRAIN, Split
from recognition.inference.case_mix import CaseMix
from recognition.inference.metadata import WORDS, MetadataTable
from recognition.taxonomy import CODES

SMOOTHING: Final = 2.0
"""Lesions that are added to the observed and to the expected number of each word and diagnosis. Chosen by five-fold
cross-validation by patient on the training rows of the smartphone photos: the log loss of age, sex, site and answers
together is 0.914, 0.904, 0.899, 0.903, 0.918 with 0.5, 1, 2, 4, 8."""


_SITE_OF_MILK10K: Final = "site"
"""In the details of every row of MILK10k with a site."""


def learnable(examples: Examples, split: Split) -> pd.DataFrame:
    """The rows that the table may be learned from: columns `COLUMNS`, pictures of the training split and `further`.

    None is of a lesion or a patient that has rows in another split.
    """
    dealt = examples.table["image"].map(split.assignment)
    held_out = examples.table[dealt.notna() & (dealt != TRAIN)]
    rows = pd.concat([each for each in (examples.table[dealt == TRAIN], examples.further) if len(each)])
    for column in ("lesion_id", "patient_id"):
        rows = rows[~rows[column].isin(set(held_out[column].dropna()))]
    return rows[rows["diagnosis"] != ""].reset_index(drop=True)


def learn_table(rows: pd.DataFrame, case_mix: CaseMix, *, smoothing: float = SMOOTHING) -> MetadataTable:
    """The table of log(P(word | diagnosis) / P(word)) for each field with a known word; `rows` is of `learnable`.

    The ratio is that of the lesions observed to those expected if the diagnosis had nothing to do with the word, both
    with `smoothing` added. So a diagnosis with few lesions learns little, and one without a row exactly nothing.
    P(word) is that of the case mix, among the diagnoses that have rows in which the field is known.
    """
    return MetadataTable({name: _ratios(words, case_mix, smoothing) for name, words in _counts(rows).items()})


def _counts(rows: pd.DataFrame) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Lesions by field, word and diagnosis (8,), for the words that come. The rows of a lesion are 1 together."""
    positions = rows["diagnosis"].map({code: number for number, code in enumerate(CODES)}).to_numpy()
    # A row without a lesion id is a lesion by itself.
    lesion = rows["lesion_id"].where(rows["lesion_id"].notna(), rows["image"].map(lambda image: ("image", image)))
    weights = (1.0 / lesion.groupby(lesion).transform("size")).to_numpy()
    counts: dict[str, dict[str, NDArray[np.float64]]] = {name: {} for name in WORDS}
    told = metadata_of(rows, rows["image"].tolist())
    for metadata, details, position, weight in zip(told, rows["details"], positions, weights, strict=True):
        for name, word in metadata.words().items():
            if name == "anatom_site_general" and _SITE_OF_MILK10K in details:
                continue
            counts[name].setdefault(word, np.zeros(len(CODES)))[position] += weight
    return {
        name: {word: words[word] for word in WORDS[name] if word in words} for name, words in counts.items() if words
    }


def _ratios(
    words: Mapping[str, NDArray[np.float64]], case_mix: CaseMix, smoothing: float
) -> dict[str, tuple[float, ...]]:
    observed = np.stack(list(words.values()), axis=1)  # (8, words)
    totals = observed.sum(axis=1, keepdims=True)
    mix = np.where(totals[:, 0] > 0, np.exp(case_mix.log_shares), 0.0)
    shares = observed / np.where(totals > 0, totals, 1.0)
    expected = totals * (mix @ shares / mix.sum())
    ratios = np.log((observed + smoothing) / (expected + smoothing))
    return {word: tuple(row) for word, row in zip(words, ratios.T.tolist(), strict=True)}
