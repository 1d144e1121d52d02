"""What comes in from strangers: the policy, the cage, the clean picture, and nothing of Django.

`accept_photo(upload.read())` gives the clean picture of a stranger's file, or raises PhotoRejected
with a sentence for the person; `read_image` decodes the operator's own files in this process.

The names below are imported when they are first used: the caged process imports this package too,
once for every photo, and must set its limits before it loads a decoder.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diagnoses.intake.cage import AcceptedPhoto, accept_photo
    from diagnoses.intake.decode import read_image
    from diagnoses.intake.names import shown_name
    from diagnoses.intake.policy import REASONS, IntakeLimits, PhotoRejected
    from diagnoses.intake.recognition import SAME_PICTURE_DISTANCE, content_hash, hash_distance

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
    "cage": ("AcceptedPhoto", "accept_photo"),
    "decode": ("read_image",),
    "names": ("shown_name",),
    "policy": ("REASONS", "IntakeLimits", "PhotoRejected"),
    "recognition": ("SAME_PICTURE_DISTANCE", "content_hash", "hash_distance"),
}

if not TYPE_CHECKING:
    # Hidden from mypy, which would otherwise believe that this module has every name.
    def __getattr__(name: str) -> object:
        for module, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
