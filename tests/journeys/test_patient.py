"""A patient's journey with real browser, web server, broker, worker and classifier."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from accounts.models import Purpose, User
from accounts.services import give_consent
from diagnoses.classifiers.models import Classifier
from diagnoses.labels import SAFETY_NET
from diagnoses.photos.models import Photo
from diagnoses.results.advice import advice_on
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC, Diagnosis
from tests.factories import jpeg_bytes, made_photo

PATIENCE_MS = 60_000
PASSWORD = "a long enough password"
expect.set_options(timeout=PATIENCE_MS)

pytestmark = [pytest.mark.journey, pytest.mark.stack, pytest.mark.django_db(transaction=True)]
Visit = Callable[..., Any]


@pytest.fixture
def patient(transactional_db: None) -> User:
    user = User.objects.create_user("patient@example.org", PASSWORD)
    give_consent(user=user, purpose=Purpose.DIAGNOSIS, by=user)
    return user


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A spot like the training pictures of the tiny classifier, so that no gate refuses it."""
    path = tmp_path / "spot.jpg"
    path.write_bytes(made_photo("MEL", size=(200, 150)))
    return path


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A nearly empty picture, which the gates refuse."""
    path = tmp_path / "night.jpg"
    path.write_bytes(jpeg_bytes(Image.new("RGB", (400, 300), (9, 8, 8))))
    return path


@pytest.fixture
def site(
    chromium: str, patient: User, tiny_classifier: Classifier, live_web: Any, celery_worker_process: Callable[..., Any]
) -> str:
    """The address of a site where everything runs."""
    celery_worker_process()
    return str(live_web.url)


def test_from_sign_in_to_the_result(site: str, visit: Visit, picture: Path, tiny_classifier: Classifier) -> None:
    visitor = visit(site, width=390)
    page = visitor.page
    visitor.go("/")
    page.get_by_role("link", name="Sign in").first.click()
    visitor.sign_in("patient@example.org", PASSWORD)
    page.get_by_role("link", name="Upload your first photo").click()

    page.locator("#id_image").set_input_files(picture)
    expect(page.locator("[data-preview]")).to_be_visible()
    page.get_by_label("Name of the new spot").fill("left shoulder")
    assert visitor.fits()
    page.get_by_role("button", name="Analyse").click()

    # The result appears by itself: nobody reloads.
    page.wait_for_url(re.compile(r"/photos/[0-9a-f-]{36}/$"))
    expect(page.locator(".result__share")).to_be_visible()
    photo = Photo.objects.select_related("assessment__prediction").get()
    assert photo.assessment is not None and photo.prediction is not None
    assert photo.decision in {"urgent", "soon", "monitor"}
    # The advice first, then the diagnosis; the rest is folded.
    advice = advice_on(photo, photo.assessment).title
    expect(page.get_by_role("heading", level=1)).to_have_text(advice)
    expect(page.get_by_role("heading", level=2).first).to_contain_text(Diagnosis(photo.diagnosis).full_name)
    expect(page.get_by_text(str(SAFETY_NET))).to_be_visible()
    expect(page.locator("table.bars")).to_be_hidden()
    page.get_by_text("All eight probabilities").first.click()
    expect(page.locator("table.bars tbody tr")).to_have_count(len(CODES))
    expect(page.locator("table.bars")).to_be_visible()
    page.get_by_text("Origin and limits").click()
    expect(page.get_by_text(tiny_classifier.version)).to_be_visible()
    expect(page.locator("#announcement")).to_contain_text(f"{advice}, {Diagnosis(photo.diagnosis).full_name}")
    assert page.title().startswith(advice)
    assert visitor.fits()

    # The photo keeps its aspect ratio.
    shape = page.locator(".photo__image").evaluate(
        "image => [image.naturalWidth / image.naturalHeight, getComputedStyle(image).objectFit]"
    )
    assert shape[0] == pytest.approx(photo.width / photo.height, rel=0.01)
    assert shape[1] == "contain"

    heatmap = page.locator(".photo__heatmap")
    if photo.prediction.heatmap:
        expect(heatmap).to_have_css("opacity", "0")
        page.get_by_label("Show what it looked at").check()
        expect(heatmap).to_have_css("opacity", "0.75")
        expect(page.get_by_text("shows where and not why")).to_be_visible()
        page.get_by_label("Show what it looked at").uncheck()
        expect(heatmap).to_have_css("opacity", "0")
        assert heatmap.evaluate("image => image.naturalWidth") > 0
    else:
        expect(page.get_by_text("No heatmap")).to_be_visible()

    page.get_by_role("link", name="My spots").first.click()
    expect(page.locator(".spot")).to_have_count(1)
    expect(page.locator(".spot")).to_contain_text("left shoulder")
    expect(page.locator(".spot .badge")).to_have_text(advice)


@pytest.mark.parametrize("javascript", [True, False])
def test_a_picture_that_is_no_lesion_gets_no_answer(site: str, visit: Visit, night: Path, javascript: bool) -> None:
    visitor = visit(site, width=320, javascript=javascript)
    page = visitor.page
    visitor.sign_in("patient@example.org", PASSWORD)
    visitor.go("/photos/new/")
    page.locator("#id_image").set_input_files(night)
    page.get_by_role("button", name="Analyse").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This photo could not be assessed")
    expect(page.get_by_text("The picture is too dark.")).to_be_visible()
    expect(page.get_by_text(str(SAFETY_NET))).to_be_visible()
    expect(page.locator(".result__share, .bars, .photo__switch, .photo__heatmap")).to_have_count(0)
    photo = Photo.objects.select_related("assessment__prediction").get()
    assert photo.prediction is not None  # kept for clinicians
    assert Diagnosis(photo.diagnosis).full_name not in page.inner_text("body")
    assert visitor.fits()
    visitor.go("/photos/")
    expect(page.locator(".tile")).to_contain_text("Could not be assessed")
    assert Diagnosis(photo.diagnosis).full_name not in page.inner_text("body")


@pytest.mark.usefixtures("chromium", "patient")
def test_a_refused_file_keeps_the_form_and_what_was_typed(
    live_web: Any, visit: Visit, tmp_path: Path, picture: Path
) -> None:
    visitor = visit(live_web.url, width=320)
    page = visitor.page
    visitor.sign_in("patient@example.org", PASSWORD)
    visitor.go("/photos/new/")
    wrong = tmp_path / "notes.jpg"
    wrong.write_text("these are notes, not a photo " * 10)
    page.get_by_label("Name of the new spot").fill("nape")
    page.locator("#id_image").set_input_files(wrong)
    page.get_by_role("button", name="Analyse").click()
    expect(page.get_by_role("alert").first).to_contain_text("not a photo we can read")
    expect(page.get_by_label("Name of the new spot")).to_have_value("nape")
    expect(page.locator(".chosen__photo")).to_contain_text("notes.jpg")
    assert visitor.fits()

    page.locator("#id_image").set_input_files(picture)
    page.get_by_role("button", name="Analyse").click()
    page.wait_for_url(re.compile(r"/photos/[0-9a-f-]{36}/$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("No classifier is live")
    assert Photo.objects.get().lesion is not None
    # A refused upload is an expected response, but Chromium logs every 4xx.
    visitor.complaints[:] = [line for line in visitor.complaints if "422" not in line]


# A slow phone: its storage needs half a second to open.
SLOW_STORAGE = """
const open = IDBFactory.prototype.open;
IDBFactory.prototype.open = function (...given) {
  const request = {};
  setTimeout(() => {
    const real = open.apply(this, given);
    for (const event of ["onupgradeneeded", "onsuccess"]) {
      real[event] = () => { request.result = real.result; request[event]?.(); };
    }
  }, 500);
  return request;
};
"""


@pytest.mark.usefixtures("chromium", "patient")
def test_an_unsent_photo_is_still_there_after_a_reload(live_web: Any, visit: Visit, picture: Path) -> None:
    visitor = visit(live_web.url, width=390)
    page = visitor.page
    page.add_init_script(SLOW_STORAGE)
    visitor.sign_in("patient@example.org", PASSWORD)
    visitor.go("/photos/new/")
    expect(page.get_by_label("I do not know").first).to_be_checked()
    page.locator("#id_image").set_input_files(picture)
    page.get_by_label("With a phone or a camera").check()
    page.get_by_label("Name of the new spot").fill("nape")
    page.locator("[name=bleeding][value=yes]").check()
    page.wait_for_timeout(1500)  # nothing on the page says that the draft is stored
    for _ in range(2):
        page.reload()
        expect(page.locator(".chosen__photo")).to_contain_text("spot.jpg")
        expect(page.get_by_label("With a phone or a camera")).to_be_checked()
        expect(page.get_by_label("Name of the new spot")).to_have_value("nape")
        expect(page.locator("[name=bleeding][value=yes]")).to_be_checked()
        page.wait_for_timeout(1000)  # whatever the page writes on its own
    page.get_by_role("button", name="Analyse").click()
    page.wait_for_url(re.compile(r"/photos/[0-9a-f-]{36}/$"))
    assert Photo.objects.get().image_type == CLOSE_UP


def test_without_javascript(site: str, visit: Visit, picture: Path) -> None:
    visitor = visit(site, javascript=False, width=390)
    page = visitor.page
    visitor.sign_in("patient@example.org", PASSWORD)
    visitor.go("/photos/new/")
    page.locator("#id_image").set_input_files(picture)
    taps = page.get_by_role("group", name="Does it hurt?")
    taps.get_by_label("Yes").focus()
    page.keyboard.press("ArrowRight")  # the taps are radio buttons
    expect(taps.get_by_label("No", exact=True)).to_be_checked()
    page.get_by_role("button", name="Analyse").click()
    page.wait_for_url(re.compile(r"/photos/[0-9a-f-]{36}/$"))
    # The page reloads itself until the result is there.
    expect(page.locator(".result__share")).to_be_visible()
    photo = Photo.objects.select_related("assessment__prediction").get()
    assert photo.assessment is not None and photo.prediction is not None
    if photo.prediction.heatmap:
        page.locator("#heatmap-switch").check()
        expect(page.locator(".photo__heatmap")).to_have_css("opacity", "0.75")
    # What was told can be told again, and how the photo was taken can be changed.
    page.get_by_role("link", name="Answer again").click()
    expect(page.get_by_role("group", name="Does it hurt?").get_by_label("No", exact=True)).to_be_checked()
    page.get_by_role("group", name="Does it hurt?").get_by_label("Yes").check()
    page.get_by_role("button", name="Keep my answers").click()
    page.get_by_text("Change", exact=True).click()
    page.get_by_label("Through a dermatoscope").check()
    page.get_by_role("button", name="Assess it again").click()
    expect(page.get_by_text("It is noted how the photo was taken.")).to_be_visible()
    told = Photo.objects.select_related("history").get()
    assert told.image_type == DERMOSCOPIC and told.history is not None and told.history.pain is True
    page.get_by_role("link", name="Delete this photo").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("have been deleted")).to_be_visible()
    assert not Photo.objects.exists()
