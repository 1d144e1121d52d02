"""Running a sealed classifier on ONNX Runtime or on Keras: from pictures to classifications.

The ONNX backend imports neither TensorFlow nor Keras: it starts in half a second, needs a third of the memory and is
several times as fast on a CPU. The Keras backend is for a GPU. Both give the same answers; their difference is measured
and sealed with every bundle.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recognition.inference.assessment import Assessment
from recognition.inference.assessor import Answer
from recognition.inference.bundle import VIEWS, Bundle, BundleError, read_tensors
from recognition.inference.case_mix import CaseMix
from recognition.inference.heatmap import DenseHead, grad_cam
from recognition.inference.metadata import Metadata
from recognition.inference.network import OUTPUTS, WeightsError, build_network, set_network_tensors
from recognition.inference.outputs import PictureOutputs, PictureStatistics
from recognition.inference.preprocessing import Preprocessing, to_input, to_picture, to_reference, to_square
from recognition.taxonomy import Diagnosis

AUTO: Final = "auto"
ONNX: Final = "onnx"
KERAS: Final = "keras"
RUNTIMES: Final = (AUTO, ONNX, KERAS)

CPU_BATCH: Final = 4
GPU_BATCH: Final = 64
"""Pictures per pass. Larger batches are not faster on a CPU; a GPU needs them."""

NVIDIA_DEVICES: Final = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg")
"""Device files of an NVIDIA driver (the last one under WSL). Without any, TensorFlow is not imported."""

Outputs = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


class Backend(Protocol):
    """Runs the network."""

    name: str
    batch_size: int

    def run(self, pixels: NDArray[np.float32]) -> Outputs:
        """float32 (N, S, S, 3) in [0, 255] -> logits (N, 8), features (N, C), maps (N, h, w, C)."""
        ...


class OnnxBackend:
    """The exported graph on ONNX Runtime, on the CPU. Raises BundleError (unreadable) if it does not load."""

    name = ONNX
    batch_size = CPU_BATCH

    def __init__(self, graph: Path, *, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only; they are raised as well
        if threads is not None:
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
        # Spinning threads would use a core of the web process between two photos.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no public base class
            raise BundleError("unreadable", f"ONNX Runtime refuses the graph {graph.name}: {error}") from error

    def run(self, pixels: NDArray[np.float32]) -> Outputs:
        """See `Backend.run`."""
        logits, features, maps = self._session.run(list(OUTPUTS), {"pixels": pixels})
        return logits, features, maps


class KerasBackend:
    """A Keras network with its weights, on the Keras backend of this process."""

    name = KERAS
    batch_size = GPU_BATCH

    def __init__(self, network: Any) -> None:
        import keras

        if keras.backend.backend() == "tensorflow":
            # XLA would compile again for every number of pictures, and is several times slower on a CPU.
            network.jit_compile = False
        self._network = network

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, *, threads: int | None = None, input_size: int | None = None
    ) -> "KerasBackend":
        """Build the network of a bundle with its sealed weights. Raises BundleError (altered) when they do not fit.

        `input_size` is the side of the input in pixels, by default the sealed one.
        """
        if threads is not None:
            _limit_tensorflow_threads(threads)
        architecture = bundle.manifest.architecture
        network = build_network(replace(architecture, input_size=input_size or architecture.input_size))
        try:
            set_network_tensors(network, bundle.network_tensors())
        except WeightsError as error:
            raise BundleError("altered", f"The weights of {bundle.version} do not fit its network: {error}") from error
        return cls(network)

    def run(self, pixels: NDArray[np.float32]) -> Outputs:
        """See `Backend.run`."""
        logits, features, maps = (np.asarray(output) for output in self._network.predict_on_batch(pixels))
        return logits, features, maps


def _limit_tensorflow_threads(threads: int) -> None:
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """The classification of one picture.

    - `outputs`: what network and gates measured; `answer`: what is said of the picture, see `assessor.Answer`;
    - `features`: float32 (C,), pooled; `heatmap`: float32 (h, w) in [0, 1] for the most probable diagnosis of the
      picture alone, or None without positive evidence, see `heatmap.grad_cam`.

    A picture that a gate refuses has all of this too.
    """

    outputs: PictureOutputs
    answer: Answer
    features: NDArray[np.float32]
    heatmap: NDArray[np.float32] | None

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The probabilities (8,) in the order of `CODES`, summing to 1."""
        return self.answer.probabilities

    @property
    def diagnosis(self) -> Diagnosis:
        """The most probable diagnosis."""
        return self.answer.diagnosis

    @property
    def confidence(self) -> float:
        """The probability of the most probable diagnosis."""
        return self.answer.confidence

    @property
    def malignant_score(self) -> float:
        """The malignant score by which advice and score go, in [0, 1]."""
        return self.answer.malignant_score

    @property
    def assessment(self) -> Assessment:
        """Gates, advice, score and prediction set."""
        return self.answer.assessment


