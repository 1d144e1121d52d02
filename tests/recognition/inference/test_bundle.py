"""The sealed bundle: complete or refused, its identity, one copy of the weights."""

import hashlib
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from safetensors.numpy import save_file

from recognition.inference.bundle import (
    GRAPH_NAME,
    MANIFEST_NAME,
    OOD_NAME,
    WEIGHTS_NAME,
    Bundle,
    BundleError,
    file_sha256,
    locate_tensors,
    read_bundle,
    read_tensors,
)
from recognition.inference.detectors import Detectors
from recognition.inference.network import network_tensors
from recognition.inference.ood import OodDetector
from recognition.inference.preprocessing import Preprocessing
from recognition.inference.sealing import draft_bundle
from recognition.taxonomy import CODES, DERMOSCOPIC
from tests.recognition.inference.colours import TINY, seal


@pytest.fixture
def copy(sealed: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sealed.directory, tmp_path / "copy"))


def rewrite(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = directory / MANIFEST_NAME
    values = json.loads(path.read_bytes())
    change(values)
    path.write_text(json.dumps(values))


def kind(values: dict[str, Any]) -> dict[str, Any]:
    return values["image_types"][DERMOSCOPIC]  # type: ignore[no-any-return]  # JSON


def as_before(values: dict[str, Any], version: int) -> None:
    """Write a manifest of version 4 as one of `version`."""
    block = values.pop("image_types")[DERMOSCOPIC]
    for name in ("case_mix", "lesion", "metadata_table", "absent", "image_type_head", "ancestry"):
        del values[name]
    values |= {name: block[name] for name in ("operating_points", "assessment", "metrics")}
    values |= {"format_version": version, "temperature": block["calibration"]["temperature"]}


def refusal(directory: Path) -> BundleError:
    with pytest.raises(BundleError) as caught:
        read_bundle(directory)
    return caught.value


def test_a_whole_bundle_is_read_and_named_by_its_manifest(sealed: Bundle) -> None:
    bundle = read_bundle(sealed.directory)
    assert bundle == sealed
    assert bundle.sha256 == hashlib.sha256((sealed.directory / MANIFEST_NAME).read_bytes()).hexdigest()
    assert bundle.manifest.diagnoses == CODES


def test_one_altered_byte_is_refused(copy: Path) -> None:
    for name in (WEIGHTS_NAME, GRAPH_NAME):
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
        error = refusal(copy)
        assert error.code == "altered"
        assert name in str(error)
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
    assert read_bundle(copy).version == "colours"  # as it was again


def test_a_truncated_file_is_refused(copy: Path) -> None:
    (copy / WEIGHTS_NAME).write_bytes((copy / WEIGHTS_NAME).read_bytes()[:-1])
    assert refusal(copy).code == "altered"


@pytest.mark.parametrize("name", [MANIFEST_NAME, WEIGHTS_NAME, GRAPH_NAME])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    error = refusal(copy)
    assert error.code == "missing"
    assert name in str(error)


def test_no_directory_at_all_is_missing(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").code == "missing"


def test_a_manifest_that_says_it_has_no_metadata_head_reads(copy: Path) -> None:
    rewrite(copy, lambda values: values["architecture"].update(metadata=False))
    assert "metadata" not in read_bundle(copy).manifest.architecture.as_json()


def test_alphabetical_labels_are_refused(copy: Path) -> None:
    # Index 5 is DF in the ISIC order and NV in the alphabet: the trap this vocabulary exists for.
    assert CODES.index("DF") == 5
    assert sorted(CODES).index("NV") == 5
    rewrite(copy, lambda values: values.update(diagnoses=sorted(CODES)))
    error = refusal(copy)
    assert error.code == "wrong_taxonomy"
    assert "MEL NV BCC AK BKL DF VASC SCC" in str(error)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda values: values.update(diagnoses=values["diagnoses"][:7]), "wrong_taxonomy"),
        (lambda values: values.pop("diagnoses"), "wrong_taxonomy"),
        (lambda values: values.update(format_version=5), "unknown_format"),
        (lambda values: values.update(format="keras"), "unknown_format"),
        (lambda values: values["architecture"].update(backbone="resnet50"), "unknown_architecture"),
        (lambda values: values["architecture"].update(metadata=True), "unknown_architecture"),
        (lambda values: values["preprocessing"].update(fit="squeeze"), "unknown_architecture"),
        (lambda values: values["preprocessing"].update(input_size=33), "unreadable"),
        (lambda values: kind(values)["calibration"].update(temperature=0.0), "unreadable"),
        (lambda values: kind(values)["calibration"].update(temperature=float("nan")), "unreadable"),
        (lambda values: kind(values)["calibration"].pop("temperature"), "unreadable"),
        (lambda values: kind(values)["calibration"].update(prior_strength=-1.0), "unreadable"),
        (lambda values: kind(values)["calibration"]["strengths"].update(answers=-1.0), "unreadable"),
        (lambda values: values.update(image_types={}), "unreadable"),
        (lambda values: values["image_types"].update({"microscopy": kind(values)}), "unreadable"),
        (lambda values: values.pop("case_mix"), "unreadable"),
        (lambda values: values["case_mix"]["shares"].update(NV=0.9), "unreadable"),
        (lambda values: values.update(absent=list(CODES)), "unreadable"),
        (lambda values: values.update(metadata_table={"sex": {"other": [0.0] * 8}}), "unreadable"),
        (lambda values: values.update(created="yesterday"), "unreadable"),
        (lambda values: values.update(files=[]), "unreadable"),
        (lambda values: values["files"].pop(GRAPH_NAME), "unreadable"),
        (lambda values: values.update(views=3), "unreadable"),
        (lambda values: values.pop("views"), "unreadable"),
        (lambda values: kind(values).pop("assessment"), "unreadable"),
        (lambda values: kind(values).update(assessment={"monitor_days": 0}), "unreadable"),
        (lambda values: kind(values).update(assessment={"decision": {"soon": {}}}), "unreadable"),
        (lambda values: kind(values).update(assessment={"familiarity": {"limit": 1.0}}), "unreadable"),
        (lambda values: values["files"].update({"../other": {"sha256": "", "size": 0}}), "unreadable"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(copy: Path, change: Any, code: str) -> None:
    rewrite(copy, change)
    assert refusal(copy).code == code


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(copy: Path, content: bytes) -> None:
    (copy / MANIFEST_NAME).write_bytes(content)
    assert refusal(copy).code == "unreadable"


def test_a_different_manifest_is_a_different_bundle(copy: Path, sealed: Bundle) -> None:
    rewrite(copy, lambda values: values.update(version="other"))
    assert read_bundle(copy).sha256 != sealed.sha256


def test_the_weights_lie_on_disk_once(sealed: Bundle) -> None:
    located = locate_tensors(sealed.weights_path)
    graph = onnx.load(str(sealed.graph_path), load_external_data=False)
    outside = {each.name: each for each in graph.graph.initializer if each.external_data}
    inside = sum(len(each.raw_data) for each in graph.graph.initializer if not each.external_data)
    assert inside < 1024  # the constants of a few nodes
    assert outside.keys() <= located.keys()
    assert any(name.endswith("/kernel") for name in outside)
    for name, initialiser in outside.items():
        where = {entry.key: entry.value for entry in initialiser.external_data}
        assert where["location"] == WEIGHTS_NAME
        assert (int(where["offset"]), int(where["length"])) == (located[name].offset, located[name].length)


def test_the_stored_weights_are_the_networks(sealed: Bundle, network: Any) -> None:
    stored = read_tensors(sealed.weights_path)
    current = network_tensors(network)
    assert stored.keys() == current.keys()
    assert all(np.array_equal(stored[key], current[key]) for key in stored)


@pytest.mark.parametrize(
    "header",
    [
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}',  # lies outside: there are 4 bytes
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}',
        b'{"a": {"dtype": "I64", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"a": 1}',
        b"[]",
        b"no json",
    ],
)
def test_a_malformed_weights_file_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / WEIGHTS_NAME
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    with pytest.raises(BundleError) as caught:
        locate_tensors(path)
    assert caught.value.code == "unreadable"


