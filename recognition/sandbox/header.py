"""Checks on a file's header before decoding: format, size in pixels, JPEG scans, number of parts.

Plain Python, in time linear in the file: a header cannot make this code allocate memory or loop. Most bad
files are refused here without a child process, and a scan bomb is refused before libjpeg reads it. The
decoder checks again later.

Sources: ITU-T T.81 annex B (JPEG markers), PNG third edition section 5 (chunks), RFC 9649 (WebP).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from recognition.sandbox.policy import MIB, IntakeLimits, PhotoRejected

JPEG, PNG, WEBP = "JPEG", "PNG", "WEBP"

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_JPEG_SIGNATURE = b"\xff\xd8\xff"
_PHOTO_SIGNATURES = (_JPEG_SIGNATURE, _PNG_SIGNATURE)

#: First bytes of photos, and of other files that people upload by mistake: the message names the format.
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (_JPEG_SIGNATURE, JPEG),
    (_PNG_SIGNATURE, PNG),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
    (b"%PDF-", "PDF"),
    (b"8BPS", "Photoshop"),
    (b"\x00\x00\x01\x00", "Windows icon"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
)
#: Major brands of ISO media files that hold a still picture; every other brand is a video.
_BRANDS = dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), "HEIC") | dict.fromkeys(
    (b"avif", b"avis"), "AVIF"
)
_DICOM_MAGIC_AT = 128

_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS = range(0xD0, 0xD8)
#: Start-of-frame markers: C0..CF without DHT (C4), JPG (C8) and DAC (CC).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: The next real marker: inside entropy-coded data FF00 is a stuffed byte and FFD0..FFD7 a restart, and
#: libjpeg skips everything else that is not a marker in just this way.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


@dataclass(frozen=True, slots=True)
class PhotoHeader:
    """Format (`JPEG`, `PNG`, `WEBP`), raster size in pixels as stored, and JPEG scans (0 for others)."""

    format: str
    width: int
    height: int
    scans: int = 0


def sniff(data: bytes) -> str | None:
    """The name of the file format of `data` as its first bytes tell it, or None if they tell nothing."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "video")
    if data[_DICOM_MAGIC_AT : _DICOM_MAGIC_AT + 4] == b"DICM" and not data.startswith(_PHOTO_SIGNATURES):
        return "DICOM"
    return next((name for signature, name in _SIGNATURES if data.startswith(signature)), None)


def read_header(data: bytes, *, limits: IntakeLimits) -> PhotoHeader:
    """The header of a file, after every check that needs no decoding.

    Raises PhotoRejected: empty, too_large_bytes, not_an_image, unsupported_format, too_many_pixels,
    too_small, too_elongated, too_many_scans, too_many_parts, broken.
    """
    if not data:
        raise PhotoRejected("empty")
    if len(data) > limits.max_bytes:
        raise PhotoRejected("too_large_bytes", megabytes=limits.max_bytes // MIB)
    found = sniff(data)
    if found is None:
        raise PhotoRejected("not_an_image")
    if found == JPEG:
        header = _jpeg(data, limits=limits)
    elif found == PNG:
        header = _png(data, limits=limits)
    elif found == WEBP:
        header = _webp(data)
    else:
        raise PhotoRejected("unsupported_format", format=found)
    check_size(header.width, header.height, limits=limits)
    if header.scans > limits.max_jpeg_scans:
        raise PhotoRejected("too_many_scans")
    return header


def check_size(width: int, height: int, *, limits: IntakeLimits) -> None:
    """Raise PhotoRejected unless a raster of `width` x `height` pixels is within `limits`."""
    if width <= 0 or height <= 0:
        raise PhotoRejected("broken")
    if width * height > limits.max_pixels:
        raise PhotoRejected("too_many_pixels", width=width, height=height, megapixels=limits.max_pixels // 1_000_000)
    short, long = sorted((width, height))
    if short < limits.min_side:
        raise PhotoRejected("too_small", width=width, height=height, min_side=limits.min_side)
    if long > short * limits.max_aspect_ratio:
        raise PhotoRejected("too_elongated", width=width, height=height)


def _jpeg(data: bytes, *, limits: IntakeLimits) -> PhotoHeader:
    """Walk the markers to the end of the first image (EOI), counting scans; entropy-coded data is skipped."""
    size: tuple[int, int] | None = None
    scans = parts = 0
    position = 2
    while match := _NEXT_MARKER.search(data, position):
        marker = data[match.end() - 1]
        position = match.end()
        if marker == _EOI:
            break
        if marker in (_SOI, _TEM):
            continue
        parts += 1
        if parts > limits.max_parts:
            raise PhotoRejected("too_many_parts")
        length = int.from_bytes(data[position : position + 2], "big")
        if length < 2:
            # libjpeg stops here as well. The markers read so far decide.
            break
        if marker in _FRAMES and size is None and len(data) >= position + 7:
            height, width = struct.unpack_from(">HH", data, position + 3)
            size = (width, height)
        elif marker == _SOS:
            scans += 1
            if scans > limits.max_jpeg_scans:
                # No need to count on: the file is refused, for its scans or for its size.
                break
        position += length
    if size is None:
        raise PhotoRejected("broken")
    return PhotoHeader(JPEG, size[0], size[1], scans)


def _png(data: bytes, *, limits: IntakeLimits) -> PhotoHeader:
    """Size from IHDR, which must come first; the chunks are only counted."""
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise PhotoRejected("broken")
    width, height = struct.unpack_from(">II", data, 16)
    position, parts = len(_PNG_SIGNATURE), 0
    while position + 8 <= len(data):
        parts += 1
        if parts > limits.max_parts:
            raise PhotoRejected("too_many_parts")
        (length,) = struct.unpack_from(">I", data, position)
        if data[position + 4 : position + 8] == b"IEND":
            break
        position += length + 12
    return PhotoHeader(PNG, width, height)


def _webp(data: bytes) -> PhotoHeader:
    """Canvas size from the first chunk: VP8X (extended), VP8L (lossless) or VP8 (lossy)."""
    if len(data) < 30:
        raise PhotoRejected("broken")
    kind, body = data[12:16], data[20:30]
    if kind == b"VP8X":
        width = 1 + int.from_bytes(body[4:7], "little")
        height = 1 + int.from_bytes(body[7:10], "little")
    elif kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width = int.from_bytes(body[6:8], "little") & 0x3FFF
        height = int.from_bytes(body[8:10], "little") & 0x3FFF
    else:
        raise PhotoRejected("broken")
    return PhotoHeader(WEBP, width, height)