class LoadedClassifier:
    """The classifier of a verified bundle, loaded in memory. Made by `load_classifier`, once per process."""

    def __init__(self, bundle: Bundle, backend: Backend) -> None:
        self.bundle = bundle
        self.backend = backend
        head = bundle.manifest.architecture.head_layers
        tensors = read_tensors(bundle.weights_path, prefixes=tuple(f"{name}/" for name in head))
        self._head = DenseHead.from_tensors(bundle.manifest.architecture, tensors)
        self._assessor = bundle.assessor()
        self._detectors = bundle.detectors()

    @property
    def runtime(self) -> str:
        """Which backend runs: "onnx" or "keras"."""
        return self.backend.name

    def classify(
        self,
        images: Sequence[Image.Image],
        metadata: Sequence[Metadata | None] | None = None,
        image_types: Sequence[str] | None = None,
        case_mix: CaseMix | None = None,
    ) -> list[Classification]:
        """One classification per RGB picture of any size, in order.

        `metadata` and `image_types` (the kind that was told, "" if none was) have one entry for each picture.
        `case_mix` is that of the probabilities, by default the sealed one. Raises ValueError for another mode than RGB
        or another number of entries, and ArithmeticError when an output of the network is not finite.
        """
        outcomes: list[Classification] = []
        for start in range(0, len(images), self.backend.batch_size):
            rows = slice(start, start + self.backend.batch_size)
            prepared = [measure_and_prepare(image, self.bundle.manifest.preprocessing) for image in images[rows]]
            outcomes += self.classify_batch(
                np.stack([pixels for pixels, _ in prepared]),
                statistics=[each for _, each in prepared],
                metadata=None if metadata is None else metadata[rows],
                image_types=None if image_types is None else image_types[rows],
                case_mix=case_mix,
            )
        return outcomes

    def classify_batch(
        self,
        pixels: NDArray[np.float32],
        statistics: Sequence[PictureStatistics] | None = None,
        metadata: Sequence[Metadata | None] | None = None,
        image_types: Sequence[str] | None = None,
        case_mix: CaseMix | None = None,
    ) -> list[Classification]:
        """One classification per row of preprocessed pixels, float32 (N, S, S, 3) in [0, 255].

        `statistics` are those of each picture, for the gates; without them the first two gates pass. The rest is as in
        `classify`.
        """
        size, count = self.bundle.manifest.preprocessing.input_size, len(pixels)
        if pixels.ndim != 4 or pixels.shape[1:] != (size, size, 3):
            raise ValueError(f"The pixels are {pixels.shape}; (N, {size}, {size}, 3) is expected.")
        for name, given in (("metadata", metadata), ("kinds", image_types)):
            if given is not None and len(given) != count:
                raise ValueError(f"There are {len(given)} records of {name} for {count} pictures.")
        if not count:
            return []
        logits, features, maps = run_views(self.backend, pixels, self.bundle.manifest.views)
        if not np.all(np.isfinite(logits)) or not np.all(np.isfinite(features)):
            raise ArithmeticError("The network's answer is not a finite number.")
        outputs = self._detectors.measure(logits, features, statistics)
        known: Sequence[Metadata | None] = [None] * count if metadata is None else metadata
        told = [""] * count if image_types is None else image_types
        answers = [
            self._assessor.assess(each, image_type=kind, metadata=about, case_mix=case_mix)
            for each, about, kind in zip(outputs, known, told, strict=True)
        ]
        return [
            Classification(
                outputs=each,
                answer=answer,
                features=row.copy(),  # a copy: a view would keep the whole batch in memory
                heatmap=grad_cam(self._head, features=row, maps=map_, position=int(answer.picture_alone.argmax())),
            )
            for each, answer, row, map_ in zip(outputs, answers, features, maps, strict=True)
        ]


