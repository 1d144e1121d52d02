"""What oneDNN brings a fine-tuning step on this CPU: EfficientNetB4, 128 px, 32 pictures a step, random weights.

Children with TF_ENABLE_ONEDNN_OPTS at 0 and at 1 take turns, so that a machine that drifts drifts for both; the figure
to read is the ratio of the medians. With other work on the machine even that is only a hint.

    python -m benchmarks.training_onednn [ROUNDS]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

BATCH: Final = 32
STEPS: Final = 5
SKIPPED: Final = 2
"""Tracing and the first touch of the memory."""


def child() -> None:
    """Print the seconds of each step after the first ones."""
    import numpy as np

    from diagnoses.inference.network import build_network
    from tests.made import made_picture
    from training.pipeline.fit import TrainingError, fine_tune
    from training.pipeline.progress import Progress
    from training.recipes import FINE_TUNE, changed

    recipe = changed(FINE_TUNE, {"fine_tune.epochs": "1", "fine_tune.pictures_per_epoch": str(BATCH * STEPS)})
    pictures = [made_picture("NV", number) for number in range(8)]
    ticks: list[float] = []

    def tick(progress: Progress) -> None:
        ticks.append(time.perf_counter())
        if len(ticks) == STEPS:
            raise KeyboardInterrupt

    labels = np.arange(8)
    try:
        with tempfile.TemporaryDirectory() as folder:
            fine_tune(
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


def main(rounds: int) -> None:
    """Measure and print."""
    seconds: dict[str, list[float]] = {"0": [], "1": []}
    for _ in range(rounds):
        for setting, found in seconds.items():
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.training_onednn", "--child"],
                env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": setting, "TF_CPP_MIN_LOG_LEVEL": "3"},
                capture_output=True,
                text=True,
                check=True,
            )
            found += [float(each) for each in done.stdout.split()]
    without, using = (BATCH / statistics.median(found) for found in seconds.values())
    print(f"without oneDNN {without:.1f} images/s, with it {using:.1f} images/s: {using / without:.2f} times")


if __name__ == "__main__":
    if sys.argv[1:] == ["--child"]:
        child()
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
