"""Preprocessing: known pixels, one scale for every upload, and refusal of other modes."""

import numpy as np
import pytest
from PIL import Image

from recognition.inference.preprocessing import Preprocessing, preprocess, to_reference, to_square


def checkered(width: int, height: int, cell: int) -> np.ndarray:
    """Black and coloured cells: (0, 0, 0) and (240, 120, 60)."""
    rows, columns = np.mgrid[0:height, 0:width] // cell
    return np.where(((rows + columns) % 2)[..., None], np.array([240, 120, 60]), 0).astype(np.uint8)


def test_golden_pixels_of_the_area_step() -> None:
    # 8 x 4 pixels to a long side of 4: each new pixel is the mean of a 2 x 2 block.
    picture = np.zeros((4, 8, 3), dtype=np.uint8)
    picture[:, :, 0] = np.arange(8) * 10  # red rises to the right
    picture[:, :, 1] = (np.arange(4) * 40)[:, None]  # green rises downwards
    picture[0, 0, 2] = 200  # one blue pixel, shared by four
    reference = np.asarray(to_reference(Image.fromarray(picture), long_side=4))
    assert reference.shape == (2, 4, 3)
    assert reference[:, :, 0].tolist() == [[5, 25, 45, 65]] * 2
    assert reference[:, :, 1].tolist() == [[20] * 4, [100] * 4]
    assert reference[:, :, 2].tolist() == [[50, 0, 0, 0], [0, 0, 0, 0]]


def test_golden_pixels_of_the_whole_way() -> None:
    # Two halves, 100 and 200, stretched from 4 x 2 to 8 x 8: bilinear weights at the border are 3:1 and 1:3.
    picture = np.full((2, 4, 3), 100, dtype=np.uint8)
    picture[:, 2:] = 200
    pixels = preprocess(picture, Preprocessing(input_size=8, reference_long_side=4))
    assert pixels.dtype == np.float32
    assert pixels.shape == (8, 8, 3)
    assert np.array_equal(pixels[:, :, 1], np.tile([100, 100, 100, 125, 175, 200, 200, 200], (8, 1)))


def test_golden_pixels_of_each_fit() -> None:
    picture = Image.fromarray(np.array([[10, 20, 30, 40], [50, 60, 70, 80]], np.uint8)[..., None].repeat(3, axis=2))

    def square(fit: str) -> list[list[int]]:
        rows: list[list[int]] = np.asarray(to_square(picture, fit=fit))[..., 0].tolist()
        return rows

    upper, lower = [10, 20, 30, 40], [50, 60, 70, 80]
    assert square("stretch") == [upper, lower]  # `to_input` does it
    assert square("pad") == [upper, upper, lower, lower]
    assert square("crop") == [[20, 30], [60, 70]]


@pytest.mark.parametrize("fit", ["pad", "crop"])
@pytest.mark.parametrize("size", [(400, 300), (100, 400), (400, 20), (200, 200)])
def test_a_quarter_turn_turns_the_input_where_the_aspect_is_kept(fit: str, size: tuple[int, int]) -> None:
    picture = checkered(*size, 10)
    preprocessing = Preprocessing(input_size=64, reference_long_side=200, fit=fit)
    pixels, turned = preprocess(picture, preprocessing), preprocess(np.rot90(picture), preprocessing)
    assert np.abs(np.rot90(pixels) - turned).max() <= 2  # rounding
    stretched = preprocess(picture, Preprocessing(input_size=64, reference_long_side=200))
    assert np.array_equal(pixels, stretched) is (size[0] == size[1])


@pytest.mark.parametrize("factor", [2, 5, 13])
def test_an_upload_of_any_size_reaches_the_network_at_the_scale_of_training(factor: int) -> None:
    small = checkered(200, 150, 10)
    large = small.repeat(factor, axis=0).repeat(factor, axis=1)
    preprocessing = Preprocessing(input_size=128)
    assert np.array_equal(preprocess(large, preprocessing), preprocess(small, preprocessing))


def test_straight_to_the_input_size_would_be_another_picture() -> None:
    fine = checkered(1600, 1200, 4)  # detail that a 200 px training picture cannot hold
    straight = np.asarray(Image.fromarray(fine).resize((224, 224), Image.Resampling.NEAREST), dtype=np.float32)
    served = preprocess(fine, Preprocessing(input_size=224))
    assert straight.std() > 50
    assert served[..., 0].std() < 1


def test_values_stay_in_0_to_255() -> None:
    pixels = preprocess(np.full((30, 40, 3), 255, dtype=np.uint8), Preprocessing(input_size=16))
    assert pixels.min() == pixels.max() == 255.0


def test_a_picture_smaller_than_the_reference_keeps_its_pixels() -> None:
    picture = Image.fromarray(checkered(120, 90, 5))
    assert to_reference(picture, long_side=200) is picture


def test_array_and_picture_are_the_same_input() -> None:
    array = checkered(300, 300, 7)
    preprocessing = Preprocessing(input_size=64)
    assert np.array_equal(preprocess(array, preprocessing), preprocess(Image.fromarray(array), preprocessing))


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "CMYK", "I;16"])
def test_other_modes_are_refused_not_guessed(mode: str) -> None:
    with pytest.raises(ValueError, match="RGB"):
        preprocess(Image.new(mode, (10, 10)), Preprocessing(input_size=8))


@pytest.mark.parametrize(
    "array", [np.zeros((5, 5, 3), np.float32), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 4), np.uint8)]
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        preprocess(array, Preprocessing(input_size=8))


@pytest.mark.parametrize(
    "values", [{"input_size": 0}, {"input_size": 8, "fit": "squeeze"}, {"input_size": 8, "resample": "nearest"}]
)
def test_a_manifest_with_an_unknown_preprocessing_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"positive|unknown"):
        Preprocessing.from_json(values)


def test_the_manifest_keeps_every_field() -> None:
    preprocessing = Preprocessing(input_size=128, reference_long_side=150)
    assert Preprocessing.from_json(preprocessing.as_json()) == preprocessing