def measure_and_prepare(
    picture: Image.Image, preprocessing: Preprocessing
) -> tuple[NDArray[np.float32], PictureStatistics]:
    """The network input of one RGB picture, float32 (S, S, 3) in [0, 255], and its statistics for the gates.

    Raises ValueError for another mode than RGB.
    """
    long_side = preprocessing.reference_long_side
    whole = to_picture(picture)
    reference = to_reference(whole, long_side=long_side)
    statistics = PictureStatistics.of(whole, reference, reference_long_side=long_side)
    square = to_square(reference, fit=preprocessing.fit)
    return to_input(square, input_size=preprocessing.input_size), statistics


def run_views(backend: Backend, pixels: NDArray[np.float32], views: int) -> Outputs:
    """Run the network on preprocessed pixels (N, S, S, 3); logits are averaged over the views (see `bundle.VIEWS`).

    Features and maps are those of the upright view, because heatmap and gates are about the uploaded picture. Raises
    ValueError for a number that is not in `VIEWS`.
    """
    if views not in VIEWS:
        raise ValueError(f"{views} views are not known; choose one of {VIEWS}.")
    logits, features, maps = backend.run(np.ascontiguousarray(pixels, dtype=np.float32))
    if views == 1:
        return logits, features, maps
    total = np.asarray(logits, dtype=np.float64)
    for view in list(dihedral(pixels))[1:views]:
        total = total + backend.run(np.ascontiguousarray(view, dtype=np.float32))[0]
    return np.asarray(total / views, dtype=np.float32), features, maps


def dihedral(pixels: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """The eight symmetries of square pixels (N, S, S, 3): upright, mirrored, then both after each quarter turn."""
    for turns in range(4):
        turned = np.rot90(pixels, turns, axes=(1, 2))
        yield turned
        yield turned[:, :, ::-1]


def load_classifier(bundle: Bundle, runtime: str = AUTO, threads: int | None = None) -> LoadedClassifier:
    """The classifier of a verified bundle, ready to answer.

    `runtime` is "onnx", "keras" or "auto": Keras if TensorFlow finds a GPU, ONNX otherwise. `threads` limits the CPU
    threads of one pass; None uses all cores. Raises ValueError for another runtime, BundleError for a bundle that does
    not load.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"The runtime {runtime!r} is unknown; choose one of {', '.join(RUNTIMES)}.")
    if runtime == AUTO:
        runtime = KERAS if gpu_available() else ONNX
    if runtime == KERAS:
        return LoadedClassifier(bundle, KerasBackend.from_bundle(bundle, threads=threads))
    return LoadedClassifier(bundle, OnnxBackend(bundle.graph_path, threads=threads))


def gpu_available() -> bool:
    """Whether TensorFlow finds a GPU. Without an NVIDIA device it is not imported."""
    if not any(Path(device).exists() for device in NVIDIA_DEVICES):
        return False
    try:
        import tensorflow
    except ImportError:
        return False
    return bool(tensorflow.config.list_physical_devices("GPU"))