def test_a_weights_file_with_a_giant_header_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / WEIGHTS_NAME
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(BundleError, match="header"):
        locate_tensors(path)


@pytest.mark.parametrize(("format_version", "mean"), [(1, 0.0), (2, 0.0), (3, 0.485)])
def test_a_classifier_keeps_the_normalisation_it_was_trained_with(copy: Path, format_version: int, mean: float) -> None:
    """Up to version 2 EfficientNetB4 had ImageNet's normalisation among its weights and computed without it."""
    weights = dict(read_tensors(copy / WEIGHTS_NAME))
    channels = {"normalization/mean": [0.485] * 3, "normalization/variance": [0.05] * 3, "normalization/count": 0}
    save_file(weights | {key: np.array(value, np.float32) for key, value in channels.items()}, copy / WEIGHTS_NAME)

    def older(values: dict[str, Any]) -> None:
        as_before(values, format_version)
        values["files"][WEIGHTS_NAME] = {
            "sha256": file_sha256(copy / WEIGHTS_NAME), "size": (copy / WEIGHTS_NAME).stat().st_size
        }  # fmt: skip

    rewrite(copy, older)
    tensors = read_bundle(copy).network_tensors()
    assert np.allclose(tensors["normalization/mean"], mean)
    assert np.allclose(tensors["normalization/variance"], 0.05 if mean else 1.0)
    assert np.array_equal(tensors["stem_conv/kernel"], weights["stem_conv/kernel"])


