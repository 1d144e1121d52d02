"""Evaluation jobs: rejected requests, one job at a time on a device, and every way a job ends."""

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, User
from accounts.permissions import NotAllowed
from diagnoses.classifiers.models import Classifier
from recognition.progress import Progress
from recognition.recipes import SMOKE
from recognition.taxonomy import CLOSE_UP, DERMOSCOPIC
from tests.training.run_factories import made_dataset
from tests.training.test_evaluation import NO_PICTURE, classifier_named, evaluate_made
from training.admin.evaluations import contamination_said
from training.evaluation.evaluating import evaluate_classifier
from training.models import Dataset, Evaluation, EvaluationJob, Job, TrainingRun
from training.services import jobs
from training.services.datasets import DatasetInUse, delete_dataset
from training.services.evaluations import request_evaluation
from training.services.jobs import JobRejected
from training.services.runs import request_run
from training.services.test_contamination import contamination_of
from training.worker import evaluating, supervisor

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    return User.objects.create_user("admin@example.org", "a long password", role=Role.ADMINISTRATOR)


@pytest.fixture
def page(client: Client, admin: User) -> Client:
    client.force_login(admin)
    return client


def claimed(classifier: Classifier, dataset: Dataset, by: User | None = None) -> tuple[EvaluationJob, jobs.JobClaim]:
    job = request_evaluation(classifier=classifier, dataset=dataset, by=by)
    claim = jobs.claim(EvaluationJob, job.pk)
    assert claim is not None
    return job, claim


# --- Asking ---------------------------------------------------------------------------------------------------------


def test_asked_for_twice_it_is_one_job() -> None:
    classifier, dataset = classifier_named("one"), made_dataset()
    first = request_evaluation(classifier=classifier, dataset=dataset)
    assert request_evaluation(classifier=classifier, dataset=dataset) == first
    assert jobs.request_cancel(first, by=None)
    assert request_evaluation(classifier=classifier, dataset=dataset) != first


def test_what_could_only_fail_is_refused() -> None:
    classifier, dataset = classifier_named("one"), made_dataset()
    tables = Dataset.objects.create(name="tables", fingerprint="f" * 64, example_count=0)
    with pytest.raises(JobRejected, match="tables only"):
        request_evaluation(classifier=classifier, dataset=tables)
    evaluate_made(classifier, dataset)
    with pytest.raises(JobRejected, match="already"):
        request_evaluation(classifier=classifier, dataset=dataset)
    assert not EvaluationJob.objects.exists()


@pytest.mark.parametrize("lacking", [{"diagnosis": ""}, NO_PICTURE])
def test_test_rows_that_cannot_be_measured_are_no_test_images(lacking: dict[str, Any]) -> None:
    dataset = made_dataset()
    dataset.examples.filter(split="test").update(**lacking)
    with pytest.raises(JobRejected, match="no test images"):
        request_evaluation(classifier=classifier_named("one"), dataset=dataset)


def test_only_administrators_ask() -> None:
    somebody = User.objects.create_user("somebody@example.org", "a long password", role=Role.CLINICIAN)
    with pytest.raises(NotAllowed):
        request_evaluation(classifier=classifier_named("one"), dataset=made_dataset(), by=somebody)


def test_a_data_set_that_is_measured_on_is_not_deleted() -> None:
    dataset = made_dataset()
    job = request_evaluation(classifier=classifier_named("one"), dataset=dataset)
    with pytest.raises(DatasetInUse, match="being measured"):
        delete_dataset(dataset=dataset, by=None)
    jobs.request_cancel(job, by=None)
    delete_dataset(dataset=dataset, by=None)
    assert not EvaluationJob.objects.exists()


# --- Doing ----------------------------------------------------------------------------------------------------------


