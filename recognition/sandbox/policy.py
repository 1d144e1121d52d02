"""The intake policy: the limits for an upload, the error PhotoRejected, and a sentence for each of its codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """The limits for decoding one upload: bytes, pixels, seconds of CPU and of wall clock.

    The defaults are large enough for every phone camera in use, and small enough that one hostile file
    cannot block a worker.
    """

    max_bytes: int = 20 * MIB
    max_pixels: int = 50_000_000
    min_side: int = 64
    max_aspect_ratio: int = 10
    #: A progressive JPEG of 161 kB can hold 1,506 scans and take 27 CPU seconds. Real cameras write
    #: about ten scans.
    max_jpeg_scans: int = 100
    #: Most segments or chunks of a file. Only a file made to waste time has more: 20 MB of the usual
    #: 8 kB PNG chunks are 2,560.
    max_parts: int = 30_000
    #: One second under the ten that the policy promises, because the kernel checks the clock late.
    cpu_seconds: int = 9
    #: Longer than the CPU limit, so that a busy machine does not refuse good photos. Shorter than the 30 s
    #: after which gunicorn kills a worker that does not answer.
    wall_seconds: float = 20.0
    #: Address space of the decoding process, interpreter and libraries included.
    memory_bytes: int = 512 * MIB


REFERENCE_LIMITS = IntakeLimits()


def gettext_noop(message: str) -> str:
    """Mark `message` for Django's `makemessages`, which searches for this name; the library imports no Django."""
    return message


#: For every code one sentence of cause and one of advice. `%(name)s` is filled from `PhotoRejected.params`,
#: after translation. The code "cage_failed" means that the sandbox failed.
REASONS: dict[str, str] = {
    "empty": gettext_noop("This file is empty. Please choose the photo again."),
    "too_large_bytes": gettext_noop(
        "This file is larger than %(megabytes)s MB. Please choose a smaller photo or save it at a lower quality."
    ),
    "not_an_image": gettext_noop("This file is not a photo we can read. Please upload a JPEG, PNG or WebP picture."),
    "unsupported_format": gettext_noop(
        "This is a %(format)s file, which we cannot read. Please save it as a JPEG or PNG picture and upload that."
    ),
    "too_many_pixels": gettext_noop(
        "This picture is %(width)s by %(height)s pixels, more than the %(megapixels)s megapixels we accept. "
        "Please upload a smaller one."
    ),
    "too_small": gettext_noop(
        "This picture is %(width)s by %(height)s pixels, too small to assess. "
        "Each side needs at least %(min_side)s pixels: please take a closer, sharper photo."
    ),
    "too_elongated": gettext_noop(
        "This picture is very long and narrow (%(width)s by %(height)s pixels). "
        "Please upload an ordinary photo with the spot in the middle."
    ),
    "animated": gettext_noop("This is an animation with %(frames)s frames. Please upload a single still photo."),
    "too_many_scans": gettext_noop(
        "This JPEG is stored in an unusually complicated way. Please open it, save it again as an ordinary "
        "JPEG and upload that."
    ),
    "too_many_parts": gettext_noop(
        "This file carries far more extra data than a photo needs. Please open it, save it again as an "
        "ordinary JPEG and upload that."
    ),
    "broken": gettext_noop(
        "This photo is damaged or incomplete. Please upload it again from the original, or take a new photo."
    ),
    "decode_timeout": gettext_noop(
        "Reading this photo took too long, so we stopped. Please save it again as an ordinary JPEG and upload that."
    ),
    "decode_memory": gettext_noop(
        "Reading this photo needs more memory than we allow. Please upload a smaller version of it."
    ),
    "cage_failed": gettext_noop("We could not look at this photo just now. Please try again in a few minutes."),
}


class PhotoRejected(Exception):
    """A file that is not accepted, with a stable `code` and a sentence for the person who sent it.

    `template` is the English msgid and `params` fill it, so that a page can translate first and
    interpolate after: `gettext(error.template) % error.params`. `message` is the finished English.
    """

    def __init__(self, code: str, **params: str | int) -> None:
        self.code = code
        self.template = REASONS[code]
        self.params: Mapping[str, str | int] = params
        self.message = self.template % params
        super().__init__(f"{code}: {self.message}")

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword arguments do not survive the default pickling of exceptions.
        return (_rebuild, (self.code, dict(self.params)))

    @property
    def is_our_fault(self) -> bool:
        """True if the sandbox failed, whatever the file: the person should try again."""
        return self.code == "cage_failed"


def _rebuild(code: str, params: Mapping[str, str | int]) -> PhotoRejected:
    return PhotoRejected(code, **params)
