"""What an answer rests on beside the pixels, in words."""

import pytest

from diagnoses.photos.models import PhotoAssessment
from diagnoses.results.basis import case_mix_words, image_type_basis, told_basis
from recognition.inference.case_mix import BALANCED, HAM10000
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC, Diagnosis

ALONE = [0.02, 0.41, 0.03, 0.04, 0.4, 0.02, 0.03, 0.05]
WITH_ANSWERS = [0.58, 0.2, 0.03, 0.04, 0.05, 0.02, 0.03, 0.05]


def test_the_kind_of_an_older_assessment_is_not_known() -> None:
    assert image_type_basis(PhotoAssessment()) is None


@pytest.mark.parametrize(("image_type", "other"), [(DERMOSCOPIC, CLOSE_UP), (CLOSE_UP, DERMOSCOPIC)])
def test_a_contradiction_names_the_other_kind(image_type: str, other: str) -> None:
    basis = image_type_basis(PhotoAssessment(image_type=image_type, image_type_source="told", contradicted=True))
    assert basis is not None and (basis.image_type, basis.source, basis.looks_like) == (image_type, "told", other)
    agreed = image_type_basis(PhotoAssessment(image_type=image_type, image_type_source="told"))
    assert agreed is not None and agreed.looks_like == ""


def test_what_was_told_is_named_with_the_answer_by_the_picture_alone() -> None:
    told = told_basis(
        PhotoAssessment(probabilities=WITH_ANSWERS, picture_alone=ALONE, used=["age_approx", "itch", "grew", "sex"])
    )
    assert told is not None
    # The six answers have one name, where the first of them stands.
    assert [str(name) for name in told.names] == ["age", "answers about the spot", "sex"]
    assert (told.diagnosis_alone, told.confidence_alone) == (Diagnosis.NV, 0.41)
    assert [told.cancers_alone, told.cancers] == pytest.approx([0.1, 0.66])


def test_nothing_is_said_of_what_did_not_count() -> None:
    assert told_basis(PhotoAssessment(probabilities=ALONE, picture_alone=ALONE, used=[])) is None
    assert told_basis(PhotoAssessment(probabilities=ALONE, picture_alone=None, used=[])) is None


def test_each_case_mix_has_its_words() -> None:
    assert "come to a clinic" in case_mix_words(HAM10000.as_json())
    assert "as if all were equally frequent" in case_mix_words(BALANCED.as_json())
    assert case_mix_words(None) == case_mix_words(BALANCED.as_json())
    stated = {"name": "almaty-2026", "shares": {**HAM10000.as_json()["shares"], "MEL": 0.0, "NV": 0.7806290564}}
    assert "(almaty-2026)" in case_mix_words(stated)


def test_a_stated_mix_is_not_taken_for_another_by_the_name_of_its_file() -> None:
    shares = {**dict.fromkeys(CODES, 0.05), "NV": 0.65}
    for name in (BALANCED.name, HAM10000.name):
        assert f"this site has stated ({name})" in case_mix_words({"name": name, "shares": shares})
    assert "as if all were equally frequent" in case_mix_words({**BALANCED.as_json(), "name": "almaty-2026"})
