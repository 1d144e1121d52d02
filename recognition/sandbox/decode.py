"""Decoding: from the bytes of a file to one upright 8-bit RGB picture, or PhotoRejected.

The sandbox child calls it for untrusted files, commands call it directly for an operator's own files.

Every mode is converted in a defined way: 16-bit greys are scaled (not clipped), alpha and transparent
colours are laid on white, palettes and CMYK are converted, an embedded ICC profile is applied and dropped.
The order of the steps keeps the peak near two copies of the raster, so that 50 megapixels fit into the
memory of the sandbox.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
from dataclasses import dataclass

from PIL import Image, ImageFile

from recognition.sandbox.header import check_size, read_header
from recognition.sandbox.policy import REFERENCE_LIMITS, IntakeLimits, PhotoRejected

#: Longest side, in pixels, of an accepted picture. Neither the classifier nor a clinician's screen can use
#: more, and every later step would need more storage and time.
MAX_SIDE = 4096

#: A JPEG with a side of at least twice this is decoded at half its size (or a quarter, an eighth). Without
#: it a progressive JPEG of 50 megapixels needs 550 MB: its coefficients and its raster at once.
_DRAFT_SIDE = 3072

_MPO = "MPO"
_WHITE = (255, 255, 255)
#: Rows flattened at a time: at the largest width this is a few megabytes instead of two more copies.
_STRIP_ROWS = 256
_ORIENTATION_TAG = 0x0112
#: EXIF orientation to the transposition that makes the picture upright (CIPA DC-008, 4.6.4 A).
#: 1 and every value outside 1..8 mean: as it is.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
#: What Pillow raises for content it cannot read. MemoryError is not among them: it has its own code.
_DECODE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    Warning,
    struct.error,
    Image.DecompressionBombError,
)


class _PillowWarningsAreErrors:
    """A context manager: warnings of Pillow are errors (a malformed MPO header, an invalid APNG).

    The filter list of Python 3.11 belongs to the whole process, and training decodes in several threads. So the first
    thread inside sets the filters and the last one restores them, and they are about Pillow alone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.filterwarnings("error", module=r"PIL\.")
                # About Python and Pillow, not about the file.
                for category in (DeprecationWarning, PendingDeprecationWarning, ResourceWarning, ImportWarning):
                    warnings.filterwarnings("ignore", category=category, module=r"PIL\.")
                # Pillow reads EXIF with its TIFF parser. Broken metadata are dropped like all others; the pixels still
                # count.
                warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._before.__exit__(None, None, None)


_PILLOW_WARNINGS_ARE_ERRORS = _PillowWarningsAreErrors()


@dataclass(frozen=True, slots=True)
class DecodedPhoto:
    """`image`: upright 8-bit RGB, no side longer than MAX_SIDE, empty `info`. The rest describes the file."""

    image: Image.Image
    format: str
    width: int
    height: int


def read_image(data: bytes, *, limits: IntakeLimits = REFERENCE_LIMITS) -> Image.Image:
    """Decode `data` in this process and return upright 8-bit RGB (mode "RGB"), sides at most MAX_SIDE.

    For an operator's own files only: `accept_photo` does the same for untrusted files, in the sandbox. The
    CPU, wall clock and memory limits of `limits` are not enforced here. Raises PhotoRejected.
    """
    return decode_photo(data, limits=limits).image


def decode_photo(data: bytes, *, limits: IntakeLimits = REFERENCE_LIMITS) -> DecodedPhoto:
    """Like `read_image`, with the format and raster size (before orientation) of the file. Raises PhotoRejected."""
    header = read_header(data, limits=limits)
    try:
        image, found, orientation = _open_and_load(data, header.format, limits=limits)
        icc_profile = image.info.get("icc_profile")
        # One step a line: each frees the raster before it.
        image = _to_plain_mode(image)
        image = _shrink(image)
        image = _to_srgb(image, icc_profile if isinstance(icc_profile, bytes) else None)
        if orientation in _UPRIGHT:
            image = image.transpose(_UPRIGHT[orientation])
    except PhotoRejected:
        raise
    except MemoryError as error:
        raise PhotoRejected("decode_memory") from error
    except _DECODE_ERRORS as error:
        raise PhotoRejected("broken") from error
    # Pillow's writers take comments, resolution and profiles from here unless it is empty.
    image.info.clear()
    return DecodedPhoto(image, found, header.width, header.height)


