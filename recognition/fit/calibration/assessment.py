"""What a bundle seals of one kind of picture: fitted on training and calibration pictures, measured on the test split.

Calibration, limits, thresholds and edges never depend on the test split. They are those of the picture alone, because
nobody has to say anything about a photo. The figures are those of the answers as they are served, with what the data
know beside each picture; those without it stand beside them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recognition.datasets.splits import TEST
from recognition.evaluation import metrics
from recognition.evaluation.answers import Answers
from recognition.evaluation.by_collection import collection_figures
from recognition.evaluation.kind_answers import KindAnswers, assess_all, kind_figures
from recognition.evaluation.measure import main_figures, with_intervals
from recognition.evaluation.metrics import Metric, Table
from recognition.fit.calibration.points import choose_decision, choose_edges, choose_operating_points
from recognition.fit.calibration.scaling import fit_calibration
from recognition.fit.calibration.sets import COVERAGE, set_threshold
from recognition.inference.assessment import REFUSING, Gate
from recognition.inference.assessor import Answer, Assessor
from recognition.inference.bundle import OperatingPoint
from recognition.inference.case_mix import CaseMix
from recognition.inference.decision import MONITOR_DAYS, score_of
from recognition.inference.degenerate_output import live_reference
from recognition.inference.metadata import Metadata, MetadataTable, Strengths
from recognition.inference.ood import METHOD, METHOD_WITH_OTHERS, OodDetector
from recognition.inference.outputs import PictureOutputs
from recognition.inference.quality import limits_from
from recognition.taxonomy import CODES

OOD_SHARE: Final = 0.025
"""Share of the calibration pictures that the OOD gate refuses: half of the 5 % that may be refused on other data."""

OOD_SHARE_WITH_OTHERS: Final = 0.04
"""The same where the gates know pictures of none of the eight: each refused lesion then buys several of those."""

ENOUGH: Final = 100
"""Fewest calibration pictures of a kind for sealing its gates and its decision, and for knowing it beside another kind:
2.5 % of them are two or three pictures."""

LEARNED_PER_DIAGNOSIS: Final = 200
"""Training pictures of each kind and diagnosis for the OOD detector and the quality limits. With all training pictures,
two thirds of them nevi, the OOD gate refused more than half of the red vascular lesions; with equal numbers, one in
eight."""

SET_SIZE_MAX: Final = 3
"""A prediction set with more diagnoses makes the answer "uncertain". A set of cancers and harmless diagnoses does
not: two photos of three have such a set."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The pictures of one kind in one split: the network's outputs, and the rows of the table in the same order.

    `groups` (N,) are the lesions, or the patients where these are known.
    """

    answers: Answers
    rows: pd.DataFrame
    groups: NDArray[Any]
    metadata: Sequence[Metadata]

    def contributions(self, table: MetadataTable, strengths: Strengths) -> NDArray[np.float64]:
        """What the table adds to the scores of each picture, (N, 8)."""
        rows = [table.contribution(each, strengths) for each in self.metadata]
        return np.stack(rows) if rows else np.zeros((0, len(CODES)))


def fit_image_type(
    *,
    learned: Answers | None,
    calibration: Seen,
    table: MetadataTable,
    case_mix: CaseMix,
    others: NDArray[np.float32] | None = None,
) -> tuple[dict[str, Any], OodDetector | None]:
    """The entry of `image_types` without its metrics, and the OOD detector.

    `learned` are the outputs for training pictures of this kind, None with fewer than `ENOUGH` calibration pictures:
    gates, sets, decision and score are then left out. `others` is the direction of `other_pictures`, where there are
    any.
    """
    seen, labels = calibration.answers, calibration.answers.labels
    fitted = fit_calibration(
        seen.logits,
        labels,
        demographics=calibration.contributions(table, Strengths(demographics=1.0)),
        answers=calibration.contributions(table, Strengths(answers=1.0)),
    )
    probabilities, weights = fitted.probabilities(seen.logits, case_mix), case_mix.weights(labels)
    limits: dict[str, Any] = {"monitor_days": MONITOR_DAYS, "live": live_reference(probabilities.tolist(), weights)}
    block = {
        "calibration": fitted.as_json(),
        "operating_points": [asdict(point) for point in choose_operating_points(labels, probabilities, weights)],
        "assessment": limits,
    }
    if learned is None:
        return block, None
    limits["quality"] = limits_from([each.quality for each in learned.statistics]).as_json()
    ood_detector = OodDetector.fit(
        features=learned.features,
        colours=learned.colours,
        calibration_features=seen.features,
        calibration_colours=seen.colours,
        others=others,
    )
    distances = ood_detector.score(seen.features, seen.colours)
    share = OOD_SHARE if others is None else OOD_SHARE_WITH_OTHERS
    limits["familiarity"] = {
        "method": METHOD if others is None else METHOD_WITH_OTHERS,
        "limit": float(np.quantile(distances, 1.0 - share)),
        "refused_share_calibration": share,
        "pictures": len(learned),
    }
    limits["conformal"] = {
        "coverage": COVERAGE,
        "thresholds": dict.fromkeys(
            CODES, set_threshold(seen.logits, labels, calibration.groups, case_mix=case_mix, coverage=COVERAGE)
        ),
        "size_max": SET_SIZE_MAX,
    }
    if (decision := choose_decision(labels, probabilities, weights)) is not None:
        limits["decision"] = decision
        edges = choose_edges(
            metrics.malignant_score(probabilities),
            weights,
            soon=decision["soon"]["threshold"],
            urgent=decision["urgent"]["threshold"],
        )
        if edges is not None:
            steps = zip([0.0, *edges], [*edges, 1.0], strict=True)
            limits["score"] = [{"score": at, "from": low, "to": high} for at, (low, high) in enumerate(steps, start=1)]
    return block, ood_detector


def measure_image_type(
    image_type: str,
    *,
    assessor: Assessor,
    points: Sequence[OperatingPoint],
    limits: dict[str, Any],
    test: Seen,
    outputs: Sequence[PictureOutputs],
) -> dict[str, Any]:
    """The metrics of a kind of picture on the test split; also adds the measured shares to `limits`, its assessment.

    `outputs` are those of `test`. The figures include the pictures that a gate refuses, except where they say so.
    """
    labels = test.answers.labels
    answers, answered = answer_all(image_type, assessor=assessor, seen=test, outputs=outputs)
    weights = answered.weights
    figures: dict[str, Any] = {
        "split": TEST,
        **kind_figures(answered, test.rows, operating_points=points),
        "picture_alone": main_figures(
            labels,
            answered.picture_alone,
            groups=answered.lesions,
            decisions=answered.picture_decisions,
            weights=weights,
        ),
        "collections": collection_figures(answered, test.rows, case_mix=assessor.case_mix),
        "gates": _gates(answers, test),
    }
    if "familiarity" in limits:
        limits["familiarity"]["refused_share_test"] = figures["gates"][Gate.OOD.value]["value"]
    if "conformal" in limits:
        figures["prediction_set"] = _prediction_sets(answers, test, weights)
        limits["conformal"] |= {
            "test_coverage": figures["prediction_set"]["coverage"]["value"],
            "test_mean_size": figures["prediction_set"]["mean_size"],
            "test_wide_share": figures["gates"][Gate.PREDICTION_SET.value]["value"],
        }
    if "score" in limits:
        _measure_scores(limits["score"], answers, test, weights)
    return figures


def answer_all(
    image_type: str, *, assessor: Assessor, seen: Seen, outputs: Sequence[PictureOutputs]
) -> tuple[list[Answer], KindAnswers]:
    """The answers to the pictures of one kind, singly and as tables; `outputs` are those of `seen`."""
    answers, balanced = assess_all(assessor, outputs, seen.metadata, image_type=image_type)
    return answers, KindAnswers.of(
        answers,
        balanced,
        images=seen.answers.images,
        labels=seen.answers.labels,
        lesions=seen.groups,
        logits=seen.answers.logits,
        case_mix=assessor.case_mix,
    )


def _gates(answers: Sequence[Answer], test: Seen) -> dict[str, Any]:
    """The shares of the pictures that each gate refuses."""
    labels = test.answers.labels
    everyone, cancer = np.ones(labels.size, dtype=bool), metrics.is_malignant(labels)
    refused = {gate: np.array([not each.assessment.gate(gate).passed for each in answers]) for gate in Gate}
    either = np.any([refused[gate] for gate in REFUSING], axis=0)
    wanted: dict[str, Metric] = {
        **{gate.value: metrics.proportion(refused[gate], everyone) for gate in Gate},
        "not_assessed": metrics.proportion(either, everyone),
        "not_assessed_malignant": metrics.proportion(either, cancer),
        **{code: metrics.proportion(either, labels == at) for at, code in enumerate(CODES)},
    }
    found: dict[str, Any] = dict(with_intervals(wanted, labels, groups=test.groups))
    found["not_assessed_by_diagnosis"] = {code: found.pop(code) for code in CODES}
    return found


def _prediction_sets(answers: Sequence[Answer], test: Seen, weights: Table) -> dict[str, Any]:
    """How often the set holds the truth, weighted to the case mix and of each diagnosis, and how large the sets are."""
    labels = test.answers.labels
    sets = [each.assessment.prediction_set for each in answers]
    within = np.array([CODES[label] in codes for label, codes in zip(labels, sets, strict=True)])
    sizes = np.array([len(codes) for codes in sets])
    everyone = np.ones(labels.size, dtype=bool)
    found = with_intervals(
        {
            "coverage": metrics.weighted(metrics.proportion(within, everyone), weights),
            **{code: metrics.proportion(within, labels == at) for at, code in enumerate(CODES)},
        },
        labels,
        groups=test.groups,
    )
    return {
        "coverage": found["coverage"],
        "coverage_by_diagnosis": {code: found[code] for code in CODES},
        "mean_size": float(np.average(sizes, weights=weights)),
        "sizes": {str(size): int((sizes == size).sum()) for size in range(1, len(CODES) + 1)},
    }


def _measure_scores(entries: Sequence[dict[str, Any]], answers: Sequence[Answer], test: Seen, weights: Table) -> None:
    """Add to each score its pictures and the share of cancers among them, weighted to the case mix."""
    labels = test.answers.labels
    cancer = metrics.is_malignant(labels)
    edges = [entry["from"] for entry in entries[1:]]
    scores = np.array([score_of(each.malignant_score, edges) for each in answers])
    shares = with_intervals(
        {
            str(entry["score"]): metrics.weighted(metrics.proportion(cancer, scores == entry["score"]), weights)
            for entry in entries
        },
        labels,
        groups=test.groups,
    )
    for entry in entries:
        at = scores == entry["score"]
        share: Mapping[str, float | None] = shares[str(entry["score"])]
        entry |= {
            "pictures": int(at.sum()),
            "malignant": int(cancer[at].sum()),
            "by_diagnosis": {code: int((labels[at] == position).sum()) for position, code in enumerate(CODES)},
            "share": share["value"],
            "low": share["low"],
            "high": share["high"],
        }
