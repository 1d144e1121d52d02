"""The figures of a split as JSON values, for the manifest of a bundle and for evaluations; of one kind of picture.

A figure is {"value", "low", "high"}, with its 95 % interval by the bootstrap over lesions; all three are null if it is
not defined for these pictures. The metrics by name (`metrics_of`, `main_metrics`) are also what two classifiers are
compared by: `bootstrap.paired_differences`. A dot in a name leads into the JSON objects: "advice.soon.sensitivity".
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation import bootstrap, metrics
from recognition.evaluation.bootstrap import Groups
from recognition.evaluation.intervals import ROUNDS
from recognition.evaluation.metrics import SENSITIVITY_FLOOR, Labels, Metric, Proportion, Table
from recognition.inference.assessment import Decision
from recognition.inference.bundle import OperatingPoint
from recognition.taxonomy import CODES, PRECURSOR_POSITIONS, Diagnosis

FEWEST_LESIONS: Final = 10
"""Fewest lesions of a side (cancers for a sensitivity, others for a specificity) for a figure of `main_figures`. With
10, the 95 % interval of one half reaches from 0.2 to 0.8."""

CALIBRATION_METRICS: Final = ("log_loss", "malignant_calibration_error", "classwise_calibration_error")

ADVICE: Final[Mapping[str, tuple[Decision, ...]]] = {
    "soon": (Decision.SOON, Decision.URGENT),
    "urgent": (Decision.URGENT,),
}
"""The decisions that count as "soon or more" and as "urgent"."""

Weights = NDArray[np.floating] | None
"""A weight (N,) of each picture, mean 1, so that diagnoses weigh together as in a case mix; None: every picture 1."""


def split_metrics(
    labels: Labels,
    probabilities: Table,
    *,
    groups: Groups,
    balanced: Table | None = None,
    uncalibrated: Table | None = None,
    weights: Weights = None,
    operating_points: Sequence[OperatingPoint] = (),
    decisions: Sequence[str] | None = None,
    rounds: int = ROUNDS,
    decimals: int | None = None,
) -> dict[str, Any]:
    """Every figure of a split.

    `labels` (N,), `groups` (N,) the lesions. `probabilities` (N, 8) as they are served, at the sealed case mix, and the
    same ones of the `balanced` case mix (without it, the served ones) and `uncalibrated`, before anything was fitted
    (without it, there is no "before"). `weights` lead to the case mix. `decisions` are the N values of `Decision`;
    without them there is no "advice".

    - "balanced_accuracy", the official metric, and "balanced" are of the balanced table;
    - "log_loss" and the calibration errors, "before" and "after", are weighted to the case mix; "by_chance" is what the
      one of the malignant score would about be if that score were right;
    - all others are of the served table and count every picture once.

    `decimals` rounds the figures.
    """
    balanced = probabilities if balanced is None else balanced
    found = with_intervals(
        metrics_of(
            labels,
            probabilities,
            balanced=balanced,
            uncalibrated=uncalibrated,
            weights=weights,
            operating_points=operating_points,
            decisions=decisions,
        ),
        labels,
        groups=groups,
        rounds=rounds,
        decimals=decimals,
    )
    counts = metrics.confusion(labels, probabilities)
    pictures = counts.sum(axis=1)
    areas = [found[f"per_diagnosis.{code}.auc"]["value"] for code in CODES]
    known = [area for area in areas if area is not None]
    split: dict[str, Any] = {
        "pictures": int(labels.size),
        "lesions": bootstrap.number_of_lesions(groups, np.ones(labels.size, dtype=bool)),
        "majority_baseline": number(pictures.max() / labels.size, decimals),
        "mean_class_auc": number(np.mean(known) if known else math.nan, decimals),
        "operating_points": {},
        **nested(found),
        "confusion": counts.tolist(),
    }
    lesion = np.unique(np.arange(labels.size) if groups is None else np.asarray(groups), return_inverse=True)[1]
    by_chance = metrics.calibration_error_by_chance(
        metrics.malignant_score(probabilities), lesion, np.ones(labels.size) if weights is None else weights
    )
    split["malignant_calibration_error"]["by_chance"] = number(by_chance, decimals)
    split["balanced"]["confusion"] = metrics.confusion(labels, balanced).tolist()
    for position, code in enumerate(CODES):
        lesions = bootstrap.number_of_lesions(groups, labels == position)
        split["per_diagnosis"][code] |= {"pictures": int(pictures[position]), "lesions": lesions}
    for point in operating_points:
        split["operating_points"][point.name]["threshold"] = point.threshold
    return split


def metrics_of(
    labels: Labels,
    probabilities: Table,
    *,
    balanced: Table,
    uncalibrated: Table | None = None,
    weights: Weights = None,
    operating_points: Sequence[OperatingPoint] = (),
    decisions: Sequence[str] | None = None,
) -> dict[str, Metric]:
    """Every metric of `split_metrics` by its dotted name; "before" needs `uncalibrated`, "advice" decisions."""
    everyone, called = np.ones(labels.size, dtype=bool), probabilities.argmax(axis=1)
    called_balanced = balanced.argmax(axis=1)
    found: dict[str, Metric] = {
        "balanced_accuracy": metrics.mean_sensitivity(labels, balanced),
        "balanced.accuracy": metrics.proportion(called_balanced == labels, everyone),
        "accuracy": metrics.proportion(called == labels, everyone),
        **_areas("malignant_auc{}", metrics.is_malignant(labels), metrics.malignant_score(probabilities)),
    }
    for position, code in enumerate(CODES):
        true, answered = labels == position, called == position
        found |= {
            f"per_diagnosis.{code}.sensitivity": metrics.proportion(answered, true),
            f"per_diagnosis.{code}.specificity": metrics.proportion(~answered, ~true),
            f"per_diagnosis.{code}.precision": metrics.proportion(true, answered),
            **_areas(f"per_diagnosis.{code}.auc{{}}", true, probabilities[:, position]),
            f"balanced.sensitivity.{code}": metrics.proportion(called_balanced == position, true),
        }
    for when, table in (("before", uncalibrated), ("after", probabilities)):
        if table is not None:
            for name, metric in zip(CALIBRATION_METRICS, _calibration(labels, table), strict=True):
                found[f"{name}.{when}"] = metrics.weighted(metric, weights)
    for point in operating_points:
        rates = metrics.at_threshold(labels, probabilities, point.threshold)
        found |= {f"operating_points.{point.name}.{rate}": metric for rate, metric in rates.items()}
    if decisions is not None:
        found |= {f"advice.{name}": metric for name, metric in advice_metrics(labels, decisions).items()}
    return found


def advice_metrics(labels: Labels, decisions: Sequence[str]) -> dict[str, Metric]:
    """How good the advice is. `decisions` are the N values of `Decision`.

    For "soon" (or more) and for "urgent": "sensitivity" for cancers, "melanoma_sensitivity", "specificity" and
    "precision". A refused picture ("not_assessed") counts as missed on either side: its cancer is not found, and its
    harmless lesion is not told from one. "assessed" has the same rates of the assessed pictures alone; "with_precursor"
    counts AK as a cancer. "not_assessed" is the share refused, of all pictures and ("…_malignant") of the cancers.
    """
    said = np.array([str(decision) for decision in decisions], dtype=object)
    assessed = said != Decision.NOT_ASSESSED.value
    everyone = np.ones(labels.size, dtype=bool)
    cancer = metrics.is_malignant(labels)
    melanoma = labels == Diagnosis.MEL.position
    found: dict[str, Metric] = {
        "not_assessed": metrics.proportion(~assessed, everyone),
        "not_assessed_malignant": metrics.proportion(~assessed, cancer),
    }
    for name, levels in ADVICE.items():
        told = np.isin(said, [level.value for level in levels])

        def rates(
            truth: NDArray[np.bool_], among: NDArray[np.bool_], told: NDArray[np.bool_] = told
        ) -> dict[str, Metric]:
            return {
                "sensitivity": metrics.proportion(told, truth & among),
                "specificity": metrics.proportion(assessed & ~told, ~truth & among),
            }

        of_each: dict[str, Metric] = {
            **rates(cancer, everyone),
            "melanoma_sensitivity": metrics.proportion(told, melanoma),
            "precision": metrics.proportion(cancer, told),
            "assessed.melanoma_sensitivity": metrics.proportion(told, melanoma & assessed),
            **{f"assessed.{rate}": metric for rate, metric in rates(cancer, assessed).items()},
        }
        precursor = cancer | np.isin(labels, PRECURSOR_POSITIONS)
        of_each |= {f"with_precursor.{rate}": metric for rate, metric in rates(precursor, everyone).items()}
        of_each["with_precursor.precision"] = metrics.proportion(precursor, told)
        found |= {f"{name}.{rate}": metric for rate, metric in of_each.items()}
    return found


def main_metrics(
    labels: Labels,
    probabilities: Table,
    *,
    balanced: Table | None = None,
    decisions: Sequence[str],
    weights: Weights = None,
) -> dict[str, Metric]:
    """The few metrics by which a classifier is judged, as served: by advice, not by its most probable diagnosis.

    "balanced_accuracy" of the `balanced` table, if that is given; "malignant_auc"; "sensitivity" and
    "melanoma_sensitivity" at "soon" or more, "specificity" (refused pictures counted as missed); "not_assessed";
    "malignant_calibration_error", weighted.
    """
    advice = advice_metrics(labels, decisions)
    error = metrics.malignant_calibration_error(labels, probabilities)
    found: dict[str, Metric] = {}
    if balanced is not None:
        found["balanced_accuracy"] = metrics.mean_sensitivity(labels, balanced)
    found["malignant_auc"] = metrics.auc(metrics.is_malignant(labels), metrics.malignant_score(probabilities))
    found |= {rate: advice[f"soon.{rate}"] for rate in ("sensitivity", "melanoma_sensitivity", "specificity")}
    found["not_assessed"] = advice["not_assessed"]
    found["malignant_calibration_error"] = metrics.weighted(error, weights)
    return found


def main_figures(
    labels: Labels,
    probabilities: Table,
    *,
    groups: Groups,
    balanced: Table | None = None,
    decisions: Sequence[str],
    weights: Weights = None,
    rounds: int = ROUNDS,
    decimals: int | None = None,
) -> dict[str, Any]:
    """The figures of `main_metrics`, with "pictures", "lesions" and "malignant_lesions"; null where too few to say.

    A share needs `FEWEST_LESIONS` lesions of its side, all others as many with a cancer and without.
    """
    cancer = metrics.is_malignant(labels)
    sides = [bootstrap.number_of_lesions(groups, side) for side in (cancer, ~cancer)]
    wanted = main_metrics(labels, probabilities, balanced=balanced, decisions=decisions, weights=weights)
    enough = {
        name: metric
        for name, metric in wanted.items()
        if (bootstrap.number_of_lesions(groups, metric.of) if isinstance(metric, Proportion) else min(sides))
        >= FEWEST_LESIONS
    }
    found = with_intervals(enough, labels, groups=groups, rounds=rounds, decimals=decimals) if enough else {}
    return {
        "pictures": int(labels.size),
        "lesions": bootstrap.number_of_lesions(groups, np.ones(labels.size, dtype=bool)),
        "malignant_lesions": sides[0],
        **{name: found.get(name) for name in wanted},
    }


def with_intervals(
    wanted: Mapping[str, Metric],
    labels: Labels,
    *,
    groups: Groups,
    rounds: int = ROUNDS,
    decimals: int | None = None,
) -> dict[str, dict[str, float | None]]:
    """Every metric as {"value", "low", "high"}, all from one bootstrap over lesions."""
    found = bootstrap.estimates(wanted, labels, groups, rounds=rounds)
    return {
        name: {part: number(getattr(each, part), decimals) for part in ("value", "low", "high")}
        for name, each in found.items()
    }


def nested(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures with dotted names as JSON objects: {"a.b": 1} becomes {"a": {"b": 1}}."""
    whole: dict[str, Any] = {}
    for name, figure in figures.items():
        *path, last = name.split(".")
        part = whole
        for step in path:
            part = part.setdefault(step, {})
        part[last] = figure
    return whole


def number(value: float | np.floating[Any], decimals: int | None = None) -> float | None:
    """A JSON number, rounded if `decimals` are given; None for NaN and infinity."""
    plain = float(value)
    if not math.isfinite(plain):
        return None
    return plain if decimals is None else round(plain, decimals)


def _calibration(labels: Labels, table: Table) -> tuple[Metric, ...]:
    """The metrics of `CALIBRATION_METRICS`, in that order."""
    return (
        metrics.mean(metrics.surprise(labels, table)),
        metrics.malignant_calibration_error(labels, table),
        metrics.classwise_calibration_error(labels, table),
    )


def _areas(name: str, positive: NDArray[np.bool_], scores: Table) -> dict[str, Metric]:
    """AUC, and AUC above 80 % sensitivity."""
    return {
        name.format(""): metrics.auc(positive, scores),
        name.format("_above_80_sensitivity"): metrics.auc(positive, scores, floor=SENSITIVITY_FLOOR),
    }
