"""Jobs under real training workers: killed, stopped, cancelled, sent twice; what the rows say then (R4, R17, R19)."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from diagnoses.classifiers.models import Classifier
from diagnoses.photos.queue import publish
from recognition.failpoints import VARIABLE
from tests.factories import write_dataset
from tests.training.run_factories import made_dataset
from training.models import Evaluation, Job, TrainingRun
from training.services import jobs
from training.services.evaluations import request_evaluation
from training.services.imports import request_import
from training.services.runs import recipe_with, request_run

pytestmark = [pytest.mark.stack, pytest.mark.django_db(transaction=True)]

# For two busy cores, on which loading TensorFlow takes ten seconds. A faster machine waits less.
PATIENCE_S = 240


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder for checkpoints and features of the workers."""
    return tmp_path / "work"


@pytest.fixture
def failpoints(tmp_path: Path) -> Path:
    """The file that sets failpoints in the workers."""
    path = tmp_path / "faults.json"
    path.write_text("{}")
    return path


@pytest.fixture
def start_worker(celery_worker_process: Any, work: Path, failpoints: Path) -> Iterator[Callable[..., Any]]:
    """Start a training worker with a short lease."""

    def start(*, arguments: Sequence[str] = (), **environment: str) -> Any:
        return celery_worker_process(
            queues="training",
            arguments=arguments,
            env={
                "TRAINING_WORK_DIR": str(work),
                "TRAINING_LEASE_SECONDS": "15",
                VARIABLE: str(failpoints),
                "TF_CPP_MIN_LOG_LEVEL": "3",
                **environment,
            },
        )

    yield start


def queue_smoke(**changes: str) -> TrainingRun:
    """A queued run with the recipe SMOKE."""
    return request_run(dataset=made_dataset(), recipe=recipe_with("SMOKE", changes))


