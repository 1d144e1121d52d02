"""The sealed bundle of a classifier: its files, its manifest, and their verification.

    manifest.json            what the classifier is, how it was made and measured, and the sha256 of the other files
    weights.safetensors      every weight by name, once; large kernels as float16, everything else float32
    graph.onnx               the exported graph; its initialisers are external data *inside* weights.safetensors
    familiarity.safetensors  the OOD detectors and the image-type head (optional)
    learned.safetensors      hashes of what it and its ancestors have learned (optional), see `learned`

Version 1 of the format has no assessment (gates, decision, score) and no views. Version 2 added both. Since version 3
EfficientNetB4 computes with the normalisation among its weights. The networks of versions 1 and 2 were trained and
measured without it: `Bundle.network_tensors` gives them a normalisation that changes nothing. Version 4 has a part for
each kind of picture (`image_types`), a case mix and a metadata table. Versions 1 to 3 know dermoscopic pictures alone,
and their probabilities are those of a balanced world.

The identity of a bundle is the sha256 of its manifest's bytes. A bundle holds no code: no pickle, no Keras file. The
architecture comes from `network`, and a bundle that names another one is refused. Reading needs neither TensorFlow nor
Keras nor ONNX.
"""

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from recognition.inference.assessor import Assessor
from recognition.inference.case_mix import BALANCED
from recognition.inference.detectors import Detectors
from recognition.inference.learned import Learned
from recognition.inference.network import NORMALIZATION_MEAN, NORMALIZATION_VARIANCE, Architecture
from recognition.inference.preprocessing import Preprocessing
from recognition.taxonomy import CODES, DERMOSCOPIC

MANIFEST_NAME: Final = "manifest.json"
WEIGHTS_NAME: Final = "weights.safetensors"
GRAPH_NAME: Final = "graph.onnx"
OOD_NAME: Final = "familiarity.safetensors"
LEARNED_NAME: Final = "learned.safetensors"
SEALED_FILES: Final = (WEIGHTS_NAME, GRAPH_NAME)
"""In every bundle; `OOD_NAME` is there as well if a kind of picture has the part "familiarity" or there is an
image-type head, `LEARNED_NAME` in bundles that were sealed since it exists."""

FORMAT: Final = "teri-classifier"
FORMAT_VERSION: Final = 4
READABLE_VERSIONS: Final = (1, 2, 3, 4)
NORMALISED_FROM: Final = 3
IMAGE_TYPES_FROM: Final = 4

VIEWS: Final = (1, 2, 8)
"""Number of views of one picture whose logits are averaged: 1 (upright), 2 (also mirrored), 8 (both, four turns)."""

MANIFEST_MAX_BYTES: Final = 4 * 1024 * 1024
"""A larger manifest is not parsed. Real ones have some kilobytes."""

SAFETENSORS_DTYPES: Final[Mapping[str, np.dtype[Any]]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}


