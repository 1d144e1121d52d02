"""The main figures of each collection of pictures by itself: HAM10000, MILK10k, PAD-UFES-20."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recognition.evaluation import bootstrap
from recognition.evaluation.intervals import ROUNDS
from recognition.evaluation.kind_answers import KindAnswers
from recognition.evaluation.measure import FEWEST_LESIONS, advice_metrics, main_figures, with_intervals
from recognition.evaluation.metrics import Labels
from recognition.evaluation.subgroups import NOT_GIVEN, VALUES, values_of
from recognition.inference.case_mix import CaseMix
from recognition.taxonomy import CODES, Diagnosis

IN_SITU: Final = "Melanoma in situ"
"""`diagnosis_full` of MILK10k; other collections do not tell it."""


def collection_figures(
    answers: KindAnswers, table: pd.DataFrame, *, case_mix: CaseMix, rounds: int = ROUNDS
) -> dict[str, dict[str, Any]]:
    """The figures of the pictures of one kind, by collection, in the order of `subgroups.COLLECTIONS`.

    `table` has the rows of the pictures. Each collection that has a picture has

    - "picture_alone" and, where something was known beside a picture, "with_metadata": `measure.main_figures` with the
      balanced accuracy, of all its pictures;
    - "diagnoses": the pictures of each diagnosis that occurs, over which the balanced accuracy is the mean;
    - "melanoma_in_situ": their pictures, lesions and the share found at "soon" or more, as served.

    Pictures of which no collection is known are "not given". The weights bring each collection by itself to the
    `case_mix`, unlike those of subgroups. Intervals are over `answers.lesions`: lesions, or patients where known.
    """
    values = values_of(table)
    sources = np.array(values["source"], dtype=object)
    in_situ = np.array([_in_situ(each) for each in table.get("details", [None] * len(table))], dtype=bool)
    lesions, said = np.asarray(answers.lesions), np.array(answers.decisions, dtype=object)
    ways = {
        "picture_alone": (answers.picture_alone, answers.balanced_alone, answers.picture_decisions),
        "with_metadata": (answers.probabilities, answers.balanced, answers.decisions),
    }
    found = {}
    for name in (*VALUES["source"], NOT_GIVEN):
        chosen = np.flatnonzero(sources == name)
        if not chosen.size:
            continue
        rows, labels = chosen.tolist(), answers.labels[chosen]
        told = any(answers.used[row] for row in rows)
        counts = np.bincount(labels, minlength=len(CODES))
        found[name] = {
            "diagnoses": {code: int(count) for code, count in zip(CODES, counts, strict=True) if count},
            **{
                way: main_figures(
                    labels,
                    probabilities[chosen],
                    balanced=balanced[chosen],
                    groups=lesions[chosen],
                    decisions=[decisions[row] for row in rows],
                    weights=case_mix.weights(labels),
                    rounds=rounds,
                )
                for way, (probabilities, balanced, decisions) in ways.items()
                if told or way == "picture_alone"
            },
        }
        early = chosen[in_situ[chosen] & (labels == Diagnosis.MEL.position)]
        if early.size:
            found[name]["melanoma_in_situ"] = _found(answers.labels[early], lesions[early], said[early], rounds)
    return found


def _found(labels: Labels, lesions: NDArray[Any], decisions: NDArray[Any], rounds: int) -> dict[str, Any]:
    """The share of melanomas found at "soon" or more; None of fewer than `FEWEST_LESIONS` lesions."""
    number = bootstrap.number_of_lesions(lesions, np.ones(labels.size, dtype=bool))
    share = {"melanoma_sensitivity": advice_metrics(labels, decisions.tolist())["soon.melanoma_sensitivity"]}
    figures = with_intervals(share, labels, groups=lesions, rounds=rounds) if number >= FEWEST_LESIONS else {}
    return {
        "pictures": int(labels.size),
        "lesions": number,
        "melanoma_sensitivity": figures.get("melanoma_sensitivity"),
    }


def _in_situ(details: object) -> bool:
    return isinstance(details, Mapping) and details.get("diagnosis_full") == IN_SITU
