"""Requests for runs and the pages of runs: rejected requests, permissions, forms."""

import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, User
from accounts.permissions import NotAllowed
from diagnoses.classifiers.models import Classifier
from recognition.recipes import FINE_TUNE, RECIPES, SEED_FINE_TUNE, SMOKE, Recipe
from tests.training.run_factories import made_dataset
from tests.training.test_evaluation import NO_PICTURE, classifier_named, evaluate_made
from training.forms.recipes import RecipeForm, help_texts, leaves
from training.models import Dataset, Job, TrainingRun
from training.services import jobs
from training.services.jobs import JobRejected
from training.services.runs import begin_run, recipe_with, request_run, resume_run

pytestmark = pytest.mark.django_db

TINY = {"architecture": {"backbone": "tiny", "head_units": [16]}}


@pytest.fixture
def admin() -> User:
    return User.objects.create_user("admin@example.org", "a long password", role=Role.ADMINISTRATOR)


@pytest.fixture
def page(client: Client, admin: User) -> Client:
    client.force_login(admin)
    return client


def form_values(recipe: Recipe, **changes: str) -> dict[str, str]:
    """The POST data of a form with its initial values, and some fields changed."""
    form = RecipeForm(recipe)
    values = {name: str(form.initial[name]) for name in form.fields if form.initial[name] is not False}
    return values | changes


# --- Asking -----------------------------------------------------------------------------------------------------


def test_a_run_is_queued_with_a_snapshot_of_every_setting(admin: User) -> None:
    run = request_run(dataset=made_dataset(), recipe=recipe_with("SMOKE", {"fine_tune.epochs": "3"}), by=admin)
    assert run.status == Job.Status.QUEUED
    assert run.requested_by == admin
    assert run.settings["fine_tune"]["epochs"] == 3
    assert Recipe.from_json(run.settings) == recipe_with("SMOKE", {"fine_tune.epochs": "3"})


def test_tables_without_images_cannot_be_trained_on() -> None:
    dataset = Dataset.objects.create(name="tables", fingerprint="f" * 64, example_count=0)
    with pytest.raises(JobRejected, match="tables only") as refused:
        request_run(dataset=dataset, recipe=SMOKE)
    assert refused.value.field == "dataset"


def test_an_empty_split_is_named() -> None:
    dataset = made_dataset()
    dataset.examples.filter(split="calibration").delete()
    with pytest.raises(JobRejected, match="calibration"):
        request_run(dataset=dataset, recipe=SMOKE)


@pytest.mark.parametrize("lacking", [{"diagnosis": ""}, NO_PICTURE])
def test_a_split_with_nothing_to_learn_is_empty(lacking: dict[str, Any]) -> None:
    dataset = made_dataset()
    dataset.examples.filter(split="calibration").update(**lacking)
    with pytest.raises(JobRejected, match="calibration"):
        request_run(dataset=dataset, recipe=SMOKE)


def test_a_recipe_that_continues_needs_a_classifier_with_its_head() -> None:
    dataset = made_dataset()
    for parent, said in (
        (None, "choose which"),
        (classifier_named("tiny", **TINY), "backbone"),
        (classifier_named("linear", architecture={"backbone": "efficientnetb4", "head_units": []}), "another head"),
    ):
        with pytest.raises(JobRejected, match=said) as refused:
            request_run(dataset=dataset, recipe=SEED_FINE_TUNE, parent=parent)
        assert refused.value.field == "parent"
    fits = classifier_named("fits", architecture={"backbone": "efficientnetb4", "head_units": [1024, 512, 256]})
    assert request_run(dataset=dataset, recipe=SEED_FINE_TUNE, parent=fits).parent == fits


@pytest.mark.parametrize("role", [Role.PATIENT, Role.CLINICIAN])
def test_only_administrators_ask_cancel_and_resume(role: Role) -> None:
    somebody = User.objects.create_user("somebody@example.org", "a long password", role=role)
    dataset = made_dataset()
    with pytest.raises(NotAllowed):
        request_run(dataset=dataset, recipe=SMOKE, by=somebody)
    run = request_run(dataset=dataset, recipe=SMOKE)
    with pytest.raises(NotAllowed):
        jobs.request_cancel(run, by=somebody)
    with pytest.raises(NotAllowed):
        resume_run(run=run, by=somebody)
    run.refresh_from_db()
    assert run.status == Job.Status.QUEUED


def test_of_two_claims_one_wins_and_the_late_one_writes_nothing() -> None:
    run = request_run(dataset=made_dataset(), recipe=SMOKE)
    first = jobs.claim(TrainingRun, run.pk)
    assert first is not None
    assert jobs.claim(TrainingRun, run.pk) is None
    late = jobs.JobClaim(TrainingRun, run.pk, uuid.uuid4(), 1)
    with pytest.raises(jobs.LeaseLost):
        jobs.heartbeat(late, progress={"stage": "head"})
    assert not jobs.finish(late, Job.Status.SUCCEEDED)
    assert not jobs.worker_lost(late, detail="lost")
    run.refresh_from_db()
    assert (run.status, run.lease, run.progress) == (Job.Status.RUNNING, first.lease, {})


