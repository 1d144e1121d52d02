"""From probabilities to advice: thresholds, score, prediction sets, and bundles without them."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from recognition.inference.assessment import Assessment, Decision, Gate
from recognition.inference.assessor import AssessmentSettings, Assessor, ImageTypeSettings
from recognition.inference.calibration import Calibration
from recognition.inference.decision import decide, score_of
from recognition.inference.outputs import PictureOutputs, PictureStatistics
from recognition.inference.prediction_set import prediction_set
from recognition.inference.quality import QualityLimits
from recognition.taxonomy import CODES, DERMOSCOPIC, Diagnosis

EDGES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9]
BLOCK: dict[str, Any] = {
    "decision": {"soon": {"threshold": 0.3}, "urgent": {"threshold": 0.6}},
    "score": [
        {"score": at, "from": low, "to": high}
        for at, (low, high) in enumerate(zip([0.0, *EDGES], [*EDGES, 1.0], strict=True), start=1)
    ],
    "conformal": {"thresholds": dict.fromkeys(CODES, 0.1), "size_max": 3},
    "monitor_days": 60,
}


def answer(**shares: float) -> Any:
    rest = (1.0 - sum(shares.values())) / (len(CODES) - len(shares))
    return np.array([shares.get(code, rest) for code in CODES])


@pytest.mark.parametrize(
    ("score", "diagnosis", "advice"),
    [
        (0.29, Diagnosis.NV, Decision.MONITOR),
        (0.3, Diagnosis.NV, Decision.SOON),
        (0.59, Diagnosis.MEL, Decision.SOON),
        (0.6, Diagnosis.NV, Decision.URGENT),
        (0.01, Diagnosis.AK, Decision.SOON),
        (0.7, Diagnosis.AK, Decision.URGENT),
    ],
)
def test_the_thresholds_and_a_precursor_decide(score: float, diagnosis: Diagnosis, advice: Decision) -> None:
    assert decide(score, diagnosis, soon=0.3, urgent=0.6) == advice


def test_the_score_rises_with_the_malignant_score_and_agrees_with_the_advice() -> None:
    scores = [score_of(each / 100, EDGES) for each in range(101)]
    assert scores == sorted(scores)
    assert (scores[0], scores[5], scores[-1]) == (1, 2, 10)
    assert set(scores) == set(range(1, 11))
    with pytest.raises(ValueError, match="9 edges"):
        score_of(0.5, [0.5])


def test_a_prediction_set_is_ordered_and_never_empty() -> None:
    thresholds = dict.fromkeys(CODES, 0.2) | {"DF": 0.0}
    assert prediction_set(answer(NV=0.5, MEL=0.3), thresholds)[:2] == ("NV", "MEL")
    assert prediction_set(answer(NV=0.5, MEL=0.3), dict.fromkeys(CODES, 0.2)) == ("NV", "MEL")
    assert prediction_set(np.full(8, 0.125), dict.fromkeys(CODES, 0.9)) == ("MEL",)


def assessor(block: dict[str, Any], **more: Any) -> Assessor:
    settings = ImageTypeSettings(Calibration(), AssessmentSettings.from_json(block, **more))
    return Assessor({DERMOSCOPIC: settings})


def said_of(made: Assessor, probabilities: Any, **measured: Any) -> Assessment:
    return made.assess(PictureOutputs(logits=np.log(probabilities), **measured)).assessment


def test_a_set_leaves_out_no_diagnosis_that_is_more_probable_than_one_it_holds() -> None:
    # A bundle with a threshold for each diagnosis: MEL misses its own, BCC behind it reaches its own.
    thresholds = dict.fromkeys(CODES, 0.5) | {"BCC": 0.1}
    assert prediction_set(answer(NV=0.6, MEL=0.2, BCC=0.15), thresholds) == ("NV", "MEL", "BCC")


def test_an_assessment_says_all_of_it() -> None:
    made = assessor(BLOCK)
    calm = said_of(made, answer(NV=0.93))
    assert (calm.decision, calm.score, calm.monitor_days, calm.prediction_set) == (Decision.MONITOR, 1, 60, ("NV",))
    torn = said_of(made, answer(NV=0.3, MEL=0.3, BKL=0.2, BCC=0.15))
    assert torn.decision == Decision.SOON
    assert not torn.gate(Gate.PREDICTION_SET).passed
    assert (torn.gate(Gate.PREDICTION_SET).measured, torn.gate(Gate.PREDICTION_SET).limit) == (4.0, 3.0)
    assert set(torn.prediction_set) == {"NV", "MEL", "BKL", "BCC"}
    assert torn.monitor_days is None


def test_a_bad_picture_is_not_assessed_and_keeps_its_set() -> None:
    black = Image.new("RGB", (200, 150))
    statistics = PictureStatistics.of(black, black, reference_long_side=200)
    said = said_of(assessor(BLOCK), answer(MEL=0.9), quality=statistics.quality)
    assert (said.decision, said.score, said.refusal and said.refusal.code) == (Decision.NOT_ASSESSED, None, "too_dark")
    assert said.prediction_set == ("MEL",)


def test_a_bundle_without_thresholds_goes_by_its_operating_point_or_sends_everybody() -> None:
    old = assessor({}, fallback=0.4)
    advice = [said_of(old, answer(MEL=share, NV=0.98 - share)).decision for share in (0.3, 0.5, 0.95)]
    assert advice == [Decision.MONITOR, Decision.SOON, Decision.SOON]
    none = said_of(assessor({}), answer(NV=0.97))
    assert (none.decision, none.score, none.prediction_set) == (Decision.SOON, None, ())


@pytest.mark.parametrize(
    "change",
    [
        {"decision": {"soon": {"threshold": 0.7}, "urgent": {"threshold": 0.6}}},
        {"decision": {"soon": {"threshold": 0.7}}},
        {"score": BLOCK["score"][:9]},
        {"score": [BLOCK["score"][0], *BLOCK["score"][:0:-1]]},
        {"conformal": {"thresholds": {"MEL": 0.1}, "size_max": 3}},
        {"monitor_days": 0},
        {"quality": {"sharpness_min": 1.0}},
        {"familiarity": {"method": "guess"}},
    ],
)
def test_a_block_that_says_something_else_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError)):
        AssessmentSettings.from_json(BLOCK | change)


def test_limits_are_numbers_from_zero() -> None:
    with pytest.raises(ValueError, match="limit"):
        QualityLimits(120, 38, float("nan"), 24, 9)
