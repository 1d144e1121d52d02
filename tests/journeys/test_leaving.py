"""Leaving: withdraw consents, export everything, erase everything."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from playwright.sync_api import expect

from accounts.models import Consent, Purpose, User
from diagnoses.classifiers.models import Classifier
from diagnoses.lesions.models import Lesion
from diagnoses.lesions.services import create_lesion
from diagnoses.photos.models import Photo
from diagnoses.sharing.services import make_share_link
from recognition.inference.assessment import Decision
from tests.journeys.practice import PASSWORD, a_patient, answer_photo, assessment

expect.set_options(timeout=60_000)

pytestmark = [pytest.mark.journey, pytest.mark.stack, pytest.mark.django_db(transaction=True)]

EMAIL = "leaver@example.org"


@pytest.fixture
def photo(transactional_db: None, tiny_classifier: Classifier) -> Photo:
    owner = a_patient(EMAIL, "Leaving Person")
    spot = create_lesion(owner=owner, name="nape", anatom_site_general="head/neck")
    return answer_photo(owner, spot, "NV", 0.9, assessment(Decision.MONITOR, score=2), tiny_classifier)


def withdraw(page: Any, purpose: str) -> None:
    """Unfold and press the button that withdraws a consent."""
    section = page.locator(f"section[aria-labelledby=consent-{purpose}]")
    section.locator("details:has([value=withdraw]) > summary").click()
    section.locator("form:has([value=withdraw]) button").click()
    expect(section.locator("form:has([value=give])")).to_be_visible()


def stored(folder: str) -> list[Path]:
    """The files of one photo."""
    return [path for path in (Path(settings.MEDIA_ROOT) / folder).rglob("*") if path.is_file()]


def test_withdrawing_taking_along_and_erasing(live_web: Any, visit: Callable[..., Any], photo: Photo) -> None:
    owner = photo.owner
    folder = str(Path(str(photo.image.name)).parent)
    assert len(stored(folder)) == 3  # photo, thumbnail, heatmap
    _link, token = make_share_link(photo=photo, by=owner, days=7)
    visitor = visit(live_web.url, width=390)
    page = visitor.page
    visitor.sign_in(EMAIL, PASSWORD)

    # Training: nothing else changes.
    visitor.go("/account/privacy/")
    withdraw(page, Purpose.TRAINING)
    owner.refresh_from_db()
    assert owner.training_consent is None
    visitor.go("/photos/new/")
    expect(page.locator("#upload")).to_be_visible()

    # Diagnosis: no new photos; existing ones stay readable, and consent can be given again.
    visitor.go("/account/privacy/")
    withdraw(page, Purpose.DIAGNOSIS)
    assert not Consent.objects.standing().filter(user=owner).exists()
    visitor.go("/photos/new/")
    page.wait_for_url(re.compile(r"/account/consent/"))
    assert visitor.fits()
    assert visitor.violations() == []
    visitor.go(f"/photos/{photo.pk}/")
    expect(page.locator(".result__diagnosis")).to_be_visible()
    visitor.go("/photos/new/")
    page.locator("[name=diagnosis_consent]").check()
    page.get_by_role("button", name="Agree and go on").click()
    expect(page.locator("#upload")).to_be_visible()

    # Everything, as a file.
    visitor.go("/account/export/")
    with page.expect_download() as coming:
        page.locator("main form button").click()
    with zipfile.ZipFile(io.BytesIO(Path(coming.value.path()).read_bytes())) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        account, photos = (json.loads(archive.read(f"{name}.json")) for name in ("account", "photos"))
        pictures = [archive.read(name) for name in names if name.endswith(".jpg")]
    assert EMAIL in json.dumps(account)
    assert len(photos) == 1
    with default_storage.open(str(photo.image.name)) as file:
        assert file.read() in pictures
    assert "MISSING.txt" not in names

    # Erasing asks whether one is sure, and for the password.
    visitor.go("/account/erase/")
    page.get_by_role("button", name="Erase the account for good").click()
    expect(page.get_by_role("alert")).to_contain_text("Please tick the box if you are sure.")
    page.locator("#sure").check()
    page.get_by_role("button", name="Erase the account for good").click()
    if page.locator("main [name=password]").count():
        page.locator("main [name=password]").fill(PASSWORD)
        page.locator("main form:has([name=password]) [type=submit]").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your account is erased")
    assert not User.objects.filter(email=EMAIL).exists()
    assert not Photo.objects.exists()
    assert not Lesion.objects.exists()
    assert stored(folder) == []

    # The account and its share links do not work any more.
    visitor.go("/accounts/login/")
    page.locator("[name=login]").fill(EMAIL)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("main form:has([name=login]) [type=submit]").first.click()
    expect(page.locator("main .errorlist").first).to_be_visible()
    expect(page.locator("[data-notification-count]")).to_have_count(0)
    assert page.goto(f"{live_web.url}/s/{token}/").status == 404
    visitor.complaints[:] = [line for line in visitor.complaints if not re.search("404|422", line)]
