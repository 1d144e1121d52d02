"""The joint answer for a lesion with a picture of each kind: its thresholds, and its figures on the test split."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.evaluation.measure import main_figures
from recognition.fit.calibration.assessment import Seen
from recognition.fit.calibration.points import choose_decision
from recognition.inference.assessment import Decision
from recognition.inference.assessor import Assessor
from recognition.inference.calibration import Calibration, softmax
from recognition.inference.case_mix import BALANCED, CaseMix
from recognition.inference.outputs import PictureOutputs

PAIRS_ENOUGH: Final = 100
"""Fewest calibration pairs for thresholds of the joint answer."""


def pairs_of(seen: Mapping[str, Seen]) -> NDArray[np.intp]:
    """The rows (M, kinds) of one picture of each kind, in the order of `seen`, for every lesion that has them.

    Of several pictures of a kind the first counts.
    """
    first = [
        each.rows.assign(row=range(len(each.rows))).dropna(subset="lesion_id").groupby("lesion_id")["row"].first()
        for each in seen.values()
    ]
    lesions = sorted(set.intersection(*(set(rows.index) for rows in first)))
    return np.stack([rows.loc[lesions].to_numpy(dtype=np.intp) for rows in first], axis=1)


def fit_lesion(
    seen: Mapping[str, Seen], calibrations: Mapping[str, Calibration], case_mix: CaseMix
) -> dict[str, dict[str, float]] | None:
    """The decision of the joint answer, from the calibration pictures of each kind; None for too few pairs."""
    pairs = pairs_of(seen)
    if len(pairs) < PAIRS_ENOUGH:
        return None
    labels = next(iter(seen.values())).answers.labels[pairs[:, 0]]
    return choose_decision(labels, _joint(seen, calibrations, case_mix, pairs), case_mix.weights(labels))


def measure_lesion(
    seen: Mapping[str, Seen], outputs: Mapping[str, Sequence[PictureOutputs]], assessor: Assessor
) -> dict[str, Any]:
    """The main figures on the pairs that were seen: "joint", and of the picture of each kind alone.

    All are without metadata. AUC, balanced accuracy and calibration error are of all pairs; where a gate refuses one
    picture of a pair, the joint advice is that of the other one.
    """
    pairs = pairs_of(seen)
    calibrations = {kind: assessor.image_types[kind].calibration for kind in seen}
    first = next(iter(seen.values()))
    labels, groups = first.answers.labels[pairs[:, 0]], first.groups[pairs[:, 0]]
    answers = {
        kind: [assessor.assess(outputs[kind][row], image_type=kind) for row in pairs[:, at]]
        for at, kind in enumerate(seen)
    }
    decisions = {kind: [each.assessment.decision.value for each in said] for kind, said in answers.items()}
    joint = []
    for number, rows in enumerate(pairs):
        together = assessor.assess_lesion([(outputs[kind][row], kind) for kind, row in zip(seen, rows, strict=True)])
        alone = [said[number] for said in decisions.values()]
        assessed = [each for each in alone if each != Decision.NOT_ASSESSED.value]
        joint.append((assessed or alone)[0] if together is None else together.decision.value)
    tables = {kind: np.stack([each.probabilities for each in said]) for kind, said in answers.items()}
    tables["joint"] = _joint(seen, calibrations, assessor.case_mix, pairs)
    balanced = {
        kind: _joint({kind: each}, calibrations, BALANCED, pairs[:, [at]])
        for at, (kind, each) in enumerate(seen.items())
    }
    balanced["joint"] = _joint(seen, calibrations, BALANCED, pairs)
    weights = assessor.case_mix.weights(labels)
    return {
        name: main_figures(
            labels,
            table,
            balanced=balanced[name],
            groups=groups,
            decisions=decisions.get(name, joint),
            weights=weights,
        )
        for name, table in tables.items()
    }


def _joint(
    seen: Mapping[str, Seen],
    calibrations: Mapping[str, Calibration],
    case_mix: CaseMix,
    pairs: NDArray[np.intp],
) -> NDArray[np.float64]:
    """The probabilities (M, 8) of the mean of the scores of each pair, as `Assessor.assess_lesion`."""
    scores = [
        calibrations[kind].scores(each.answers.logits[pairs[:, at]], case_mix)
        for at, (kind, each) in enumerate(seen.items())
    ]
    return softmax(np.mean(scores, axis=0))
