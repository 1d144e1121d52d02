"""Sealing: from a trained Keras network to a bundle on disk, with checks that refuse a broken one.

There are two steps, because figures are measured on the exported graph. `draft_bundle` writes weights and graph and
rounds the network's weights to the stored ones. The caller measures the draft. `seal_bundle` compares it with Keras on
a probe of real pictures, writes the manifest, and renames the folder to its place.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from recognition.inference.bundle import (
    GRAPH_NAME,
    LEARNED_NAME,
    MANIFEST_NAME,
    OOD_NAME,
    SEALED_FILES,
    WEIGHTS_NAME,
    Bundle,
    Manifest,
    SealedFile,
    file_sha256,
    read_bundle,
    read_tensors,
)
from recognition.inference.calibration import softmax
from recognition.inference.case_mix import BALANCED, CaseMix
from recognition.inference.detectors import Detectors
from recognition.inference.export import store_weights, write_graph
from recognition.inference.learned import Learned
from recognition.inference.metadata import MetadataTable
from recognition.inference.network import Architecture, set_network_tensors
from recognition.inference.preprocessing import Preprocessing
from recognition.inference.runtime import KerasBackend, OnnxBackend, Outputs
from recognition.taxonomy import CODES

if TYPE_CHECKING:
    import keras

PARITY_TOLERANCE: Final = 1e-4
"""Largest difference of a probability between Keras and the graph. Float32 noise is about 1e-6, a wrong graph 1e-1."""

FEATURE_TOLERANCE: Final = 1e-3
"""Largest difference of pooled features and of maps, as a share of the largest value."""

SPREAD_MIN: Final = 1e-3
"""Least value of the largest standard deviation of a probability over the probe: below, the output is degenerate."""

SHARE_MAX: Final = 0.95
"""Largest share of the probe, balanced over the diagnoses, that one diagnosis may take."""


class SealingError(Exception):
    """The network cannot become a bundle. `code`: "parity", "not_finite" or "collapsed" (degenerate output)."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Draft:
    """Weights and graph in `folder`, not yet a bundle. `backend` runs the graph; `network` has the same weights."""

    folder: Path
    network: "keras.Model"
    architecture: Architecture
    preprocessing: Preprocessing
    backend: OnnxBackend

    def discard(self) -> None:
        """Delete the draft from the disk."""
        shutil.rmtree(self.folder, ignore_errors=True)


def draft_bundle(
    network: "keras.Model",
    *,
    architecture: Architecture,
    preprocessing: Preprocessing,
    beside: Path,
) -> Draft:
    """Export the network into a new temporary folder in the parent folder of `beside`, the bundle's future place.

    The network's weights become the stored ones, rounding included. Raises ExportError or OSError.
    """
    beside.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{beside.name}-", dir=beside.parent))
    try:
        store_weights(network, folder / WEIGHTS_NAME)
        set_network_tensors(network, read_tensors(folder / WEIGHTS_NAME))
        write_graph(network, weights=folder / WEIGHTS_NAME, graph=folder / GRAPH_NAME)
        backend = OnnxBackend(folder / GRAPH_NAME)
        return Draft(folder, network, architecture, preprocessing, backend)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def seal_bundle(
    draft: Draft,
    *,
    directory: Path,
    version: str,
    probe: NDArray[np.float32],
    image_types: Mapping[str, Mapping[str, Any]],
    dataset: Mapping[str, Any],
    split: Mapping[str, Any],
    recipe: Mapping[str, Any],
    provenance: Mapping[str, Any] | None = None,
    licence: str,
    detectors: Detectors | None = None,
    case_mix: CaseMix = BALANCED,
    lesion: Mapping[str, Any] | None = None,
    metadata_table: MetadataTable | None = None,
    image_type_head: Mapping[str, Any] | None = None,
    other_pictures: Mapping[str, Any] | None = None,
    views: int = 1,
    ancestry: Sequence[Mapping[str, Any]] = (),
    absent: Sequence[str] = (),
    learned: Learned | None = None,
) -> Bundle:
    """Check the draft on `probe`, write its manifest, and move it to `directory` (replacing a bundle there).

    `probe` is preprocessed pixels float32 (N, S, S, 3), the same number of pictures of every diagnosis. `image_types`,
    `lesion`, `image_type_head` and `other_pictures` are parts of the manifest; `detectors` are given exactly if a kind
    has the part "familiarity" or `image_type_head` is there. `ancestry`, `absent`, `licence`: see `Manifest`; `learned`
    is what the network and its ancestors learned. Raises SealingError when graph and Keras differ, an output is not
    finite, or the output is degenerate; the draft is then deleted and `directory` unchanged.
    """
    try:
        names: tuple[str, ...] = SEALED_FILES
        for name, sealed in ((OOD_NAME, detectors), (LEARNED_NAME, learned)):
            if sealed is not None:
                save_file(sealed.as_tensors(), draft.folder / name, metadata={"format": "teri"})
                names = (*names, name)
        parity = check_outputs(
            keras_outputs=KerasBackend(draft.network).run(probe), graph_outputs=_in_pieces(draft.backend, probe)
        )
        manifest = Manifest(
            version=version,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            architecture=draft.architecture,
            preprocessing=draft.preprocessing,
            image_types=image_types,
            dataset=dataset,
            split=split,
            recipe=recipe,
            parity=parity,
            licence=licence,
            files={
                name: SealedFile(file_sha256(draft.folder / name), (draft.folder / name).stat().st_size)
                for name in names
            },
            provenance=provenance or {},
            case_mix=case_mix.as_json(),
            lesion=lesion or {},
            metadata_table=(metadata_table or MetadataTable()).as_json(),
            image_type_head=image_type_head or {},
            other_pictures=other_pictures or {},
            views=views,
            ancestry=tuple(ancestry),
            absent=tuple(absent),
        )
        (draft.folder / MANIFEST_NAME).write_bytes(manifest.as_bytes())
        for name in (*names, MANIFEST_NAME):
            _sync(draft.folder / name)
        # mkdtemp creates 0700 and safetensors 0600: a worker of another user could not read them.
        draft.folder.chmod(0o755)
        for name in (*names, MANIFEST_NAME):
            (draft.folder / name).chmod(0o644)
        read_bundle(draft.folder)
    except BaseException:
        draft.discard()
        raise
    _put_in_place(draft.folder, directory)
    return read_bundle(directory)