class BundleError(Exception):
    """The bundle cannot be used. `code` is for machines, the message for people.

    Codes: missing, unreadable, altered, unknown_format, unknown_architecture, wrong_taxonomy.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold on the malignant score (MEL + BCC + SCC, 0 to 1): at or above it, "malignant".

    `sensitivity` and `specificity` are those of the calibration split, where the threshold was chosen.
    """

    name: str
    threshold: float
    sensitivity: float
    specificity: float


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One file of the bundle: sha256 (hex) and size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of a bundle: the fields of `manifest.json`.

    - `version`: name for people; `created`: ISO 8601 with time zone;
    - `diagnoses`: codes in the order of the outputs, always `taxonomy.CODES`;
    - `case_mix`: name and shares of the world that the probabilities are about, see `case_mix.CaseMix.as_json`;
    - `image_types`: for each kind of picture that the bundle knows: "calibration", "operating_points", "assessment"
      (see `assessor`) and "metrics", measured on the sealed test split;
    - `lesion`: "decision" and "metrics" of the joint answer for pictures of both kinds of one lesion, or empty;
    - `metadata_table`: see `metadata.MetadataTable.as_json`; `absent`: codes that are never answered;
    - `image_type_head`: "metrics" of the head that recognises the kind of a picture, empty without one;
    - `other_pictures`: from which pictures of none of the eight the OOD gates learned ("learned", perceptual hashes),
      and the share "refused" of others; empty if there were none;
    - `dataset`, `split`: name and fingerprint, so that two classifiers can be compared on the same test pictures;
    - `ancestry`: the classifiers whose weights or answers went into this one, theirs included: version, sha256,
      relation ("parent", "teacher" or "resealed_from"), and name and fingerprints of data set and split;
    - `recipe`: snapshot of every field of the recipe;
    - `parity`: differences between Keras and the exported graph, measured at sealing;
    - `views`: number of views of a picture that are averaged, one of `VIEWS`.
    """

    version: str
    created: str
    architecture: Architecture
    preprocessing: Preprocessing
    image_types: Mapping[str, Mapping[str, Any]]
    dataset: Mapping[str, Any]
    split: Mapping[str, Any]
    recipe: Mapping[str, Any]
    parity: Mapping[str, float]
    licence: str
    files: Mapping[str, SealedFile]
    case_mix: Mapping[str, Any] = field(default_factory=BALANCED.as_json)
    lesion: Mapping[str, Any] = field(default_factory=dict)
    metadata_table: Mapping[str, Any] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    image_type_head: Mapping[str, Any] = field(default_factory=dict)
    other_pictures: Mapping[str, Any] = field(default_factory=dict)
    ancestry: tuple[Mapping[str, Any], ...] = ()
    diagnoses: tuple[str, ...] = CODES
    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    provenance: Mapping[str, Any] = field(default_factory=dict)
    views: int = 1

    def as_bytes(self) -> bytes:
        """The canonical bytes of manifest.json: sorted keys, two spaces, a newline at the end."""
        return (json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Make a manifest from parsed JSON.

        Raises BundleError: unknown_format, wrong_taxonomy, unknown_architecture, unreadable.
        """
        format_version = values.get("format_version")
        if values.get("format") != FORMAT or format_version not in READABLE_VERSIONS:
            raise BundleError(
                "unknown_format",
                f"The bundle's format is {values.get('format')!r} {format_version!r}; "
                f"this version reads {FORMAT!r} {', '.join(map(str, READABLE_VERSIONS))}.",
            )
        if (order := tuple(values.get("diagnoses", ()))) != CODES:
            raise BundleError(
                "wrong_taxonomy",
                f"The bundle's outputs are ordered {' '.join(map(str, order)) or '(not at all)'}; "
                f"they must be {' '.join(CODES)}. With another order every answer would carry a wrong name.",
            )
        try:
            architecture = Architecture.from_json(values["architecture"])
            preprocessing = Preprocessing.from_json(values["preprocessing"])
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                "unknown_architecture", f"The bundle describes a network this version cannot build: {error}"
            ) from error
        try:
            if missing := [name for name in _needed(format_version) if name not in values]:
                raise KeyError(*missing)
            manifest = cls(
                version=str(values["version"]),
                created=datetime.fromisoformat(values["created"]).isoformat(),
                architecture=architecture,
                preprocessing=preprocessing,
                image_types={name: dict(block) for name, block in image_type_blocks(values).items()},
                dataset=dict(values["dataset"]),
                split=dict(values["split"]),
                recipe=dict(values["recipe"]),
                parity=dict(values["parity"]),
                licence=str(values["licence"]),
                files={name: SealedFile(**described) for name, described in values["files"].items()},
                provenance=dict(values["provenance"]),
                format_version=format_version,
                views=int(values["views"]) if format_version > 1 else 1,
                **_since_version_4(values),
            )
            Assessor.from_manifest(manifest)
            for block in manifest.image_types.values():
                for point in block["operating_points"]:
                    OperatingPoint(**point)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError("unreadable", f"The bundle's manifest is incomplete or malformed: {error!r}.") from error
        if architecture.input_size != preprocessing.input_size:
            raise BundleError("unreadable", "The bundle's network and preprocessing disagree about the input size.")
        if manifest.views not in VIEWS:
            raise BundleError("unreadable", f"The bundle averages {manifest.views} views; this version knows {VIEWS}.")
        gated = manifest.image_type_head or any(
            block["assessment"].get("familiarity") for block in manifest.image_types.values()
        )
        expected = (*SEALED_FILES, OOD_NAME) if gated else SEALED_FILES
        if set(manifest.files) - {LEARNED_NAME} != set(expected):
            raise BundleError("unreadable", f"The bundle must list exactly the files {', '.join(expected)}.")
        return manifest


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. `sha256` (hex, of the manifest's bytes) is its identity."""

    directory: Path
    manifest: Manifest
    sha256: str

    @property
    def version(self) -> str:
        """The classifier's name for people."""
        return self.manifest.version

    @property
    def weights_path(self) -> Path:
        """The verified safetensors file."""
        return self.directory / WEIGHTS_NAME

    @property
    def graph_path(self) -> Path:
        """The verified ONNX graph. It refers to the weights file in the same folder."""
        return self.directory / GRAPH_NAME

    def network_tensors(self) -> dict[str, NDArray[np.float32]]:
        """All tensors of the weights file by name, as the network uses them. Raises BundleError as `read_tensors`."""
        tensors = read_tensors(self.weights_path)
        if self.manifest.format_version < NORMALISED_FROM and NORMALIZATION_MEAN in tensors:
            for key, value in ((NORMALIZATION_MEAN, 0.0), (NORMALIZATION_VARIANCE, 1.0)):
                tensors[key] = np.full_like(tensors[key], value)
        return tensors

    def learned(self) -> Learned | None:
        """What the network and its ancestors have learned; None in bundles that do not say. Raises BundleError."""
        if LEARNED_NAME not in self.manifest.files:
            return None
        with _opened(self.directory / LEARNED_NAME) as file:
            try:
                return Learned.from_tensors({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
            except ValueError as error:
                raise BundleError("altered", f"{LEARNED_NAME} of {self.version} cannot be read: {error}") from error

    def assessor(self) -> Assessor:
        """The assessor with this bundle's calibration and limits."""
        return Assessor.from_manifest(self.manifest)

    def detectors(self) -> Detectors:
        """The OOD detectors and the image-type head. Raises BundleError (altered) when their tensors do not fit."""
        if OOD_NAME not in self.manifest.files:
            return Detectors({})
        try:
            return Detectors.from_tensors(read_tensors(self.directory / OOD_NAME))
        except (KeyError, ValueError) as error:
            raise BundleError("altered", f"The gates of {self.version} cannot be read: {error}") from error


def image_type_blocks(values: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The part of each kind of picture of a manifest's JSON, of any version, in the form of version 4.

    Missing parts of an incomplete manifest are empty; nothing is checked.
    """
    if "image_types" in values:
        return dict(values["image_types"])
    calibration = {
        "temperature": values.get("temperature", 1.0),
        "prior_strength": 0.0,
        "strengths": {"demographics": 0.0, "answers": 0.0},
    }
    return {
        DERMOSCOPIC: {
            "calibration": calibration,
            "operating_points": values.get("operating_points", []),
            "assessment": values.get("assessment", {}),
            "metrics": values.get("metrics", {}),
        }
    }


def _needed(format_version: int) -> tuple[str, ...]:
    """The fields from which `image_type_blocks` makes the parts of a kind of picture."""
    if format_version >= IMAGE_TYPES_FROM:
        return ("image_types",)
    return ("temperature", "operating_points", "metrics", *(("assessment",) if format_version > 1 else ()))


def _since_version_4(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that older manifests do not have."""
    if values["format_version"] < IMAGE_TYPES_FROM:
        return {}
    return {
        **{name: dict(values[name]) for name in ("case_mix", "lesion", "metadata_table", "image_type_head")},
        "other_pictures": dict(values.get("other_pictures", {})),
        "absent": tuple(map(str, values["absent"])),
        "ancestry": tuple(dict(each) for each in values["ancestry"]),
    }


def read_bundle(directory: Path) -> Bundle:
    """Read and verify the bundle in a directory, every byte of it. Raises BundleError with any of its codes."""
    content = _read(directory / MANIFEST_NAME)
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError("unreadable", f"The manifest of the bundle {directory.name} is not JSON: {error}.") from error
    if not isinstance(values, dict):
        raise BundleError("unreadable", f"The manifest of the bundle {directory.name} is not a JSON object.")
    manifest = Manifest.from_json(values)
    for name, described in manifest.files.items():
        path = directory / name
        if not path.is_file():
            raise BundleError("missing", f"The bundle {directory.name} lacks its file {name}; fetch the bundle again.")
        if path.stat().st_size != described.size or file_sha256(path) != described.sha256:
            raise BundleError(
                "altered",
                f"The file {name} of the bundle {directory.name} is not the one that was sealed; fetch it again.",
            )
    return Bundle(directory=directory, manifest=manifest, sha256=hashlib.sha256(content).hexdigest())


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MANIFEST_MAX_BYTES:
            raise BundleError("unreadable", f"{path.name} of the bundle {path.parent.name} is too large to be one.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BundleError("missing", f"There is no bundle at {path.parent}: {path.name} is missing.") from error
    except OSError as error:
        raise BundleError("unreadable", f"The bundle at {path.parent} cannot be read: {error}.") from error


def file_sha256(path: Path) -> str:
    """sha256 (hex) of a file's bytes, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Place of one tensor in a safetensors file: offset from the start of the file and length, in bytes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    length: int


def locate_tensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file by name, in file order.

    The safetensors library gives names, types and shapes but no offsets, which ONNX needs. The offsets follow from the
    format: the data have no gaps and end at the end of the file. Raises BundleError (unreadable).
    """
    with _opened(path) as file:
        tensors = {name: file.get_slice(name) for name in file.offset_keys()}
        described = {name: (SAFETENSORS_DTYPES[each.get_dtype()], each.get_shape()) for name, each in tensors.items()}
        lengths = {name: dtype.itemsize * math.prod(shape) for name, (dtype, shape) in described.items()}
        offset = path.stat().st_size - sum(lengths.values())
        located = {}
        for name, (dtype, shape) in described.items():
            located[name] = StoredTensor(dtype, tuple(shape), offset, lengths[name])
            offset += lengths[name]
    return located


def read_tensors(path: Path, *, prefixes: tuple[str, ...] = ("",)) -> dict[str, NDArray[np.float32]]:
    """The tensors whose name starts with one of `prefixes`, as float32. Raises BundleError as `locate_tensors` does."""
    names = [name for name in locate_tensors(path) if name.startswith(prefixes)]
    with _opened(path) as file:
        return {name: file.get_tensor(name).astype(np.float32) for name in names}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (OSError, SafetensorError, KeyError) as error:
        raise BundleError("unreadable", f"{path.name} is not a readable safetensors file: {error}.") from error