def wait(run: Any, until: Callable[[Any], bool], *, sweep: bool = False) -> Any:
    """Wait until the row fulfils the condition; fails with the log of the run."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        run.refresh_from_db()
        if until(run):
            return run
        if sweep:
            jobs.sweep_jobs()
        assert time.monotonic() < deadline, f"{run.status} {run.failure_code} {run.failure_detail}\n{run.log}"
        time.sleep(0.2)


def ended(job: Job) -> bool:
    return job.finished is not None


def epochs_of(run: TrainingRun, phase: str) -> list[int]:
    return [entry["epoch"] for entry in run.history if entry["phase"] == phase]


@pytest.mark.drill
def test_a_queued_run_becomes_a_candidate_with_an_evaluation(start_worker: Callable[..., Any]) -> None:
    run = queue_smoke()
    start_worker()
    wait(run, ended)
    assert run.status == Job.Status.SUCCEEDED, run.failure_detail
    assert run.classifier is not None
    assert run.classifier.stage == Classifier.Stage.CANDIDATE
    evaluation = Evaluation.objects.get(classifier=run.classifier)
    assert evaluation.fingerprint == run.dataset.test_content_fingerprint
    assert evaluation.metrics["sealed_before_training"] is True
    assert len(evaluation.predictions) == run.dataset.examples.filter(split="test").count()
    assert epochs_of(run, "fine-tune") == [1, 2, 3, 4, 5, 6]


def killed_in_mid_run(start_worker: Callable[..., Any], failpoints: Path) -> TrainingRun:
    """A run whose worker was killed in the fourth epoch, and which the next worker has finished."""
    # 80 training pictures in batches of 16: five batches an epoch; batch 17 lies in epoch 4.
    failpoints.write_text(json.dumps({"training_fine-tune_17": {"action": "hang"}}))
    run = queue_smoke()
    worker = start_worker()
    wait(run, lambda row: epochs_of(row, "fine-tune") == [1, 2, 3])
    first_epochs = list(run.history)
    worker.kill()
    failpoints.write_text("{}")
    start_worker()
    wait(run, ended, sweep=True)
    assert run.status == Job.Status.SUCCEEDED, run.failure_detail
    assert run.attempts == 2
    # The first three epochs are the entries of the first attempt.
    assert run.history[: len(first_epochs)] == first_epochs
    assert epochs_of(run, "fine-tune") == [1, 2, 3, 4, 5, 6]
    return run


def test_killed_in_mid_run_it_resumes_at_its_epoch(
    start_worker: Callable[..., Any], failpoints: Path, work: Path
) -> None:
    run = killed_in_mid_run(start_worker, failpoints)
    # The folder of a run that succeeded is deleted a moment after the row is written.
    wait(run, lambda row: not (work / "runs" / str(row.pk)).exists())


@pytest.mark.drill
def test_a_killed_run_gives_the_figures_of_an_undisturbed_one(
    start_worker: Callable[..., Any], failpoints: Path
) -> None:
    run = killed_in_mid_run(start_worker, failpoints)
    other = request_run(dataset=run.dataset, recipe=recipe_with("SMOKE", {}))
    wait(other, ended)
    for name in ("loss", "balanced_accuracy"):
        assert [entry[name] for entry in run.history] == pytest.approx(
            [entry[name] for entry in other.history], abs=1e-5
        )


@pytest.mark.drill
def test_a_checkpoint_cut_in_half_falls_back_to_the_one_before(
    start_worker: Callable[..., Any], failpoints: Path, work: Path
) -> None:
    failpoints.write_text(json.dumps({"training_fine-tune_17": {"action": "hang"}}))
    run = queue_smoke()
    worker = start_worker()
    wait(run, lambda row: epochs_of(row, "fine-tune") == [1, 2, 3])
    worker.kill()
    checkpoints = sorted((work / "runs" / str(run.pk)).glob("epoch-*.safetensors"))
    assert len(checkpoints) == 2
    os.truncate(checkpoints[-1], checkpoints[-1].stat().st_size // 2)
    failpoints.write_text("{}")
    start_worker()
    wait(run, ended, sweep=True)
    assert run.status == Job.Status.SUCCEEDED, run.failure_detail
    assert epochs_of(run, "fine-tune") == [1, 2, 3, 4, 5, 6]


def test_cancel_ends_it_and_keeps_the_checkpoint(start_worker: Callable[..., Any], work: Path) -> None:
    run = queue_smoke(**{"fine_tune.epochs": "1000"})
    start_worker()
    wait(run, lambda row: bool(epochs_of(row, "fine-tune")))
    asked = time.monotonic()
    assert jobs.request_cancel(run, by=None)
    wait(run, ended)
    assert run.status == Job.Status.CANCELLED
    assert time.monotonic() - asked < 10 + PATIENCE_S / 10  # R19 says 10 s; a machine at load 10 gets some grace
    assert list((work / "runs" / str(run.pk)).glob("epoch-*.json"))
    assert not Classifier.objects.exists()


@pytest.mark.drill
def test_sigterm_gives_the_run_back_and_the_next_worker_goes_on(start_worker: Callable[..., Any]) -> None:
    run = queue_smoke(**{"fine_tune.epochs": "12"})
    worker = start_worker()
    wait(run, lambda row: bool(epochs_of(row, "fine-tune")))
    os.kill(worker.pid, signal.SIGTERM)
    wait(run, lambda row: row.status == Job.Status.QUEUED)
    assert run.attempts == 0
    assert worker.process.wait(PATIENCE_S) == 0
    done = len(run.history)
    start_worker()
    wait(run, ended, sweep=True)
    assert run.status == Job.Status.SUCCEEDED, run.failure_detail
    assert len(epochs_of(run, "fine-tune")) == 12
    assert done < len(run.history)


@pytest.mark.drill
def test_the_process_alone_dies_and_the_run_goes_back_at_once(
    start_worker: Callable[..., Any], failpoints: Path
) -> None:
    failpoints.write_text(json.dumps({"training_fine-tune_7": {"action": "kill", "times": 1}}))
    run = queue_smoke()
    worker = start_worker()
    wait(run, ended, sweep=True)
    assert run.status == Job.Status.SUCCEEDED, run.failure_detail
    assert run.attempts == 2
    assert "SIGKILL" in run.log
    assert worker.running


def test_the_same_message_twice_and_two_workers_start_one_run(start_worker: Callable[..., Any]) -> None:
    run = queue_smoke()
    for _ in range(3):
        assert publish("training.train", [str(run.pk)], queue="training")
    start_worker()
    start_worker()
    wait(run, ended)
    assert run.status == Job.Status.SUCCEEDED, run.failure_detail
    assert run.attempts == 1
    assert run.log.count("Attempt") == 1
    assert Classifier.objects.count() == 1


def test_an_evaluation_survives_a_killed_worker_and_doubled_messages(
    tiny_classifier: Classifier, start_worker: Callable[..., Any], failpoints: Path
) -> None:
    failpoints.write_text(json.dumps({"evaluation_figures_0": {"action": "hang"}}))
    job = request_evaluation(classifier=tiny_classifier, dataset=made_dataset())
    worker = start_worker()
    wait(job, lambda row: row.progress.get("stage") == "evaluate")
    worker.kill()
    failpoints.write_text("{}")
    for _ in range(3):
        assert publish("training.evaluate", [str(job.pk)], queue="training")
    start_worker()
    start_worker()
    wait(job, ended, sweep=True)
    assert job.status == Job.Status.SUCCEEDED, job.failure_detail
    assert job.attempts == 2
    assert job.log.count("Attempt") == 2
    assert job.evaluation == Evaluation.objects.get()


def test_an_import_does_not_wait_behind_a_run(
    start_worker: Callable[..., Any], failpoints: Path, settings: Any, tmp_path: Path
) -> None:
    failpoints.write_text(json.dumps({"training_fine-tune_7": {"action": "hang"}}))
    run = queue_smoke()
    # As `make run` and Compose start it.
    start_worker(arguments=["--concurrency", "2"], TRAINING_DATA_DIR=str(tmp_path))
    wait(run, lambda row: bool(row.history))
    write_dataset(tmp_path / "files")
    settings.TRAINING_DATA_DIR = tmp_path
    table = "files/ISIC_2019_Training_GroundTruth.csv"
    job = request_import(by=None, name="beside", ground_truth=table)
    wait(job, ended)
    assert job.status == Job.Status.SUCCEEDED, job.failure_detail
    run.refresh_from_db()
    assert run.status == Job.Status.RUNNING


@pytest.mark.drill
def test_a_run_that_diverges_ends_as_failed(start_worker: Callable[..., Any]) -> None:
    # Too large for float32: the adjusted logits are infinite and the loss of the first batch is not a number.
    run = queue_smoke(**{"fine_tune.balance.logit_adjustment": "1e40"})
    start_worker()
    wait(run, ended)
    assert (run.status, run.failure_code) == (Job.Status.FAILED, "diverged")
    assert "Lower the learning rate" in run.failure_detail
    assert not Classifier.objects.exists()
