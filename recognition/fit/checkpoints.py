"""Own what a run leaves on disk after each epoch, so that a killed one goes on where it stood.

A checkpoint is one safetensors file (weights, optimiser state, best weights so far) and one small JSON beside it with
the run's state and the file's sha256. The JSON is written last: a checkpoint without it, or whose file was cut
short, does not count and the one before it is taken. The last two are kept.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recognition.inference.bundle import file_sha256

KEPT: Final = 2

Tensors = dict[str, NDArray[Any]]


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all: temporary name, fsync, rename."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def save_checkpoint(folder: Path, *, epoch: int, tensors: Mapping[str, NDArray[Any]], state: Mapping[str, Any]) -> None:
    """Keep this epoch and the one before it. Raises OSError when the disk does not take it; older ones stay then."""
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"epoch-{epoch:04d}.safetensors"
    write_durably(path, save({name: np.require(tensor, requirements="C") for name, tensor in tensors.items()}))
    described = {"epoch": epoch, "sha256": file_sha256(path), "state": dict(state)}
    write_durably(path.with_suffix(".json"), json.dumps(described, indent=1).encode())
    for old in sorted(folder.glob("epoch-*.safetensors"))[:-KEPT]:
        old.with_suffix(".json").unlink(missing_ok=True)
        old.unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> tuple[int, Tensors, dict[str, Any]] | None:
    """The newest whole checkpoint as (epoch, tensors, state), or None when there is none."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    for described_path in sorted(folder.glob("epoch-*.json"), reverse=True):
        path = described_path.with_suffix(".safetensors")
        try:
            described = json.loads(described_path.read_bytes())
            if file_sha256(path) == described["sha256"]:
                return int(described["epoch"]), load_file(path), dict(described["state"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            continue
    return None
