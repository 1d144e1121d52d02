"""The assessor: kinds of picture, case mix, metadata and several pictures of one lesion."""

import itertools
from typing import Any

import numpy as np
import pytest

from recognition.inference.assessment import Decision, Gate
from recognition.inference.assessor import AssessmentSettings, Assessor, ImageTypeSettings
from recognition.inference.calibration import Calibration
from recognition.inference.case_mix import BALANCED, HAM10000
from recognition.inference.decision import with_metadata
from recognition.inference.metadata import Metadata, MetadataTable, Strengths
from recognition.inference.outputs import PictureOutputs
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC

EDGES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9)
LIMITS = AssessmentSettings(soon=0.3, urgent=0.6, edges=EDGES, set_thresholds=dict.fromkeys(CODES, 0.1))
MELANOMA_IF_IT_GREW = MetadataTable(
    {"grew": {"True": (3.0, 0, 0, 0, 0, 0, 0, 0), "False": (-3.0, 0, 0, 0, 0, 0, 0, 0)}}
)


def kind(**changes: Any) -> ImageTypeSettings:
    calibration = Calibration(temperature=1.0, prior_strength=1.0, strengths=Strengths(1.0, 1.0))
    return ImageTypeSettings(calibration, AssessmentSettings(**{**_fields(LIMITS), **changes}))


def _fields(limits: AssessmentSettings) -> dict[str, Any]:
    return {name: getattr(limits, name) for name in limits.__dataclass_fields__}


def outputs(mel: float, **measured: Any) -> PictureOutputs:
    """A picture with this probability of melanoma, the rest nevus, in a balanced world of these two."""
    row = np.full(8, 1e-9)
    row[:2] = mel, 1 - mel
    return PictureOutputs(np.log(row), **measured)


def test_a_told_kind_counts_and_a_clear_contradiction_is_shown() -> None:
    made = Assessor({DERMOSCOPIC: kind(), CLOSE_UP: kind(soon=0.0)})
    told = made.assess(outputs(0.01, dermoscopic=0.95), image_type=CLOSE_UP)
    assert (told.image_type, told.source, told.contradicted) == (CLOSE_UP, "told", True)
    assert told.assessment.decision == Decision.SOON, "the thresholds are those of the told kind"
    recognised = made.assess(outputs(0.01, dermoscopic=0.95))
    assert (recognised.image_type, recognised.source, recognised.contradicted) == (DERMOSCOPIC, "recognised", False)
    assert recognised.assessment.decision == Decision.MONITOR
    assert not made.assess(outputs(0.01, dermoscopic=0.6), image_type=CLOSE_UP).contradicted
    assert made.assess(outputs(0.01)).source == "assumed"


def test_a_kind_that_the_bundle_does_not_know_is_refused_with_that_reason() -> None:
    said = Assessor({DERMOSCOPIC: kind()}).assess(outputs(0.9), image_type=CLOSE_UP)
    assert said.assessment.decision == said.picture_decision == Decision.NOT_ASSESSED
    assert said.assessment.gate(Gate.OOD).code == "other_image_type"


def test_each_kind_has_its_gates() -> None:
    made = Assessor({DERMOSCOPIC: kind(ood_limit=1.0), CLOSE_UP: kind(ood_limit=3.0)})
    far = outputs(0.5, ood={DERMOSCOPIC: 2.0, CLOSE_UP: 2.0})
    assert made.assess(far, image_type=DERMOSCOPIC).assessment.refusal is not None
    assert made.assess(far, image_type=CLOSE_UP).assessment.refusal is None


def test_a_stated_case_mix_changes_the_probabilities_and_not_the_advice() -> None:
    made = Assessor({DERMOSCOPIC: kind()}, case_mix=HAM10000)
    sealed, balanced = (made.assess(outputs(0.7), case_mix=mix) for mix in (None, BALANCED))
    share = HAM10000.shares[0] * 0.7 / (HAM10000.shares[0] * 0.7 + HAM10000.shares[1] * 0.3)
    assert sealed.probabilities[0] == pytest.approx(share, abs=1e-6)
    assert balanced.probabilities[0] == pytest.approx(0.7, abs=1e-6)
    assert (sealed.diagnosis, balanced.diagnosis) == ("NV", "MEL")
    assert balanced.assessment.prediction_set[0] == "MEL"
    assert (balanced.malignant_score, balanced.assessment.score) == (sealed.malignant_score, sealed.assessment.score)
    assert sealed.malignant_score == pytest.approx(share, abs=1e-6)


def test_a_bundle_from_before_case_mixes_does_not_claim_the_stated_one() -> None:
    before = ImageTypeSettings(Calibration(), LIMITS)
    said = Assessor({DERMOSCOPIC: before}).assess(outputs(0.7), case_mix=HAM10000)
    assert said.probabilities[0] == pytest.approx(0.7, abs=1e-6), "without a prior strength nothing moves"
    assert said.case_mix == BALANCED


