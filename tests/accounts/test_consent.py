"""Consent: giving it, its versions, and withdrawing it."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import translation

from accounts.consent_texts import LANGUAGES, PURPOSES, first_text, publish_first_texts
from accounts.models import AuditEntry, Consent, ConsentText, Purpose, Role, User
from accounts.permissions import NotAllowed
from accounts.services import (
    NoConsentText,
    consent_of,
    create_demo_accounts,
    give_consent,
    needs_consent,
    publish_consent_text,
    set_training_consent,
    withdraw_consent,
)


@pytest.fixture
def patient(db: None) -> User:
    return User.objects.create_user("patient@example.org", "correct horse battery")


@pytest.fixture
def administrator(db: None) -> User:
    return User.objects.create_user("admin@example.org", "correct horse battery", role=Role.ADMINISTRATOR)


def publish(by: User, purpose: Purpose = Purpose.DIAGNOSIS, **words: str) -> ConsentText:
    texts = {"text_kk": "мәтін", "text_ru": "текст", "text_en": "text"} | words
    return publish_consent_text(purpose=purpose, by=by, **texts)


class TestFirstTexts:
    def test_are_there_from_the_start_in_three_languages(self, db: None) -> None:
        for purpose in Purpose:
            text = ConsentText.objects.current(purpose)
            assert text is not None and text.version == 1
            assert len({text.text_kk, text.text_ru, text.text_en}) == 3
        assert set(PURPOSES) == set(Purpose.values)

    @pytest.mark.parametrize("purpose", PURPOSES)
    def test_say_the_same_in_as_many_paragraphs(self, purpose: str) -> None:
        paragraphs = {language: first_text(purpose, language).split("\n\n") for language in LANGUAGES}
        assert len({len(texts) for texts in paragraphs.values()}) == 1
        assert all("  " not in text and "\n" not in text for texts in paragraphs.values() for text in texts)

    def test_are_read_in_the_language_of_the_page(self, db: None) -> None:
        text = ConsentText.objects.current(Purpose.DIAGNOSIS)
        assert text is not None
        for language, words in (("kk", text.text_kk), ("ru", text.text_ru), ("en", text.text_en)):
            with translation.override(language):
                assert text.text == words

    def test_come_once_and_never_over_a_later_version(self, administrator: User) -> None:
        from django.apps import apps

        publish(administrator)
        publish_first_texts(using="default", apps=apps)
        assert list(ConsentText.objects.filter(purpose="diagnosis").values_list("version", flat=True)) == [2, 1]

    def test_are_never_changed(self, db: None) -> None:
        text = ConsentText.objects.current(Purpose.TRAINING)
        assert text is not None
        for change in (lambda: ConsentText.objects.filter(pk=text.pk).update(text_en="other"), text.delete):
            with pytest.raises(IntegrityError, match="refused"), transaction.atomic():
                change()


class TestDiagnosis:
    def test_a_patient_is_asked_once(self, patient: User) -> None:
        assert needs_consent(patient)
        consent = give_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient)
        assert not needs_consent(patient)
        assert give_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient) == consent
        assert AuditEntry.objects.filter(action="consent-given").count() == 1
        assert patient.training_consent is None

    def test_and_again_when_the_text_changes(self, patient: User, administrator: User) -> None:
        first = give_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient)
        newer = publish(administrator)
        assert needs_consent(patient)
        assert consent_of(patient, Purpose.DIAGNOSIS) == first
        with pytest.raises(ValidationError):
            give_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient, version=1)
        give_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient, version=2)
        assert not needs_consent(patient)
        current = consent_of(patient, Purpose.DIAGNOSIS)
        assert current is not None and current.text == newer

    def test_a_withdrawal_takes_back_every_version(self, patient: User, administrator: User) -> None:
        give_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient)
        publish(administrator)
        give_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient)
        assert withdraw_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient)
        assert needs_consent(patient)
        assert consent_of(patient, Purpose.DIAGNOSIS) is None
        assert Consent.objects.filter(user=patient, withdrawn__isnull=False).count() == 2
        assert not withdraw_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient)
        entry = AuditEntry.objects.get(action="consent-withdrawn")
        assert entry.detail == {"purpose": "diagnosis", "versions": [1, 2]}
        give_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient)
        assert not needs_consent(patient)

    @pytest.mark.parametrize("role", [Role.CLINICIAN, Role.ADMINISTRATOR])
    def test_staff_are_not_asked(self, db: None, role: Role) -> None:
        assert not needs_consent(User.objects.create_user("x@example.org", "x", role=role))

    def test_only_the_person_alone_says_so(self, patient: User, administrator: User) -> None:
        for by in (administrator, User(pk=patient.pk, is_active=False)):
            with pytest.raises(NotAllowed):
                give_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=by)
            with pytest.raises(NotAllowed):
                withdraw_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=by)
        assert not Consent.objects.exists()

    def test_without_a_text_nothing_is_asked(self, patient: User, monkeypatch: Any) -> None:
        monkeypatch.setattr(type(ConsentText.objects), "current", lambda self, purpose: None)
        assert not needs_consent(patient)
        with pytest.raises(NoConsentText):
            give_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient)


class TestTraining:
    def test_keeps_the_column_in_step(self, patient: User) -> None:
        give_consent(user=patient, purpose=Purpose.TRAINING, by=patient)
        assert User.objects.get(pk=patient.pk).training_consent is not None and patient.training_consent is not None
        withdraw_consent(user=patient, purpose=Purpose.TRAINING, by=patient)
        assert User.objects.get(pk=patient.pk).training_consent is None and patient.training_consent is None

    def test_stands_when_the_text_changes(self, patient: User, administrator: User) -> None:
        set_training_consent(user=patient, given=True, by=patient)
        since = patient.training_consent
        publish(administrator, Purpose.TRAINING)
        give_consent(user=patient, purpose=Purpose.TRAINING, by=patient)
        assert patient.training_consent == since

    @pytest.mark.parametrize(
        ("withdrawn", "stands"), [(Purpose.DIAGNOSIS, Purpose.TRAINING), (Purpose.TRAINING, Purpose.DIAGNOSIS)]
    )
    def test_is_withdrawn_by_itself(self, patient: User, withdrawn: Purpose, stands: Purpose) -> None:
        for purpose in Purpose:
            give_consent(user=patient, purpose=purpose, by=patient)
        withdraw_consent(user=patient, purpose=withdrawn, by=patient)
        patient.refresh_from_db()
        assert consent_of(patient, withdrawn) is None
        assert consent_of(patient, stands) is not None
        assert (patient.training_consent is not None) is (stands == Purpose.TRAINING)
        assert needs_consent(patient) is (stands == Purpose.TRAINING)

    def test_of_before_there_were_texts_can_be_withdrawn(self, patient: User) -> None:
        from django.utils import timezone

        User.objects.filter(pk=patient.pk).update(training_consent=timezone.now())
        assert withdraw_consent(user=patient, purpose=Purpose.TRAINING, by=patient)
        assert User.objects.get(pk=patient.pk).training_consent is None


class TestPublishing:
    def test_is_for_administrators(self, patient: User) -> None:
        clinician = User.objects.create_user("c@example.org", "x", role=Role.CLINICIAN)
        for by in (patient, clinician, User(role=Role.ADMINISTRATOR, is_active=False)):
            with pytest.raises(NotAllowed):
                publish(by)
        assert ConsentText.objects.count() == 2

    def test_needs_all_languages_and_other_words(self, administrator: User) -> None:
        with pytest.raises(ValidationError):
            publish(administrator, text_kk="  ")
        publish(administrator)
        with pytest.raises(ValidationError):
            publish(administrator)
        assert ConsentText.objects.filter(purpose="diagnosis").count() == 2
        assert AuditEntry.objects.filter(action="consent-text-published").count() == 1


def test_the_demo_patient_may_try_a_photo_at_once(db: None) -> None:
    people = {user.role: user for user in create_demo_accounts()}
    demo = people[Role.PATIENT]
    assert not needs_consent(demo) and demo.training_consent is None
    withdraw_consent(user=demo, purpose=Purpose.DIAGNOSIS, by=demo)
    create_demo_accounts()
    assert needs_consent(demo)
