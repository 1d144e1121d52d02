"""Own what the pipeline asks of the machine under Keras: is there an accelerator, how many, what do they compute in.

Everything is asked of the Keras backend of this process; TensorFlow and JAX are imported only where they are it.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Final

from recognition.recipes import RecipeError

CAPABILITY_BFLOAT16: Final = (8, 0)
CAPABILITY_FLOAT16: Final = (7, 0)
"""NVIDIA's compute capabilities that have tensor cores for the type: Ampere, and Volta before it."""


KERAS_ENGINE: Final = "keras"
PYTORCH_ENGINE: Final = "pytorch"
ENGINES: Final = (KERAS_ENGINE, PYTORCH_ENGINE)
"""What computes a fine-tuning: Keras on its backend, or `fit.pytorch` on one CPU."""


def use_onednn() -> None:
    """Have TensorFlow use oneDNN on a CPU where it would not by itself (one without AVX-512); call before its import.

    Training steps were 1.3 times as fast with it on such a CPU (`python -m benchmarks.training_onednn`). Whoever sets
    TF_ENABLE_ONEDNN_OPTS decides.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def has_accelerator() -> bool:
    """Whether this process's Keras backend sees a GPU (or TPU)."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow

        return bool(tensorflow.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return bool(jax.default_backend() != "cpu")
    return False


def jit_choice(devices: Sequence[str] = ()) -> bool | str:
    """What to hand to Keras as `jit_compile`.

    XLA on a CPU is several times slower than TensorFlow's own graph, and cannot compile a step that TensorFlow spreads
    over several devices.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return "auto"
    return "auto" if has_accelerator() and len(devices) < 2 else False


def training_devices(choice: str) -> tuple[str, ...]:
    """The backend's names of the devices a run is spread over, none where its default is meant.

    `choice` is a recipe's: "auto" for all accelerators that are visible, "one" for the first of them.
    """
    import keras

    if choice != "auto" or not has_accelerator():
        return ()
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        return tuple(device.name for device in tensorflow.config.list_logical_devices("GPU"))
    return tuple(keras.distribution.list_devices())


@contextlib.contextmanager
def spread_over(devices: Sequence[str]) -> Iterator[None]:
    """Models built and fitted inside are copied to these devices, and each batch is shared among them.

    By the backend's own means: `tf.distribute.MirroredStrategy` or `keras.distribution.DataParallel`. With fewer than
    two devices nothing is done.
    """
    import keras

    if len(devices) < 2:
        yield
    elif keras.backend.backend() == "tensorflow":
        import tensorflow

        with tensorflow.distribute.MirroredStrategy(devices=list(devices)).scope():
            yield
    else:
        with keras.distribution.DataParallel(devices=list(devices)).scope():
            yield


def require_even_shares(batch_size: int, devices: Sequence[str]) -> None:
    """Raise RecipeError when a batch cannot be shared evenly among the devices."""
    if len(devices) > 1 and batch_size % len(devices):
        raise RecipeError(
            f"fine_tune.batch_size: batch_size {batch_size} cannot be shared evenly among {len(devices)} devices. "
            f'Choose a multiple of {len(devices)}, or devices "one".'
        )


def precision_for(choice: str) -> str:
    """The Keras dtype policy of a recipe's `precision`: itself, or for "auto" what this machine computes fastest in."""
    if choice != "auto":
        return choice
    if not has_accelerator():
        return "float32"
    capability = _compute_capability()
    if capability is None or capability >= CAPABILITY_BFLOAT16:
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= CAPABILITY_FLOAT16 else "float32"


def _compute_capability() -> tuple[int, ...] | None:
    """Of the first accelerator; None for one that is not NVIDIA's."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow

        gpu = tensorflow.config.list_physical_devices("GPU")[0]
        details = tensorflow.config.experimental.get_device_details(gpu)
        found: tuple[int, ...] | None = details.get("compute_capability")
        return found
    import jax

    text = getattr(jax.devices()[0], "compute_capability", None)
    try:
        return None if text is None else tuple(int(part) for part in str(text).split("."))
    except ValueError:
        return None


@contextlib.contextmanager
def computing_in(policy: str) -> Iterator[None]:
    """Layers made inside compute in this dtype policy; it is set back afterwards, for what is built later."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
