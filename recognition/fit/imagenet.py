"""The ImageNet weights of EfficientNetB4 that Keras publishes, downloaded once and stored as an .npz file."""

import logging
from pathlib import Path
from typing import Final

import numpy as np

from recognition.inference.network import WeightsError

logger = logging.getLogger(__name__)

FILE: Final = "efficientnetb4_notop.h5"
ORIGIN: Final = f"https://storage.googleapis.com/keras-applications/{FILE}"
MD5: Final = "ebc24e6d6c33eaebbd558eafbeedf1ba"
"""Address and checksum of `keras.applications.EfficientNetB4(weights="imagenet", include_top=False)`."""

DEVIATIONS: Final = (0.229, 0.224, 0.225)
"""ImageNet's standard deviation of each channel, for pixels in [0, 1]."""


def downloaded_imagenet_weights(folder: Path) -> Path:
    """The .npz file of the ImageNet backbone in `folder`, for `inference.network.load_imagenet_backbone`.

    Downloads Keras's file with its checksum if it is not there yet. Raises WeightsError if that fails.
    """
    stored = folder / "efficientnetb4_notop_imagenet.npz"
    if stored.is_file():
        return stored
    import keras

    logger.info("Downloading the ImageNet weights from %s.", ORIGIN)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        path = keras.utils.get_file(FILE, origin=ORIGIN, file_hash=MD5, cache_dir=str(folder), cache_subdir="")
        # weights=None on purpose, see `inference.network`: the graph is ours, without another Rescaling layer.
        backbone = keras.applications.EfficientNetB4(include_top=False, weights=None)
        backbone.load_weights(path)
    except Exception as error:  # `get_file` raises Exception itself when there is no connection
        raise WeightsError(
            f"The ImageNet weights could not be downloaded ({error}). Connect this machine to the internet once, or "
            "bring their file here and name it with IMAGENET_WEIGHTS (or --weights)."
        ) from error
    arrays = {}
    for layer in backbone.layers:
        named = "normalization" if isinstance(layer, keras.layers.Normalization) else layer.name
        for index, value in enumerate(layer.get_weights()):
            arrays[f"{named}/{index}"] = value
    # Keras's file holds the deviations in the place of the variances; its own graph mends that in a further layer.
    arrays["normalization/1"] = np.asarray(arrays["normalization/1"] * DEVIATIONS, dtype=np.float32)
    partial = stored.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez(stream, **arrays)
    partial.replace(stored)
    Path(path).unlink(missing_ok=True)
    return stored
