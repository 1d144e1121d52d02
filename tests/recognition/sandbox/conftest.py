"""Generated pictures, and the hostile ones of ../shared if they are there."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"

Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder ../shared/data, or a skip that says what is missing."""
    if not SHARED.is_dir():
        pytest.skip("../shared/data is not there: the real data are not part of the repository")
    return SHARED


@pytest.fixture(scope="session")
def quadrants() -> Image.Image:
    """160 x 120, one colour per corner: every flip and turn of it looks different."""
    picture = Image.new("RGB", (160, 120), (220, 40, 40))
    picture.paste((40, 200, 40), (80, 0, 160, 60))
    picture.paste((40, 40, 220), (0, 60, 80, 120))
    picture.paste((230, 230, 230), (80, 60, 160, 120))
    return picture


@pytest.fixture(scope="session")
def encode() -> Encode:
    """`encode(image, "PNG", **options)` gives the file as bytes."""

    def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return encoded


@pytest.fixture(scope="session")
def scan_bomb() -> bytes:
    """A progressive JPEG of 3000 x 3000 with 1,500 scans more than it needs: small, valid, and half a minute of CPU.

    The scan that is repeated refines coefficients that are all zero: a few bytes of "nothing changes",
    for which the decoder visits every coefficient of the picture.
    """
    buffer = io.BytesIO()
    Image.new("RGB", (3000, 3000), (150, 90, 80)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    # The tables of the last scan stand before it and stay in force.
    return data[:-2] + data[last:-2] * 1500 + data[-2:]
