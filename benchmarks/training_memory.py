"""Peak memory of a fine-tuning by the number of its pictures, and whether the network waits for its pictures.

Generated JPEGs of 600 x 450 pixels, at reference scale 400. Memory: one epoch of the tiny network with 2,000, 8,000 and
25,331 learning pictures (and a seventh as many for validation), each in a process of its own; 64 files stand for all
of them, but are decoded under 25,331 names. Speed: the batches of FINE_TUNE at 256 px alone, and a step of
EfficientNetB4 on this machine.

    python -m benchmarks.training_memory [PICTURES ...]
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from PIL import Image

from recognition.sandbox import read_image
from recognition.taxonomy import CODES
from tests.factories import made_photo

PICTURES: Final = (2_000, 8_000, 25_331)
FILES_PER_DIAGNOSIS: Final = 8
SIZE: Final = (600, 450)
STEPS: Final = 6
BATCH: Final = 32
FED: Final = 40
"""Batches that are made to measure their speed."""


def main(counts: tuple[int, ...]) -> None:
    """Measure and print."""
    for count in counts:
        seconds, memory = child("--memory", str(count)).split()
        print(f"{count:6} pictures: peak memory {float(memory):,.0f} MB, an epoch {float(seconds):.0f} s", flush=True)
    fed = float(child("--feeding"))
    trained = BATCH / statistics.median(float(each) for each in child("--steps").split())
    print(
        f"batches alone {fed:.0f} pictures/s, training {trained:.1f} pictures/s: {fed / trained:.1f} times", flush=True
    )


def child(*arguments: str) -> str:
    """What this script prints with the arguments, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training_memory", *arguments]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


class MadePictures:
    """Any number of pictures by name; `made-17` is the file 17 modulo 64, decoded anew each time."""

    def __init__(self) -> None:
        self._files = [made_photo(code, seed, size=SIZE) for seed in range(FILES_PER_DIAGNOSIS) for code in CODES]

    def picture(self, image: str) -> Image.Image:
        """See `Pictures`."""
        return read_image(self._files[int(image.removeprefix("made-")) % len(self._files)])


def memory(count: int) -> None:
    """Print the seconds and the peak memory in MB of one epoch with `count` pictures."""
    import numpy as np

    from recognition.fit import TrainingError, fine_tune
    from recognition.fit.learning_pictures import LearningPictures, PictureCache
    from recognition.inference.network import build_network
    from recognition.recipes import SMOKE, changed

    recipe = changed(SMOKE, {"reference_long_side": "400", "architecture.input_size": "64", "fine_tune.epochs": "1"})
    names = {
        "train": [f"made-{each}" for each in range(count)],
        "validation": [f"made-{each}" for each in range(count, count + count // 7)],
    }
    pictures, cache = MadePictures(), PictureCache()
    start = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as folder:
            fine_tune(
                build_network(recipe.architecture),
                recipe=recipe,
                references={
                    split: LearningPictures(images, pictures=pictures, preprocessing=recipe.preprocessing, cache=cache)
                    for split, images in names.items()
                },
                labels={split: np.arange(len(images)) % 8 for split, images in names.items()},
                run_folder=Path(folder),
            )
    except TrainingError:
        pass  # one epoch need not learn anything
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(time.perf_counter() - start, peak)


def feeding() -> None:
    """Print how many pictures a second the batches of FINE_TUNE have, without a network."""
    import numpy as np

    from recognition.fit.balance import one_hot
    from recognition.fit.batches import batches
    from recognition.fit.learning_pictures import LearningPictures, PictureCache
    from recognition.recipes import FINE_TUNE, changed

    recipe = changed(FINE_TUNE, {"reference_long_side": "400", "architecture.input_size": "256"})
    assert recipe.fine_tune is not None
    count = FED * BATCH
    references = LearningPictures(
        [f"made-{each}" for each in range(count)],
        pictures=MadePictures(),
        preprocessing=recipe.preprocessing,
        cache=PictureCache(bytes_max=0),
    )
    drawn = batches(
        references,
        one_hot(np.arange(count) % 8),
        weights=np.ones(count, np.float32),
        order=np.arange(count),
        recipe=recipe,
        phase=recipe.fine_tune,
        epoch=0,
    )
    start = time.perf_counter()
    for place in range(len(drawn)):
        drawn[place]
    print(count / (time.perf_counter() - start))


def steps() -> None:
    """Print the seconds of each step of FINE_TUNE at 256 px in Keras."""
    from benchmarks.steps import print_step_seconds
    from recognition.fit import fine_tune

    changes = {"architecture__input_size": "256", "fine_tune__pictures_per_epoch": str(BATCH * STEPS)}
    print_step_seconds(fine_tune, steps=STEPS, **changes)


if __name__ == "__main__":
    given = sys.argv[1:]
    if given[:1] == ["--memory"]:
        memory(int(given[1]))
    elif given == ["--feeding"]:
        feeding()
    elif given == ["--steps"]:
        steps()
    else:
        main(tuple(map(int, given)) or PICTURES)
