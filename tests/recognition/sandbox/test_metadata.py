"""Accepted photos keep no metadata of a camera or a person."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import pytest
from PIL import Image, ImageCms

from recognition.sandbox import accept_photo
from recognition.sandbox.derivatives import encode_clean, is_clean_jpeg

Encode = Callable[..., bytes]

SECRETS = (b"Secret Patient", b"SN-0815", b"<x:xmpmeta", b"a comment", b"PAYLOAD", b"Exif", b"ICC_PROFILE", b"GPS")


def exif_with_everything() -> Image.Exif:
    exif = Image.Exif()
    exif[0x013B] = "Secret Patient"
    exif[0x0112] = 1
    camera = exif.get_ifd(0x8769)
    camera[0xA431] = "SN-0815"
    position = exif.get_ifd(0x8825)
    position[1], position[2] = "N", (47.0, 22.0, 30.0)
    return exif


@pytest.fixture
def talkative(quadrants: Image.Image, encode: Encode) -> dict[str, bytes]:
    """The same picture in three formats, with every kind of metadata a file can have."""
    exif = exif_with_everything()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>Secret Patient</x:xmpmeta>"
    jpeg = encode(quadrants, "JPEG", exif=exif, icc_profile=profile, comment=b"a comment", quality=90)
    jpeg = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp + jpeg[2:]
    return {
        "JPEG": jpeg + b"PAYLOAD",
        "PNG": encode(quadrants, "PNG", exif=exif, icc_profile=profile) + b"PAYLOAD",
        "WEBP": encode(quadrants, "WEBP", exif=exif, icc_profile=profile, xmp=xmp),
    }


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_only_pixels_are_kept(kind: str, talkative: dict[str, bytes]) -> None:
    data = talkative[kind]
    assert b"Secret Patient" in data
    photo = accept_photo(data)
    for kept in (photo.image, photo.thumbnail):
        assert [secret for secret in SECRETS if secret in kept] == []
        assert is_clean_jpeg(kept)
        with Image.open(io.BytesIO(kept)) as image:
            assert dict(image.getexif()) == {}
            assert not {"exif", "xmp", "comment", "icc_profile", "photoshop"} & set(image.info)


def test_a_clean_file_is_recognised_by_its_markers(quadrants: Image.Image, encode: Encode) -> None:
    clean = encode_clean(quadrants.copy())
    assert is_clean_jpeg(clean)
    jfif_end = 2 + 2 + 16
    application = b"\xff\xe1\x00\x08Exif\0\0"
    dirty = {
        "exif": encode(quadrants, "JPEG", exif=exif_with_everything()),
        "comment": encode(quadrants, "JPEG", comment=b"a comment"),
        "segment": clean[:jfif_end] + application + clean[jfif_end:],
        "thumbnail in JFIF": clean[:4] + b"\x00\x13" + clean[6:jfif_end] + b"abc" + clean[jfif_end:],
        "trailing": clean + b"PAYLOAD",
        "trailing that ends well": clean + b"PAYLOAD\xff\xd9",
        "second picture": clean + clean,
        "progressive": encode(quadrants, "JPEG", progressive=True),
        "cut": clean[:-2],
        "PNG": encode(quadrants, "PNG"),
        "nothing": b"",
        "ends only": b"\xff\xd8\xff\xd9",
    }
    assert [name for name, data in dirty.items() if is_clean_jpeg(data)] == []
