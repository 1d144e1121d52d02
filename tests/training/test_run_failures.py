"""How a run ends when something goes wrong, and what its row says; the training itself is replaced by a stub."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from diagnoses.classifiers.models import Classifier
from recognition.fit import TrainingError
from recognition.inference.network import WeightsError
from recognition.inference.sealing import SealingError
from recognition.progress import Cancelled, Progress
from recognition.recipes import SMOKE
from tests.training.run_factories import made_dataset
from training.models import ImageArchive, Job, TrainingRun
from training.services import jobs
from training.services.runs import request_run
from training.worker import process, training
from training.worker.supervisor import DeviceBusy, device

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _work(settings: Any, tmp_path: Path) -> None:
    settings.TRAINING_WORK_DIR = tmp_path


def claimed() -> tuple[TrainingRun, jobs.JobClaim]:
    run = request_run(dataset=made_dataset(), recipe=SMOKE)
    claim = jobs.claim(TrainingRun, run.pk)
    assert claim is not None
    return run, claim


def failing_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def train(**_: Any) -> None:
        raise error

    monkeypatch.setattr(training, "train_classifier", train)


class ResourceExhaustedError(Exception):
    """An error with the name of TensorFlow's."""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (TrainingError("diverged", "The loss is no longer a number."), "diverged", "no longer a number"),
        (TrainingError("collapsed", "99% are called NV."), "collapsed", "called NV"),
        (SealingError("parity", "The exported graph differs."), "parity", "differs"),
        (WeightsError("The weights lack stem_conv."), "weights", "stem_conv"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full", "Free some space"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "disk_full", "resume the run"),
        (ResourceExhaustedError("OOM"), "out_of_memory", "smaller batch_size"),
        (MemoryError(), "out_of_memory", "smaller batch_size"),
    ],
)
def test_what_is_known_to_go_wrong_has_a_code_and_a_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, said: str
) -> None:
    run, claim = claimed()
    failing_with(monkeypatch, error)
    assert training.train_claimed(claim) == Job.Status.FAILED
    run.refresh_from_db()
    assert (run.status, run.failure_code) == (Job.Status.FAILED, code)
    assert said in run.failure_detail
    assert code in run.log
    assert not Classifier.objects.exists()


def test_a_surprise_is_recorded_and_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    run, claim = claimed()
    failing_with(monkeypatch, ZeroDivisionError("nobody thought of this"))
    with pytest.raises(ZeroDivisionError):
        training.train_claimed(claim)
    run.refresh_from_db()
    assert (run.status, run.failure_code) == (Job.Status.FAILED, "unexpected")
    assert "nobody thought of this" in run.failure_detail


def test_a_late_worker_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run, claim = claimed()
    TrainingRun.objects.filter(pk=run.pk).update(status=Job.Status.QUEUED, lease=None, lease_expires=None)
    second = jobs.claim(TrainingRun, run.pk)
    assert second is not None
    failing_with(monkeypatch, TrainingError("diverged", "too late to say so"))
    assert training.train_claimed(claim) is None
    run.refresh_from_db()
    assert (run.status, run.lease, run.failure_code) == (Job.Status.RUNNING, second.lease, "")


def test_every_batch_may_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def train(*, report: Any, **_: Any) -> None:
        for batch in range(1, 1000):
            report(Progress("fine-tune", batch, 1000))
            seen.append(batch)

    monkeypatch.setattr(training, "train_classifier", train)
    run, claim = claimed()
    status = training.train_claimed(claim, should_stop=lambda: len(seen) >= 3)
    assert (status, len(seen)) == (Job.Status.QUEUED, 3)
    run.refresh_from_db()
    assert (run.status, run.attempts) == (Job.Status.QUEUED, 0)

    claim_again = jobs.claim(TrainingRun, run.pk)
    assert claim_again is not None
    assert jobs.request_cancel(run, by=None)
    seen.clear()
    assert training.train_claimed(claim_again) == Job.Status.CANCELLED
    assert len(seen) <= 1


def test_an_epoch_that_ends_as_the_worker_stops_is_in_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = {"loss": 1.5, "validation_loss": 1.6, "balanced_accuracy": 0.4}

    def train(*, report: Any, **_: Any) -> None:
        # Its checkpoint has been written: the next worker begins with the second epoch.
        report(Progress("fine-tune", 5, 30, figures))

    monkeypatch.setattr(training, "train_classifier", train)
    run, claim = claimed()
    assert training.train_claimed(claim, should_stop=lambda: True) == Job.Status.QUEUED
    run.refresh_from_db()
    assert [entry["epoch"] for entry in run.history] == [1]


def test_a_run_in_the_foreground_outlives_its_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def train(*, report: Any, **_: Any) -> None:
        # The shell that started it has ended, so the parent is now init.
        monkeypatch.setattr("os.getppid", lambda: 1)
        for batch in range(1, 4):
            report(Progress("fine-tune", batch, 3))
            seen.append(batch)
        raise TrainingError("collapsed", "99% are called NV.")

    monkeypatch.setattr(training, "train_classifier", train)
    _, claim = claimed()
    assert training.train_claimed(claim, when_stopped=Job.Status.CANCELLED) == Job.Status.FAILED
    assert seen == [1, 2, 3]


def test_a_worker_process_stops_when_its_supervisor_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    _, claim = claimed()
    asked: list[bool] = []
    adopted = os.getppid() + 1  # not 1: the tests themselves may have been adopted by it

    def train(_claim: jobs.JobClaim, *, should_stop: Any) -> None:
        asked.append(should_stop())
        monkeypatch.setattr("os.getppid", lambda: adopted)
        asked.append(should_stop())

    monkeypatch.setattr(training, "train_claimed", train)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("os.setpriority", lambda *_: None)
    monkeypatch.setattr("django.setup", lambda: None)
    process.main(["run", str(claim.pk), str(claim.lease), "1"])
    assert asked == [False, True]


def test_a_spoiled_archive_is_a_failure_with_a_reason() -> None:
    run, claim = claimed()
    archive = ImageArchive.objects.get(examples__dataset=run.dataset_id, examples__image__endswith="_00000")
    default_storage.delete(archive.name)
    ImageArchive.objects.filter(pk=archive.pk).update(
        name=default_storage.save(archive.name, ContentFile(b"no zip at all"))
    )
    assert training.train_claimed(claim) == Job.Status.FAILED
    run.refresh_from_db()
    assert run.failure_code == "data" and "Restore it from a backup" in run.failure_detail


def test_cancelled_inside_the_pipeline_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    run, claim = claimed()
    failing_with(monkeypatch, Cancelled())
    assert training.train_claimed(claim) == Job.Status.CANCELLED
    run.refresh_from_db()
    assert run.finished is not None


def test_one_training_at_a_time_on_a_machine() -> None:
    with device(), pytest.raises(DeviceBusy), device():
        pytest.fail("two at once")
    with device():
        pass
