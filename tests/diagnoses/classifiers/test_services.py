"""Registering and promoting sealed bundles."""

import json
import shutil
from pathlib import Path
from typing import Any

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
from diagnoses.monitoring.notices.promotion import newer_default
from diagnoses.photos.worker import NoLiveClassifier, check_live_bundle, warm_up
from recognition.inference.bundle import MANIFEST_NAME, BundleError, read_bundle

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


def sealed_as(version: str, source: Path, target: Path) -> Path:
    """A copy of a bundle under another name: another version of the default classifier."""
    shutil.copytree(source, target)
    manifest = json.loads((target / MANIFEST_NAME).read_bytes())
    (target / MANIFEST_NAME).write_text(json.dumps(manifest | {"version": version}))
    return target


def load_default(bundle: Path, settings: Any) -> None:
    """What an installation does whose version of the project comes with this bundle."""
    settings.DEFAULT_BUNDLE_DIR = bundle
    call_command("load_default_classifier", bundle=bundle)


def live() -> str:
    found = Classifier.objects.live()
    return found.version if found is not None else ""


def test_the_default_classifier_goes_live_and_a_newer_one_replaces_it(
    tiny_bundle: Path, tmp_path: Path, settings: Any
) -> None:
    load_default(tiny_bundle, settings)
    first = live()
    assert first
    load_default(tiny_bundle, settings)
    assert Classifier.objects.count() == 1
    newer = sealed_as("newer", tiny_bundle, tmp_path / "newer")
    load_default(newer, settings)
    assert live() == "newer"
    load_default(tiny_bundle, settings)  # an older one that was live does not come back
    assert live() == "newer"


def test_another_bundle_than_the_default_passes_the_gates_or_stays_a_candidate(
    tiny_bundle: Path, tmp_path: Path, settings: Any
) -> None:
    load_default(tiny_bundle, settings)
    first = live()
    call_command("load_default_classifier", bundle=sealed_as("toy", tiny_bundle, tmp_path / "toy"))
    assert live() == first
    assert Classifier.objects.get(version="toy").stage == Classifier.Stage.CANDIDATE


@pytest.mark.parametrize("in_the_shell", [False, True])
def test_a_newer_default_is_registered_and_announced_where_somebody_chose_the_live_one(
    tiny_bundle: Path, tmp_path: Path, administrator: User, settings: Any, in_the_shell: bool
) -> None:
    chosen = register_bundle(directory=sealed_as("chosen", tiny_bundle, tmp_path / "chosen"))
    promote_classifier(classifier=chosen, by=None if in_the_shell else administrator, reason="ours", closed_gates=[])
    newer = sealed_as("newer", tiny_bundle, tmp_path / "newer")
    settings.DEFAULT_BUNDLE_DIR = newer
    assert list(newer_default()) == []
    load_default(newer, settings)
    assert live() == "chosen"
    assert Classifier.objects.get(version="newer").stage == Classifier.Stage.CANDIDATE
    (notice,) = newer_default()
    assert "newer, came with this version" in notice.text
    promote_classifier(classifier=Classifier.objects.get(version="newer"), by=administrator)
    assert list(newer_default()) == []


def test_after_a_roll_back_the_default_stays_where_it_was_put(
    tiny_bundle: Path, tmp_path: Path, administrator: User, settings: Any
) -> None:
    load_default(tiny_bundle, settings)
    first = live()
    newer = sealed_as("newer", tiny_bundle, tmp_path / "newer")
    load_default(newer, settings)
    promote_classifier(classifier=Classifier.objects.get(version=first), by=administrator, reason="roll back")
    load_default(newer, settings)
    assert live() == first
