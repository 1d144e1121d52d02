"""Imports, runs and evaluations end in the same ways: cancelled, failed, stopped, lost."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage

from accounts.models import Role, User
from diagnoses.classifiers.models import Classifier
from recognition.datasets.layouts import GROUND_TRUTH_COLUMNS
from recognition.progress import Progress
from recognition.recipes import SMOKE
from recognition.taxonomy import CODES
from tests.training.run_factories import made_dataset
from training.models import Dataset, DatasetImport, Evaluation, Job
from training.services import jobs
from training.services.evaluations import request_evaluation
from training.services.imports import request_import
from training.services.runs import request_run
from training.worker.evaluating import evaluate_claimed
from training.worker.importing import import_claimed
from training.worker.training import train_claimed

# The rows must be committed, because the thread of the reporter reads them.
pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Claimed:
    """A claimed job of one kind, and the function that does it."""

    job: Any
    claim: jobs.JobClaim
    work: Callable[..., Job.Status | None]
    datasets: set[str]
    classifiers: set[str]

    def do(self, **options: Any) -> Job.Status | None:
        try:
            return self.work(self.claim, **options)
        finally:
            self.job.refresh_from_db()

    def left_nothing(self) -> bool:
        """Assert that there are no rows, and no files of an import on the storage."""
        folders = default_storage.listdir("datasets")[0] if default_storage.exists("datasets") else []
        return (
            set(Dataset.objects.values_list("name", flat=True)) == self.datasets
            and set(Classifier.objects.values_list("version", flat=True)) == self.classifiers
            and not Evaluation.objects.exists()
            and not any(folder.endswith(self.claim.lease.hex) for folder in folders)
        )


def requested_import(settings: Any, folder: Path, by: User | None = None) -> DatasetImport:
    """An import of a table with ten images of each diagnosis."""
    settings.TRAINING_DATA_DIR = folder
    settings.TRAINING_WORK_DIR = folder / "work"
    rows = [
        ",".join([f"ISIC_{number:07d}", *("1" if number % len(CODES) == place else "0" for place in range(len(CODES)))])
        for number in range(10 * len(CODES))
    ]
    (folder / "truth.csv").write_text("\n".join([",".join(GROUND_TRUTH_COLUMNS), *(f"{row},0" for row in rows)]) + "\n")
    return request_import(by=by, name="new", ground_truth="truth.csv")


@pytest.fixture(params=["import", "run", "evaluation"])
def claimed(request: pytest.FixtureRequest, settings: Any, tmp_path: Path) -> Claimed:
    settings.TRAINING_WORK_DIR = tmp_path / "work"
    job: Job
    if request.param == "import":
        job, work = requested_import(settings, tmp_path), import_claimed
    elif request.param == "run":
        job, work = request_run(dataset=made_dataset(), recipe=SMOKE), train_claimed
    else:
        classifier = request.getfixturevalue("tiny_classifier")
        job, work = request_evaluation(classifier=classifier, dataset=made_dataset()), evaluate_claimed
    claim = jobs.claim(type(job), job.pk)
    assert claim is not None
    return Claimed(
        job,
        claim,
        work,
        set(Dataset.objects.values_list("name", flat=True)),
        set(Classifier.objects.values_list("version", flat=True)),
    )


def test_a_cancelled_job_ends_at_its_next_report_and_leaves_nothing(claimed: Claimed) -> None:
    seen: list[Progress] = []

    def cancel(progress: Progress) -> None:
        if not seen:
            assert jobs.request_cancel(claimed.job, by=None)
        seen.append(progress)

    assert claimed.do(also=cancel) == Job.Status.CANCELLED
    assert (claimed.job.status, claimed.job.failure_code, len(seen)) == (Job.Status.CANCELLED, "", 1)
    assert claimed.job.finished is not None
    assert "Attempt 1 on" in claimed.job.log and "Cancelled" in claimed.job.log
    assert claimed.left_nothing()


def test_a_surprise_is_recorded_and_raised_and_leaves_nothing(claimed: Claimed) -> None:
    def surprise(progress: Progress) -> None:
        raise ZeroDivisionError("nobody thought of this")

    with pytest.raises(ZeroDivisionError):
        claimed.do(also=surprise)
    assert (claimed.job.status, claimed.job.failure_code) == (Job.Status.FAILED, "unexpected")
    assert claimed.job.failure_detail == "ZeroDivisionError: nobody thought of this"
    assert "Failed (unexpected)" in claimed.job.log
    assert claimed.left_nothing()


@pytest.mark.parametrize(("when_stopped", "attempts"), [(Job.Status.QUEUED, 0), (Job.Status.CANCELLED, 1)])
def test_a_stopped_worker_gives_its_job_back_and_a_person_cancels_it(
    claimed: Claimed, when_stopped: Job.Status, attempts: int
) -> None:
    assert claimed.do(should_stop=lambda: True, when_stopped=when_stopped) == when_stopped
    assert (claimed.job.status, claimed.job.attempts) == (when_stopped, attempts)
    assert claimed.left_nothing()


def test_a_worker_whose_lease_is_lost_writes_nothing(claimed: Claimed) -> None:
    other = uuid.uuid4()

    def taken_over(progress: Progress) -> None:
        type(claimed.job).objects.filter(pk=claimed.job.pk).update(lease=other)

    assert claimed.do(also=taken_over) is None
    assert (claimed.job.status, claimed.job.lease, claimed.job.failure_code) == (Job.Status.RUNNING, other, "")
    assert claimed.left_nothing()


@pytest.mark.parametrize("by", ["supervisor", "sweep"])
@pytest.mark.parametrize(
    ("cancelled", "attempts", "status"),
    [
        (True, 1, "cancelled"),
        (True, jobs.MAX_ATTEMPTS, "cancelled"),
        (False, 1, "queued"),
        (False, jobs.MAX_ATTEMPTS, "failed"),
    ],
)
def test_a_job_whose_worker_died_ends_alike_whoever_notices(
    monkeypatch: pytest.MonkeyPatch, cancelled: bool, attempts: int, status: str, by: str
) -> None:
    monkeypatch.setattr(jobs, "publish", lambda *_, **__: True)
    job: DatasetImport = DatasetImport.objects.create(name="new", ground_truth="truth.csv")
    claim = jobs.claim(DatasetImport, job.pk)
    assert claim is not None
    DatasetImport.objects.update(attempts=attempts)
    if cancelled:
        assert jobs.request_cancel(job, by=None)
    if by == "supervisor":
        assert jobs.worker_lost(claim, detail="SIGKILL")
    else:
        DatasetImport.objects.update(lease_expires=job.created)
        assert jobs.sweep_jobs()
    job.refresh_from_db()
    assert (job.status, job.lease) == (status, None)
    assert job.failure_code == ("worker_lost" if status == "failed" else "")


def test_an_import_goes_on_when_who_asked_for_it_is_no_administrator_any_more(settings: Any, tmp_path: Path) -> None:
    administrator = User.objects.create_user("admin@example.org", "a long password", role=Role.ADMINISTRATOR)
    job = requested_import(settings, tmp_path, by=administrator)
    User.objects.filter(pk=administrator.pk).update(role=Role.CLINICIAN)
    claim = jobs.claim(DatasetImport, job.pk)
    assert claim is not None
    assert import_claimed(claim) == Job.Status.SUCCEEDED
    # As with evaluations: the request was allowed at its time, and the data set has no creator now.
    assert Dataset.objects.get().created_by is None
