"""Own what the pipeline asks of the machine under Keras: is there an accelerator, and does compiling pay."""


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


def jit_choice() -> bool | str:
    """What to hand to Keras as `jit_compile`: XLA on a CPU is several times slower than TensorFlow's own graph."""
    import keras

    return "auto" if keras.backend.backend() != "tensorflow" or has_accelerator() else False