def test_a_claimed_evaluation_ends_with_figures(tiny_classifier: Classifier, admin: User) -> None:
    dataset = made_dataset()
    job, claim = claimed(tiny_classifier, dataset, by=admin)
    stages: list[str] = []
    assert evaluating.evaluate_claimed(claim, also=lambda progress: stages.append(progress.stage)) == "succeeded"
    job.refresh_from_db()
    assert job.status == Job.Status.SUCCEEDED
    assert job.evaluation is not None
    assert job.evaluation.created_by == admin
    assert (job.evaluation.classifier, job.evaluation.dataset) == (tiny_classifier, dataset)
    assert len(job.evaluation.predictions) == 32
    for said in job.evaluation.predictions.values():
        assert set(said) == {"probabilities", "balanced", "malignant_score", "decision", "score", "image_type"}
        assert sum(said["probabilities"]) == pytest.approx(1.0) and sum(said["balanced"]) == pytest.approx(1.0)
        assert (said["decision"], said["image_type"]) != ("", "")
    assert {name: block["pictures"] for name, block in job.evaluation.metrics["image_types"].items()} == {
        DERMOSCOPIC: 32
    }
    # The tiny classifier was trained elsewhere, and its bundle says that it has learned none of these.
    assert job.evaluation.metrics["exposure"]["kept"] is True
    assert list(dict.fromkeys(stages)) == ["evaluate", "figures", "charts"]
    for chart in job.evaluation.metrics["charts"].values():
        assert default_storage.exists(chart["svg"])


def test_pictures_of_a_kind_that_it_does_not_know_are_refused_and_measured_apart(tiny_classifier: Classifier) -> None:
    dataset = made_dataset()
    close_ups = [row.pk for row in dataset.examples.filter(split="test").order_by("image")[::2]]
    dataset.examples.filter(pk__in=close_ups).update(image_type=CLOSE_UP)
    evaluation = evaluate_classifier(classifier=tiny_classifier, dataset=dataset)
    blocks = evaluation.metrics["image_types"]
    assert blocks[CLOSE_UP] == {"pictures": 16, "refused": True}
    assert blocks[DERMOSCOPIC]["pictures"] == 16
    refused = [said for said in evaluation.predictions.values() if said["image_type"] == CLOSE_UP]
    assert [said["decision"] for said in refused] == ["not_assessed"] * 16
    assert {chart["image_type"] for chart in evaluation.metrics["charts"].values()} == {DERMOSCOPIC}


def test_charts_are_closed_with_the_figures(page: Client, tiny_classifier: Classifier) -> None:
    evaluation = evaluate_classifier(classifier=tiny_classifier, dataset=made_dataset())
    chart = reverse("admin:training_evaluation_chart", args=[evaluation.pk, "dermoscopic-reliability", "svg"])
    assert page.get(chart).status_code == 200  # it is live
    Classifier.objects.update(stage=Classifier.Stage.CANDIDATE, promoted=None)
    assert page.get(chart).status_code == 404


def test_what_was_measured_meanwhile_is_not_measured_again(tiny_classifier: Classifier) -> None:
    dataset = made_dataset()
    job, claim = claimed(tiny_classifier, dataset)
    evaluation = evaluate_made(tiny_classifier, dataset)
    stages: list[str] = []
    assert evaluating.evaluate_claimed(claim, also=lambda progress: stages.append(progress.stage)) == "succeeded"
    job.refresh_from_db()
    assert (job.evaluation, stages) == (evaluation, [])


def test_a_late_worker_leaves_no_evaluation(tiny_classifier: Classifier) -> None:
    job, claim = claimed(tiny_classifier, made_dataset())

    def stolen(progress: Progress) -> None:
        if progress.stage == "charts":
            EvaluationJob.objects.filter(pk=job.pk).update(lease=uuid.uuid4())

    assert evaluating.evaluate_claimed(claim, also=stolen) is None
    job.refresh_from_db()
    assert job.status == Job.Status.RUNNING
    assert not Evaluation.objects.exists()


def test_cancelled_it_keeps_nothing(tiny_classifier: Classifier) -> None:
    job, claim = claimed(tiny_classifier, made_dataset())
    assert jobs.request_cancel(job, by=None)
    assert evaluating.evaluate_claimed(claim) == Job.Status.CANCELLED
    job.refresh_from_db()
    assert (job.status, job.evaluation) == (Job.Status.CANCELLED, None)
    assert not Evaluation.objects.exists()


