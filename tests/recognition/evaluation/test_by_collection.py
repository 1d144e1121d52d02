"""Figures by collection: each of its own pictures alone, with its own weights, with and without metadata."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recognition.evaluation.by_collection import IN_SITU, collection_figures
from recognition.evaluation.kind_answers import KindAnswers
from recognition.evaluation.measure import FEWEST_LESIONS, main_figures
from recognition.inference.case_mix import HAM10000
from recognition.taxonomy import Diagnosis

PICTURES = 240


def made(seed: int = 3) -> tuple[KindAnswers, pd.DataFrame]:
    """Pictures of HAM10000 (two of a lesion), MILK10k, of which age is known, and of no known collection."""
    random = np.random.default_rng(seed)
    names = [f"HAM_{at // 2}" if at < 120 else f"IL_{at}" if at < 230 else None for at in range(PICTURES)]
    labels = np.array([at // 2 % 8 for at in range(PICTURES)])
    tables = [random.dirichlet(np.ones(8), PICTURES) for _ in range(5)]
    decisions = [random.choice(["soon", "monitor", "not_assessed"], PICTURES).tolist() for _ in range(2)]
    answers = KindAnswers(
        images=[f"I{at}" for at in range(PICTURES)],
        labels=labels,
        lesions=[name or f"I{at}" for at, name in enumerate(names)],
        probabilities=tables[0],
        balanced=tables[1],
        picture_alone=tables[2],
        balanced_alone=tables[3],
        uncalibrated=tables[4],
        weights=HAM10000.weights(labels),
        decisions=decisions[0],
        picture_decisions=decisions[1],
        used=[("age_approx",) if 120 <= at < 230 else () for at in range(PICTURES)],
    )
    details = [{"lesion_id": name, "diagnosis_full": IN_SITU} if at % 4 < 2 else {} for at, name in enumerate(names)]
    table = pd.DataFrame(
        {"sex": None, "age_approx": np.nan, "anatom_site_general": None, "lesion_id": names, "details": details},
        index=range(PICTURES),
    )
    return answers, table


def of(answers: KindAnswers, rows: slice, *, alone: bool) -> dict[str, Any]:
    """The main figures of some rows, computed from these alone."""
    labels = answers.labels[rows]
    decisions = answers.picture_decisions if alone else answers.decisions
    return main_figures(
        labels,
        (answers.picture_alone if alone else answers.probabilities)[rows],
        balanced=(answers.balanced_alone if alone else answers.balanced)[rows],
        groups=answers.lesions[rows],
        decisions=decisions[rows],
        weights=HAM10000.weights(labels),
        rounds=20,
    )


def test_each_collection_has_the_figures_of_its_pictures_alone() -> None:
    answers, table = made()
    found = collection_figures(answers, table, case_mix=HAM10000, rounds=20)
    assert list(found) == ["HAM10000", "MILK10k", "not given"]
    ham, milk = slice(0, 120), slice(120, 230)
    assert found["HAM10000"]["picture_alone"] == of(answers, ham, alone=True)
    assert (found["HAM10000"]["picture_alone"]["pictures"], found["HAM10000"]["picture_alone"]["lesions"]) == (120, 60)
    # Nothing was known beside a picture of HAM10000.
    assert "with_metadata" not in found["HAM10000"]
    assert found["MILK10k"]["picture_alone"] == of(answers, milk, alone=True)
    assert found["MILK10k"]["with_metadata"] == of(answers, milk, alone=False)
    assert found["MILK10k"]["with_metadata"] != found["MILK10k"]["picture_alone"]
    assert sum(found["not given"]["diagnoses"].values()) == PICTURES - 230


@pytest.mark.parametrize("lesions", [FEWEST_LESIONS - 1, FEWEST_LESIONS])
def test_melanomas_in_situ_stand_apart_where_there_are_enough(lesions: int) -> None:
    answers, table = made()
    labels = answers.labels.copy()
    labels[:] = Diagnosis.NV.position
    labels[120 : 120 + lesions] = Diagnosis.MEL.position
    table["details"] = pd.Series([{"lesion_id": name, "diagnosis_full": IN_SITU} for name in table["lesion_id"]])
    said = np.array(answers.decisions, dtype=object)
    said[120 : 120 + lesions] = "monitor"
    said[120:123] = "soon"
    answers = dataclasses.replace(answers, labels=labels, decisions=said.tolist())
    found = collection_figures(answers, table, case_mix=HAM10000, rounds=20)
    early = found["MILK10k"]["melanoma_in_situ"]
    assert (early["pictures"], early["lesions"]) == (lesions, lesions)
    if lesions < FEWEST_LESIONS:
        assert early["melanoma_sensitivity"] is None
    else:
        assert early["melanoma_sensitivity"]["value"] == pytest.approx(3 / lesions)
    assert "melanoma_in_situ" not in found["HAM10000"]
