"""Photos with a real broker and real worker processes, with and without failures (R1 to R5)."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from accounts.models import User
from diagnoses.classifiers.models import Classifier
from diagnoses.photos.models import Photo, Prediction, Worker
from diagnoses.photos.queue import publish_photos
from diagnoses.photos.services import submit_photo
from recognition.taxonomy import CODES
from tests.factories import made_photo

pytestmark = [pytest.mark.stack, pytest.mark.django_db(transaction=True)]

# Short enough for a test, long enough for two busy cores.
QUICK_RECOVERY = {
    "PREDICTION_LEASE_SECONDS": "4",
    "PREDICTION_TIME_LIMIT": "3",
    "PREDICTION_SOFT_TIME_LIMIT": "2",
    "REPUBLISH_AFTER_SECONDS": "2",
}
PATIENCE = 120.0


@pytest.fixture
def faults(tmp_path: Path) -> Iterator[Callable[..., dict[str, str]]]:
    """`faults(in_predict={"action": "kill"})` sets failpoints in workers; `faults()` removes them."""
    path = tmp_path / "faults.json"

    def break_at(**points: dict[str, Any]) -> dict[str, str]:
        path.write_text(json.dumps(points))
        return {"FAULTS_FILE": str(path)}

    yield break_at
    path.unlink(missing_ok=True)


def wait_until(condition: Callable[[], bool], what: str, *, patience: float = PATIENCE) -> None:
    """Wait for a state of the database; fail with what was waited for."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            states = list(Photo.objects.values_list("status", "failure_code", "attempts", "published"))
            pytest.fail(f"{what}: not within {patience:.0f} s. Photos: {states[:5]}")
        time.sleep(0.1)


def all_predicted() -> bool:
    return not Photo.objects.exclude(status=Photo.Status.PREDICTED).exists()


def test_a_photo_is_predicted_by_a_real_worker(
    tiny_classifier: Classifier, patient: User, celery_worker_process: Any, redis_server: Any
) -> None:
    worker = celery_worker_process()
    photo = submit_photo(owner=patient, data=made_photo("MEL"))
    wait_until(all_predicted, "the photo is predicted")
    photo.refresh_from_db()
    prediction = Prediction.objects.get(photo=photo)
    assessment = photo.assessment
    assert assessment is not None and assessment.prediction == prediction
    assert prediction.classifier_id == tiny_classifier.pk
    assert len(assessment.probabilities) == len(CODES)
    assert sum(assessment.probabilities) == pytest.approx(1.0, abs=1e-3)
    assert assessment.diagnosis == max(assessment.by_code, key=assessment.by_code.__getitem__)
    assert assessment.confidence == max(assessment.probabilities)
    assert assessment.malignant_score == pytest.approx(sum(assessment.probability_of(c) for c in ("MEL", "BCC", "SCC")))
    assert prediction.runtime == "onnx"
    assert assessment.assessed is not None
    assert photo.decision == assessment.decision == assessment.assessed.decision
    if prediction.heatmap:
        with prediction.heatmap.open() as file:
            assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    # The worker has written its heartbeat with the loaded classifier.
    seen = Worker.objects.heard_from_lately().get()
    assert seen.classifier == tiny_classifier.version
    assert worker.running


def test_the_same_message_ten_times_gives_one_prediction(
    tiny_classifier: Classifier, patient: User, celery_worker_process: Any, redis_server: Any
) -> None:
    photo = submit_photo(owner=patient, data=made_photo())
    assert publish_photos([photo.pk] * 10)
    celery_worker_process()
    celery_worker_process()
    wait_until(all_predicted, "the photo is predicted")
    later = submit_photo(owner=patient, data=made_photo("NV"))
    wait_until(lambda: Photo.objects.get(pk=later.pk).status == Photo.Status.PREDICTED, "the next one is predicted")
    assert Prediction.objects.filter(photo=photo).count() == 1
    photo.refresh_from_db()
    assert photo.attempts == 1


