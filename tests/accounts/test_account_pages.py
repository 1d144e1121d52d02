"""The account pages: sign-up with consent, profile, privacy."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, Consent, Profile, Purpose, Role, User
from accounts.permissions import NotAllowed
from accounts.services import give_consent, needs_consent, publish_consent_text, save_profile

PASSWORD = "correct horse battery"
SIGN_UP = {"email": "new@example.org", "password1": PASSWORD, "password2": PASSWORD}


@pytest.fixture
def patient(db: None) -> User:
    return User.objects.create_user("patient@example.org", PASSWORD)


@pytest.fixture
def browser(patient: User) -> Client:
    browser = Client()
    browser.force_login(patient)
    return browser


def new_text() -> int:
    administrator, _made = User.objects.get_or_create(email="admin@example.org", role=Role.ADMINISTRATOR)
    words = {"text_kk": "жаңа мәтін", "text_ru": "новый текст", "text_en": "the newer text"}
    return publish_consent_text(purpose=Purpose.DIAGNOSIS, by=administrator, **words).version


class TestSignUp:
    def test_shows_both_texts_and_no_tick(self, db: None) -> None:
        html = Client().get(reverse("account_signup")).content.decode()
        assert "What is stored." in html and "It is voluntary." in html
        assert 'name="diagnosis_consent" required' in html.replace(' id="id_diagnosis_consent"', "").replace(
            ' aria-describedby="id_diagnosis_consent_error"', ""
        )
        assert "checked" not in html

    def test_without_consent_makes_no_account_and_says_why(self, db: None) -> None:
        answer = Client().post(reverse("account_signup"), {**SIGN_UP, "training_consent": "on"})
        assert "Without this consent no photo of yours may be stored." in answer.content.decode()
        assert not User.objects.exists() and not Consent.objects.exists()

    @pytest.mark.parametrize("training", [True, False])
    def test_stores_what_was_agreed_to_with_its_version(self, db: None, training: bool) -> None:
        version = new_text()
        ticked = {"diagnosis_consent": "on", "diagnosis_version": str(version)}
        ticked |= {"training_consent": "on", "training_version": "1"} if training else {}
        assert Client().post(reverse("account_signup"), {**SIGN_UP, **ticked}).status_code == 302
        user = User.objects.get(email="new@example.org")
        assert not needs_consent(user)
        agreed = set(Consent.objects.filter(user=user).values_list("text__purpose", "text__version"))
        assert agreed == {("diagnosis", 2)} | ({("training", 1)} if training else set())
        assert (user.training_consent is not None) is training

    def test_a_text_that_changed_meanwhile_is_read_again(self, db: None) -> None:
        new_text()
        ticked = {"diagnosis_consent": "on", "diagnosis_version": "1"}
        html = Client().post(reverse("account_signup"), {**SIGN_UP, **ticked}).content.decode()
        assert "This text has changed while you were reading" in html
        assert "the newer text" in html
        assert 'name="diagnosis_version" value="2"' in html
        assert not User.objects.filter(email="new@example.org").exists()


class TestConsentPage:
    def test_asks_and_goes_on(self, patient: User, browser: Client) -> None:
        wanted = "/photos/new/?lesion=1"
        page = browser.get(reverse("consent"), {"next": wanted})
        assert page.status_code == 200 and "What is stored." in page.content.decode()
        refused = browser.post(reverse("consent"), {"next": wanted, "training_consent": "on"})
        assert refused.status_code == 422 and wanted in refused.content.decode()
        assert not Consent.objects.exists()
        given = {"diagnosis_consent": "on", "diagnosis_version": "1", "next": wanted}
        answer = browser.post(reverse("consent"), given)
        assert answer.headers["Location"] == wanted
        assert not needs_consent(patient)
        patient.refresh_from_db()
        assert patient.training_consent is None
        assert browser.get(reverse("consent"), {"next": wanted}).headers["Location"] == wanted

    def test_leads_to_no_other_site(self, browser: Client) -> None:
        given = {"diagnosis_consent": "on", "next": "https://elsewhere.example/"}
        assert browser.post(reverse("consent"), given).headers["Location"] == reverse("home")

    def test_says_that_the_text_has_changed(self, patient: User, browser: Client) -> None:
        give_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient)
        new_text()
        html = browser.get(reverse("consent")).content.decode()
        assert "has changed since you agreed" in html and "the newer text" in html

    def test_asks_no_clinician(self, browser: Client, patient: User) -> None:
        User.objects.update(role=Role.CLINICIAN)
        assert browser.get(reverse("consent")).status_code == 302


class TestPrivacy:
    def test_gives_and_takes_back(self, patient: User, browser: Client) -> None:
        address = reverse("account-privacy")
        for purpose in Purpose.values:
            browser.post(address, {"purpose": purpose, "action": "give", "version": "1"})
        assert not needs_consent(patient)
        html = browser.get(address).content.decode()
        assert html.count("You agreed to version 1 of the text on") == 2
        for purpose in Purpose.values:
            browser.post(address, {"purpose": purpose, "action": "withdraw"})
        patient.refresh_from_db()
        assert needs_consent(patient) and patient.training_consent is None
        html = browser.get(address).content.decode()
        assert "No new photos of yours are accepted" in html
        assert "What you agreed to earlier" in html

    def test_an_unread_version_cannot_be_agreed_to(self, patient: User, browser: Client) -> None:
        new_text()
        for version in ("1", "", "x", "99"):
            given = {"purpose": "diagnosis", "action": "give", "version": version}
            assert browser.post(reverse("account-privacy"), given).status_code == 422
        assert needs_consent(patient)

    @pytest.mark.parametrize("data", [{}, {"purpose": "sale", "action": "give"}, {"purpose": "training"}])
    def test_nonsense_is_refused(self, browser: Client, data: dict[str, str]) -> None:
        assert browser.post(reverse("account-privacy"), data).status_code == 400
        assert not Consent.objects.exists()


class TestProfile:
    ANSWERS: dict[str, Any] = {
        "name": "Aigerim",
        "year_of_birth": "1980",
        "sex": "female",
        "fitzpatrick_skin_type": "3",
        "personal_hx_mm": "no",
        "family_hx_mm": "yes",
        "personal_hx_skin_cancer": "",
        "immunosuppressed": "",
        "note": "",
    }

    def test_is_saved_and_shown(self, patient: User, browser: Client) -> None:
        assert browser.post(reverse("account-profile"), self.ANSWERS).status_code == 302
        profile = Profile.objects.get(user=patient)
        patient.refresh_from_db()
        assert (patient.name, profile.year_of_birth, profile.sex, profile.fitzpatrick_skin_type) == (
            "Aigerim", 1980, "female", 3
        )  # fmt: skip
        answers = (profile.personal_hx_mm, profile.family_hx_mm, profile.personal_hx_skin_cancer)
        assert answers == (False, True, None)
        html = browser.get(reverse("account-profile")).content.decode()
        assert 'value="1980"' in html and 'value="3" selected' in html
        assert html.count("checked") == 4

    def test_everything_may_stay_empty(self, patient: User, browser: Client) -> None:
        browser.post(reverse("account-profile"), self.ANSWERS)
        assert browser.post(reverse("account-profile"), {"name": ""}).status_code == 302
        profile = Profile.objects.get(user=patient)
        assert (profile.year_of_birth, profile.sex, profile.family_hx_mm) == (None, "", None)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"year_of_birth": "1850"},
            {"year_of_birth": "3000"},
            {"year_of_birth": "old"},
            {"sex": "x"},
            {"fitzpatrick_skin_type": "7"},
            {"family_hx_mm": "perhaps"},
            {"note": "x" * 1001},
            {"name": "x" * 151},
        ],
    )
    def test_what_cannot_be_is_said_and_nothing_lost(
        self, patient: User, browser: Client, wrong: dict[str, str]
    ) -> None:
        answer = browser.post(reverse("account-profile"), {**self.ANSWERS, **wrong})
        assert answer.status_code == 422
        html = answer.content.decode()
        assert ("This could not be saved yet" in html and 'value="Aigerim"' in html) or "name" in wrong
        assert not Profile.objects.exists()

    def test_is_ones_own(self, patient: User) -> None:
        other = User.objects.create_user("other@example.org", "x", role=Role.ADMINISTRATOR)
        with pytest.raises(NotAllowed):
            save_profile(user=patient, by=other, answers={"sex": "female"})
        with pytest.raises(KeyError):
            save_profile(user=patient, by=patient, answers={"role": "administrator"})
        with pytest.raises(ValidationError):
            save_profile(user=patient, by=patient, answers={"year_of_birth": 3000})
        assert not Profile.objects.exists()


def test_the_overview_leads_everywhere(browser: Client, patient: User) -> None:
    html = browser.get(reverse("account")).content.decode()
    for name in (
        "account-profile", "account-privacy", "account-notifications", "account-looks", "account-export",
        "account-erase", "account_email", "account_change_password", "mfa_index", "consent",
    ):  # fmt: skip
        assert reverse(name) in html, name
    assert not AuditEntry.objects.exists()
