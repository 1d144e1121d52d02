"""`manage.py classify` uses the live classifier's own bundle or none, as the worker does."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from diagnoses.classifiers.models import Classifier
from tests.factories import made_photo


def test_another_bundle_in_its_place_is_refused(tiny_classifier: Classifier, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(made_photo())
    # The row names one bundle, the folder holds another: here the name in the row is changed.
    Classifier.objects.filter(pk=tiny_classifier.pk).update(sha256="f" * 64)
    folder = Path(tiny_classifier.folder)
    from django.core.files.storage import default_storage

    elsewhere = Path(default_storage.path(f"bundles/{'f' * 64}"))
    elsewhere.parent.mkdir(parents=True, exist_ok=True)
    elsewhere.symlink_to(Path(default_storage.path(str(folder))), target_is_directory=True)
    try:
        with pytest.raises(CommandError, match="not the one registered"):
            call_command("classify", photo)
    finally:
        elsewhere.unlink()
