"""Features of the frozen backbone: computed once per picture and cached on disk, for all frozen epochs.

The file name depends on everything the features depend on (pictures, weights, architecture, preprocessing), so an old
file is never used by mistake. An incomplete file is found by its size and computed again. The pass is saved in parts,
so that a killed run continues where it was.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from recognition.datasets.pictures import Pictures
from recognition.fit.device import has_accelerator
from recognition.fit.prefetch import Prefetched
from recognition.inference.bundle import GRAPH_NAME, WEIGHTS_NAME
from recognition.inference.export import store_weights, write_graph
from recognition.inference.preprocessing import Preprocessing, preprocess
from recognition.inference.runtime import Backend, KerasBackend, OnnxBackend
from recognition.progress import Progress, Report, silent

if TYPE_CHECKING:
    import keras

Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""float32 pixels (N, S, S, 3) in [0, 255] -> float32 features (N, C)."""

BATCH: Final = 32
"""Pictures per pass; more are not faster on a CPU and need memory."""

COMPUTED: Final = "normalised"
"""Part of a cached file's name: files without it were computed without EfficientNet's normalisation."""

PART: Final = 512
"""Pictures per part on disk: half a minute's work on two cores, 3.7 MB."""


def embedder(network: "keras.Model", *, folder: Path) -> Embed:
    """The fastest function for the network's features: Keras on an accelerator, else the graph exported to `folder`.

    Both give the same features within float32 noise. The folder must exist while the function is used.
    """
    backend: Backend
    if has_accelerator():
        backend = KerasBackend(network)
    else:
        store_weights(network, folder / WEIGHTS_NAME)
        write_graph(network, weights=folder / WEIGHTS_NAME, graph=folder / GRAPH_NAME)
        backend = OnnxBackend(folder / GRAPH_NAME)

    def embed(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        step = backend.batch_size
        return np.concatenate([backend.run(pixels[at : at + step])[1] for at in range(0, len(pixels), step)])

    return embed


def cached_features(
    images: Sequence[str],
    *,
    pictures: Pictures,
    content_key: str,
    embed: Embed,
    embed_key: str,
    preprocessing: Preprocessing,
    folder: Path,
    report: Report = silent,
) -> NDArray[np.float32]:
    """Features (len(images), C) in the order of `images`, from the cache or computed and cached.

    `content_key` names the pictures (the data set's fingerprint), `embed_key` the weights and architecture behind
    `embed`. Raises what `Pictures.picture` raises, and OSError when the cache cannot be written.
    """
    described = json.dumps([COMPUTED, list(images), content_key, embed_key, preprocessing.as_json()], sort_keys=True)
    path = folder / f"features-{hashlib.sha256(described.encode()).hexdigest()[:32]}.npy"
    if (cached := _read(path, len(images))) is not None:
        report(Progress("features", len(images), len(images)))
        return cached
    folder.mkdir(parents=True, exist_ok=True)
    parts, files = [], []
    for begin in range(0, len(images), PART):
        wanted = images[begin : begin + PART]
        files.append(path.with_suffix(f".part{begin // PART:04d}.npy"))
        if (part := _read(files[-1], len(wanted))) is None:
            pieces = []
            for pixels in _prepared(wanted, pictures, preprocessing):
                pieces.append(np.asarray(embed(pixels), dtype=np.float32))
                report(Progress("features", begin + sum(map(len, pieces)), len(images)))
            part = np.concatenate(pieces)
            _write(files[-1], part)
        else:
            report(Progress("features", begin + len(wanted), len(images)))
        parts.append(part)
    features = np.concatenate(parts)
    _write(path, features)
    for file in files:
        file.unlink(missing_ok=True)
    return features


def _prepared(
    images: Sequence[str], pictures: Pictures, preprocessing: Preprocessing
) -> Prefetched[NDArray[np.float32]]:
    """The network inputs of the pictures in batches."""

    def made(place: int) -> NDArray[np.float32]:
        chunk = images[place * BATCH : (place + 1) * BATCH]
        return np.stack([preprocess(pictures.picture(image), preprocessing) for image in chunk])

    return Prefetched(made, -(-len(images) // BATCH))


def _write(path: Path, features: NDArray[np.float32]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.save(stream, features, allow_pickle=False)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def _read(path: Path, rows: int) -> NDArray[np.float32] | None:
    try:
        features = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return features if features.ndim == 2 and len(features) == rows else None
