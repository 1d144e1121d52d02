"""Decoding: every mode becomes one upright 8-bit RGB picture, every rule has its code."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms

from recognition.sandbox import IntakeLimits, PhotoRejected, read_image
from recognition.sandbox.decode import _PILLOW_WARNINGS_ARE_ERRORS, MAX_SIDE, decode_photo

Encode = Callable[..., bytes]
Colour = tuple[int, int, int]

#: What a camera held this way stores: the transposition that undoes the upright one.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def code_of(data: bytes, **limits: int) -> str:
    with pytest.raises(PhotoRejected) as caught:
        read_image(data, limits=IntakeLimits(**limits))
    return caught.value.code


def colour_at(image: Image.Image, x: int = 70, y: int = 70) -> Colour:
    assert image.mode == "RGB"
    pixel = image.getpixel((x, y))
    assert isinstance(pixel, tuple)
    return pixel[0], pixel[1], pixel[2]


def close(one: Colour, other: Colour, within: int = 6) -> bool:
    return all(abs(a - b) <= within for a, b in zip(one, other, strict=True))


def difference(one: Image.Image, other: Image.Image) -> int:
    """Largest difference of any channel of any pixel."""
    assert one.size == other.size
    return max(int(high) for _, high in ImageChops.difference(one, other).getextrema())  # type: ignore[misc]  # RGB: pairs


# --- orientation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_eight_orientations_give_one_picture(
    orientation: int, kind: str, quadrants: Image.Image, encode: Encode
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = quadrants.transpose(STORED[orientation]) if orientation in STORED else quadrants
    every: dict[str, dict[str, int]] = {"PNG": {}, "WEBP": {"lossless": 1}, "JPEG": {"quality": 100, "subsampling": 0}}
    options = every[kind]
    photo = decode_photo(encode(stored, kind, exif=exif, **options))
    assert difference(photo.image, quadrants) <= (6 if kind == "JPEG" else 0)
    assert (photo.width, photo.height) == stored.size


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_changes_nothing(
    orientation: int, quadrants: Image.Image, encode: Encode
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert difference(read_image(encode(quadrants, "PNG", exif=exif)), quadrants) == 0


def test_unreadable_exif_does_not_cost_the_photo(quadrants: Image.Image, encode: Encode) -> None:
    data = encode(quadrants, "JPEG", quality=95, exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff" + b"\xff" * 60)
    assert read_image(data).size == quadrants.size


# --- modes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stored", "expected"), [(0, 0), (257, 1), (32768, 128), (51400, 200), (65535, 255)])
def test_sixteen_bit_greys_are_scaled_not_clipped(stored: int, expected: int, encode: Encode) -> None:
    grey = Image.frombytes("I;16", (100, 100), struct.pack("<H", stored) * 10_000)
    assert colour_at(read_image(encode(grey, "PNG"))) == (expected,) * 3


def test_sixteen_bit_greys_keep_their_gradient(encode: Encode) -> None:
    row = b"".join(struct.pack("<H", x * 256) for x in range(256))
    image = read_image(encode(Image.frombytes("I;16", (256, 600), row * 600), "PNG"))
    # 600 rows: more than one strip of the conversion.
    for y in (0, 255, 256, 599):
        assert [colour_at(image, x, y)[0] for x in (0, 100, 255)] == [0, 100, 254]


def test_cmyk_as_adobe_writes_it_keeps_its_colours(encode: Encode) -> None:
    cmyk = Image.new("CMYK", (100, 100), (0, 255, 255, 0))
    data = encode(cmyk, "JPEG", quality=95)
    assert b"Adobe" in data
    assert close(colour_at(read_image(data)), (255, 0, 0))


def test_palettes_become_their_colours(quadrants: Image.Image, encode: Encode) -> None:
    image = read_image(encode(quadrants.quantize(16), "PNG"))
    assert difference(image, quadrants) <= 8


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_is_laid_on_white(kind: str, encode: Encode) -> None:
    picture = Image.new("RGBA", (100, 600), (200, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 100, 60))
    picture.paste((0, 0, 0, 128), (0, 540, 100, 600))
    image = read_image(encode(picture, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {})))
    assert colour_at(image, 50, 30) == (255, 255, 255)
    assert colour_at(image, 50, 300) == (200, 0, 0)
    assert close(colour_at(image, 50, 570), (127, 127, 127), within=1)


def test_a_transparent_grey_is_laid_on_white(encode: Encode) -> None:
    picture = Image.new("LA", (100, 100), (0, 0))
    assert colour_at(read_image(encode(picture, "PNG"))) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_colour_declared_transparent_is_white_too(mode: str, encode: Encode) -> None:
    key = {"L": 0, "RGB": (0, 0, 0), "P": 0}[mode]
    picture = Image.new(mode, (100, 100), 0)
    assert colour_at(read_image(encode(picture, "PNG", transparency=key))) == (255, 255, 255)


def test_one_bit_pictures_are_black_and_white(encode: Encode) -> None:
    picture = Image.new("1", (100, 100), 1)
    picture.paste(0, (0, 0, 50, 100))
    image = read_image(encode(picture, "PNG"))
    assert (colour_at(image, 10, 10), colour_at(image, 90, 10)) == ((0, 0, 0), (255, 255, 255))


def test_a_picture_larger_than_the_cap_keeps_its_shape(encode: Encode) -> None:
    picture = Image.new("RGB", (MAX_SIDE + 904, 2500), (150, 90, 80))
    assert read_image(encode(picture, "PNG")).size == (MAX_SIDE, 2048)


def test_a_very_large_jpeg_is_scaled_by_its_decoder(encode: Encode) -> None:
    photo = decode_photo(encode(Image.new("RGB", (8000, 4000), (150, 90, 80)), "JPEG"))
    assert (photo.width, photo.height) == (8000, 4000)
    assert photo.image.size == (4000, 2000)
    assert close(colour_at(photo.image), (150, 90, 80))


def test_nothing_of_the_file_stays_attached(quadrants: Image.Image, encode: Encode) -> None:
    image = read_image(encode(quadrants, "JPEG", comment=b"remember me", dpi=(300, 300)))
    assert image.info == {}


# --- colour profiles --------------------------------------------------------------------------------------------------


def matrix_profile(
    red: tuple[float, float, float], green: tuple[float, float, float], blue: tuple[float, float, float]
) -> bytes:
    """A minimal ICC 2.1 display profile with these primaries (XYZ, D50) and a gamma of 2.2 (ICC.1:2001-04)."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values: tuple[float, float, float]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    text = b"made for a test\0"
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 79,
        b"cprt": b"text\0\0\0\0" + text,
        b"wtpt": xyz((0.9642, 1.0, 0.8249)),
        b"rXYZ": xyz(red),
        b"gXYZ": xyz(green),
        b"bXYZ": xyz(blue),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    offset = 128 + 4 + 12 * len(tags)
    directory, bodies = struct.pack(">I", len(tags)), b""
    for name, body in tags.items():
        padded = body + b"\0" * (-len(body) % 4)
        directory += name + struct.pack(">II", offset + len(bodies), len(body))
        bodies += padded
    header = struct.pack(">I4sI4s4s4s", offset + len(bodies), b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + b"".join(map(fixed, (0.9642, 1.0, 0.8249))) + bytes(48)
    return header + directory + bodies


#: sRGB's primaries with red and blue exchanged: applied, red is blue; ignored, it stays red.
SRGB_RED, SRGB_GREEN, SRGB_BLUE = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
EXCHANGED = matrix_profile(SRGB_BLUE, SRGB_GREEN, SRGB_RED)


def test_an_embedded_profile_is_applied(encode: Encode) -> None:
    red = Image.new("RGB", (100, 100), (255, 0, 0))
    assert close(colour_at(read_image(encode(red, "PNG", icc_profile=EXCHANGED))), (0, 0, 255), within=12)


@pytest.mark.parametrize("profile", [b"not a profile", EXCHANGED[:200], bytes(4000)])
def test_a_broken_profile_is_ignored(profile: bytes, encode: Encode) -> None:
    red = Image.new("RGB", (100, 100), (255, 0, 0))
    assert colour_at(read_image(encode(red, "PNG", icc_profile=profile))) == (255, 0, 0)


def test_srgb_itself_changes_no_pixel(quadrants: Image.Image, encode: Encode) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert difference(read_image(encode(quadrants, "PNG", icc_profile=profile)), quadrants) == 0


def test_a_profile_of_another_colour_space_is_ignored(encode: Encode) -> None:
    cmyk = Image.new("CMYK", (100, 100), (0, 255, 255, 0))
    assert close(colour_at(read_image(encode(cmyk, "JPEG", quality=95, icc_profile=EXCHANGED))), (255, 0, 0))


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "code"),
    [((63, 100), "too_small"), ((100, 63), "too_small"), ((64, 641), "too_elongated"), ((641, 64), "too_elongated")],
)
def test_sizes_that_are_refused(size: tuple[int, int], code: str, encode: Encode) -> None:
    for kind in ("PNG", "JPEG", "WEBP"):
        assert code_of(encode(Image.new("RGB", size), kind)) == code


