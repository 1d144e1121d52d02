"""Learning pictures: decoded when they are needed, by several threads, with the same bytes as if all were held."""

import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from recognition.datasets.pictures import PictureStore
from recognition.fit.balance import one_hot
from recognition.fit.batches import batches, validation_batches
from recognition.fit.learning_pictures import LearningPictures, PictureCache
from recognition.fit.prefetch import AHEAD, Prefetched
from recognition.inference.preprocessing import Preprocessing, preprocess, to_reference
from recognition.recipes import SMOKE, changed
from tests.factories import jpeg_bytes, made_picture

NAMES = [f"ISIC_{number:07d}" for number in range(40)]
PREPROCESSING = Preprocessing(input_size=32, reference_long_side=100)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureStore]:
    place = tmp_path_factory.mktemp("pictures") / "pictures.zip"
    with zipfile.ZipFile(place, "w") as archive:
        for number, name in enumerate(NAMES):
            archive.writestr(f"{name}.jpg", jpeg_bytes(made_picture("NV", number, size=(120, 90))))
    with PictureStore(place) as pictures:
        yield pictures


class Counted:
    """A store that counts how often each picture is decoded."""

    def __init__(self, store: PictureStore) -> None:
        self._store = store
        self.decoded = Counter[str]()

    def picture(self, image: str) -> Image.Image:
        self.decoded[image] += 1
        return self._store.picture(image)


def learning(pictures: Any, cache: PictureCache | None = None, **changes: Any) -> LearningPictures:
    return LearningPictures(
        NAMES, pictures=pictures, preprocessing=changes.get("preprocessing", PREPROCESSING),
        cache=cache or PictureCache(),
    )  # fmt: skip


def one_epoch(references: Any) -> list[Any]:
    recipe = changed(SMOKE, {"fine_tune.batch_size": "8", "fine_tune.mixup_alpha": "0.4"})
    assert recipe.fine_tune is not None
    count = len(references)
    drawn = batches(
        references, one_hot(np.arange(count) % 8), weights=np.ones(count, np.float32), order=np.arange(count)[::-1],
        recipe=recipe, phase=recipe.fine_tune, epoch=1,
    )  # fmt: skip
    return [drawn[place] for place in range(len(drawn))]


def test_nothing_is_decoded_before_it_is_read_and_the_cache_takes_what_it_has_room_for(store: PictureStore) -> None:
    counted = Counted(store)
    room = 10 * 100 * 75 * 3
    references = learning(counted, PictureCache(bytes_max=room + 5))
    assert len(references) == 40
    assert not counted.decoded
    for _ in range(3):
        for row in range(40):
            assert references[row].size == (100, 75)
    assert [counted.decoded[name] for name in NAMES] == [1] * 10 + [3] * 30


@pytest.mark.parametrize("bytes_max", [0, 10**9])
def test_the_batches_are_those_of_pictures_that_are_all_held(store: PictureStore, bytes_max: int) -> None:
    held = [to_reference(store.picture(name), long_side=100) for name in NAMES]
    for one, other in zip(one_epoch(held), one_epoch(learning(store, PictureCache(bytes_max=bytes_max))), strict=True):
        assert all(np.array_equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_validation_sees_what_serving_sees_in_full_batches(store: PictureStore, fit: str) -> None:
    preprocessing = Preprocessing(input_size=32, reference_long_side=100, fit=fit)
    drawn = validation_batches(learning(store, preprocessing=preprocessing), input_size=32, batch_size=16)
    inputs = [drawn[place][0] for place in range(len(drawn))]
    assert [each.shape for each in inputs] == [(16, 32, 32, 3)] * 3
    expected = np.stack([preprocess(store.picture(name), preprocessing) for name in NAMES])
    assert np.array_equal(np.concatenate(inputs)[:40], expected)


def test_many_threads_read_one_zip(store: PictureStore) -> None:
    expected = [np.asarray(store.picture(name)) for name in NAMES]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(store.picture, NAMES * 10))
    assert all(np.array_equal(np.asarray(picture), expected[at % 40]) for at, picture in enumerate(found))


def test_items_come_in_any_order_and_only_the_next_ones_are_made_ahead() -> None:
    made, lock = list[int](), threading.Lock()

    def make(place: int) -> int:
        with lock:
            made.append(place)
        return place * place

    items = Prefetched(make, 100)
    assert len(items) == 100
    assert items[0] == 0
    assert items[1] == 1
    assert max(made) <= 1 + AHEAD
    assert items[50] == 2500
    assert items[1] == 1
    assert list(Prefetched(make, 30)) == [each * each for each in range(30)]
    with pytest.raises(IndexError):
        items[100]


def test_an_error_is_raised_where_its_item_is_read() -> None:
    def make(place: int) -> int:
        return 1 // (place - 2)

    items = Prefetched(make, 5)
    assert items[0] == -1
    assert items[1] == -1
    with pytest.raises(ZeroDivisionError):
        items[2]
    assert items[3] == 1


def test_a_broken_picture_ends_the_reading_with_its_name(tmp_path: Path) -> None:
    from recognition.datasets.problems import ExamplesError

    (tmp_path / f"{NAMES[0]}.jpg").write_bytes(b"no picture")
    with PictureStore(tmp_path) as pictures, pytest.raises(ExamplesError, match=NAMES[0]):
        learning(pictures)[0]
