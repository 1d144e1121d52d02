"""Own the figures of an evaluation: from labels, calibrated probabilities and metadata to one JSON value.

Every {"value", "low", "high"} carries a 95 % percentile interval of one bootstrap in which the pictures of each
diagnosis are redrawn among themselves (`training.pipeline.bootstrap`). A figure that has no meaning on these rows is
null, and one from too few pictures is not given at all: "too few to say".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diagnoses.inference.bundle import OperatingPoint
from diagnoses.inference.runtime import softmax
from diagnoses.taxonomy import CODES, SEXES, SITES
from training.pipeline import bootstrap, metrics
from training.pipeline.metrics import BOOTSTRAP_ROUNDS, Labels, Table

SENSITIVITY_FLOOR: Final = 0.8
"""Of the partial area under the ROC curve that the ISIC challenges report: "AUC above 80 % sensitivity"."""

TOO_FEW: Final = 10
"""Fewer positives (for a sensitivity) or negatives (for a specificity) than this say too little: with 10, the 95 %
interval of a half is already 0.24 to 0.76."""

AGE_BANDS: Final = ((0, 29), (30, 44), (45, 59), (60, 74), (75, 120))
RELIABILITY_BINS: Final = 10
CURVE_POINTS: Final = 200
"""Points kept of a ROC curve: finer than a chart shows."""
HARDEST: Final = 24
SUBGROUP_ROUNDS: Final = 400

FEWEST_DIAGNOSES: Final = 2
"""Diagnoses of which a subgroup must have enough pictures for a mean of sensitivities to be more than one of them."""

PER_DIAGNOSIS: Final = ("sensitivity", "specificity", "precision", "auc", "auc_above_80_sensitivity")


def auc_above_sensitivity(positive: NDArray[np.bool_], scores: Table, floor: float = SENSITIVITY_FLOOR) -> float:
    """Area under the part of the ROC curve where the sensitivity is at least `floor`; NaN without both kinds.

    As isic-challenge-scoring defines it: the area below that part down to sensitivity 0, from its false-positive
    rate to 1, not rescaled; so at most 1, and the plain AUC where the floor is reached without a false positive.
    """
    rates = roc_curve(positive, scores)
    if rates is None:
        return float("nan")
    false_rates, true_rates = rates
    start = int(np.searchsorted(true_rates, floor, side="left"))
    before, after = max(start - 1, 0), start
    rise = true_rates[after] - true_rates[before]
    share = (floor - true_rates[before]) / rise if rise > 0 else 1.0
    first = false_rates[before] + share * (false_rates[after] - false_rates[before])
    x, y = np.r_[first, false_rates[start:]], np.r_[floor, true_rates[start:]]
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2.0))


def roc_curve(positive: NDArray[np.bool_], scores: Table) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """False- and true-positive rates, from (0, 0) to (1, 1), one point per distinct score; None without both kinds."""
    positives = int(positive.sum())
    negatives = positive.size - positives
    if not positives or not negatives:
        return None
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order], positive[order]
    last_of_score = np.r_[np.flatnonzero(np.diff(ranked)), truth.size - 1]
    true_counts = np.cumsum(truth)[last_of_score]
    return (
        np.r_[0.0, (last_of_score + 1 - true_counts) / negatives],
        np.r_[0.0, true_counts / positives],
    )


def measure(
    labels: Labels, probabilities: Table, *, temperature: float, operating_points: Sequence[OperatingPoint]
) -> dict[str, Any]:
    """The figures of one split. `labels` (N,), `probabilities` (N, 8) calibrated by `temperature`."""
    plain = softmax(np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)) * temperature)
    counts = metrics.confusion(labels, probabilities)
    with_interval = _with_intervals(
        _figures(labels, probabilities, plain, operating_points), labels, rounds=BOOTSTRAP_ROUNDS
    )
    per_diagnosis: dict[str, dict[str, Any]] = {}
    for position, code in enumerate(CODES):
        per_diagnosis[code] = {
            "pictures": int(counts[position].sum()),
            **{name: with_interval[f"{name}:{code}"] for name in PER_DIAGNOSIS},
        }
    areas = [value["auc"]["value"] for value in per_diagnosis.values() if value["auc"]["value"] is not None]
    malignant, scores = metrics.is_malignant(labels), metrics.malignant_score(probabilities)
    return {
        "pictures": int(labels.size),
        "balanced_accuracy": with_interval["balanced_accuracy"],
        "accuracy": with_interval["accuracy"],
        "majority_baseline": number(float(counts.sum(axis=1).max() / labels.size)),
        "majority_diagnosis": CODES[int(counts.sum(axis=1).argmax())],
        "malignant_auc": with_interval["malignant_auc"],
        "malignant_auc_above_80_sensitivity": with_interval["malignant_auc_above_80_sensitivity"],
        "mean_class_auc": number(float(np.mean(areas)) if areas else math.nan),
        **{
            name: {when: with_interval[f"{name} {when}"] for when in ("before", "after")}
            for name in ("log_loss", "expected_calibration_error")
        },
        "temperature": temperature,
        "per_diagnosis": per_diagnosis,
        "operating_points": {
            point.name: {
                "threshold": point.threshold,
                "sensitivity": with_interval[f"sensitivity at {point.name}"],
                "specificity": with_interval[f"specificity at {point.name}"],
            }
            for point in operating_points
        },
        "confusion": counts.tolist(),
        "roc": {
            **{
                code: _curve(labels == position, probabilities[:, position]) for position, code in enumerate(CODES)
            },
            "malignant": _curve(malignant, scores),
        },
        "reliability": {"before": reliability(labels, plain), "after": reliability(labels, probabilities)},
    }  # fmt: skip


def subgroups(
    table: pd.DataFrame, labels: Labels, probabilities: Table, *, operating_points: Sequence[OperatingPoint]
) -> list[dict[str, Any]]:
    """Malignant against benign, and balanced accuracy, by sex, age band and site; rows of `table` as those of `labels`.

    "sensitivity" and "specificity" of a point are null where fewer than `TOO_FEW` cancers (benign lesions) are there.
    "balanced_accuracy" is over the diagnoses of which the group has at least `TOO_FEW` pictures, named beside it, and
    null where those are fewer than two. Groups differ in which they are, so "everybody" gives the same mean over all
    pictures of the split: only against that is a group's figure worth reading.
    """
    groups: list[tuple[str, str, NDArray[np.bool_]]] = []
    for column, kind, words in (("sex", "sex", SEXES), ("anatom_site_general", "site", SITES)):
        groups += [(kind, word, (table[column] == word).to_numpy()) for word in words]
        groups.append((kind, "not given", table[column].isna().to_numpy()))
    age = table["age_approx"].to_numpy(dtype=float)
    groups += [("age", f"{low} to {high}", (age >= low) & (age <= high)) for low, high in AGE_BANDS]
    groups.append(("age", "not given", np.isnan(age)))
    everybody = metrics.sensitivities(labels, probabilities)
    entries = []
    for kind, name, chosen in sorted(groups, key=lambda group: ("sex", "age", "site").index(group[0])):
        here, answers = labels[chosen], probabilities[chosen]
        positive = metrics.is_malignant(here)
        entry: dict[str, Any] = {
            "kind": kind, "name": name, "pictures": int(chosen.sum()), "malignant": int(positive.sum()),
        }  # fmt: skip
        enough = {"sensitivity": positive.sum() >= TOO_FEW, "specificity": (~positive).sum() >= TOO_FEW}
        figures: dict[str, Figure] = {}
        for point in operating_points:
            both = _at_point(here, answers, point)
            figures |= {f"{rate} at {point.name}": both[rate] for rate in enough if enough[rate]}
        known = np.flatnonzero(np.bincount(here, minlength=len(CODES)) >= TOO_FEW)
        if known.size >= FEWEST_DIAGNOSES:
            figures["balanced_accuracy"] = _balanced(here, answers, known.tolist())
        found = _with_intervals(figures, here, rounds=SUBGROUP_ROUNDS) if figures else {}
        entry["operating_points"] = {
            point.name: {rate: found.get(f"{rate} at {point.name}") for rate in enough} for point in operating_points
        }
        entry["balanced_accuracy"] = found.get("balanced_accuracy")
        if entry["balanced_accuracy"] is not None:
            entry["diagnoses"] = [CODES[position] for position in known]
            entry["everybody"] = number(float(np.mean(everybody[known])))
        entries.append(entry)
    return entries


def reliability(labels: Labels, probabilities: Table) -> list[dict[str, Any]]:
    """Confidence against accuracy in equally wide bins of confidence, empty bins left out."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    which = np.minimum((confidence * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    return [
        {
            "from": bin_ / RELIABILITY_BINS,
            "pictures": int((which == bin_).sum()),
            "confidence": number(float(confidence[which == bin_].mean())),
            "accuracy": number(float(right[which == bin_].mean())),
        }
        for bin_ in range(RELIABILITY_BINS)
        if (which == bin_).any()
    ]


