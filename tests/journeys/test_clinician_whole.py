"""Three clinicians, in Russian: from the worklist to the histopathology that the patient reads."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from accounts import notification_texts
from accounts.models import Notification, User
from diagnoses.classifiers.models import Classifier
from diagnoses.labels import GROUND_TRUTH_SOURCES
from diagnoses.lesions.services import create_lesion
from diagnoses.photos.models import Photo
from diagnoses.readings.models import Finding, Reading
from recognition.inference.assessment import Decision
from recognition.taxonomy import CODES, Diagnosis
from tests.journeys.practice import PASSWORD, a_patient, answer_photo, assessment, make_clinicians

expect.set_options(timeout=60_000)

pytestmark = [pytest.mark.journey, pytest.mark.stack, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def patient(transactional_db: None) -> User:
    return a_patient("aigerim@example.org", "Айгерим Сатбаева")


@pytest.fixture
def clinicians(transactional_db: None) -> list[User]:
    return make_clinicians()


@pytest.fixture
def photo(patient: User, tiny_classifier: Classifier) -> Photo:
    """A spot that the classifier calls a nevus with low probability."""
    spot = create_lesion(owner=patient, name="Спина", anatom_site_general="posterior torso")
    other = create_lesion(owner=patient, name="Грудь", anatom_site_general="anterior torso")
    answer_photo(patient, other, "NV", 0.95, assessment(Decision.MONITOR, score=1), tiny_classifier)
    return answer_photo(patient, spot, "NV", 0.48, assessment(Decision.SOON, score=6), tiny_classifier)


def key_of(code: str) -> str:
    """The key that chooses a diagnosis."""
    return str(CODES.index(code) + 1)


def read(visitor: Any, photo: Photo, code: str, management: str, *, reason: str = "") -> None:
    """Read a photo whose page is open: blind with the keyboard, then the final answer."""
    page = visitor.page
    expect(page.locator("[name=step]")).to_have_value("blind")
    # The page source contains nothing from the classifier.
    expect(page.locator(".revealed, .viewer__heatmap, #heatmap-switch")).to_have_count(0)
    assert "heatmap/" not in page.content()
    page.keyboard.press(key_of(code))
    expect(page.locator(f"[name=said][value={code}]")).to_be_checked()
    page.locator("form:has([name=step]) [type=submit]").click()
    expect(page.locator("[name=step]")).to_have_value("final")
    expect(page.locator(".revealed__top")).to_contain_text(visitor.says(Diagnosis(photo.diagnosis).full_name))
    page.keyboard.press(key_of(code))
    expect(page.locator(f"[name=said][value={code}]")).to_be_checked()
    if reason:
        page.locator("[name=override_reason]").fill(reason)
    page.locator(f"[name=management][value={management}]").check()
    page.locator("[name=note]").fill("Пожалуйста, придите на приём.")
    page.locator("form:has([name=step]) [type=submit]").click()
    expect(page.locator("[data-next]")).to_be_visible()
    photo.refresh_from_db()


def test_from_the_worklist_to_the_microscope(
    live_web: Any, visit: Callable[..., Any], patient: User, clinicians: list[User], photo: Photo
) -> None:
    first, second, third = [visit(live_web.url, locale="ru-RU") for _ in clinicians]
    for visitor, clinician in zip((first, second, third), clinicians, strict=True):
        visitor.sign_in(clinician.email, PASSWORD)

    # The worklist: the urgent photo is first, and no row shows the prediction.
    page = first.page
    first.go("/review/")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    expect(page.locator("[data-row]")).to_have_count(2)
    assert first.says(Diagnosis(photo.diagnosis).full_name) not in page.locator(".work").inner_text()
    page.keyboard.press("j")
    expect(page.locator("[data-row]").first).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"/review/{photo.pk}/"))

    # A cancer always needs a second reading.
    read(first, photo, "MEL", "biopsy", reason="Несимметричные края")
    assert photo.review_state == Photo.ReviewState.SECOND

    # The second reader does not see the first answer, and disagrees.
    second.go(f"/review/?state={Photo.ReviewState.SECOND}")
    second.page.locator("[data-row]").first.click()
    assert "Несимметричные" not in second.page.content()
    read(second, photo, "NV", "discharge")
    assert photo.review_state == Photo.ReviewState.ADJUDICATION
    assert not Finding.objects.exists()

    # The patient sees no diagnosis before the photo is settled.
    reader = visit(live_web.url, width=390, locale="ru-RU")
    reader.sign_in(patient.email, PASSWORD)
    reader.go(f"/photos/{photo.pk}/")
    expect(reader.page.locator("#clinical-outcome-title")).to_have_text(reader.says("Clinicians are looking at it"))
    assert reader.says(Diagnosis.MEL.full_name) not in reader.page.locator(".clinical-outcome").inner_text()

    # The third reader decides, and the patient is notified.
    third.go(f"/review/?state={Photo.ReviewState.ADJUDICATION}")
    third.page.locator("[data-row]").first.click()
    read(third, photo, "MEL", "biopsy", reason="Края и цвет")
    assert photo.review_state == Photo.ReviewState.READ
    finding = Finding.objects.get()
    assert (finding.diagnosis, finding.source) == ("MEL", Finding.Source.CLINICIAN)
    roles = list(Reading.objects.order_by("recorded").values_list("role", "blind_diagnosis", "diagnosis"))
    assert roles == [("first", "MEL", "MEL"), ("second", "NV", "NV"), ("adjudication", "MEL", "MEL")]
    reader.go(f"/photos/{photo.pk}/")
    expect(reader.page.locator(".truth__diagnosis")).to_contain_text(reader.says(Diagnosis.MEL.full_name))
    expect(reader.page.locator(".truth")).to_contain_text(reader.says(GROUND_TRUTH_SOURCES["clinician"]))
    expect(reader.page.locator(".clinical-outcome")).to_contain_text("Пожалуйста, придите на приём.")
    assert reader.fits()

    # The histopathology replaces the readings.
    first.go(f"/review/{photo.pk}/")
    page.get_by_text(first.says("Enter the histopathology")).click()
    page.locator("[name=tissue-diagnosis]").select_option("MEL")
    page.locator("[name=tissue-note]").fill("№ 1284, Бреслоу 0,4 мм")
    page.get_by_role("button", name=first.says("Record the histopathology")).click()
    expect(page.get_by_text("№ 1284").first).to_be_visible()

    reader.go("/account/notifications/")
    titles = reader.page.locator(".notifications__title")
    # Two notifications about the review: when the first reader wanted an examination, and when it was settled.
    for kind, times in ((Notification.Kind.REVIEW, 2), (Notification.Kind.HISTOPATHOLOGY, 1)):
        expect(titles.filter(has_text=reader.says(notification_texts.WORDS[kind].title))).to_have_count(times)
    titles.filter(has_text=reader.says(notification_texts.WORDS[Notification.Kind.HISTOPATHOLOGY].title)).click()
    page_of_photo = reader.page
    page_of_photo.wait_for_url(re.compile(rf"/photos/{photo.pk}/"))
    expect(page_of_photo.locator(".truth__diagnosis")).to_contain_text(reader.says(Diagnosis.MEL.full_name))
    expect(page_of_photo.locator(".truth")).to_contain_text(reader.says(GROUND_TRUTH_SOURCES["histopathology"]))
    expect(page_of_photo.locator(".clinical-outcome")).to_contain_text("Бреслоу 0,4 мм")
    assert reader.fits()

    # The agreement page counts the readings.
    first.go("/review/agreement/")
    expect(page.locator("h1")).to_be_visible()
    assert first.fits()
