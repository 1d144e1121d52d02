"""The assessment block of a bundle: fitted on training and calibration pictures, then measured on the test split.

Limits, thresholds and edges never depend on the test split. The shares that the result page shows are measured on it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation import metrics
from recognition.evaluation.answers import Answers
from recognition.evaluation.measure import with_intervals
from recognition.evaluation.metrics import Table
from recognition.fit.calibration import COVERAGE, advised, choose_decision, choose_edges, set_thresholds
from recognition.inference.assessment import REFUSING, Gate
from recognition.inference.assessor import AssessmentSettings, Assessor, ImageTypeSettings
from recognition.inference.calibration import Calibration
from recognition.inference.decision import MONITOR_DAYS, score_of
from recognition.inference.degenerate_output import live_reference
from recognition.inference.ood import METHOD, OodDetector
from recognition.inference.outputs import PictureOutputs
from recognition.inference.quality import limits_from
from recognition.taxonomy import CODES, DERMOSCOPIC, PRECURSOR_POSITIONS, Diagnosis

OOD_SHARE: Final = 0.025
"""Share of the calibration pictures that the OOD gate refuses: half of the 5 % that may be refused on other data."""

ENOUGH: Final = 200
"""Fewest calibration pictures for sealing gates and decision: 2.5 % of them are five pictures."""

LEARNED_PER_DIAGNOSIS: Final = 200
"""Training pictures per diagnosis for the OOD detector and the quality limits. With all training pictures, two thirds
of them nevi, the OOD gate refused more than half of the red vascular lesions; with equal numbers, one in eight.
"""

SET_SIZE_MAX: Final = 3
"""A prediction set with more diagnoses makes the answer "uncertain". A set of cancers and harmless diagnoses does
not: two photos of three have such a set."""


def fit_assessment(
    *, learned: Answers | None, calibration: Answers, probabilities: Table
) -> tuple[dict[str, Any], OodDetector | None]:
    """The block that `inference.assessor` reads, and its OOD detector.

    `learned` are the outputs for training pictures, None with fewer than `ENOUGH` calibration pictures;
    `probabilities` (N, 8) are calibrated and of the calibration pictures. Parts with too few pictures are left out.
    """
    block: dict[str, Any] = {"monitor_days": MONITOR_DAYS, "live": live_reference(probabilities.tolist())}
    if learned is None or len(calibration) < ENOUGH:
        return block, None
    block["quality"] = limits_from([each.quality for each in learned.statistics]).as_json()
    ood_detector = OodDetector.fit(
        features=learned.features,
        colours=learned.colours,
        calibration_features=calibration.features,
        calibration_colours=calibration.colours,
    )
    distances = ood_detector.score(calibration.features, calibration.colours)
    block["familiarity"] = {
        "method": METHOD,
        "limit": float(np.quantile(distances, 1.0 - OOD_SHARE)),
        "refused_share_calibration": OOD_SHARE,
        "pictures": len(learned),
    }
    block["conformal"] = {
        "coverage": COVERAGE,
        "thresholds": set_thresholds(calibration.labels, probabilities),
        "size_max": SET_SIZE_MAX,
    }
    if (decision := choose_decision(calibration.labels, probabilities)) is not None:
        block["decision"] = decision
        edges = choose_edges(
            metrics.malignant_score(probabilities),
            soon=decision["soon"]["threshold"],
            urgent=decision["urgent"]["threshold"],
        )
        if edges is not None:
            steps = zip([0.0, *edges], [*edges, 1.0], strict=True)
            block["score"] = [{"score": at, "from": low, "to": high} for at, (low, high) in enumerate(steps, start=1)]
    return block, ood_detector


def measure_assessment(
    block: dict[str, Any],
    ood_detector: OodDetector | None,
    *,
    test: Answers,
    probabilities: Table,
    lesions: Sequence[str],
) -> dict[str, Any]:
    """Measure the block on the test pictures, for the manifest's metrics. Adds the measured shares to `block`.

    `probabilities` (N, 8) are the calibrated ones of `test`, `lesions` (N) theirs. All figures except those of the
    gates include the pictures that a gate refuses.
    """
    limits = AssessmentSettings.from_json(block)
    assessor = Assessor({DERMOSCOPIC: ImageTypeSettings(Calibration(), limits)})
    distances = None if ood_detector is None else ood_detector.score(test.features, test.colours)
    assessments = [
        assessor.assess(
            PictureOutputs(
                logits=np.log(np.maximum(row, np.finfo(np.float64).tiny)),
                quality=statistics.quality,
                ood={} if distances is None else {DERMOSCOPIC: float(distances[at])},
            )
        ).assessment
        for at, (statistics, row) in enumerate(zip(test.statistics, probabilities, strict=True))
    ]
    labels, positive = test.labels, metrics.is_malignant(test.labels)
    figures: dict[str, Any] = {}
    everyone = np.ones(len(test), dtype=bool)
    share = partial(_share, labels=labels, lesions=lesions)

    refused = {gate: np.array([not each.gate(gate).passed for each in assessments]) for gate in Gate}
    either = np.any([refused[gate] for gate in REFUSING], axis=0)
    figures["gates"] = {
        **{gate.value: share(refused[gate], everyone) for gate in Gate},
        "not_assessed": share(either, everyone),
        "not_assessed_malignant": share(either, positive),
        "not_assessed_by_diagnosis": {code: share(either, labels == at) for at, code in enumerate(CODES)},
    }
    if "familiarity" in block:
        block["familiarity"]["refused_share_test"] = float(refused[Gate.OOD].mean())
    if "conformal" in block:
        within = np.array(
            [CODES[label] in each.prediction_set for label, each in zip(labels, assessments, strict=True)]
        )
        sizes = np.array([len(each.prediction_set) for each in assessments])
        figures["prediction_set"] = {
            "coverage": share(within, everyone),
            "coverage_by_diagnosis": {code: share(within, labels == at) for at, code in enumerate(CODES)},
            "mean_size": float(sizes.mean()),
            "sizes": {str(size): int((sizes == size).sum()) for size in range(1, len(CODES) + 1)},
        }
        block["conformal"] |= {
            "test_coverage": float(within.mean()),
            "test_mean_size": float(sizes.mean()),
            "test_wide_share": float(refused[Gate.PREDICTION_SET].mean()),
        }
    if "decision" in block:
        figures["decision"] = {
            name: _advice(labels, advised(probabilities, name, point["threshold"]), point["threshold"], share)
            for name, point in block["decision"].items()
        }
    if "score" in block:
        edges = [entry["from"] for entry in block["score"][1:]]
        scores = np.array([score_of(float(each), edges) for each in metrics.malignant_score(probabilities)])
        for entry in block["score"]:
            at = scores == entry["score"]
            cancers, pictures = int(positive[at].sum()), int(at.sum())
            figure = share(positive, at)
            entry |= {
                "pictures": pictures,
                "malignant": cancers,
                "share": figure["value"],
                "low": figure["low"],
                "high": figure["high"],
            }
    return figures


def _share(
    inside: NDArray[np.bool_], of: NDArray[np.bool_], *, labels: NDArray[np.int64], lesions: Sequence[str]
) -> dict[str, float | None]:
    return with_intervals({"": metrics.proportion(inside, of)}, labels, groups=lesions)[""]


def _advice(
    labels: NDArray[np.int64],
    flagged: NDArray[np.bool_],
    threshold: float,
    share: Callable[[NDArray[np.bool_], NDArray[np.bool_]], dict[str, float | None]],
) -> dict[str, Any]:
    positive = metrics.is_malignant(labels)
    melanoma = labels == Diagnosis.MEL.position
    precursor = positive | np.isin(labels, PRECURSOR_POSITIONS)

    def rates(truth: NDArray[np.bool_]) -> dict[str, Any]:
        return {
            "sensitivity": share(flagged, truth),
            "specificity": share(~flagged, ~truth),
            "precision": share(truth, flagged),
        }

    return {
        "threshold": threshold,
        **rates(positive),
        "melanoma_sensitivity": share(flagged, melanoma),
        "with_precursor": rates(precursor),
        "flagged": share(flagged, np.ones(labels.size, dtype=bool)),
    }