def hardest_mistakes(images: Sequence[str], labels: Labels, probabilities: Table) -> list[dict[str, Any]]:
    """The wrong answers with the least probability for the truth: the most surely wrong first."""
    called, given = probabilities.argmax(axis=1), probabilities[np.arange(labels.size), labels]
    wrong = np.flatnonzero(called != labels)
    return [
        {
            "image": images[row],
            "truth": CODES[labels[row]],
            "called": CODES[called[row]],
            "confidence": number(float(probabilities[row, called[row]])),
            "truth_probability": number(float(given[row])),
        }
        for row in wrong[np.argsort(given[wrong], kind="stable")][:HARDEST]
    ]


def number(value: float) -> float | None:
    """A JSON number with six decimals, or null for what is not one."""
    return round(value, 6) if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of all pictures, and the same as a function of redrawn ones."""

    value: float
    drawn: bootstrap.Drawn


def _share(inside: NDArray[np.bool_], of: NDArray[np.bool_]) -> Figure:
    whole = int(of.sum())
    return Figure(float((inside & of).sum() / whole) if whole else math.nan, bootstrap.share(inside, of))


def _balanced(labels: Labels, probabilities: Table, positions: Sequence[int]) -> Figure:
    """Mean sensitivity over the diagnoses at these positions; those without a picture do not count."""
    called = probabilities.argmax(axis=1)
    shares = [_share(called == position, labels == position) for position in positions]
    known = [each.value for each in shares if math.isfinite(each.value)]
    return Figure(float(np.mean(known)) if known else math.nan, bootstrap.mean_of([each.drawn for each in shares]))


def _at_point(labels: Labels, probabilities: Table, point: OperatingPoint) -> dict[str, Figure]:
    positive, flagged = metrics.is_malignant(labels), metrics.malignant_score(probabilities) >= point.threshold
    return {"sensitivity": _share(flagged, positive), "specificity": _share(~flagged, ~positive)}


def _areas(positive: NDArray[np.bool_], scores: Table) -> tuple[Figure, Figure]:
    """AUC, and AUC above 80 % sensitivity."""
    return (
        Figure(metrics.auc(positive, scores), bootstrap.area(positive, scores)),
        Figure(auc_above_sensitivity(positive, scores), bootstrap.area(positive, scores, floor=SENSITIVITY_FLOOR)),
    )


def _figures(labels: Labels, probabilities: Table, plain: Table, points: Sequence[OperatingPoint]) -> dict[str, Figure]:
    """Every figure that carries an interval; `plain` are the probabilities before temperature scaling."""
    called = probabilities.argmax(axis=1)
    malignant, scores = metrics.is_malignant(labels), metrics.malignant_score(probabilities)
    figures = {
        "balanced_accuracy": _balanced(labels, probabilities, range(len(CODES))),
        "accuracy": _share(called == labels, np.ones(labels.size, dtype=bool)),
    }
    figures["malignant_auc"], figures["malignant_auc_above_80_sensitivity"] = _areas(malignant, scores)
    for position, code in enumerate(CODES):
        true, answered = labels == position, called == position
        figures[f"sensitivity:{code}"] = _share(answered, true)
        figures[f"specificity:{code}"] = _share(~answered, ~true)
        figures[f"precision:{code}"] = _share(true, answered)
        figures[f"auc:{code}"], figures[f"auc_above_80_sensitivity:{code}"] = _areas(true, probabilities[:, position])
    for when, table in (("before", plain), ("after", probabilities)):
        given = np.maximum(table[np.arange(labels.size), labels], np.finfo(np.float64).tiny)
        figures[f"log_loss {when}"] = Figure(metrics.log_loss(labels, table), bootstrap.mean(-np.log(given)))
        figures[f"expected_calibration_error {when}"] = Figure(
            metrics.expected_calibration_error(labels, table), bootstrap.calibration_error(labels, table)
        )
    for point in points:
        both = _at_point(labels, probabilities, point)
        figures |= {f"{rate} at {point.name}": figure for rate, figure in both.items()}
    return figures


def _with_intervals(
    figures: Mapping[str, Figure], labels: Labels, *, rounds: int
) -> dict[str, dict[str, float | None]]:
    """Every figure as {"value", "low", "high"}, all from one bootstrap."""
    found = bootstrap.intervals({name: figure.drawn for name, figure in figures.items()}, labels, rounds=rounds)
    return {
        name: {"value": number(figure.value), "low": number(found[name].low), "high": number(found[name].high)}
        for name, figure in figures.items()
    }


def _curve(positive: NDArray[np.bool_], scores: Table) -> dict[str, list[float]] | None:
    rates = roc_curve(positive, scores)
    if rates is None:
        return None
    kept = np.unique(np.linspace(0, rates[0].size - 1, min(rates[0].size, CURVE_POINTS)).round().astype(int))
    false_rates, true_rates = (np.round(each[kept], 5).tolist() for each in rates)
    return {"false_positive_rate": false_rates, "true_positive_rate": true_rates}
