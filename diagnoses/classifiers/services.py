"""Writes to classifiers: register a sealed bundle, promote one, note a bundle problem."""

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, default_storage, storages
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.permissions import NotAllowed
from diagnoses.classifiers.models import Classifier
from recognition.inference.bundle import MANIFEST_NAME, Bundle, BundleError, file_sha256, read_bundle

logger = logging.getLogger(__name__)

DEFAULT_REASON: Final = "default classifier"
"""The reason in the audit log when the classifier that came with the installation goes live by itself."""


class ClassifierError(Exception):
    """Raised if a classifier cannot be registered or promoted. The message says why and what to do."""


def register_bundle(*, directory: Path, by: User | None = None) -> Classifier:
    """Verify a sealed bundle, copy its files to the storage and make it a CANDIDATE.

    A bundle that is already registered is returned unchanged. Raises BundleError if the bundle is incomplete,
    ClassifierError if another bundle has the same version name.
    """
    bundle = read_bundle(directory)
    existing = Classifier.objects.filter(sha256=bundle.sha256).first()
    if existing is None and Classifier.objects.filter(version=bundle.version).exists():
        raise ClassifierError(f"Version {bundle.version} is another bundle already; seal this one under another name.")
    folder = f"bundles/{bundle.sha256}"
    for path in (directory / name for name in (MANIFEST_NAME, *bundle.manifest.files)):
        name = f"{folder}/{path.name}"
        if _is_stored(path, name):
            continue
        default_storage.delete(name)  # replaces a damaged copy, so registering the bundle again repairs it
        with path.open("rb") as file:
            default_storage.save(name, File(file))
    if existing is not None:
        return existing
    with transaction.atomic():
        classifier = Classifier.objects.create(
            version=bundle.version, sha256=bundle.sha256, manifest=json.loads(bundle.manifest.as_bytes())
        )
        audit.record(
            actor=by,
            action=AuditEntry.Action.CLASSIFIER_REGISTERED,
            subject=f"classifier:{classifier.pk}",
            version=classifier.version,
            sha256=bundle.sha256,
        )
    return classifier


def _is_stored(path: Path, name: str) -> bool:
    """Whether the storage has exactly this file under `name`."""
    if not default_storage.exists(name) or default_storage.size(name) != path.stat().st_size:
        return False
    with default_storage.open(name) as stored:
        digest = hashlib.sha256()
        for chunk in stored.chunks():
            digest.update(chunk)
    return digest.hexdigest() == file_sha256(path)


def promote_classifier(
    *, classifier: Classifier, by: User | None = None, reason: str = "", closed_gates: Sequence[str] | None = None
) -> Classifier:
    """Make `classifier` live and retire the previous one, in one transaction. Workers then load the new one.

    `by` is None when the application starts; a person must be an administrator (NotAllowed). `closed_gates` are the
    gates that `reason` overrides, none if it passed them all; None if it was not asked. Raises BundleError if the
    stored files are incomplete or differ from the registered ones.
    """
    if by is not None and not (by.is_active and by.is_administrator):
        raise NotAllowed("Only an administrator promotes a classifier.")
    registered_bundle(classifier)
    with transaction.atomic():
        # Locks all rows in one order, so that simultaneous promotions wait for each other.
        rows = {row.pk: row for row in Classifier.objects.select_for_update().order_by("pk")}
        chosen = rows[classifier.pk]
        before = next((row for row in rows.values() if row.stage == Classifier.Stage.LIVE), None)
        if before is not None and before.pk == chosen.pk:
            return chosen
        if before is not None:
            before.stage = Classifier.Stage.RETIRED
            before.save(update_fields=["stage"])
        chosen.stage = Classifier.Stage.LIVE
        chosen.promoted = timezone.now()
        chosen.fault = ""
        chosen.save(update_fields=["stage", "promoted", "fault"])
        asked: dict[str, Any] = {} if closed_gates is None else {"closed_gates": list(closed_gates)}
        audit.record(
            actor=by,
            action=AuditEntry.Action.CLASSIFIER_PROMOTED,
            subject=f"classifier:{chosen.pk}",
            before=before.version if before else None,
            version=chosen.version,
            reason=reason,
            **asked,
        )
    return chosen


def default_bundle_sha256() -> str:
    """The identity of the bundle that comes with this version of the project; empty if there is none."""
    try:
        return file_sha256(Path(settings.DEFAULT_BUNDLE_DIR) / MANIFEST_NAME)
    except OSError:
        return ""


def is_chosen(live: Classifier) -> bool:
    """Whether a person made this classifier the live one, on a page or in the shell; not if it came by itself."""
    entry = AuditEntry.objects.filter(
        action=AuditEntry.Action.CLASSIFIER_PROMOTED, subject=f"classifier:{live.pk}"
    ).first()
    return entry is not None and not came_by_itself(entry)


def came_by_itself(promotion: AuditEntry) -> bool:
    """Whether this entry of the audit log says that the default classifier went live, chosen by nobody."""
    return promotion.actor == "" and promotion.detail.get("reason") == DEFAULT_REASON


def bundle_directory(classifier: Classifier) -> Path:
    """The local folder of the classifier's files: on the disk storage itself, or a cached copy of remote files.

    Raises BundleError(code="missing") if there are none. `registered_bundle` verifies them.
    """
    # `default_storage` is a lazy object; it is empty until its first use in this process.
    if isinstance(storages["default"], FileSystemStorage):
        return Path(default_storage.path(classifier.folder))
    cached = Path(settings.BUNDLE_CACHE_DIR) / classifier.sha256
    if not cached.is_dir():
        _fetch(classifier, cached)
    return cached


def registered_bundle(classifier: Classifier) -> Bundle:
    """The verified bundle of the classifier: complete and unchanged since registration. Raises BundleError."""
    bundle = read_bundle(bundle_directory(classifier))
    if bundle.sha256 != classifier.sha256:
        raise BundleError("altered", f"The bundle's manifest is not the one registered as {classifier}.")
    return bundle


def note_bundle_problem(*, classifier: Classifier, problem: str) -> None:
    """Store why a worker refused the bundle ("" if the bundle was valid). Notices and health checks read this."""
    Classifier.objects.filter(pk=classifier.pk).exclude(fault=problem).update(fault=problem)


def _fetch(classifier: Classifier, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        _folders, names = default_storage.listdir(classifier.folder)
    except FileNotFoundError:
        names = []
    if not names:
        raise BundleError("missing", f"The files of classifier {classifier.version} are not on the storage.")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as temporary:
        whole = Path(temporary) / "bundle"
        whole.mkdir()
        for name in names:
            with default_storage.open(f"{classifier.folder}/{name}") as source, (whole / name).open("wb") as copy:
                shutil.copyfileobj(source, copy)
        try:
            whole.rename(target)
        except OSError:
            if not target.is_dir():  # another worker of this machine has made the copy meanwhile
                raise