def _open_and_load(data: bytes, sniffed: str, *, limits: IntakeLimits) -> tuple[Image.Image, str, int]:
    """Open with the sniffed format only, apply the rules that need the decoder, decode every pixel.

    Returns the picture as stored, its format and its EXIF orientation.
    """
    with _PILLOW_WARNINGS_ARE_ERRORS:
        image: ImageFile.ImageFile = Image.open(io.BytesIO(data), formats=(sniffed,))
        # "MPO" is a JPEG file with several pictures. The first is an ordinary JPEG; only that one is read.
        found = image.format or sniffed
        check_size(*image.size, limits=limits)
        frames = int(getattr(image, "n_frames", 1))
        if frames > 1 and found != _MPO:
            raise PhotoRejected("animated", frames=frames)
        # libjpeg can scale by halves while it decodes, in a quarter of the memory; it still reads every
        # coefficient, so a broken file is found all the same. Nothing but JPEG reacts to this.
        scale = _DRAFT_SIDE / max(image.size)
        image.draft(None, (int(image.width * scale), int(image.height * scale)))
        image.load()
        try:
            orientation = int(image.getexif().get(_ORIENTATION_TAG, 1))
        except _DECODE_ERRORS:
            orientation = 1
    return image, found, orientation


def _to_plain_mode(image: Image.Image) -> Image.Image:
    """Bring any mode of the three formats to L, RGB or CMYK with 8 bits and no transparency."""
    if image.mode.startswith("I"):
        return _scale_16_to_8(image)
    if image.has_transparency_data:
        return _flatten(image)
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _scale_16_to_8(image: Image.Image) -> Image.Image:
    """0..65535 to 0..255, strip by strip. Pillow's own conversion from 32-bit integers would clip at 255."""
    # A single transparent grey level cannot be told apart after scaling, and no camera writes one.
    image.info.pop("transparency", None)
    width, height = image.size
    scaled = Image.new("L", image.size)
    for top in range(0, height, _STRIP_ROWS):
        strip = image.crop((0, top, width, min(top + _STRIP_ROWS, height))).convert("I")
        scaled.paste(strip.point(lambda value: value * (1 / 257) + 0.5).convert("L"), (0, top))
    return scaled


def _flatten(image: Image.Image) -> Image.Image:
    """Lay a picture with alpha or a transparent colour on white, strip by strip."""
    width, height = image.size
    flat = Image.new("RGB", image.size, _WHITE)
    for top in range(0, height, _STRIP_ROWS):
        strip = image.crop((0, top, width, min(top + _STRIP_ROWS, height))).convert("RGBA")
        flat.paste(strip, (0, top), mask=strip)
    return flat


def _shrink(image: Image.Image) -> Image.Image:
    """Bring the longer side down to MAX_SIDE if it is longer; never enlarges."""
    longest = max(image.size)
    if longest <= MAX_SIDE:
        return image
    width, height = (max(1, round(side * MAX_SIDE / longest)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)


def _to_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """Apply an embedded profile that fits the pixels; without one, or with a broken one, assume sRGB."""
    if icc_profile:
        # The colour engine is loaded only for pictures with a profile.
        from PIL import ImageCms

        spaces = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
            space = profile.profile.xcolor_space.strip()
            if space == "RGB" and image.mode == "L":
                image = image.convert("RGB")
            already_srgb = (profile.profile.profile_description or "").startswith("sRGB")
            if space == spaces[image.mode] and not already_srgb:
                converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, *_DECODE_ERRORS):
            # A broken profile says nothing about the colours. The pixels are still good.
            pass
    return image if image.mode == "RGB" else image.convert("RGB")
