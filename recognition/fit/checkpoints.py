"""Checkpoints of a run, written after each epoch, so that a killed run continues at its last epoch.

A checkpoint is one safetensors file (weights, optimiser state, best weights so far) and one small JSON file with the
state of the run and the sha256 of the first file. The JSON file is written last. A checkpoint without it, or with
another sha256, is ignored, and the one before it is used. The last two are kept.
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
    """Write a file completely or not at all: temporary name, fsync, rename. Raises OSError."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def save_checkpoint(folder: Path, *, epoch: int, tensors: Mapping[str, NDArray[Any]], state: Mapping[str, Any]) -> None:
    """Write the checkpoint of an epoch and delete all but the last two. Raises OSError; older checkpoints then stay."""
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
    """The newest complete checkpoint as (epoch, tensors, state), or None."""
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