def test_a_stopped_worker_gives_it_back(tiny_classifier: Classifier) -> None:
    job, claim = claimed(tiny_classifier, made_dataset())
    assert evaluating.evaluate_claimed(claim, should_stop=lambda: True) == Job.Status.QUEUED
    job.refresh_from_db()
    assert (job.status, job.attempts) == (Job.Status.QUEUED, 0)


def test_broken_files_are_a_failure_with_a_reason(tiny_classifier: Classifier) -> None:
    dataset = made_dataset()
    job, claim = claimed(tiny_classifier, dataset)
    archive = dataset.examples.first().archive  # type: ignore[union-attr]  # made with examples
    assert archive is not None
    default_storage.delete(archive.name)
    assert evaluating.evaluate_claimed(claim) == Job.Status.FAILED
    job.refresh_from_db()
    assert job.failure_code == "data"
    assert "backup" in job.failure_detail

    no_files = classifier_named("without files")
    job, claim = claimed(no_files, made_dataset("other", seed=500))
    assert evaluating.evaluate_claimed(claim) == Job.Status.FAILED
    job.refresh_from_db()
    assert job.failure_code == "bundle"


# --- One at a time on a device --------------------------------------------------------------------------------------


def test_runs_and_evaluations_wait_for_each_other_in_the_order_they_were_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset = made_dataset()
    first = request_run(dataset=dataset, recipe=SMOKE)
    second = request_evaluation(classifier=classifier_named("one"), dataset=dataset)
    third = request_run(dataset=dataset, recipe=SMOKE)
    assert [jobs.queue_position(each) for each in (first, second, third)] == [1, 2, 3]
    done: list[Any] = []
    woken: list[Any] = []
    monkeypatch.setattr(supervisor, "_supervise", lambda claim: done.append(claim.pk))

    def publish(task: str, keys: list[str], *, queue: str) -> bool:
        woken.append((task, keys))
        return True

    monkeypatch.setattr(jobs, "publish", publish)
    # In any order of the messages, and with repeated messages.
    for _ in range(5):
        supervisor.supervise_next()
    assert done == [first.pk, second.pk, third.pk]
    assert woken == [("training.evaluate", [str(second.pk)]), ("training.train", [str(third.pk)])]


def test_a_busy_device_leaves_everything_waiting() -> None:
    job = request_evaluation(classifier=classifier_named("one"), dataset=made_dataset())
    with supervisor.device():
        supervisor.supervise_next()
    job.refresh_from_db()
    assert job.status == Job.Status.QUEUED


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (None, None, False),
        (None, "0", False),
        ("0", None, False),
        ("0,1", "1,0", False),
        ("0,1", "1", False),
        (" 1 ", "1", False),
        ("0", "1", True),
        ("", "0", True),
        ("", "-1", False),
        ("0,-1,1", "1", True),  # CUDA ends the list at -1
        ("GPU-8f/2", "GPU-9a", True),
    ],
)
def test_two_trainings_never_share_a_gpu(
    monkeypatch: pytest.MonkeyPatch, one: str | None, other: str | None, together: bool
) -> None:
    def see(visible: str | None) -> None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    see(one)
    with supervisor.device():
        see(other)
        if together:
            with supervisor.device():
                return
        with pytest.raises(supervisor.DeviceBusy), supervisor.device():
            pytest.fail("two at once")
    with supervisor.device():
        pass


def test_a_lost_evaluation_goes_back_to_the_queue_and_is_given_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "publish", lambda *_, **__: True)
    job, _ = claimed(classifier_named("one"), made_dataset())
    past = timezone.now() - timedelta(minutes=5)
    EvaluationJob.objects.update(lease_expires=past)
    assert jobs.sweep_jobs()
    job.refresh_from_db()
    assert job.status == Job.Status.QUEUED
    assert jobs.claim(EvaluationJob, job.pk)
    EvaluationJob.objects.update(lease_expires=past, attempts=jobs.MAX_ATTEMPTS)
    jobs.sweep_jobs()
    job.refresh_from_db()
    assert (job.status, job.failure_code) == (Job.Status.FAILED, "worker_lost")


# --- Pages ----------------------------------------------------------------------------------------------------------


def classifier_page(classifier: Classifier) -> str:
    return reverse("admin:diagnoses_classifier_change", args=[classifier.pk])


