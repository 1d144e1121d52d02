"""Test figures of a candidate stay closed until an administrator opens them; each opening is kept and counted."""

from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.models import AuditEntry, Role, User
from accounts.permissions import NotAllowed
from diagnoses.classifiers.models import Classifier
from tests.training.run_factories import made_dataset
from tests.training.test_evaluation import classifier_named, evaluate_made
from training import models
from training.models import Evaluation
from training.services.evaluations import evaluation_on, record_evaluation
from training.services.openings import figures_open, open_figures, times_opened

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    return User.objects.create_user("admin@example.org", "a long password", role=Role.ADMINISTRATOR)


@pytest.fixture
def evaluation() -> Evaluation:
    return record_evaluation(classifier=classifier_named("one"), dataset=made_dataset(), metrics={}, predictions={})


def test_they_are_opened_once_with_reason_and_audit_entry(admin: User, evaluation: Evaluation) -> None:
    assert not figures_open(evaluation)
    open_figures(evaluation=evaluation, by=admin, reason="  it ships if it is good ")
    open_figures(evaluation=evaluation, by=None, reason="again")
    assert figures_open(evaluation)
    opening = models.TestOpening.objects.get()
    assert (opening.opened_by, opening.reason) == (admin, "it ships if it is good")
    entry = AuditEntry.objects.get(action=AuditEntry.Action.TEST_FIGURES_OPENED)
    assert (entry.actor, entry.subject) == (str(admin.pk), f"classifier:{evaluation.classifier_id}")
    assert entry.detail["fingerprint"] == evaluation.fingerprint


def test_openings_are_counted_for_each_test_split(admin: User, evaluation: Evaluation) -> None:
    other = record_evaluation(
        classifier=classifier_named("two"), dataset=evaluation.dataset, metrics={}, predictions={}
    )
    elsewhere = record_evaluation(
        classifier=classifier_named("three"), dataset=made_dataset("elsewhere"), metrics={}, predictions={}
    )
    for each in (evaluation, other, elsewhere):
        open_figures(evaluation=each, by=admin)
    assert times_opened(evaluation.fingerprint) == 2
    assert times_opened(elsewhere.fingerprint) == 1


def test_the_figures_of_a_classifier_that_is_or_was_live_are_open(evaluation: Evaluation) -> None:
    for stage in (Classifier.Stage.LIVE, Classifier.Stage.RETIRED):
        Classifier.objects.update(stage=stage, promoted=timezone.now())
        assert figures_open(Evaluation.objects.get())
    open_figures(evaluation=Evaluation.objects.get(), by=None)
    assert times_opened(evaluation.fingerprint) == 0


@pytest.mark.parametrize("role", [Role.PATIENT, Role.CLINICIAN])
def test_only_administrators_open_them(role: Role, evaluation: Evaluation) -> None:
    somebody = User.objects.create_user("somebody@example.org", "a long password", role=role)
    with pytest.raises(NotAllowed):
        open_figures(evaluation=evaluation, by=somebody)
    assert not figures_open(evaluation)


def test_the_database_refuses_to_change_an_opening(evaluation: Evaluation) -> None:
    open_figures(evaluation=evaluation, by=None, reason="why")
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        models.TestOpening.objects.update(reason="another")


def test_a_classifier_measured_without_decisions_is_measured_again(evaluation: Evaluation) -> None:
    values: dict[str, Any] = {"metrics": {}, "predictions": {"a": [0.125] * 8}, "fingerprint": "of its test split"}
    before = Evaluation.objects.create(
        classifier=evaluation.classifier, dataset=evaluation.dataset, predictions_format=1, **values
    )
    assert not before.has_decisions
    assert evaluation.has_decisions
    evaluation.dataset.test_content_fingerprint = before.fingerprint
    assert evaluation_on(evaluation.classifier, evaluation.dataset) is None
    again = record_evaluation(
        classifier=evaluation.classifier, dataset=evaluation.dataset, metrics={}, predictions={"a": {}}
    )
    assert again.pk != before.pk
    assert evaluation_on(evaluation.classifier, evaluation.dataset) == again


def test_the_command_prints_them_only_if_they_are_opened(capsys: pytest.CaptureFixture[str]) -> None:
    evaluate_made(classifier_named("one"), made_dataset())
    call_command("evaluate", "one", dataset="made")
    assert "AUC" not in capsys.readouterr().out
    call_command("evaluate", "one", "--open", dataset="made", reason="a report to the clinic")
    assert "Malignant AUC" in capsys.readouterr().out
    assert models.TestOpening.objects.get().reason == "a report to the clinic"
