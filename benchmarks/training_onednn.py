"""How fast a fine-tuning step is with oneDNN on this CPU: EfficientNetB4, 128 px, 32 pictures a step, random weights.

Children with TF_ENABLE_ONEDNN_OPTS at 0 and at 1 take turns, so that a machine that drifts drifts for both; the figure
to read is the ratio of the medians. With other work on the machine even that is only a hint.

    python -m benchmarks.training_onednn [ROUNDS]
"""

import os
import statistics
import subprocess
import sys
from typing import Final

BATCH: Final = 32
STEPS: Final = 5


def child() -> None:
    """Print the seconds of each step after the first ones."""
    from benchmarks.steps import print_step_seconds
    from recognition.fit import fine_tune

    drawn = str(BATCH * STEPS)
    print_step_seconds(fine_tune, steps=STEPS, fine_tune__pictures_per_epoch=drawn, architecture__input_size="128")


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
