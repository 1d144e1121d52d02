"""Timing of fine-tuning steps for the benchmarks: generated pictures, random weights, a few steps."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

SKIPPED: Final = 2
"""First steps that are not timed: they trace, compile and allocate memory."""


def print_step_seconds(tune: Callable[..., Any], *, steps: int, **changes: str) -> None:
    """Print the seconds of each step of FINE_TUNE, changed, after the first ones; `tune` is a `fit.fine_tune`."""
    import numpy as np

    from recognition.fit import TrainingError
    from recognition.inference.network import build_network
    from recognition.progress import Progress
    from recognition.recipes import FINE_TUNE, changed
    from tests.factories import made_picture

    recipe = changed(FINE_TUNE, {"fine_tune.epochs": "1", **{key.replace("__", "."): changes[key] for key in changes}})
    pictures = [made_picture("NV", number) for number in range(8)]
    ticks: list[float] = []

    def tick(_: Progress) -> None:
        ticks.append(time.perf_counter())
        if len(ticks) == steps:
            raise KeyboardInterrupt

    labels = np.arange(8)
    try:
        with tempfile.TemporaryDirectory() as folder:
            tune(
                build_network(recipe.architecture),
                recipe=recipe,
                references={"train": pictures, "validation": pictures},
                labels={"train": labels, "validation": labels},
                run_folder=Path(folder),
                report=tick,
            )
    except (KeyboardInterrupt, TrainingError):
        pass
    print(*(f"{later - sooner:.4f}" for sooner, later in zip(ticks[SKIPPED - 1 :], ticks[SKIPPED:], strict=False)))
