"""Accelerators, their number and their precision, as the Keras backend of this process sees them.

TensorFlow or JAX is imported only if it is that backend.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Final

from recognition.recipes import RecipeError

CAPABILITY_BFLOAT16: Final = (8, 0)
CAPABILITY_FLOAT16: Final = (7, 0)
"""First NVIDIA compute capabilities with tensor cores for the type: Ampere and Volta."""


def use_onednn() -> None:
    """Make TensorFlow use oneDNN also on a CPU without AVX-512. Call it before TensorFlow is imported.

    Training steps are 1.3 times as fast on such a CPU (`python -m benchmarks.training_onednn`). A value of
    TF_ENABLE_ONEDNN_OPTS in the environment is not changed.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def has_accelerator() -> bool:
    """Whether the Keras backend of this process finds a GPU (or TPU)."""
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
    """The value for `jit_compile` of Keras.

    On a CPU, XLA is several times slower than TensorFlow's graph. It cannot compile a step that TensorFlow distributes
    over several devices.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return "auto"
    return "auto" if has_accelerator() and len(devices) < 2 else False


def training_devices(choice: str) -> tuple[str, ...]:
    """The backend's names of the devices for a run; empty for the backend's default device.

    `choice` is the recipe's `devices`: "auto" for all visible accelerators, "one" for the first.
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
    """A context manager: models that are built and fitted inside are copied to these devices and share each batch.

    It uses `tf.distribute.MirroredStrategy` or `keras.distribution.DataParallel`. With fewer than two devices it does
    nothing.
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
    """The Keras dtype policy of a recipe's `precision`; for "auto" the fastest one of this machine."""
    if choice != "auto":
        return choice
    if not has_accelerator():
        return "float32"
    capability = _compute_capability()
    if capability is None or capability >= CAPABILITY_BFLOAT16:
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= CAPABILITY_FLOAT16 else "float32"


def _compute_capability() -> tuple[int, ...] | None:
    """The compute capability of the first accelerator; None if it is not NVIDIA's."""
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
    """A context manager: layers that are made inside have this dtype policy."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