def check_outputs(*, keras_outputs: Outputs, graph_outputs: Outputs) -> dict[str, float]:
    """The differences of Keras and graph on the same balanced probe. Raises SealingError when a check fails."""
    for outputs in (keras_outputs, graph_outputs):
        if not all(np.all(np.isfinite(output)) for output in outputs):
            raise SealingError("not_finite", "The network answers the probe with something that is not a number.")
    expected, seen = softmax(keras_outputs[0]), softmax(graph_outputs[0])
    difference = float(np.abs(expected - seen).max())
    changed = int((expected.argmax(axis=1) != seen.argmax(axis=1)).sum())
    features, maps = (
        float(np.abs(mine - theirs).max() / max(float(np.abs(mine).max()), 1e-6))
        for mine, theirs in zip(keras_outputs[1:], graph_outputs[1:], strict=True)
    )
    if difference > PARITY_TOLERANCE or features > FEATURE_TOLERANCE or maps > FEATURE_TOLERANCE:
        raise SealingError(
            "parity",
            f"The exported graph differs from Keras: probabilities by up to {difference:.2g}, features by "
            f"{features:.2g}, maps by {maps:.2g} of the largest value; {changed} of {len(seen)} diagnoses changed.",
        )
    spread = float(seen.std(axis=0).max())
    if spread < SPREAD_MIN:
        raise SealingError("collapsed", f"The probabilities hardly depend on the picture (spread {spread:.2g}).")
    shares = np.bincount(seen.argmax(axis=1), minlength=len(CODES)) / len(seen)
    if shares.max() > SHARE_MAX:
        raise SealingError("collapsed", f"{shares.max():.0%} of the probe is called {CODES[int(shares.argmax())]}.")
    return {
        "pictures": float(len(seen)),
        "probabilities_max_difference": difference,
        "features_max_relative_difference": features,
        "maps_max_relative_difference": maps,
        "diagnoses_changed": float(changed),
    }


def _in_pieces(backend: OnnxBackend, pixels: NDArray[np.float32]) -> Outputs:
    pieces = [backend.run(pixels[start : start + 8]) for start in range(0, len(pixels), 8)]
    logits, features, maps = (np.concatenate(part) for part in zip(*pieces, strict=True))
    return logits, features, maps


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put_in_place(folder: Path, directory: Path) -> None:
    """Rename the finished folder to its place; an older bundle there is renamed first and deleted afterwards."""
    _sync(folder)
    aside = folder.with_name(f"{folder.name}-replaced")
    if directory.exists():
        directory.rename(aside)
    folder.rename(directory)
    _sync(directory.parent)
    shutil.rmtree(aside, ignore_errors=True)
