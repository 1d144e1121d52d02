"""Output of commands: the progress bar, and the sentences about a sealed bundle."""

import sys
from typing import Any

from tqdm import tqdm

from recognition.inference.bundle import Bundle
from recognition.progress import Progress


def sealed_words(bundle: Bundle) -> str:
    """Two lines about a sealed bundle: its folder and its hash, but no figure of the test split.

    The input size and the views may still be chosen (`reseal_classifier --compare`), and nobody should know the test
    figures before that.
    """
    return (
        f"Sealed {bundle.version} in {bundle.directory} (sha256 {bundle.sha256}).\n"
        "Its figures on the test split are in manifest.json and in the model card (write_model_card): "
        "to be read when nothing is left to choose."
    )


class ProgressBar:
    """A `Report` that draws a progress bar on standard error. Use as a context manager."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, progress: Progress) -> None:
        if progress.stage != self._stage or progress.total != self._bar.total or progress.done < self._bar.n:
            if self._bar is not None:
                self._bar.close()
            self._stage = progress.stage
            self._bar = tqdm(
                total=progress.total, initial=progress.done, desc=progress.stage, file=sys.stderr, mininterval=2.0
            )
        self._bar.update(progress.done - self._bar.n)
        if "balanced_accuracy" in progress.figures:
            figures = " ".join(f"{name} {value:.4f}" for name, value in progress.figures.items())
            self._bar.write(f"{progress.stage} {progress.done}/{progress.total}: {figures}", file=sys.stderr)
        elif progress.figures:
            self._bar.set_postfix({name: f"{value:.3f}" for name, value in progress.figures.items()}, refresh=False)