def test_the_button_queues_it_and_leads_to_its_page(page: Client, tiny_classifier: Classifier, admin: User) -> None:
    dataset = made_dataset()
    address = classifier_page(tiny_classifier)
    text = page.get(address).content.decode()
    assert "Evaluate on it" in text
    assert "32 test images" in text
    assert "may have learned from some of these test images" not in text
    answer = page.post(
        reverse("admin:training_classifier_evaluate", args=[tiny_classifier.pk]), {"dataset": dataset.pk}
    )
    job = EvaluationJob.objects.get()
    assert answer["Location"] == reverse("admin:training_evaluationjob_change", args=[job.pk])
    assert job.requested_by == admin
    assert "number 1 in the queue" in page.get(answer["Location"]).content.decode()
    assert "Waiting to be measured" in page.get(address).content.decode()

    claim = jobs.claim(EvaluationJob, job.pk)
    assert claim is not None
    progress = reverse("admin:training_evaluationjob_progress", args=[job.pk])
    jobs.heartbeat(claim, progress={"stage": "evaluate", "done": 12, "total": 32, "eta_s": 65})
    text = page.get(progress).content.decode()
    assert "12 / 32" in text and "1 min 5 s" in text
    assert evaluating.evaluate_claimed(claim) == Job.Status.SUCCEEDED
    # It ends on the page of the evaluation.
    evaluation = Evaluation.objects.get()
    where = reverse("admin:training_evaluation_change", args=[evaluation.pk])
    assert page.get(progress)["HX-Redirect"] == where
    assert "may have learned" not in page.get(where).content.decode()
    assert where in page.get(address).content.decode()


def test_it_is_said_when_test_images_may_have_been_learned() -> None:
    elsewhere = {"dataset": {"name": "elsewhere", "fingerprint": "e"}}
    contamination = contamination_of({"version": "one", "diagnoses": [], "split": {}, **elsewhere}, made_dataset())
    said = contamination_said(contamination.as_json())
    assert "What one was trained on is not registered here: it may have learned" in said


def test_the_button_says_why_not(page: Client) -> None:
    classifier, dataset = classifier_named("one", **PAGE), made_dataset()
    evaluate_made(classifier, dataset)
    address = reverse("admin:training_classifier_evaluate", args=[classifier.pk])
    text = page.post(address, {"dataset": dataset.pk}, follow=True).content.decode()
    assert "has been measured on these test images already" in text
    assert page.post(address, {"dataset": "nonsense"}).status_code == 404
    assert page.get(address).status_code == 405


def test_cancelling_on_the_page(page: Client) -> None:
    job = request_evaluation(classifier=classifier_named("one"), dataset=made_dataset())
    address = reverse("admin:training_evaluationjob_cancel", args=[job.pk])
    assert "keeps nothing" not in page.post(address, follow=True).content.decode()
    job.refresh_from_db()
    assert job.status == Job.Status.CANCELLED
    assert "had ended already" in page.post(address, follow=True).content.decode()


def test_jobs_of_every_kind_are_listed_and_never_edited(page: Client) -> None:
    dataset = made_dataset()
    request_run(dataset=dataset, recipe=SMOKE)
    request_evaluation(classifier=classifier_named("one"), dataset=dataset)
    for model, adds in (("evaluationjob", 403), ("trainingrun", 200), ("datasetimport", 200)):
        assert page.get(reverse(f"admin:training_{model}_changelist")).status_code == 200
        assert page.get(reverse(f"admin:training_{model}_add")).status_code == adds
    job, run = EvaluationJob.objects.get(), TrainingRun.objects.get()
    for model, key in (("evaluationjob", job.pk), ("trainingrun", run.pk)):
        assert page.get(reverse(f"admin:training_{model}_delete", args=[key])).status_code == 403
        assert "delete_selected" not in page.get(reverse(f"admin:training_{model}_changelist")).content.decode()


PAGE = {"recipe": {"name": "SMOKE"}}


def test_the_work_folder_is_where_locks_lie(settings: Any, tmp_path: Path) -> None:
    settings.TRAINING_WORK_DIR = tmp_path / "work"
    with supervisor.device():
        assert [path.suffix for path in (tmp_path / "work").iterdir()] == [".lock"]
