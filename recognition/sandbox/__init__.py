"""What comes in from strangers: the policy, the cage, the clean picture, and nothing of Django.

`accept_photo(upload.read())` gives the clean picture of a stranger's file, or raises PhotoRejected
with a sentence for the person; `read_image` decodes the operator's own files in this process.

The names below are imported when they are first used: the caged process imports this package too,
once for every photo, and must set its limits before it loads a decoder.
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