def test_the_queue_knows_who_is_next() -> None:
    dataset = made_dataset()
    runs = [request_run(dataset=dataset, recipe=SMOKE) for _ in range(3)]
    assert [jobs.queue_position(run) for run in runs] == [1, 2, 3]
    assert jobs.claim(TrainingRun, runs[0].pk)
    for run in runs:
        run.refresh_from_db()
    assert [jobs.queue_position(run) for run in runs] == [0, 1, 2]


def test_a_lost_process_goes_back_until_it_was_lost_too_often() -> None:
    run = request_run(dataset=made_dataset(), recipe=SMOKE)
    for attempt in range(1, jobs.MAX_ATTEMPTS + 1):
        claim = jobs.claim(TrainingRun, run.pk)
        assert claim is not None
        assert claim.attempt == attempt
        assert jobs.worker_lost(claim, detail="SIGKILL")
    run.refresh_from_db()
    assert (run.status, run.failure_code) == (Job.Status.FAILED, "worker_lost")
    assert run.log.count("SIGKILL") == jobs.MAX_ATTEMPTS


def test_a_cancelled_run_can_be_resumed_and_a_finished_one_cannot() -> None:
    run = request_run(dataset=made_dataset(), recipe=SMOKE)
    assert not resume_run(run=run)
    jobs.request_cancel(run, by=None)
    assert resume_run(run=run)
    run.refresh_from_db()
    assert (run.status, run.attempts, run.cancel_requested, run.finished) == (Job.Status.QUEUED, 0, None, None)


def test_a_run_in_the_foreground_is_never_seen_waiting() -> None:
    run, claim = begin_run(dataset=made_dataset(), recipe=SMOKE)
    run.refresh_from_db()
    assert (run.status, run.lease) == (Job.Status.RUNNING, claim.lease)


# --- The form ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_every_field_of_a_recipe_is_in_its_form_and_explained(recipe: Recipe) -> None:
    form = RecipeForm(recipe)
    assert list(form.fields) == [name for name, _value, _kind in leaves(recipe)]
    unexplained = [name for name, _value, kind in leaves(recipe) if not help_texts(kind).get(name.rpartition(".")[2])]
    assert unexplained == []
    untouched = RecipeForm(recipe, form_values(recipe))
    assert untouched.is_valid(), untouched.errors
    assert untouched.recipe == recipe


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"frozen.epochs": "-1"}, "frozen.epochs"),
        ({"fine_tune.epochs": "0"}, "fine_tune.epochs"),
        ({"frozen.learning_rate": "quick"}, "frozen.learning_rate"),
        ({"fine_tune.learning_rate": "5"}, "fine_tune.learning_rate"),
        ({"fine_tune.frozen_blocks": "9"}, "fine_tune.frozen_blocks"),
        ({"fine_tune.augmentation.crop_area_min": "0"}, "fine_tune.augmentation.crop_area_min"),
        ({"fine_tune.augmentation.detail_min": "0"}, "fine_tune.augmentation.detail_min"),
        ({"fine_tune.augmentation.jpeg_quality_min": "96"}, "fine_tune.augmentation.jpeg_quality_min"),
        ({"frozen.balance.source_sampling_power": "2"}, "frozen.balance.source_sampling_power"),
        ({"fine_tune.balance.source_sampling_power": "2"}, "fine_tune.balance.source_sampling_power"),
        ({"frozen.best_by": "luck"}, "frozen.best_by"),
        ({"architecture.input_size": "7"}, "architecture.input_size"),
        # Two changes at once: the error names its field.
        ({"fine_tune.epochs": "3", "fine_tune.clip_norm": "-1"}, "fine_tune.clip_norm"),
    ],
)
def test_a_bad_value_is_refused_beside_its_field(typed: dict[str, str], field: str) -> None:
    form = RecipeForm(FINE_TUNE, form_values(FINE_TUNE, **typed))
    assert not form.is_valid()
    assert list(form.errors) == [field]


# --- The pages --------------------------------------------------------------------------------------------------


def test_a_run_is_asked_for_in_the_browser(page: Client, admin: User) -> None:
    dataset = made_dataset()
    address = reverse("admin:training_trainingrun_add")
    assert page.get(address).status_code == 200
    step = page.get(address, {"dataset": str(dataset.pk), "recipe": "SMOKE", "parent": ""})
    assert b"fine_tune.epochs" in step.content
    values = form_values(SMOKE, **{"fine_tune.epochs": "2"})
    response = page.post(address, {"dataset": dataset.pk, "recipe": "SMOKE", "parent": "", **values})
    run = TrainingRun.objects.get()
    assert response.headers["Location"] == reverse("admin:training_trainingrun_change", args=[run.pk])
    assert run.requested_by == admin
    assert run.settings["fine_tune"]["epochs"] == 2


