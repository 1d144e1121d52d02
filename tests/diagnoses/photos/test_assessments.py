"""Assessments: from stored measurements, the kind of picture and what was told, without the network."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ValidationError

from accounts.models import AuditEntry, Notification, User
from accounts.permissions import NotAllowed
from diagnoses.classifiers.models import Classifier
from diagnoses.lesions.models import Reminder
from diagnoses.lesions.services import create_lesion
from diagnoses.photos.assessments import known_of
from diagnoses.photos.case_mix import case_mix_is_readable, stated_case_mix
from diagnoses.photos.histories import HistoryAnswers, record_history
from diagnoses.photos.models import Photo, PhotoAssessment, PhotoHistory
from diagnoses.photos.services import change_image_type
from recognition.inference.case_mix import BALANCED
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC

MakePhoto = Callable[..., Photo]
Measure = Callable[..., Photo]
GREW, STEADY = HistoryAnswers(change_size=True), HistoryAnswers(change_size=False)


def current(photo: Photo) -> PhotoAssessment:
    photo.refresh_from_db()
    assert photo.assessment is not None
    return photo.assessment


def told_results(owner: User) -> int:
    return Notification.objects.filter(user=owner, kind=Notification.Kind.RESULT).count()


class TestKnown:
    @pytest.mark.parametrize(
        ("shape", "colour", "changed"),
        [
            (None, None, None), (True, None, True), (None, True, True), (True, False, True), (False, None, None),
            (None, False, None), (False, False, False),
        ],
    )  # fmt: skip
    def test_changed_is_said_of_shape_or_colour(self, shape: Any, colour: Any, changed: bool | None) -> None:
        assert known_of(Photo(history=PhotoHistory(change_shape=shape, change_colour=colour))).changed is changed

    def test_every_answer_comes_under_its_name(self) -> None:
        history = PhotoHistory(change_size=False, pain=True, itch=True, bleeding=False, raised=True)
        photo = Photo(history=history, age_approx=63, sex="male", anatom_site_general="head/neck")
        assert known_of(photo).words() == {
            "age_approx": "60-69", "sex": "male", "anatom_site_general": "head/neck", "itch": "True", "grew": "False",
            "hurt": "True", "bleed": "False", "elevation": "True",
        }  # fmt: skip
        assert known_of(Photo()).words() == {}


class TestFirst:
    def test_the_row_says_what_it_goes_by(
        self, patient: User, make_photo: MakePhoto, measure: Measure, two_kinds: Classifier
    ) -> None:
        photo = measure(make_photo(patient, sex="female", image_type=CLOSE_UP), 0.2, dermoscopic=0.95)
        row = current(photo)
        assert (row.image_type, row.image_type_source, row.contradicted) == (CLOSE_UP, "told", True)
        assert (row.decision, row.picture_decision) == ("soon", "soon")
        assert row.probability_of("MEL") == pytest.approx(0.2, abs=1e-6)
        assert row.probabilities == row.picture_alone
        assert row.case_mix == two_kinds.manifest["case_mix"]
        assert (row.metadata, row.used) == ({"sex": "female"}, [])
        assert row.prediction.outputs is not None and row.prediction.outputs["dermoscopic"] == 0.95
        assert (photo.image_type_now, photo.image_type_source) == (CLOSE_UP, "told")

    def test_a_kind_that_nobody_told_is_recognised_or_assumed(
        self, patient: User, make_photo: MakePhoto, measure: Measure
    ) -> None:
        seen = measure(make_photo(patient), 0.2, dermoscopic=0.1)
        assert current(seen).image_type_source == seen.image_type_source == "recognised"
        assert (seen.image_type, seen.image_type_now) == ("", CLOSE_UP)
        blind = measure(make_photo(patient), 0.2)
        assert (current(blind).image_type, current(blind).image_type_source) == (DERMOSCOPIC, "assumed")
        assert (blind.image_type_now, blind.image_type_source) == ("", "")

    def test_what_is_told_before_the_result_counts_in_it(
        self, patient: User, make_photo: MakePhoto, measure: Measure
    ) -> None:
        photo = make_photo(patient)
        record_history(photo=photo, by=patient, answers=GREW)
        row = current(measure(photo, 0.2))
        assert row.used == ["grew"] and row.picture_alone is not None
        assert row.probability_of("MEL") > row.picture_alone[0] == pytest.approx(0.2, abs=1e-6)
        assert (row.decision, row.picture_decision) == ("urgent", "monitor")


class TestAgain:
    def test_answers_make_a_new_row_and_the_older_stays(
        self, patient: User, make_photo: MakePhoto, measure: Measure
    ) -> None:
        lesion = create_lesion(owner=patient, name="arm")
        photo = measure(make_photo(patient, lesion=lesion), 0.2)
        first = current(photo)
        assert photo.decision == "monitor"
        Reminder.objects.create(lesion=lesion, months=3, due="2030-01-01")
        assert told_results(patient) == 1
        record_history(photo=photo, by=patient, answers=GREW)
        assert (photo.decision, photo.priority) != ("monitor", 0), "the photo at hand is brought up to date"
        second = current(photo)
        assert (second.decision, photo.decision, photo.priority) == ("urgent", "urgent", 3)
        assert photo.malignant_score == second.malignant_score > first.malignant_score
        assert list(photo.assessments.all()) == [second, first]
        assert second.prediction == first.prediction
        assert told_results(patient) == 2, "the advice has risen"
        assert not Reminder.objects.standing().exists()

    def test_answers_lower_the_advice_by_one_step_at_most_and_never_quietly_from_urgent(
        self, patient: User, make_photo: MakePhoto, measure: Measure
    ) -> None:
        for melanoma, before, after in ((0.4, "soon", "monitor"), (0.7, "urgent", "urgent")):
            photo = measure(make_photo(patient), melanoma)
            assert photo.decision == before
            told = told_results(patient)
            record_history(photo=photo, by=patient, answers=STEADY)
            assert (photo.decision, current(photo).picture_decision) == (after, before)
            assert told_results(patient) == told, "nobody is told that advice fell"

    def test_a_history_told_again_counts_instead(self, patient: User, make_photo: MakePhoto, measure: Measure) -> None:
        photo = measure(make_photo(patient), 0.2)
        record_history(photo=photo, by=patient, answers=GREW)
        record_history(photo=photo, by=patient, answers=STEADY)
        row = current(photo)
        assert (row.metadata, photo.decision) == ({"grew": "False"}, "monitor")
        assert photo.assessments.count() == 3 and photo.histories.count() == 2

    def test_an_answer_that_no_table_knows_makes_a_row_that_says_so(
        self, patient: User, make_photo: MakePhoto, measure: Measure
    ) -> None:
        photo = measure(make_photo(patient), 0.2)
        record_history(photo=photo, by=patient, answers=HistoryAnswers(note="nothing new"))
        assert photo.assessments.count() == 1, "a note is no fact that counts"
        record_history(photo=photo, by=patient, answers=HistoryAnswers(itch=True))
        assert (current(photo).metadata, current(photo).used) == ({"itch": "True"}, [])

    def test_a_raised_spot_is_never_only_monitored(
        self, patient: User, make_photo: MakePhoto, measure: Measure
    ) -> None:
        photo = measure(make_photo(patient), 0.05)
        record_history(photo=photo, by=patient, answers=HistoryAnswers(raised=True))
        assert (photo.decision, current(photo).decision) == ("soon", "monitor")

    def test_without_stored_measurements_only_the_history_counts(
        self, patient: User, make_photo: MakePhoto, predict: Any, assess: Any
    ) -> None:
        photo = predict(make_photo(patient), assessment=assess("monitor", score=2))
        record_history(photo=photo, by=patient, answers=GREW)
        assert (photo.decision, photo.assessments.count()) == ("soon", 1)
        change_image_type(photo=photo, by=patient, image_type=CLOSE_UP)
        assert current(photo).image_type_source == "assumed", "the manifest of this classifier cannot be read"
        assert (photo.decision, photo.assessments.count(), photo.image_type_now) == ("soon", 1, CLOSE_UP)


class TestImageType:
    def test_a_kind_told_wrongly_is_corrected_and_the_photo_assessed_again(
        self, patient: User, clinician: User, make_photo: MakePhoto, measure: Measure
    ) -> None:
        photo = measure(make_photo(patient, image_type=DERMOSCOPIC), 0.2, dermoscopic=0.05)
        assert current(photo).contradicted and photo.decision == "monitor"
        change_image_type(photo=photo, by=clinician, image_type=CLOSE_UP)
        row = current(photo)
        assert (photo.image_type, row.image_type, row.contradicted, photo.decision) == (
            CLOSE_UP, CLOSE_UP, False, "soon",
        )  # fmt: skip
        entry = AuditEntry.objects.get(action=AuditEntry.Action.IMAGE_TYPE_CHANGED)
        assert (entry.actor, entry.subject) == (str(clinician.pk), f"photo:{photo.pk}")
        assert entry.detail == {"before": DERMOSCOPIC, "after": CLOSE_UP}
        assert told_results(patient) == 2
        change_image_type(photo=photo, by=patient, image_type=CLOSE_UP)
        assert AuditEntry.objects.filter(action=AuditEntry.Action.IMAGE_TYPE_CHANGED).count() == 1
        change_image_type(photo=photo, by=patient, image_type="")
        assert current(photo).image_type_source == "recognised"
        assert photo.assessments.count() == 3

    def test_by_the_owner_and_clinicians_alone_and_to_a_known_kind(
        self, patient: User, other_patient: User, make_photo: MakePhoto, deactivated: User
    ) -> None:
        photo = make_photo(patient)
        for somebody in (other_patient, deactivated):
            with pytest.raises(NotAllowed):
                change_image_type(photo=photo, by=somebody, image_type=CLOSE_UP)
        with pytest.raises(ValidationError):
            change_image_type(photo=photo, by=patient, image_type="x-ray")
        change_image_type(photo=photo, by=patient, image_type=CLOSE_UP)
        photo.refresh_from_db()
        assert (photo.image_type, photo.assessment) == (CLOSE_UP, None)


class TestCaseMix:
    def write(self, path: Path, settings: Any, values: object) -> None:
        path.write_text(json.dumps(values))
        settings.CASE_MIX = str(path)

    def test_a_stated_mix_changes_the_probabilities_and_not_the_advice(
        self, patient: User, make_photo: MakePhoto, measure: Measure, settings: Any, tmp_path: Path
    ) -> None:
        sealed = current(measure(make_photo(patient), 0.4))
        shares = dict(zip(CODES, (0.01, 0.93, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01), strict=True))
        self.write(tmp_path / "our-clinic.json", settings, shares)
        stated = current(measure(make_photo(patient), 0.4))
        assert stated.case_mix is not None and stated.case_mix["name"] == "our-clinic"
        assert stated.probability_of("MEL") < 0.05 < sealed.probability_of("MEL")
        assert (stated.decision, stated.malignant_score) == (sealed.decision, sealed.malignant_score)

    def test_a_wrong_file_is_found_by_the_system_check(self, settings: Any, tmp_path: Path) -> None:
        assert stated_case_mix() is None and case_mix_is_readable() == []
        self.write(tmp_path / "half.json", settings, {"MEL": 0.5, "NV": 0.5})
        assert "diagnoses.E001" in {error.id for error in run_checks()}
        settings.CASE_MIX = str(tmp_path / "missing.json")
        assert "cannot be read" in case_mix_is_readable()[0].msg
        self.write(tmp_path / "good.json", settings, dict(zip(CODES, BALANCED.shares, strict=True)))
        assert case_mix_is_readable() == []
