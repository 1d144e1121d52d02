"""Running a sealed classifier: both backends, calibrated classifications, and no TensorFlow on the ONNX path."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recognition.inference import runtime
from recognition.inference.assessment import Decision
from recognition.inference.bundle import Bundle, BundleError
from recognition.inference.calibration import softmax
from recognition.inference.preprocessing import preprocess
from recognition.inference.runtime import OnnxBackend, dihedral, load_classifier, run_views
from recognition.taxonomy import CODES, DERMOSCOPIC, Diagnosis
from tests.factories import made_picture
from tests.recognition.inference.colours import coloured_picture

ROOT = Path(__file__).resolve().parents[3]


def test_every_picture_gets_its_own_name_in_isic_order(sealed: Bundle) -> None:
    pictures = [coloured_picture(position, seed=99) for position in range(8)]
    outcomes = load_classifier(sealed, "onnx").classify(pictures)
    assert [outcome.diagnosis for outcome in outcomes] == list(Diagnosis)
    for position, outcome in enumerate(outcomes):
        assert outcome.probabilities.dtype == np.float64
        assert outcome.probabilities.sum() == pytest.approx(1.0, abs=1e-12)
        assert outcome.confidence == outcome.probabilities[position] == outcome.probabilities.max()
        assert outcome.malignant_score == pytest.approx(outcome.probabilities[[0, 2, 7]].sum())
        assert outcome.features.dtype == np.float32
        assert outcome.heatmap is None or outcome.heatmap.max() == 1.0


def test_both_runtimes_say_the_same(sealed: Bundle) -> None:
    pictures = [coloured_picture(position, size=(31 * (position + 1), 77), seed=5) for position in range(8)]
    onnx, keras = (load_classifier(sealed, name) for name in ("onnx", "keras"))
    assert (onnx.runtime, keras.runtime) == ("onnx", "keras")
    for mine, theirs in zip(onnx.classify(pictures), keras.classify(pictures), strict=True):
        assert np.allclose(mine.probabilities, theirs.probabilities, atol=1e-4)
        assert mine.diagnosis == theirs.diagnosis
        assert mine.heatmap is not None
        assert theirs.heatmap is not None
        assert np.allclose(mine.heatmap, theirs.heatmap, atol=1e-3)


def test_probabilities_are_the_logits_at_the_sealed_temperature(sealed: Bundle) -> None:
    classifier = load_classifier(sealed, "onnx")
    pixels = preprocess(coloured_picture(2), sealed.manifest.preprocessing)[None]
    logits = OnnxBackend(sealed.graph_path).run(pixels)[0]
    assert sealed.manifest.image_types[DERMOSCOPIC]["calibration"]["temperature"] == 2.0
    assert np.allclose(classifier.classify_batch(pixels)[0].probabilities, softmax(logits / 2.0)[0])


def test_views_are_averaged_and_the_upright_one_gives_features_and_maps(sealed: Bundle) -> None:
    backend = OnnxBackend(sealed.graph_path)
    pixels = np.stack([preprocess(coloured_picture(each), sealed.manifest.preprocessing) for each in range(3)])
    upright = backend.run(pixels)
    mirrored = backend.run(np.ascontiguousarray(pixels[:, :, ::-1]))
    two = run_views(backend, pixels, 2)
    assert np.allclose(two[0], (upright[0] + mirrored[0]) / 2, atol=1e-5)
    assert np.array_equal(two[1], upright[1])
    assert np.array_equal(two[2], upright[2])
    assert np.array_equal(run_views(backend, pixels, 1)[0], upright[0])
    # Averaged over all eight, the answer no longer depends on how the picture is turned or mirrored.
    turned = np.ascontiguousarray(np.rot90(pixels, 1, axes=(1, 2))[:, :, ::-1])
    assert np.allclose(run_views(backend, pixels, 8)[0], run_views(backend, turned, 8)[0], atol=1e-4)
    assert len({view.tobytes() for view in dihedral(pixels)}) == 8
    with pytest.raises(ValueError, match="3 views"):
        run_views(backend, pixels, 3)


def test_every_outcome_is_assessed(sealed: Bundle) -> None:
    classifier = load_classifier(sealed, "onnx")
    fine, black = classifier.classify([made_picture("NV", 3), Image.new("RGB", (400, 300))])
    # This bundle has no thresholds: everything is to be seen by a clinician.
    assert fine.assessment.decision == Decision.SOON
    assert black.assessment.decision == Decision.NOT_ASSESSED
    assert black.probabilities.sum() == pytest.approx(1.0), "a refused picture keeps its answer for clinicians"
    unseen = classifier.classify_batch(preprocess(coloured_picture(4), sealed.manifest.preprocessing)[None])[0]
    assert unseen.assessment.gates[0].measured is None


def test_batches_and_single_pictures_agree(sealed: Bundle) -> None:
    classifier = load_classifier(sealed, "onnx", threads=1)
    pictures = [coloured_picture(position % 8, seed=position) for position in range(11)]
    together = classifier.classify(pictures)
    alone = [classifier.classify([picture])[0] for picture in pictures]
    assert len(together) == 11
    for mine, theirs in zip(together, alone, strict=True):
        assert np.allclose(mine.probabilities, theirs.probabilities, atol=1e-6)
    assert classifier.classify([]) == []


def test_input_of_another_kind_is_refused(sealed: Bundle) -> None:
    classifier = load_classifier(sealed, "onnx")
    with pytest.raises(ValueError, match="RGB"):
        classifier.classify([Image.new("RGBA", (10, 10))])
    with pytest.raises(ValueError, match="expected"):
        classifier.classify_batch(np.zeros((1, 33, 32, 3), np.float32))
    with pytest.raises(ArithmeticError):
        classifier.classify_batch(np.full((1, 32, 32, 3), np.nan, np.float32))


def test_auto_is_onnx_where_there_is_no_gpu(sealed: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "NVIDIA_DEVICES", ("/nowhere/nvidia0",))
    assert load_classifier(sealed).runtime == "onnx"
    monkeypatch.setattr(runtime, "gpu_available", lambda: True)
    assert load_classifier(sealed).runtime == "keras"


def test_an_unknown_runtime_is_refused(sealed: Bundle) -> None:
    with pytest.raises(ValueError, match="onnx"):
        load_classifier(sealed, "tflite")


def test_a_graph_that_is_none_is_a_bundle_error(tmp_path: Path) -> None:
    (tmp_path / "graph.onnx").write_bytes(b"not a graph")
    with pytest.raises(BundleError) as caught:
        OnnxBackend(tmp_path / "graph.onnx")
    assert caught.value.code == "unreadable"


def test_the_onnx_path_imports_neither_tensorflow_nor_keras(sealed: Bundle) -> None:
    program = """
import sys
from pathlib import Path
from PIL import Image
from recognition.inference.bundle import read_bundle
from recognition.inference.heatmap import render_overlay
from recognition.inference.runtime import load_classifier
classifier = load_classifier(read_bundle(Path(sys.argv[1])), "onnx")
outcome = classifier.classify([Image.new("RGB", (64, 48), (200, 30, 30))])[0]
if outcome.heatmap is not None:
    render_overlay(outcome.heatmap, photo_size=(64, 48), preprocessing=classifier.bundle.manifest.preprocessing)
heavy = {"tensorflow", "keras", "jax", "torch", "django", "onnx"} & {name.split(".")[0] for name in sys.modules}
print(outcome.diagnosis, *sorted(heavy))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(sealed.directory)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.split() in [[code] for code in CODES]
