"""Compare the ways to run the sealed classifier on this machine's CPU: ONNX Runtime, tf.function, Keras predict.

    python benchmarks/inference_runtimes.py [--bundle bundles/default] [--rounds 15] [--batches 1 8 32]

The ways take turns in every round, so that a busy moment of the machine meets all of them; read the ratios, not the
milliseconds. "CPU" is the time all threads computed, which says most where the machine has other work. Also checks that
the ways say the same.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from recognition.inference.bundle import read_bundle
from recognition.inference.calibration import softmax
from recognition.inference.network import build_network, set_network_tensors
from recognition.inference.runtime import OnnxBackend


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("bundles/default"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    arguments = parser.parse_args()
    bundle = read_bundle(arguments.bundle)

    started = time.perf_counter()
    graph = OnnxBackend(bundle.graph_path)
    size = bundle.manifest.preprocessing.input_size
    pixels = np.random.default_rng(0).uniform(0, 255, (max(arguments.batches), size, size, 3)).astype(np.float32)
    graph.run(pixels[:1])
    print(f"ONNX Runtime: first answer after {time.perf_counter() - started:.2f} s")

    started = time.perf_counter()
    import tensorflow as tf

    network = build_network(bundle.manifest.architecture)
    set_network_tensors(network, bundle.network_tensors())
    network.jit_compile = False  # XLA on a CPU is slower still
    function: Any = tf.function(lambda batch: network(batch, training=False), reduce_retracing=True)
    function(tf.constant(pixels[:1]))
    print(f"tf.function:  first answer after {time.perf_counter() - started:.2f} s, TensorFlow's import included")

    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "predict": lambda batch: np.asarray(network.predict_on_batch(batch)[0]),
        "tf.function": lambda batch: function(tf.constant(batch))[0].numpy(),
        "ONNX Runtime": lambda batch: graph.run(batch)[0],
    }
    for count in arguments.batches:
        waited: dict[str, list[float]] = {name: [] for name in ways}
        computed: dict[str, list[float]] = {name: [] for name in ways}
        answers = {name: run(pixels[:count]) for name, run in ways.items()}  # also traces and warms up
        for _ in range(arguments.rounds):
            for name, run in ways.items():
                started, started_cpu = time.perf_counter(), time.process_time()
                run(pixels[:count])
                waited[name].append(time.perf_counter() - started)
                computed[name].append(time.process_time() - started_cpu)
        for name in ways:
            wall, cpu = statistics.median(waited[name]), statistics.median(computed[name])
            times_faster = statistics.median(waited["predict"]) / wall
            times_cheaper = statistics.median(computed["predict"]) / cpu
            difference = np.abs(softmax(answers[name]) - softmax(answers["predict"])).max()
            print(
                f"{count:3d} photos  {name:13s} {1000 * wall / count:7.1f} ms a photo ({times_faster:.1f}x), "
                f"CPU {1000 * cpu / count:7.1f} ms ({times_cheaper:.1f}x), probabilities within {difference:.0e}"
            )


if __name__ == "__main__":
    main()
