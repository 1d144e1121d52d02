"""An administrator's journey from ISIC files to a live classifier, and the rollback: browser and real workers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from accounts.models import Purpose, Role, User
from accounts.services import give_consent
from diagnoses.classifiers.models import Classifier
from diagnoses.photos.models import Photo
from tests.factories import made_photo, write_dataset
from training.models import Dataset, Evaluation, TrainingRun

PASSWORD = "a long enough password"
# Enough for a whole import and training on two busy cores; a faster machine does not wait.
PATIENCE_MS = 400_000

pytestmark = [pytest.mark.journey, pytest.mark.stack, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def site(
    chromium: str, tiny_classifier: Classifier, live_web: Any, celery_worker_process: Callable[..., Any], tmp_path: Path
) -> str:
    """A site with an inference worker and a training worker; `tiny_classifier` is live."""
    User.objects.create_user("admin@example.org", PASSWORD, role=Role.ADMINISTRATOR)
    patient = User.objects.create_user("patient@example.org", PASSWORD)
    give_consent(user=patient, purpose=Purpose.DIAGNOSIS, by=patient)
    celery_worker_process()
    celery_worker_process(
        queues="training", env={"TRAINING_WORK_DIR": str(tmp_path / "work"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    return str(live_web.url)


def upload(site: str, visit: Callable[..., Any], picture: Path) -> Photo:
    """A patient uploads a photo and waits for the result."""
    visitor = visit(site)
    visitor.sign_in("patient@example.org", PASSWORD)
    visitor.go("/photos/new/")
    visitor.page.locator("#id_image").set_input_files(picture)
    visitor.page.get_by_role("button", name="Analyse").click()
    expect(visitor.page.locator("[data-stage=predicted]")).to_be_visible(timeout=PATIENCE_MS)
    return Photo.objects.select_related("assessment__prediction__classifier").latest("created")


def test_from_files_to_a_promoted_classifier_and_back(
    site: str, visit: Callable[..., Any], tmp_path: Path, tiny_classifier: Classifier
) -> None:
    files = write_dataset(tmp_path / "files", per_diagnosis=30)
    picture = tmp_path / "spot.jpg"
    picture.write_bytes(made_photo("MEL"))
    visitor = visit(site)
    page = visitor.page
    page.set_default_timeout(PATIENCE_MS)
    visitor.sign_in("admin@example.org", PASSWORD)

    # Import: the official files, uploaded.
    visitor.go("/admin/training/datasetimport/add/")
    page.locator("#id_name").fill("journey")
    for field, name in (("ground_truth", "GroundTruth.csv"), ("metadata", "Metadata.csv"), ("images", "Input.zip")):
        page.locator(f"#id_{field}_upload").set_input_files(files / f"ISIC_2019_Training_{name}")
    page.locator("form:has(#id_name) [type=submit]").first.click()
    page.get_by_role("link", name="Open journey").click()
    expect(page.get_by_role("link", name="Train on it")).to_be_visible()
    dataset = Dataset.objects.get(name="journey")
    assert dataset.example_count == 240

    # Queue SMOKE from the page of the data set, and watch it without reloading.
    page.get_by_role("link", name="Train on it").click()
    page.locator("#id_recipe").select_option("SMOKE")
    page.get_by_role("button", name="Look at its settings").click()
    page.locator("[name='fine_tune.epochs']").fill("16")
    page.locator("[name='frozen.epochs']").fill("-1")
    page.get_by_role("button", name="Queue the run").click()
    expect(page.get_by_text("epochs lies in 0 to")).to_be_visible()
    # The browser logs the status of the refused form, which is expected.
    assert all("422" in complaint for complaint in visitor.complaints)
    visitor.complaints.clear()
    page.locator("[name='frozen.epochs']").fill("4")
    page.get_by_role("button", name="Queue the run").click()
    expect(page.locator("#run-progress[data-status=running] .live-charts svg").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#run-progress[data-status=succeeded]")).to_be_visible(timeout=PATIENCE_MS)
    run = TrainingRun.objects.get()
    assert run.classifier is not None
    assert len(run.history) == 20

    # Read its evaluation; the live classifier was measured on the same images.
    page.get_by_role("link", name="Read its evaluation").click()
    page.get_by_role("link", name="Open the test figures").click()
    page.locator("#id_reason").fill("the journey looks at every page")
    page.get_by_role("button", name="Open the test figures").click()
    expect(page.get_by_text("Balanced accuracy").first).to_be_visible()
    page.locator(".chart img").first.scroll_into_view_if_needed()
    assert Evaluation.objects.filter(fingerprint=dataset.test_content_fingerprint).count() == 2
    assert visitor.fits()

    # Its test figures are open, so its page shows the gates. Override those that fail: the test pictures are few.
    visitor.go(f"/admin/diagnoses/classifier/{run.classifier_id}/change/")
    page.locator("#id_reason").fill("the journey of the tests goes on")
    if page.locator("[name=override]").count():
        page.locator("[name=override]").check()
    page.get_by_role("button", name="Promote it").click()
    expect(page.get_by_text(f"{run.classifier.version} is live.")).to_be_visible()

    # It predicts the next photo without a restart. After the rollback the old one does.
    first = upload(site, visit, picture)
    assert first.prediction is not None
    assert first.prediction.classifier == run.classifier
    visitor.go("/admin/diagnoses/classifier/")
    page.get_by_role("link", name=f"Roll back to {tiny_classifier.version}").click()
    expect(page.get_by_text("What it means for people")).to_be_visible()
    assert visitor.fits()
    page.get_by_role("button", name=f"Make {tiny_classifier.version} live again").click()
    expect(page.get_by_text(f"{tiny_classifier.version} is live again.")).to_be_visible()
    second = upload(site, visit, picture)
    assert second.prediction is not None
    assert second.prediction.classifier == tiny_classifier
    # Its answer is kept, also where the roll back has the photo judged again.
    assert first.predictions.filter(classifier=run.classifier).exists()
