"""The pictures that a fine-tuning learns from, decoded when they are needed: memory does not grow with the data."""

import threading
from collections.abc import Sequence
from typing import Final, Protocol

from PIL import Image

from recognition.datasets.pictures import Pictures
from recognition.inference.preprocessing import Preprocessing, to_reference, to_square

CACHE_BYTES: Final = 512 * 1024 * 1024
"""Most bytes of decoded pictures that are kept, 512 MB: 1,490 pictures of 400 x 300 pixels.

Training itself needs 5 to 8 GB and shall fit into 12. Decoding is cheap beside it: two cores decode some hundred
pictures a second and train a dozen (`python -m benchmarks.training_memory`).
"""


class References(Protocol):
    """RGB pictures at reference scale by their row, as `batches` takes them; a list of pictures is one."""

    def __len__(self) -> int:
        """Number of pictures."""
        ...

    def __getitem__(self, row: int, /) -> Image.Image:
        """The picture of a row. Called from several threads."""
        ...


class PictureCache:
    """Decoded pictures by name, of at most `bytes_max` bytes in all.

    The first pictures stay and later ones are not taken. An epoch draws most pictures once, so the picture that was
    used last is the one that is needed last: a cache that replaced the oldest would hardly ever hold the next picture.
    """

    def __init__(self, bytes_max: int = CACHE_BYTES) -> None:
        self._bytes_left = bytes_max
        self._kept: dict[str, Image.Image] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Image.Image | None:
        """The picture, if it is kept."""
        return self._kept.get(name)

    def put(self, name: str, picture: Image.Image) -> None:
        """Keep the picture, if there is room for it."""
        size = picture.width * picture.height * len(picture.getbands())
        with self._lock:
            if size <= self._bytes_left and name not in self._kept:
                self._bytes_left -= size
                self._kept[name] = picture


class LearningPictures:
    """The pictures of `images` in this order, at the scale and with the aspect of the preprocessing.

    A picture is decoded when it is read, unless the cache has it; several threads may read. A cache belongs to one
    preprocessing. Reading raises what `Pictures.picture` raises.
    """

    def __init__(
        self, images: Sequence[str], *, pictures: Pictures, preprocessing: Preprocessing, cache: PictureCache
    ) -> None:
        self._images, self._pictures, self._preprocessing, self._cache = images, pictures, preprocessing, cache

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, row: int, /) -> Image.Image:
        image = self._images[row]
        picture = self._cache.get(image)
        if picture is None:
            whole = self._pictures.picture(image)
            reference = to_reference(whole, long_side=self._preprocessing.reference_long_side)
            picture = to_square(reference, fit=self._preprocessing.fit)
            self._cache.put(image, picture)
        return picture
