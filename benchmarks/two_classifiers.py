"""Compare what two sealed classifiers cost a CPU worker: a view, a whole photo, the start and the memory.

    python benchmarks/two_classifiers.py BEFORE AFTER [--rounds 15]

They take turns in every round, so that a busy moment of the machine meets both; read the ratios. "CPU" is the time all
threads computed, which says most where the machine has other work. Start and memory are of processes of their own.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from recognition.inference.bundle import read_bundle
from recognition.inference.runtime import OnnxBackend, load_classifier

STARTS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--start", action="store_true", help="of the first one alone: start, answer once, say what it took"
    )
    arguments = parser.parse_args()
    if arguments.start:
        print(json.dumps(_start(arguments.before)))
        return
    folders = {"before": arguments.before, "after": arguments.after}
    medians: dict[str, dict[str, float]] = defaultdict(dict)
    for name, measured in (_speeds(folders, arguments.rounds) | _starts(folders)).items():
        for which, values in measured.items():
            medians[name][which] = statistics.median(values)
    print(f"{'':28}{'before':>10}{'after':>10}{'ratio':>8}")
    for name, found in medians.items():
        print(f"{name:28}{found['before']:10.1f}{found['after']:10.1f}{found['after'] / found['before']:8.2f}")


def _picture() -> Image.Image:
    pixels = np.random.default_rng(0).uniform(0, 255, (450, 600, 3)).astype(np.uint8)
    return Image.fromarray(pixels)


def _start(folder: Path) -> dict[str, float]:
    """Seconds of CPU until the first answer of this process, and its greatest memory in MiB."""
    load_classifier(read_bundle(folder), "onnx").classify([_picture()])
    return {
        "start, s of CPU": time.process_time(),
        "memory, MiB": _peak_memory(),
    }


def _peak_memory() -> float:
    """MiB. Not `ru_maxrss`, which a process inherits from the one that started it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _starts(folders: dict[str, Path]) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(STARTS):
        for which, folder in folders.items():
            said = subprocess.run(
                [sys.executable, __file__, str(folder), str(folder), "--start"],
                capture_output=True,
                text=True,
                check=True,
            )
            for name, value in json.loads(said.stdout.splitlines()[-1]).items():
                found[name][which].append(value)
    return found


def _speeds(folders: dict[str, Path], rounds: int) -> dict[str, dict[str, list[float]]]:
    ways: dict[str, dict[str, Callable[[], object]]] = defaultdict(dict)
    picture = _picture()
    for which, folder in folders.items():
        bundle = read_bundle(folder)
        graph, size = OnnxBackend(bundle.graph_path), bundle.manifest.preprocessing.input_size
        view = np.random.default_rng(0).uniform(0, 255, (1, size, size, 3)).astype(np.float32)
        classifier = load_classifier(bundle, "onnx")
        ways["view"][which] = partial(graph.run, view)
        ways["photo"][which] = partial(classifier.classify, [picture])
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for name, runs in ways.items():
        for run in runs.values():
            run()
        for _ in range(rounds):
            for which, run in runs.items():
                started, started_cpu = time.perf_counter(), time.process_time()
                run()
                found[f"{name}, ms"][which].append(1000 * (time.perf_counter() - started))
                found[f"{name}, ms of CPU"][which].append(1000 * (time.process_time() - started_cpu))
    return found


if __name__ == "__main__":
    main()