def test_a_bundle_from_before_there_were_gates_is_read_as_one_without(copy: Path) -> None:
    def older(values: dict[str, Any]) -> None:
        as_before(values, 1)
        values["operating_points"] = [{"name": "balanced", "threshold": 0.4, "sensitivity": 0.8, "specificity": 0.7}]
        del values["assessment"], values["views"]

    rewrite(copy, older)
    bundle = read_bundle(copy)
    assert (bundle.manifest.format_version, bundle.manifest.views) == (1, 1)
    assert bundle.assessor().image_types[DERMOSCOPIC].limits.soon == 0.4
    assert bundle.assessor().image_types[DERMOSCOPIC].limits.edges is None
    assert bundle.detectors().ood == {}


def test_the_ood_detector_is_sealed_verified_and_read(network: Any, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    kinds = {"features": 40, "colours": 40, "calibration_features": 20, "calibration_colours": 20}
    fitted = OodDetector.fit(
        **{name: generator.normal(size=(rows, 32 if "features" in name else 6)) for name, rows in kinds.items()}
    )
    directory = tmp_path / "bundle"
    draft = draft_bundle(network, architecture=TINY, preprocessing=Preprocessing(TINY.input_size), beside=directory)
    gated = {"assessment": {"familiarity": {"limit": 2.5}}}
    bundle = seal(draft, directory, block=gated, detectors=Detectors({DERMOSCOPIC: fitted}), views=2)
    assert set(bundle.manifest.files) == {WEIGHTS_NAME, GRAPH_NAME, OOD_NAME}
    assert bundle.manifest.views == 2
    detector = bundle.detectors().ood[DERMOSCOPIC]
    rows = generator.normal(size=(5, 32)), generator.normal(size=(5, 6))
    assert np.allclose(detector.score(*rows), fitted.score(*rows), atol=1e-6)
    stored = directory / OOD_NAME
    stored.write_bytes(stored.read_bytes()[:-1])
    assert refusal(directory).code == "altered"


def test_an_ood_detector_without_its_part_of_the_manifest_is_not_sealed(network: Any, tmp_path: Path) -> None:
    fitted = OodDetector.fit(
        features=np.eye(4), colours=np.eye(6)[:4], calibration_features=np.eye(4), calibration_colours=np.eye(6)[:4]
    )
    directory = tmp_path / "bundle"
    draft = draft_bundle(network, architecture=TINY, preprocessing=Preprocessing(TINY.input_size), beside=directory)
    with pytest.raises(BundleError):
        seal(draft, directory, detectors=Detectors({DERMOSCOPIC: fitted}))
    assert list(tmp_path.iterdir()) == []
