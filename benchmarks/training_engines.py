"""What the engine pytorch brings a fine-tuning step on this CPU: EfficientNetB4 by FINE_TUNE, random weights.

Children with either engine take turns, so that a machine that drifts drifts for both; the figure to read is the ratio
of the medians. Needs PyTorch (`make pytorch`) and a quiet machine.

    python -m benchmarks.training_engines [ROUNDS]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

STEPS: Final = 6
SKIPPED: Final = 2
"""Tracing, compiling, and the first touch of the memory."""


def child(engine: str) -> None:
    """Print the seconds of each step after the first ones."""
    import numpy as np

    from diagnoses.inference.network import build_network
    from tests.made import made_picture
    from training.pipeline.fit import TrainingError
    from training.pipeline.progress import Progress
    from training.pipeline.run import tuner
    from training.recipes import FINE_TUNE, changed

    assert FINE_TUNE.fine_tune is not None
    drawn = FINE_TUNE.fine_tune.batch_size * STEPS
    recipe = changed(FINE_TUNE, {"fine_tune.epochs": "1", "fine_tune.pictures_per_epoch": str(drawn)})
    pictures = [made_picture("NV", number) for number in range(8)]
    labels = np.arange(8)
    ticks: list[float] = []

    def tick(_: Progress) -> None:
        ticks.append(time.perf_counter())
        if len(ticks) == STEPS:
            raise KeyboardInterrupt

    try:
        with tempfile.TemporaryDirectory() as folder:
            tuner(engine)(
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
    from training.pipeline.device import ENGINES
    from training.recipes import FINE_TUNE

    assert FINE_TUNE.fine_tune is not None
    seconds: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for _ in range(rounds):
        for engine, found in seconds.items():
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.training_engines", "--child", engine],
                env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
                capture_output=True,
                text=True,
                check=True,
            )
            found += [float(each) for each in done.stdout.split()]
    speeds = {engine: FINE_TUNE.fine_tune.batch_size / statistics.median(found) for engine, found in seconds.items()}
    print(", ".join(f"{engine} {speed:.1f} images/s" for engine, speed in speeds.items()))
    keras, pytorch = speeds.values()
    print(f"pytorch is {pytorch / keras:.2f} times as fast")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