def test_answers_change_the_answer_and_the_picture_alone_stays_to_be_told() -> None:
    made = Assessor({DERMOSCOPIC: kind()}, table=MELANOMA_IF_IT_GREW)
    plain, grown = made.assess(outputs(0.2)), made.assess(outputs(0.2), metadata=Metadata(grew=True, itch=True))
    assert plain.used == ()
    assert np.array_equal(plain.probabilities, plain.picture_alone)
    assert grown.used == ("grew",)
    assert np.array_equal(grown.picture_alone, plain.probabilities)
    assert (plain.assessment.decision, grown.assessment.decision) == (Decision.MONITOR, Decision.URGENT)
    assert grown.picture_decision == Decision.MONITOR
    assert made.assess(outputs(0.2), metadata=Metadata()).malignant_score == plain.malignant_score


def test_answers_lower_the_advice_by_one_step_and_never_from_urgent() -> None:
    steps = (Decision.MONITOR, Decision.SOON, Decision.URGENT)
    for alone, answers, together in itertools.product(steps, steps, steps):
        found = with_metadata(together, with_answers=answers, picture_alone=alone)
        assert steps.index(found) >= max(steps.index(together), steps.index(answers), steps.index(alone) - 1)
        assert found in (together, answers, alone)
        assert found == Decision.URGENT or alone is not Decision.URGENT
    made = Assessor({DERMOSCOPIC: kind()}, table=MELANOMA_IF_IT_GREW)
    by_picture, told = made.assess(outputs(0.65)), made.assess(outputs(0.65), metadata=Metadata(grew=False))
    assert told.probabilities[0] < 0.1, "what the answers say is shown"
    assert (told.assessment.decision, told.assessment.score) == (Decision.URGENT, by_picture.assessment.score)
    lowered = made.assess(outputs(0.4), metadata=Metadata(grew=False))
    assert (lowered.picture_decision, lowered.assessment.decision) == (Decision.SOON, Decision.MONITOR)


def test_age_sex_and_site_raise_the_advice_and_never_lower_it() -> None:
    ratios = {"0-29": (-3.0, 0, 0, 0, 0, 0, 0, 0), "80+": (3.0, 0, 0, 0, 0, 0, 0, 0)}
    made = Assessor({DERMOSCOPIC: kind()}, table=MetadataTable({"age_approx": ratios, **MELANOMA_IF_IT_GREW.ratios}))
    alone, young, old = (made.assess(outputs(0.4), metadata=Metadata(age_approx=age)) for age in (None, 20, 85))
    assert young.probabilities[0] < 0.1, "what the age says is shown"
    assert (young.assessment.decision, young.malignant_score) == (Decision.SOON, alone.malignant_score)
    assert old.assessment.decision == Decision.URGENT
    # The answers may lower it, the age on top of them not.
    both = made.assess(outputs(0.4), metadata=Metadata(age_approx=85, grew=False))
    assert both.assessment.decision == Decision.SOON
    pictures = [(outputs(0.4), DERMOSCOPIC)] * 2
    joint = [made.assess_lesion(pictures, metadata=Metadata(age_approx=age)) for age in (None, 20)]
    assert [each and each.decision for each in joint] == [Decision.SOON, Decision.SOON]


def test_a_diagnosis_that_was_never_learned_is_never_answered() -> None:
    logits = np.zeros(8)
    logits[CODES.index("DF")] = 9.0
    said = Assessor({DERMOSCOPIC: kind()}, absent=("DF",)).assess(PictureOutputs(logits))
    assert said.probabilities[CODES.index("DF")] == 0.0
    assert said.probabilities.sum() == pytest.approx(1.0)
    assert "DF" not in said.assessment.prediction_set
    with pytest.raises(ValueError, match="not all"):
        Assessor({DERMOSCOPIC: kind()}, absent=CODES)


def test_pictures_of_a_lesion_are_averaged_and_refused_ones_do_not_count() -> None:
    sealed = AssessmentSettings(soon=0.9, urgent=0.95)
    made = Assessor({DERMOSCOPIC: kind(ood_limit=1.0), CLOSE_UP: kind(soon=0.2)}, lesion=sealed)
    one, other = (outputs(0.2), DERMOSCOPIC), (outputs(0.8), CLOSE_UP)
    both = made.assess_lesion([one, other])
    assert both is not None
    assert both.malignant_score == pytest.approx(0.5, abs=1e-6)
    assert both.pictures == 2
    assert both.decision == Decision.MONITOR, "both kinds: the sealed thresholds of lesions"
    same = made.assess_lesion([other, other])
    assert same is not None
    assert same.decision == Decision.URGENT, "one kind: its thresholds"
    refused = (outputs(0.9, ood={DERMOSCOPIC: 5.0}), DERMOSCOPIC)
    assert made.assess_lesion([other, refused]) is None
    assert made.assess_lesion([other]) is None


def test_the_measurements_survive_their_json() -> None:
    assert PictureOutputs.from_json(outputs(0.3, dermoscopic=0.2, ood={CLOSE_UP: 1.5}).as_json()).ood == {CLOSE_UP: 1.5}
    for wrong in ([0.0] * 7, [float("nan")] * 8):
        with pytest.raises(ValueError, match="finite"):
            PictureOutputs.from_json({"logits": wrong, "dermoscopic": None, "quality": None, "ood": {}})
