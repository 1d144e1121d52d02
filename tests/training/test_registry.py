"""Promotion: the gates, the override with a reason, and roll back."""

from typing import Any

import pytest

from accounts.models import AuditEntry, Role, User
from accounts.permissions import NotAllowed
from diagnoses.classifiers.models import Classifier
from recognition.taxonomy import CODES
from tests.training.run_factories import made_dataset
from tests.training.test_evaluation import classifier_named, evaluate_made
from training.services import registry
from training.services.evaluations import record_evaluation
from training.services.registry import PromotionRejected, gates, promote, roll_back, rolled_back_to

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows here have no bundles. The tests of `promote_classifier` check that a broken bundle is not promoted."""
    monkeypatch.setattr("diagnoses.classifiers.services.registered_bundle", lambda classifier: None)


@pytest.fixture
def admin() -> User:
    return User.objects.create_user("admin@example.org", "a long password", role=Role.ADMINISTRATOR)


def figures(score: float, melanoma: float, **more: Any) -> dict[str, Any]:
    return {
        "balanced_accuracy": {"value": score, "low": score, "high": score},
        "per_diagnosis": {"MEL": {"sensitivity": {"value": melanoma, "low": melanoma, "high": melanoma}}},
        "sealed_before_training": True,
        **more,
    }


def pair(
    live: tuple[float, float] = (0.6, 0.5), candidate: tuple[float, float] = (0.7, 0.6), **more: Any
) -> tuple[Classifier, Classifier]:
    """A live classifier and a candidate, measured on the same test images."""
    dataset = made_dataset()
    old, new = classifier_named("old"), classifier_named("new")
    promote(classifier=old, by=None)
    record_evaluation(classifier=old, dataset=dataset, metrics=figures(*live), predictions={})
    record_evaluation(classifier=new, dataset=dataset, metrics=figures(*candidate, **more), predictions={})
    return old, new


def closed(classifier: Classifier) -> list[str]:
    return [gate.code for gate in gates(classifier) if not gate.passed]


def test_a_better_one_goes_live_in_one_step_with_an_audit_entry(admin: User) -> None:
    old, new = pair()
    assert closed(new) == []
    promote(classifier=new, by=admin, reason="better")
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.stage, new.stage) == (Classifier.Stage.RETIRED, Classifier.Stage.LIVE)
    entry = AuditEntry.objects.get(action=AuditEntry.Action.CLASSIFIER_PROMOTED, actor=str(admin.pk))
    assert entry.detail == {"before": "old", "version": "new", "reason": "better"}


@pytest.mark.parametrize(
    ("candidate", "gate"),
    [
        ((0.6 - registry.BALANCED_ACCURACY_MARGIN - 0.001, 0.9), "balanced_accuracy"),
        ((0.9, 0.5 - registry.MELANOMA_MARGIN - 0.001), "melanoma"),
    ],
)
def test_a_worse_one_is_refused(candidate: tuple[float, float], gate: str, admin: User) -> None:
    _, new = pair(candidate=candidate)
    assert closed(new) == [gate]
    with pytest.raises(PromotionRejected):
        promote(classifier=new, by=admin, reason="a reason of some length")
    assert Classifier.objects.live() != new


def test_within_the_margins_it_is_not_worse() -> None:
    _, new = pair(candidate=(0.6 - registry.BALANCED_ACCURACY_MARGIN + 0.001, 0.5 - registry.MELANOMA_MARGIN + 0.001))
    assert closed(new) == []


def test_an_override_needs_a_written_reason_that_is_kept(admin: User) -> None:
    _, new = pair(candidate=(0.1, 0.1))
    with pytest.raises(PromotionRejected, match="Write down"):
        promote(classifier=new, by=admin, override=True, reason="because")
    promote(classifier=new, by=admin, override=True, reason="the live one fails on our new camera")
    assert Classifier.objects.live() == new
    entry = AuditEntry.objects.filter(subject=f"classifier:{new.pk}").latest("pk")
    assert entry.detail["reason"] == "against balanced_accuracy, melanoma: the live one fails on our new camera"


def test_without_a_common_test_there_is_no_comparison(admin: User) -> None:
    old, new = classifier_named("old"), classifier_named("new")
    promote(classifier=old, by=None)
    evaluate_made(old, made_dataset("one"))
    evaluate_made(new, made_dataset("two"))
    assert closed(new) == ["same_test"]
    with pytest.raises(PromotionRejected, match="same test images"):
        promote(classifier=new, by=admin)


def test_one_that_may_have_seen_the_test_is_refused() -> None:
    _, new = pair(sealed_before_training=False)
    assert closed(new) == ["unseen_test"]


def test_another_order_of_diagnoses_is_refused_whatever_the_reason(admin: User) -> None:
    wrong = classifier_named("wrong", diagnoses=sorted(CODES))
    with pytest.raises(PromotionRejected, match="every answer would be wrong"):
        promote(classifier=wrong, by=admin, override=True, reason="a reason of some length")
    assert Classifier.objects.live() is None


def test_roll_back_is_the_same_swap_and_can_be_undone(admin: User) -> None:
    old, new = pair(candidate=(0.9, 0.9))
    assert rolled_back_to() is None
    with pytest.raises(PromotionRejected, match="nothing to go back to"):
        roll_back(by=admin)
    promote(classifier=new, by=admin)
    assert rolled_back_to() == old
    assert roll_back(by=admin) == old
    assert Classifier.objects.live() == old
    entry = AuditEntry.objects.filter(subject=f"classifier:{old.pk}").latest("pk")
    assert entry.detail["reason"] == "roll back"
    assert roll_back(by=admin, reason="it was not its fault") == new


@pytest.mark.parametrize("role", [Role.PATIENT, Role.CLINICIAN])
def test_only_administrators(role: Role) -> None:
    _, new = pair()
    person = User.objects.create_user("somebody@example.org", "a long password", role=role)
    with pytest.raises(NotAllowed):
        promote(classifier=new, by=person)
    with pytest.raises(NotAllowed):
        roll_back(by=person)
    assert Classifier.objects.live() != new
