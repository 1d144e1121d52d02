"""A patient's whole journey, in Kazakh: from sign-up to a doctor who reads the shared result."""

import email
import email.policy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from playwright.sync_api import expect

from accounts.models import Consent, User
from diagnoses.classifiers.models import Classifier
from diagnoses.lesions.models import Lesion, Reminder
from diagnoses.photos.models import Photo
from diagnoses.sharing.models import ShareLink
from recognition.inference.assessment import Decision
from recognition.taxonomy import DERMOSCOPIC, Diagnosis
from tests.factories import made_photo
from tests.journeys.practice import answer_photo, assessment

PASSWORD = "ұзақ құпиясөз 1984"
expect.set_options(timeout=60_000)

pytestmark = [pytest.mark.journey, pytest.mark.stack, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the site's e-mails, one file each."""
    folder = tmp_path / "letters"
    folder.mkdir()
    monkeypatch.setenv("EMAIL_URL", f"filemail:///{folder}")
    return folder


@pytest.fixture
def site(
    letters: Path, chromium: str, tiny_classifier: Classifier, live_web: Any, celery_worker_process: Callable[..., Any]
) -> str:
    """The URL of a complete site that saves its e-mails."""
    celery_worker_process()
    return str(live_web.url)


def letter(folder: Path) -> tuple[str, str]:
    """Subject and text of the newest e-mail."""
    newest = max(folder.iterdir(), key=lambda path: path.stat().st_mtime)
    message = email.message_from_bytes(newest.read_bytes().rstrip(b"-\n"), policy=email.policy.default)
    return str(message["subject"]), str(message.get_content())


def test_from_signing_up_to_the_doctor(
    site: str, letters: Path, visit: Callable[..., Any], tmp_path: Path, tiny_classifier: Classifier
) -> None:
    visitor = visit(site, width=390, locale="kk-KZ")
    page, says = visitor.page, visitor.says

    # The browser requests Kazakh, so the user need not choose it.
    visitor.go("/")
    expect(page.locator("html")).to_have_attribute("lang", "kk")
    page.get_by_role("link", name=says("Sign in")).first.click()
    page.locator("main a[href*='/accounts/signup/']").first.click()
    page.locator("[name=email]").fill("aigerim@example.org")
    page.locator("[name=password1]").fill(PASSWORD)
    page.locator("[name=password2]").fill(PASSWORD)
    assert visitor.fits()

    # Without the required consent there is no account, and the form keeps everything but the passwords.
    boxes = page.locator(".consent__box input[type=checkbox]")
    expect(boxes).to_have_count(2)
    assert [box.is_checked() for box in boxes.all()] == [False, False]
    page.locator("form:has([name=password2])").evaluate("form => form.noValidate = true")
    page.get_by_role("button", name=says("Make my account")).click()
    expect(page.locator(".consent.field--wrong")).to_contain_text(
        says("Without this consent no photo of yours may be stored. Please read the text and agree to it.")
    )
    expect(page.locator("[name=email]")).to_have_value("aigerim@example.org")
    assert not User.objects.exists()
    page.locator("[name=diagnosis_consent]").check()
    page.locator("[name=password1]").fill(PASSWORD)
    page.locator("[name=password2]").fill(PASSWORD)
    page.get_by_role("button", name=says("Make my account")).click()
    page.locator("[data-notification-count]").wait_for()
    patient = User.objects.get()
    assert (patient.role, patient.language, patient.training_consent) == ("patient", "kk", None)
    assert Consent.objects.standing().get(user=patient).text.purpose == "diagnosis"

    # The link in the e-mail, which is in Kazakh, confirms the address.
    _subject, text = letter(letters)
    assert re.search("[әғқңөұүһі]", text)
    found = re.search(r"https?://\S+(/accounts/confirm-email/\S+)", text)
    assert found is not None
    visitor.go(found[1])
    page.locator("main form [type=submit]").first.click()
    page.wait_for_load_state()
    assert EmailAddress.objects.get(user=patient).verified

    # A click on the drawing places a spot.
    visitor.go("/spots/")
    page.get_by_role("link", name=says("Or place a spot on the drawing first")).click()
    page.locator("[name=name]").fill("Кеуде")
    drawing = page.locator("svg[data-view=front]")
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    assert box is not None
    drawing.click(position={"x": box["width"] * 0.5, "y": box["height"] * 0.3})
    expect(page.locator("[name=place]")).to_have_value("region:front-trunk")
    assert visitor.fits()
    page.get_by_role("button", name=says("Add the spot")).click()
    page.wait_for_url(re.compile(r"/spots/[0-9a-f-]{36}/$"))
    spot = Lesion.objects.get()
    assert (spot.body_view, spot.anatom_site_general) == ("front", "anterior torso")

    # A photo of it, with a reported history.
    picture = tmp_path / "spot.jpg"
    picture.write_bytes(made_photo("MEL", size=(200, 150)))
    page.get_by_role("link", name=says("First photo")).click()
    page.locator("#id_image").set_input_files(picture)
    page.locator("[name=image_type][value=dermoscopic]").check()
    for question, answer in (("change_size", "yes"), ("change_colour", "yes"), ("itch", "no")):
        page.locator(f"[name$={question}][value={answer}]").check()
    assert visitor.fits()
    page.get_by_role("button", name=says("Analyse")).click()
    page.wait_for_url(re.compile(r"/photos/[0-9a-f-]{36}/$"))
    expect(page.locator(".result__share")).to_be_visible()
    photo = Photo.objects.select_related("history").get()
    assert photo.lesion == spot
    assert photo.image_type == DERMOSCOPIC
    expect(page.locator("dl.facts")).to_contain_text(says("through a dermatoscope"))
    assert photo.history is not None and photo.history.checklist_score == 4
    # A changing spot is never only monitored, for any prediction.
    assert photo.decision in {Decision.URGENT, Decision.SOON}
    name = says(Diagnosis(photo.diagnosis).full_name)
    expect(page.locator(".result__diagnosis")).to_contain_text(name)
    assert visitor.fits()

    # A clinician is asked, once.
    page.get_by_role("button", name=says("Ask a clinician to look at it")).click()
    expect(page.locator("#review")).to_contain_text(says("A clinician has been asked"))
    expect(page.locator("form[action$='request-review/']")).to_have_count(0)
    photo.refresh_from_db()
    assert photo.review_requested is not None

    # The report.
    with page.expect_download() as coming:
        page.get_by_role("button", name=says("Download the report")).click()
    report = Path(coming.value.path()).read_bytes()
    assert report.startswith(b"%PDF-")
    assert coming.value.suggested_filename.endswith(".pdf")

    # The share link for a doctor who has no account and reads Russian.
    page.get_by_role("link", name=says("Share it by a link")).click()
    page.locator("[name=label]").fill("дерматолог")
    page.get_by_role("button", name=says("Make a link")).click()
    address = page.locator("#share-address").input_value()
    assert address.startswith(site)
    doctor = visit(site, locale="ru-RU")
    doctor.page.goto(address)
    expect(doctor.page.locator("html")).to_have_attribute("lang", "ru")
    expect(doctor.page.locator(".result__diagnosis")).to_contain_text(doctor.says(Diagnosis(photo.diagnosis).full_name))
    expect(doctor.page.locator("img.photo__image")).to_be_visible()
    assert doctor.page.locator("img.photo__image").evaluate("image => image.naturalWidth") > 0
    assert doctor.page.context.cookies() == []
    with doctor.page.expect_download() as coming:
        doctor.page.get_by_role("button", name=doctor.says("Download the report")).click()
    assert Path(coming.value.path()).read_bytes().startswith(b"%PDF-")
    assert ShareLink.objects.get().times_opened == 1
    # After the patient revokes it, the link does not work.
    page.locator("form[action$='/revoke/'] button").click()
    expect(page.locator(".links__item--closed")).to_be_visible()
    assert doctor.page.goto(address).status == 404
    doctor.complaints[:] = [line for line in doctor.complaints if "404" not in line]

    # A spot that needs a doctor gets no reminder; a spot that may be monitored gets one.
    visitor.go(f"/spots/{spot.pk}/")
    expect(page.locator("#reminder .notice--strong")).to_be_visible()
    expect(page.locator("#reminder [name=months]")).to_have_count(0)
    calm = Lesion.objects.create(owner=patient, name="Арқа", anatom_site_general="posterior torso")
    answer_photo(patient, calm, "NV", 0.9, assessment(Decision.MONITOR, score=2), tiny_classifier)
    visitor.go(f"/spots/{calm.pk}/")
    page.locator("#reminder [name=months][value='3']").click()
    expect(page.locator("#reminder [name=months][value=off]")).to_be_visible()
    assert Reminder.objects.standing().get().lesion == calm
    assert visitor.fits()

    # Both are on the body map.
    visitor.go("/spots/")
    expect(page.locator(".spots__list .spot")).to_have_count(2)
    assert visitor.fits()
