"""The library needs no Django: an interpreter without the frameworks classifies a picture with the default bundle."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import recognition
from recognition.taxonomy import CODES
from tests.factories import made_photo

ROOT = Path(__file__).resolve().parents[2]
LESION = ROOT.parent / "shared" / "data" / "photos-450px" / "ISIC_0000000.jpg"

WITHOUT_FRAMEWORKS = """
import sys
from importlib.abc import MetaPathFinder


class NotInstalled(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"django", "celery", "rest_framework", "allauth", "knox", "kombu"}:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)


sys.meta_path.insert(0, NotInstalled())
try:
    import django
except ModuleNotFoundError:
    pass
else:
    raise AssertionError("the finder does not work")

from pathlib import Path
from recognition.classify import Classified, classify_sources, find_sources
from recognition.inference.bundle import read_bundle
from recognition.inference.runtime import load_classifier
from recognition.sandbox import IntakeLimits
"""

CLASSIFY = """
import json
loaded = load_classifier(read_bundle(Path("bundles/default")))
sources, _ = find_sources([Path("photos/lesion.jpg")], limits=IntakeLimits())
(result,) = classify_sources(sources, loaded=loaded, limits=IntakeLimits())
print(json.dumps(result.outcome.probabilities.tolist()))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `photos/lesion.jpg` (a real photo if ../shared is there) and `bundles/`."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "lesion.jpg").write_bytes(LESION.read_bytes() if LESION.is_file() else made_photo())
    (tmp_path / "bundles").symlink_to(ROOT / "bundles")
    return tmp_path


def run(code: str, folder: Path) -> str:
    """The output of `code` in a fresh interpreter without the frameworks, and without any settings of Django."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_FRAMEWORKS + code],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_picture_is_classified_without_django(folder: Path) -> None:
    probabilities = json.loads(run(CLASSIFY, folder))
    assert len(probabilities) == len(CODES) == 8
    assert all(0.0 <= each <= 1.0 for each in probabilities)
    assert sum(probabilities) == pytest.approx(1.0)


def test_the_example_in_the_docstring_runs(folder: Path) -> None:
    lines = (recognition.__doc__ or "").splitlines()
    example = textwrap.dedent("\n".join(line for line in lines if line.startswith("    ")))
    place, diagnosis = run(example, folder).split()
    assert place == "photos/lesion.jpg" and diagnosis in CODES
