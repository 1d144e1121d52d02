"""What the metadata table is worth on held-out pictures: the picture alone, with what is known of it, and without it.

The people in the data were sent to a clinic, and who was sent, and asked by whom, is in their answers. So the figures
without any picture stand beside the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation import metrics
from recognition.evaluation.bootstrap import Estimate, estimates
from recognition.evaluation.metrics import Labels, Metric, Table
from recognition.inference.calibration import Calibration, softmax
from recognition.inference.case_mix import CaseMix
from recognition.inference.metadata import Metadata, MetadataTable, Strengths
from recognition.taxonomy import Diagnosis

SPECIFICITY: Final = 0.70
"""At which sensitivities are compared: with a threshold of their own, because the table moves all scores."""

FULL: Final = Strengths(demographics=1.0, answers=1.0)

PICTURE_ALONE: Final = "picture alone"
WITHOUT_PICTURE: Final = "both, without any picture"
KNOWN: Final[Mapping[str, tuple[bool, bool]]] = {
    PICTURE_ALONE: (False, False),
    "with age, sex, site": (True, False),
    "with the six answers": (False, True),
    "with both": (True, True),
    WITHOUT_PICTURE: (True, True),
}
"""What is used beside the picture: age, sex and site; the answers."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """N held-out pictures of one kind: `labels` (N,), `logits` (N, 8), `metadata` and `groups` (patient or lesion)."""

    labels: Labels
    logits: Table
    metadata: Sequence[Metadata]
    groups: Sequence[str]

    def only(self, chosen: NDArray[np.bool_]) -> "HeldOut":
        """The `chosen` (N,) pictures."""
        metadata = [each for each, wanted in zip(self.metadata, chosen, strict=True) if wanted]
        groups = [each for each, wanted in zip(self.groups, chosen, strict=True) if wanted]
        return HeldOut(self.labels[chosen], self.logits[chosen], metadata, groups)


def figures(
    held_out: HeldOut, table: MetadataTable, calibration: Calibration, case_mix: CaseMix, strengths: Strengths
) -> dict[str, dict[str, Estimate]]:
    """For each of `KNOWN` the metrics with their intervals, by name; `strengths` replace those of the calibration."""
    found = {}
    for name, (demographics, answers) in KNOWN.items():
        used = Strengths(strengths.demographics * demographics, strengths.answers * answers)
        contribution = np.stack([table.contribution(each, used) for each in held_out.metadata])
        if name == WITHOUT_PICTURE:
            probabilities = softmax(case_mix.log_shares + contribution)
        else:
            probabilities = calibration.probabilities(held_out.logits, case_mix, contribution)
        found[name] = estimates(_metrics(held_out.labels, probabilities), held_out.labels, held_out.groups)
    return found


def _metrics(labels: Labels, probabilities: Table) -> dict[str, Metric]:
    cancer, score = metrics.is_malignant(labels), metrics.malignant_score(probabilities)
    every = np.ones(labels.size, dtype=bool)
    return {
        "AUC": metrics.auc(cancer, score),
        "accuracy": metrics.proportion(probabilities.argmax(axis=1) == labels, every),
        "balanced": metrics.mean_sensitivity(labels, probabilities),
        "cancers": sensitivity_at(cancer, ~cancer, score),
        "melanomas": sensitivity_at(labels == Diagnosis.MEL.position, ~cancer, score),
    }


def sensitivity_at(
    positive: NDArray[np.bool_], negative: NDArray[np.bool_], scores: Table, *, specificity: float = SPECIFICITY
) -> Metric:
    """The share of `positive` pictures (N,) above the lowest threshold with this specificity on the `negative` ones.

    Each round chooses its threshold anew.
    """
    order = np.argsort(-scores, kind="stable")
    # Pictures with the same score are flagged together.
    last = np.flatnonzero(np.r_[np.diff(scores[order]) != 0, True])

    def metric(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        flagged = [_shares(counts[:, order], each[order])[:, last] for each in (positive, negative)]
        allowed = (flagged[1] <= 1.0 - specificity + 1e-9).sum(axis=1)
        best = np.take_along_axis(flagged[0], np.maximum(allowed - 1, 0)[:, None], axis=1)[:, 0]
        known = np.isfinite(flagged[0][:, 0]) & np.isfinite(flagged[1][:, 0])
        return np.where(known, np.where(allowed > 0, best, 0.0), np.nan)

    return metric


def _shares(counts: NDArray[np.float64], of: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The share of the pictures `of` that are among the first n, for each n; NaN without such pictures."""
    inside = np.cumsum(counts * of, axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(inside / inside[:, -1:])
