"""Publishing a consent text in the admin: three languages, a preview, and no change afterwards."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, Consent, ConsentText, Purpose, Role, User
from accounts.services import give_consent

ADD = "admin:accounts_consenttext_add"
LIST = "admin:accounts_consenttext_changelist"


@pytest.fixture
def administrator(db: None) -> User:
    return User.objects.create_user("admin@example.org", "correct horse", role=Role.ADMINISTRATOR)


@pytest.fixture
def patient(db: None) -> User:
    return User.objects.create_user("patient@example.org", "correct horse")


@pytest.fixture
def browser(administrator: User) -> Client:
    client = Client()
    client.force_login(administrator)
    return client


def words(**changes: Any) -> dict[str, Any]:
    current = ConsentText.objects.current(Purpose.DIAGNOSIS)
    said = {
        "purpose": "diagnosis",
        "text_kk": "Жаңа мәтін.\r\n\r\nЕкінші бөлім.",
        "text_ru": "Новый текст.",
        "text_en": "A new text.",
        "based_on": current.version if current else 0,
    }
    return {name: value for name, value in (said | changes).items() if value is not None}


def test_it_is_read_before_it_is_published(browser: Client, patient: User) -> None:
    current = ConsentText.objects.current(Purpose.DIAGNOSIS)
    assert current is not None
    give_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient)
    page = browser.post(reverse(ADD), words()).content.decode()
    assert "Екінші бөлім." in page and "also the 1 person who agreed" in page
    assert ConsentText.objects.current(Purpose.DIAGNOSIS) == current, "reading publishes nothing"
    response = browser.post(reverse(ADD), words(confirmed="yes"))
    assert response.status_code == 302
    newest = ConsentText.objects.current(Purpose.DIAGNOSIS)
    assert newest is not None
    assert (newest.version, newest.text_kk) == (current.version + 1, "Жаңа мәтін.\n\nЕкінші бөлім.")
    assert AuditEntry.objects.filter(action="consent-text-published").count() == 1
    assert not Consent.objects.filter(text=newest).exists(), "nobody agreed by it"


def test_going_back_to_writing_keeps_every_word(browser: Client) -> None:
    before = ConsentText.objects.count()
    page = browser.post(reverse(ADD), words(again="yes")).content.decode()
    assert "<textarea" in page and "Екінші бөлім." in page and "A new text." in page
    assert ConsentText.objects.count() == before


@pytest.mark.parametrize("missing", ["text_kk", "text_ru", "text_en"])
def test_all_languages_are_needed(browser: Client, missing: str) -> None:
    before = ConsentText.objects.count()
    response = browser.post(reverse(ADD), words(**{missing: "  ", "confirmed": "yes"}))
    assert response.status_code == 422
    assert ConsentText.objects.count() == before


def test_the_text_in_force_is_no_new_one(browser: Client) -> None:
    current = ConsentText.objects.current(Purpose.DIAGNOSIS)
    assert current is not None
    same = {name: getattr(current, name) for name in ("text_kk", "text_ru", "text_en")}
    response = browser.post(reverse(ADD), words(**same, confirmed="yes"))
    assert response.status_code == 422
    assert "in force already" in response.content.decode()


def test_another_administrator_was_quicker(browser: Client) -> None:
    mine = words(confirmed="yes")
    browser.post(reverse(ADD), words(text_en="Theirs.", confirmed="yes"))
    response = browser.post(reverse(ADD), mine)
    assert response.status_code == 422
    assert "published since you began" in response.content.decode()
    assert "A new text." in response.content.decode(), "nothing typed is lost"


def test_the_form_starts_from_the_text_in_force(browser: Client) -> None:
    page = browser.get(reverse(ADD), {"purpose": "training"}).content.decode()
    current = ConsentText.objects.current(Purpose.TRAINING)
    assert current is not None
    assert current.text_en.splitlines()[0][:40] in page
    assert browser.get(reverse(ADD), {"purpose": "nonsense"}).status_code == 200


def test_lists_show_who_stands_by_which_version(browser: Client, patient: User) -> None:
    give_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient)
    current = ConsentText.objects.current(Purpose.DIAGNOSIS)
    assert current is not None
    assert browser.get(reverse(LIST)).status_code == 200
    page = browser.get(reverse("admin:accounts_consenttext_change", args=[current.pk])).content.decode()
    assert "agreed" in page.lower()
    assert "_save" not in page
    person = browser.get(reverse("admin:accounts_user_change", args=[patient.pk])).content.decode()
    assert f"{current}: agreed on" in person
    people = browser.get(reverse("admin:accounts_user_changelist"), {"consent": "diagnosis"}).content.decode()
    assert patient.email in people and "version 1" in people
    others = browser.get(reverse("admin:accounts_user_changelist"), {"consent": "not-diagnosis"}).content.decode()
    assert patient.email not in others


def test_nobody_else_publishes(patient: User) -> None:
    before = ConsentText.objects.count()
    client = Client()
    client.force_login(patient)
    assert client.post(reverse(ADD), words(confirmed="yes")).status_code == 302
    assert ConsentText.objects.count() == before
