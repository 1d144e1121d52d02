"""The same training on TensorFlow and on JAX: both train SMOKE, and one file of weights gives the same answers."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]

# A backend is chosen when Keras is imported, so each one has a process of its own.
TRAIN = """
import json, sys
from pathlib import Path
import keras
import numpy as np
from recognition.inference.bundle import read_bundle
from recognition.inference.runtime import load_classifier
from recognition.inference.calibration import softmax
from recognition.datasets.pictures import PictureStore
from recognition.datasets.examples import read_examples
from recognition.fit.run import train_classifier
from recognition.datasets.splits import split_examples
from recognition.recipes import SMOKE, changed
from recognition.taxonomy import DERMOSCOPIC

files, work, others = Path(sys.argv[1]), Path(sys.argv[2]), [Path(each) for each in sys.argv[3:]]
prefix = files / "ISIC_2019_Training_"
with PictureStore(Path(f"{prefix}Input.zip")) as pictures:
    examples = read_examples(
        name="made", ground_truth=Path(f"{prefix}GroundTruth.csv"), metadata=Path(f"{prefix}Metadata.csv"),
        pictures=pictures,
    )
    bundle = train_classifier(
        recipe=changed(SMOKE, {"fine_tune.epochs": "4", "fine_tune.batch_norm": "trained"}),
        examples=examples, split=split_examples(examples.table),
        pictures=pictures, imagenet_weights=None, work=work, directory=work / "bundle", version="smoke",
    )
pixels = np.random.default_rng(1).uniform(0, 255, (16, 32, 32, 3)).astype(np.float32)
answers = {}
for directory in [bundle.directory, *others]:
    outcomes = load_classifier(read_bundle(directory), runtime="keras").classify_batch(pixels)
    answers[str(directory)] = [[float(p) for p in outcome.probabilities] for outcome in outcomes]
print(json.dumps({"backend": keras.backend.backend(), "answers": answers,
                  "score": bundle.manifest.image_types[DERMOSCOPIC]["metrics"]["balanced_accuracy"]["value"]}))
"""


def trained(backend: str, files: Path, work: Path, *others: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(files), str(work), *map(str, others)],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert result["backend"] == backend
    return result


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed; pip install jax to try it.")
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed.")
def test_smoke_trains_on_both_and_the_same_weights_answer_alike(tmp_path: Path) -> None:
    from tests.factories import write_dataset

    files = write_dataset(tmp_path / "files", per_diagnosis=24)
    first = trained("tensorflow", files, tmp_path / "tensorflow")
    ours = tmp_path / "tensorflow" / "bundle"
    second = trained("jax", files, tmp_path / "jax", ours)
    for each in (first, second):
        assert each["score"] > 0.2  # chance is 0.125
    np.testing.assert_allclose(second["answers"][str(ours)], first["answers"][str(ours)], atol=1e-4)
