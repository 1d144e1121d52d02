"""Decoding of untrusted files in a sandbox: the intake policy, the sandbox child, the clean picture.

`accept_photo(data)` decodes the bytes of an upload in a child process with hard limits and returns the
clean picture, or raises PhotoRejected with a sentence for the person. `read_image` decodes an operator's
own file in this process.

Modules: `policy` (limits and reasons), `header` (checks before decoding), `process` (starts the child),
`child` (runs in it), `reply` and `decode` (called by the child), `derivatives` (clean JPEG and thumbnail),
`perceptual_hash` and `perceptual_hash_batch` (recognising the same picture), `file_names` (names to show).

The names below are imported when they are first used. The child imports this package for every photo, and
it must set its limits before it loads a decoder.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recognition.sandbox.decode import read_image
    from recognition.sandbox.file_names import shown_name
    from recognition.sandbox.perceptual_hash import SAME_PICTURE_DISTANCE, content_hash, hash_distance
    from recognition.sandbox.policy import REASONS, IntakeLimits, PhotoRejected
    from recognition.sandbox.process import AcceptedPhoto, accept_photo

__all__ = [
    "REASONS",
    "SAME_PICTURE_DISTANCE",
    "AcceptedPhoto",
    "IntakeLimits",
    "PhotoRejected",
    "accept_photo",
    "content_hash",
    "hash_distance",
    "read_image",
    "shown_name",
]

_HOMES = {
    "process": ("AcceptedPhoto", "accept_photo"),
    "decode": ("read_image",),
    "file_names": ("shown_name",),
    "policy": ("REASONS", "IntakeLimits", "PhotoRejected"),
    "perceptual_hash": ("SAME_PICTURE_DISTANCE", "content_hash", "hash_distance"),
}

if not TYPE_CHECKING:
    # Hidden from mypy, which would otherwise believe that this module has every name.
    def __getattr__(name: str) -> object:
        for module, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
