"""The pages of promotion: choosing by validation figures, asking, the gates, and a roll back that asks once more."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, User
from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import DEFAULT_REASON, promote_classifier
from recognition.taxonomy import DERMOSCOPIC
from tests.training.registry_factories import classifier, dataset_of_rows, made_predictions, measured
from training import models
from training.models import Evaluation

pytestmark = pytest.mark.django_db

HISTORY = {
    "head": [],
    "fine_tune": [
        {"balanced_accuracy": 0.7, "loss": 1.0, "validation_loss": 0.9},
        {"balanced_accuracy": 0.7654, "loss": 0.9, "validation_loss": 0.8},
        {"balanced_accuracy": 0.75, "loss": 0.8, "validation_loss": 0.7},
    ],
}


@pytest.fixture(autouse=True)
def _no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows here have no bundles."""
    monkeypatch.setattr("diagnoses.classifiers.services.registered_bundle", lambda classifier: None)


@pytest.fixture
def admin() -> User:
    return User.objects.create_user("admin@example.org", "a long password", role=Role.ADMINISTRATOR)


@pytest.fixture
def page(client: Client, admin: User) -> Client:
    client.force_login(admin)
    return client


@pytest.fixture
def candidate() -> Classifier:
    """A candidate that is as good as the live one."""
    dataset = dataset_of_rows()
    said = made_predictions(dataset)
    old = classifier("old", image_types=(DERMOSCOPIC,), architecture={"backbone": "efficientnetb4", "input_size": 256})
    new = classifier("new", provenance={"history": HISTORY})
    promote_classifier(classifier=old, reason=DEFAULT_REASON)
    for each in (old, new):
        measured(each, dataset, said)
    return new


def text_of(page: Client, name: str, *keys: int) -> str:
    return page.get(reverse(f"admin:{name}", args=keys)).content.decode()


def test_candidates_are_chosen_by_validation_and_the_gates_come_when_asked_for(
    page: Client, candidate: Classifier
) -> None:
    address = reverse("admin:diagnoses_classifier_change", args=[candidate.pk])
    before = page.get(address).content.decode()
    assert "balanced accuracy 0.765 in the kept epoch 2" in before
    assert "Choose among candidates by their validation figures" in before
    assert "Difference" not in before
    assert "malignant AUC" not in before
    assert "0.765" in text_of(page, "diagnoses_classifier_changelist")

    ask = reverse("admin:diagnoses_classifier_ask", args=[candidate.pk])
    assert page.get(ask).status_code == 405
    assert page.post(ask).status_code == 302
    after = page.get(address).content.decode()
    assert "malignant AUC" in after
    assert "Test figures of candidates opened for this test split: 1." in after
    assert page.post(reverse("admin:diagnoses_classifier_promote", args=[candidate.pk])).status_code == 302
    assert Classifier.objects.live() == candidate


def test_a_closed_gate_needs_the_tick_and_a_reason(page: Client, candidate: Classifier) -> None:
    bad = classifier("bad")
    dataset = Evaluation.objects.filter(classifier=candidate).get().dataset
    measured(bad, dataset, made_predictions(dataset, skill=0.5))
    promote = reverse("admin:diagnoses_classifier_promote", args=[bad.pk])
    refused = page.post(promote, {"reason": "just because I can, really"})
    assert refused.status_code == 422
    assert "closed" in refused.content.decode()
    assert Classifier.objects.live() != bad
    page.post(promote, {"reason": "a drill that ends at once", "override": "yes"})
    assert Classifier.objects.live() == bad
    assert "a drill that ends at once" in text_of(page, "diagnoses_classifier_change", bad.pk)


def test_a_roll_back_says_what_changes_and_asks_once_more(page: Client, candidate: Classifier) -> None:
    page.post(reverse("admin:diagnoses_classifier_promote", args=[candidate.pk]))
    address = reverse("admin:diagnoses_classifier_roll_back")
    assert "Roll back to old …" in text_of(page, "diagnoses_classifier_changelist")
    seen = page.get(address).content.decode()
    assert Classifier.objects.live() == candidate  # looking changes nothing
    for said in ("EfficientNetB4", "Tiny", "256", "32", "with a phone or a camera", "0.765", "malignant AUC"):
        assert said in seen, said
    assert "old does not know pictures taken with a phone or a camera: it refuses them" in seen
    old = Classifier.objects.get(version="old")
    page.post(address)  # without saying to which
    assert Classifier.objects.live() == candidate
    page.post(address, {"to": old.pk, "reason": "a camera of ours"})
    assert Classifier.objects.live() == old
    assert "roll back: a camera of ours" in text_of(page, "diagnoses_classifier_change", old.pk)


def test_there_is_no_roll_back_to_a_toy_that_was_live_without_gates(page: Client) -> None:
    toy = classifier("toy")
    Classifier.objects.filter(pk=toy.pk).update(stage=Classifier.Stage.RETIRED, promoted=timezone.now())
    promote_classifier(classifier=classifier("good"), reason=DEFAULT_REASON)
    assert "Roll back" not in text_of(page, "diagnoses_classifier_changelist")
    address = reverse("admin:diagnoses_classifier_roll_back")
    assert page.get(address).status_code == 302
    page.post(address, {"to": toy.pk})
    live = Classifier.objects.live()
    assert live is not None
    assert live.version == "good"


def test_test_figures_are_opened_by_a_button_with_a_reason(page: Client, candidate: Classifier) -> None:
    evaluation = Evaluation.objects.get(classifier=candidate)
    address = reverse("admin:training_evaluation_open", args=[evaluation.pk])
    assert "The test figures of no candidate have been opened" in page.get(address).content.decode()
    assert not models.TestOpening.objects.exists()
    response = page.post(address, {"reason": "a report to the clinic"})
    assert response.headers["Location"] == reverse("admin:training_evaluation_change", args=[evaluation.pk])
    assert models.TestOpening.objects.get().reason == "a report to the clinic"


@pytest.mark.parametrize("role", [None, Role.PATIENT, Role.CLINICIAN])
def test_nobody_else(client: Client, candidate: Classifier, role: Role | None) -> None:
    if role is not None:
        client.force_login(User.objects.create_user("somebody@example.org", "a long password", role=role))
    evaluation = Evaluation.objects.get(classifier=candidate)
    for name, keys in (
        ("diagnoses_classifier_ask", [candidate.pk]),
        ("diagnoses_classifier_promote", [candidate.pk]),
        ("diagnoses_classifier_roll_back", []),
        ("training_evaluation_open", [evaluation.pk]),
    ):
        for response in (
            client.get(reverse(f"admin:{name}", args=keys)),
            client.post(reverse(f"admin:{name}", args=keys)),
        ):
            assert response.status_code in {302, 403, 405}, name
    assert not models.TestOpening.objects.exists()
    assert Classifier.objects.live() != candidate