def test_bad_settings_are_refused_in_the_form_and_nothing_is_queued(page: Client) -> None:
    dataset = made_dataset()
    values = {"dataset": str(dataset.pk), "parent": ""}
    address = reverse("admin:training_trainingrun_add")
    response = page.post(address, {**values, "recipe": "SMOKE", **form_values(SMOKE, **{"frozen.epochs": "-3"})})
    assert response.status_code == 422
    assert "epochs lies in 0 to" in response.content.decode()
    response = page.post(address, {**values, "recipe": "SMOKE", **form_values(SMOKE, **{"frozen.epochs": "0"})})
    assert response.status_code == 422
    assert "tuned further: choose which" in response.content.decode()
    response = page.post(address, {**values, "recipe": "SEED_FINE_TUNE", **form_values(SEED_FINE_TUNE)})
    assert response.status_code == 422
    assert "choose which" in response.content.decode()
    assert not TrainingRun.objects.exists()


def test_fine_tune_from_this_classifier_knows_classifier_and_data(page: Client) -> None:
    parent = classifier_named("parent", **TINY)
    run = request_run(dataset=made_dataset(), recipe=SMOKE)
    TrainingRun.objects.filter(pk=run.pk).update(
        status=Job.Status.SUCCEEDED, classifier=parent, finished=timezone.now()
    )
    content = page.get(reverse("admin:training_trainingrun_add"), {"parent": parent.pk}).content.decode()
    assert f'<option value="{parent.pk}" selected>' in content
    assert f'<option value="{run.dataset_id}" selected>' in content


def test_the_page_of_a_run_shows_where_it_stands(page: Client) -> None:
    run = request_run(dataset=made_dataset(), recipe=SMOKE)
    address = reverse("admin:training_trainingrun_change", args=[run.pk])
    assert "number 1 in the queue" in page.get(address).content.decode()
    claim = jobs.claim(TrainingRun, run.pk)
    assert claim is not None
    history = [
        {"phase": "fine-tune", "epoch": epoch, "loss": 2.0 / epoch, "validation_loss": 2.2 / epoch,
         "balanced_accuracy": 0.1 * epoch, "images_per_s": 21.5, "seconds": 4.0}
        for epoch in (1, 2, 3)
    ]  # fmt: skip
    progress = {
        "stage": "fine-tune", "done": 17, "total": 30, "epoch": 4, "epochs": 6, "batch": 2, "batches": 5, "eta_s": 75,
        "images_per_s": 21.5,
    }  # fmt: skip
    jobs.heartbeat(claim, progress=progress, history=history)
    jobs.append_log(claim, "epoch 3 <b>done</b>")
    content = page.get(reverse("admin:training_trainingrun_progress", args=[run.pk])).content.decode()
    for shown in ("4 / 6", "2 / 5", "1 min 15 s", "21.5", "Cancel the run", "polyline", "&lt;b&gt;done"):
        assert shown in content
    assert "hx-get" in content
    assert " style=" not in content
    assert "<script" not in content
    assert jobs.finish(claim, Job.Status.FAILED, failure_code="diverged", failure_detail="Lower the learning rate.")
    content = page.get(reverse("admin:training_trainingrun_progress", args=[run.pk])).content.decode()
    assert "The training diverged" in content
    assert "Lower the learning rate." in content
    assert "hx-get" not in content  # nothing changes any more
    assert "Resume it" in content


def test_cancel_and_resume_from_the_page(page: Client) -> None:
    run = request_run(dataset=made_dataset(), recipe=SMOKE)
    cancel = reverse("admin:training_trainingrun_cancel", args=[run.pk])
    assert page.get(cancel).status_code == 405
    page.post(cancel)
    run.refresh_from_db()
    assert run.status == Job.Status.CANCELLED
    page.post(reverse("admin:training_trainingrun_resume", args=[run.pk]))
    run.refresh_from_db()
    assert run.status == Job.Status.QUEUED


@pytest.mark.parametrize("role", [None, Role.PATIENT, Role.CLINICIAN])
def test_nobody_else_sees_any_of_it(client: Client, role: Role | None) -> None:
    dataset = made_dataset()
    run = request_run(dataset=dataset, recipe=SMOKE)
    evaluation = evaluate_made(classifier_named("one"), dataset)
    image = next(iter(evaluation.predictions))
    if role is not None:
        client.force_login(User.objects.create_user("somebody@example.org", "a long password", role=role))
    for name, keys in (
        ("training_trainingrun_add", []),
        ("training_trainingrun_change", [run.pk]),
        ("training_trainingrun_progress", [run.pk]),
        ("training_trainingrun_log", [run.pk]),
        ("training_evaluation_change", [evaluation.pk]),
        ("training_evaluation_image", [evaluation.pk, image]),
        ("training_evaluation_download", [evaluation.pk, "figures.json"]),
        ("diagnoses_classifier_card", [evaluation.classifier_id]),
    ):
        response = client.get(reverse(f"admin:{name}", args=keys))
        assert response.status_code in {302, 403}, name
    for name, keys in (
        ("training_trainingrun_cancel", [run.pk]),
        ("diagnoses_classifier_promote", [evaluation.classifier_id]),
        ("diagnoses_classifier_roll_back", []),
    ):
        response = client.post(reverse(f"admin:{name}", args=keys))
        assert response.status_code in {302, 403}, name
    run.refresh_from_db()
    assert run.status == Job.Status.QUEUED
    assert Classifier.objects.live() is None
