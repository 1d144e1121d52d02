"""Registering and promoting sealed bundles."""

from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import AuditEntry, User
from accounts.permissions import NotAllowed
from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import (
    note_bundle_problem,
    promote_classifier,
    register_bundle,
    registered_bundle,
)
from diagnoses.photos.worker import NoLiveClassifier, check_live_bundle, warm_up
from recognition.inference.bundle import BundleError, read_bundle

pytestmark = pytest.mark.django_db


def test_a_registered_bundle_is_whole_on_the_storage(tiny_bundle: Path) -> None:
    classifier = register_bundle(directory=tiny_bundle)
    assert classifier.stage == Classifier.Stage.CANDIDATE
    assert registered_bundle(classifier).sha256 == classifier.sha256 == read_bundle(tiny_bundle).sha256
    assert register_bundle(directory=tiny_bundle).pk == classifier.pk


def test_registering_again_heals_a_damaged_copy(tiny_bundle: Path) -> None:
    classifier = register_bundle(directory=tiny_bundle)
    stored = Path(default_storage.path(f"{classifier.folder}/weights.safetensors"))
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.write_bytes(content)
    with pytest.raises(BundleError) as caught:
        registered_bundle(classifier)
    assert caught.value.code == "altered"
    register_bundle(directory=tiny_bundle)
    assert registered_bundle(classifier).sha256 == classifier.sha256


def test_a_whole_bundle_that_is_not_the_registered_one_is_refused(tiny_bundle: Path, administrator: User) -> None:
    classifier = register_bundle(directory=tiny_bundle)
    manifest = Path(default_storage.path(f"{classifier.folder}/manifest.json"))
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    try:
        with pytest.raises(BundleError, match="not the one registered"):
            registered_bundle(classifier)
        with pytest.raises(BundleError, match="not the one registered"):
            promote_classifier(classifier=classifier, by=administrator)
        Classifier.objects.filter(pk=classifier.pk).update(stage=Classifier.Stage.LIVE, promoted=timezone.now())
        for refuse in (check_live_bundle, warm_up):
            with pytest.raises(NoLiveClassifier, match="not the one registered"):
                refuse()
            classifier.refresh_from_db()
            assert "not the one registered" in classifier.fault
    finally:
        register_bundle(directory=tiny_bundle)


def test_promotion_retires_the_one_before_and_is_audited(tiny_bundle: Path, administrator: User) -> None:
    before = Classifier.objects.create(
        version="before", sha256="0" * 64, manifest={}, stage=Classifier.Stage.LIVE, promoted=timezone.now()
    )
    classifier = promote_classifier(
        classifier=register_bundle(directory=tiny_bundle), by=administrator, reason="better"
    )
    before.refresh_from_db()
    assert (classifier.stage, before.stage) == (Classifier.Stage.LIVE, Classifier.Stage.RETIRED)
    entry = AuditEntry.objects.get(action=AuditEntry.Action.CLASSIFIER_PROMOTED)
    assert entry.actor == str(administrator.pk)
    assert (entry.detail["before"], entry.detail["reason"]) == ("before", "better")


def test_promotion_of_a_whole_bundle_ends_its_problem(tiny_bundle: Path) -> None:
    classifier = register_bundle(directory=tiny_bundle)
    note_bundle_problem(classifier=classifier, problem="graph.onnx was missing")
    promote_classifier(classifier=classifier)
    classifier.refresh_from_db()
    assert classifier.fault == ""


def test_only_administrators_promote(tiny_bundle: Path, clinician: User, patient: User) -> None:
    classifier = register_bundle(directory=tiny_bundle)
    for person in (clinician, patient):
        with pytest.raises(NotAllowed):
            promote_classifier(classifier=classifier, by=person)
    assert Classifier.objects.live() is None


def test_the_database_refuses_a_second_live_classifier(tiny_classifier: Classifier) -> None:
    with pytest.raises(IntegrityError, match="classifier_one_live"), transaction.atomic():
        Classifier.objects.create(
            version="second", sha256="1" * 64, manifest={}, stage=Classifier.Stage.LIVE, promoted=timezone.now()
        )


def test_a_worker_without_a_whole_live_classifier_does_not_start(tiny_classifier: Classifier) -> None:
    assert check_live_bundle() == tiny_classifier
    graph = Path(default_storage.path(f"{tiny_classifier.folder}/graph.onnx"))
    content = graph.read_bytes()
    try:
        graph.unlink()
        with pytest.raises(NoLiveClassifier, match=r"lacks its file graph\.onnx"):
            check_live_bundle()
        tiny_classifier.refresh_from_db()
        assert "graph.onnx" in tiny_classifier.fault
        with pytest.raises(CommandError, match="does not start") as caught:
            call_command("inference_worker")
        assert caught.value.returncode == 78
    finally:
        graph.write_bytes(content)
    assert check_live_bundle().pk == tiny_classifier.pk
    tiny_classifier.refresh_from_db()
    assert tiny_classifier.fault == ""


def test_without_any_live_classifier_the_worker_says_so() -> None:
    with pytest.raises(CommandError, match="No classifier is live"):
        call_command("inference_worker")


def test_the_default_classifier_goes_live_but_never_over_an_administrators_choice(
    tiny_bundle: Path, administrator: User
) -> None:
    call_command("load_default_classifier", bundle=tiny_bundle)
    default = Classifier.objects.live()
    assert default is not None
    call_command("load_default_classifier", bundle=tiny_bundle)
    assert Classifier.objects.count() == 1
    chosen = Classifier.objects.create(version="chosen", sha256="2" * 64, manifest={})
    Classifier.objects.filter(pk=default.pk).update(stage=Classifier.Stage.RETIRED)
    Classifier.objects.filter(pk=chosen.pk).update(stage=Classifier.Stage.LIVE, promoted=timezone.now())
    AuditEntry.objects.create(
        actor=str(administrator.pk), action=AuditEntry.Action.CLASSIFIER_PROMOTED, subject=f"classifier:{chosen.pk}"
    )
    call_command("load_default_classifier", bundle=tiny_bundle)
    live = Classifier.objects.live()
    assert live is not None
    assert live.pk == chosen.pk
