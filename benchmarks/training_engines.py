"""How fast a fine-tuning step is with the engine pytorch on this CPU: EfficientNetB4 by FINE_TUNE, random weights.

Children with either engine take turns, so that a machine that drifts drifts for both; the figure to read is the ratio
of the medians. Needs PyTorch (`make pytorch`) and a quiet machine.

    python -m benchmarks.training_engines [ROUNDS]
"""

import os
import statistics
import subprocess
import sys
from typing import Final

BATCH: Final = 32
"""Pictures per step, as in FINE_TUNE."""

STEPS: Final = 6


def child(engine: str) -> None:
    """Print the seconds of each step after the first ones."""
    from benchmarks.steps import print_step_seconds
    from recognition.fit.run import tuner

    print_step_seconds(tuner(engine), steps=STEPS, fine_tune__pictures_per_epoch=str(BATCH * STEPS))


def main(rounds: int) -> None:
    """Measure and print."""
    from recognition.fit.device import ENGINES

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
    speeds = {engine: BATCH / statistics.median(found) for engine, found in seconds.items()}
    print(", ".join(f"{engine} {speed:.1f} images/s" for engine, speed in speeds.items()))
    keras, pytorch = speeds.values()
    print(f"pytorch is {pytorch / keras:.2f} times as fast")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