@pytest.mark.parametrize("size", [(64, 64), (64, 640), (640, 64)])
def test_sizes_that_are_just_accepted(size: tuple[int, int], encode: Encode) -> None:
    for kind in ("PNG", "JPEG", "WEBP"):
        assert read_image(encode(Image.new("RGB", size), kind)).size == size


def test_the_pixel_limit_is_read_from_the_header(encode: Encode) -> None:
    for kind in ("PNG", "JPEG", "WEBP"):
        data = encode(Image.new("RGB", (100, 101)), kind)
        # The first half holds the header and too little of the pixels: nothing has been decoded yet.
        assert code_of(data[: len(data) // 2 + 40], max_pixels=10_000) == "too_many_pixels"
        assert read_image(data, limits=IntakeLimits(max_pixels=10_100)).size == (100, 101)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(kind: str, quadrants: Image.Image, encode: Encode) -> None:
    frames = [quadrants.transpose(Image.Transpose.ROTATE_180), quadrants.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    with pytest.raises(PhotoRejected) as caught:
        read_image(encode(quadrants, kind, save_all=True, append_images=frames))
    assert (caught.value.code, caught.value.params["frames"]) == ("animated", 3)


def test_the_first_picture_of_an_mpo_is_the_photo(quadrants: Image.Image, encode: Encode) -> None:
    second = Image.new("RGB", quadrants.size, (0, 0, 0))
    photo = decode_photo(encode(quadrants, "MPO", quality=100, subsampling=0, save_all=True, append_images=[second]))
    assert photo.format == "MPO"
    assert difference(photo.image, quadrants) <= 6


@pytest.mark.parametrize(
    ("kind", "name"), [("GIF", "GIF"), ("TIFF", "TIFF"), ("BMP", "BMP"), ("JPEG2000", "JPEG 2000"), ("PDF", "PDF")]
)
def test_other_formats_are_refused_by_their_name(kind: str, name: str, quadrants: Image.Image, encode: Encode) -> None:
    with pytest.raises(PhotoRejected) as caught:
        read_image(encode(quadrants, kind))
    assert caught.value.code == "unsupported_format"
    assert caught.value.params == {"format": name}
    assert name in caught.value.message


@pytest.mark.parametrize("data", [b"<svg xmlns='x'/>", b"\x00" * 100, b"RIFF\x10\0\0\0WAVEfmt ", b"\xff\xd8", b"x"])
def test_what_is_no_picture_is_called_so(data: bytes) -> None:
    assert code_of(data) == "not_an_image"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_half_a_file_is_broken(kind: str, part: float, encode: Encode) -> None:
    data = encode(Image.effect_noise((200, 150), 60).convert("RGB"), kind)
    assert code_of(data[: int(len(data) * part)]) == "broken"


def test_scans_are_counted_to_the_end_of_the_first_image_only(
    scan_bomb: bytes, quadrants: Image.Image, encode: Encode
) -> None:
    assert code_of(scan_bomb) == "too_many_scans"
    progressive = encode(quadrants, "JPEG", progressive=True)
    scans = progressive.count(b"\xff\xda")
    assert read_image(progressive, limits=IntakeLimits(max_jpeg_scans=scans)).size == quadrants.size
    assert code_of(progressive, max_jpeg_scans=scans - 1) == "too_many_scans"
    # Neither a thumbnail inside a segment nor what follows the picture is a scan of it.
    segment = b"\xff\xed" + struct.pack(">H", 2002) + b"\xff\xda\x00\x02" * 500
    padded = progressive[:2] + segment + progressive[2:] + b"\xff\xda\x00\x02" * 500
    assert read_image(padded, limits=IntakeLimits(max_jpeg_scans=scans)).size == quadrants.size


def test_a_file_of_countless_parts_is_refused_before_they_are_read(quadrants: Image.Image, encode: Encode) -> None:
    jpeg, png = encode(quadrants, "JPEG"), encode(quadrants, "PNG")
    assert code_of(jpeg[:2] + b"\xff\xfe\x00\x02" * 40_000 + jpeg[2:]) == "too_many_parts"
    assert code_of(png[:33] + b"\0\0\0\0teSt\0\0\0\0" * 40_000 + png[33:]) == "too_many_parts"


def test_the_filters_of_the_process_are_left_as_they_were(quadrants: Image.Image, encode: Encode) -> None:
    before = list(warnings.filters)
    read_image(encode(quadrants, "PNG"))
    code_of(b"\x89PNG\r\n\x1a\n")
    assert list(warnings.filters) == before


def test_several_threads_decode_at_once_and_leave_the_warnings_of_others_alone(
    quadrants: Image.Image, encode: Encode
) -> None:
    before, content = list(warnings.filters), encode(quadrants, "JPEG")
    expected = read_image(content).tobytes()
    with ThreadPoolExecutor(4) as pool:
        decoded = pool.map(lambda _: read_image(content).tobytes(), range(200))
        assert set(decoded) == {expected}
    assert list(warnings.filters) == before
    with _PILLOW_WARNINGS_ARE_ERRORS:
        added = [each for each in warnings.filters if each not in before]
        assert added
        assert all(module is not None and module.pattern.startswith("PIL") for _, _, _, module, _ in added)
    assert list(warnings.filters) == before


# --- nonsense ---------------------------------------------------------------------------------------------------------


def seed(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((80, 70), 50).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


SEEDS = {kind: seed(kind) for kind in ("JPEG", "PNG", "WEBP")}
MAGICS = (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x20\0\0\0WEBPVP8X", b"")


def accepts_or_says_why(data: bytes) -> None:
    try:
        image = read_image(data)
    except PhotoRejected as rejection:
        assert rejection.message
    else:
        assert image.mode == "RGB"
        assert max(image.size) <= MAX_SIDE


@settings(max_examples=200, deadline=None)
@given(magic=st.sampled_from(MAGICS), rest=st.binary(max_size=300))
def test_random_bytes_are_refused_or_accepted(magic: bytes, rest: bytes) -> None:
    accepts_or_says_why(magic + rest)


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(sorted(SEEDS)),
    keep=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12),
)
def test_cut_and_changed_files_are_refused_or_accepted(
    kind: str, keep: float, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(SEEDS[kind][: int(len(SEEDS[kind]) * keep)])
    for place, value in changes:
        if data:
            data[int(place * len(data))] = value
    accepts_or_says_why(bytes(data))