@pytest.mark.parametrize("point", ["after_claim", "in_predict", "before_commit", "after_commit"])
def test_a_worker_killed_anywhere_loses_nothing(
    point: str,
    tiny_classifier: Classifier,
    patient: User,
    celery_worker_process: Any,
    celery_beat_process: Any,
    faults: Callable[..., dict[str, str]],
) -> None:
    environment = {**QUICK_RECOVERY, **faults(**{point: {"action": "kill", "times": 1}})}
    photo = submit_photo(owner=patient, data=made_photo())
    celery_worker_process(env=environment)
    wait_until(all_predicted, "the photo is predicted in spite of the kill")
    photo.refresh_from_db()
    assert Prediction.objects.filter(photo=photo).count() == 1
    assert photo.attempts == (1 if point == "after_commit" else 2)
    assert photo.lease is None


def test_a_poison_photo_fails_after_three_attempts_and_the_others_pass(
    tiny_classifier: Classifier,
    patient: User,
    celery_worker_process: Any,
    celery_beat_process: Any,
    faults: Callable[..., dict[str, str]],
) -> None:
    poison = submit_photo(owner=patient, data=made_photo("BCC"))
    healthy = [submit_photo(owner=patient, data=made_photo("NV", seed)) for seed in range(8)]
    environment = {**QUICK_RECOVERY, **faults(in_predict={"action": "kill", "photo": str(poison.pk)})}
    celery_worker_process(env=environment)
    wait_until(lambda: not Photo.objects.waiting().exists(), "every photo has ended")
    poison.refresh_from_db()
    assert (poison.status, poison.failure_code, poison.attempts) == ("failed", "worker_lost", 3)
    assert not Prediction.objects.filter(photo=poison).exists()
    assert Photo.objects.filter(pk__in=[p.pk for p in healthy], status="predicted", attempts=1).count() == len(healthy)


def test_a_hanging_prediction_is_ended_by_the_time_limit(
    tiny_classifier: Classifier,
    patient: User,
    celery_worker_process: Any,
    celery_beat_process: Any,
    faults: Callable[..., dict[str, str]],
) -> None:
    photo = submit_photo(owner=patient, data=made_photo())
    celery_worker_process(env={**QUICK_RECOVERY, **faults(in_predict={"action": "hang", "times": 1})})
    wait_until(all_predicted, "the photo is predicted after the hang")
    photo.refresh_from_db()
    assert photo.attempts == 2


def test_everything_is_predicted_after_redis_lost_its_memory(
    tiny_classifier: Classifier,
    patient: User,
    celery_worker_process: Any,
    celery_beat_process: Any,
    redis_server: Any,
) -> None:
    photos = [submit_photo(owner=patient, data=made_photo("NV", seed)) for seed in range(12)]
    assert all(p.published for p in Photo.objects.all())
    redis_server.flush()
    # Published long enough ago to count as lost.
    Photo.objects.update(published=timezone.now() - timedelta(seconds=60))
    celery_worker_process(env=QUICK_RECOVERY)
    wait_until(all_predicted, "all photos are predicted")
    assert Prediction.objects.count() == len(photos)


def test_a_photo_uploaded_while_redis_is_down_is_predicted_when_it_is_back(
    tiny_classifier: Classifier,
    patient: User,
    celery_worker_process: Any,
    celery_beat_process: Any,
    redis_server: Any,
) -> None:
    redis_server.stop()
    photo = submit_photo(owner=patient, data=made_photo())
    assert Photo.objects.get(pk=photo.pk).published is None
    redis_server.make_healthy()
    celery_worker_process(env=QUICK_RECOVERY)
    wait_until(all_predicted, "the photo is predicted")


def test_an_altered_bundle_stops_the_worker_and_the_photo_waits(
    tiny_classifier: Classifier, patient: User, celery_worker_process: Any, redis_server: Any
) -> None:
    name = f"{tiny_classifier.folder}/weights.safetensors"
    path = Path(default_storage.path(name))
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        worker = celery_worker_process(wait=False)
        photo = submit_photo(owner=patient, data=made_photo())
        wait_until(lambda: not worker.running, "the worker has stopped")
        tiny_classifier.refresh_from_db()
        assert "not the one that was sealed" in tiny_classifier.fault
        assert "cannot be used" in worker.log_text()
        photo.refresh_from_db()
        assert (photo.status, photo.attempts) == ("queued", 0)
    finally:
        path.write_bytes(whole)
