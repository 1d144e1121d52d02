"""Eight plain colours, and a tiny network whose head tells them apart without any training."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recognition.inference.bundle import Bundle
from recognition.inference.calibration import Calibration
from recognition.inference.network import LOGITS, Architecture, build_network, network_tensors, set_network_tensors
from recognition.inference.preprocessing import Preprocessing, preprocess
from recognition.inference.sealing import Draft, seal_bundle
from recognition.taxonomy import DERMOSCOPIC

TINY = Architecture(backbone="tiny", input_size=32, head_dropouts=(0.0,))
COLOURS = (
    (30, 30, 30),
    (200, 30, 30),
    (30, 200, 30),
    (30, 30, 200),
    (200, 200, 30),
    (200, 30, 200),
    (30, 200, 200),
    (220, 220, 220),
)


def coloured_picture(position: int, *, size: tuple[int, int] = (64, 48), seed: int = 0) -> Image.Image:
    """A noisy picture in the colour that stands for the diagnosis at this position."""
    noise = np.random.default_rng([seed, position]).integers(-20, 20, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.array(COLOURS[position]) + noise, 0, 255).astype(np.uint8))


def probe_pixels() -> Any:
    """Four pictures of each colour as network input, (32, 32, 32, 3), with their positions (32,)."""
    positions = np.repeat(np.arange(len(COLOURS)), 4)
    pixels = [
        preprocess(coloured_picture(int(position), seed=seed), Preprocessing(TINY.input_size))
        for seed, position in enumerate(positions)
    ]
    return np.stack(pixels), positions


def colour_network() -> Any:
    """The tiny network with random convolutions and a linear head solved by least squares on the probe."""
    import keras

    keras.utils.set_random_seed(1)
    network = build_network(TINY)
    pixels, positions = probe_pixels()
    features = np.asarray(network.predict_on_batch(pixels)[1])
    extended = np.c_[features, np.ones(len(features))]
    solved, *_ = np.linalg.lstsq(extended, 4.0 * np.eye(len(COLOURS))[positions], rcond=1e-6)
    tensors = network_tensors(network)
    tensors |= {f"{LOGITS}/kernel": solved[:-1].astype(np.float32), f"{LOGITS}/bias": solved[-1].astype(np.float32)}
    set_network_tensors(network, tensors)
    return network


def seal(draft: Draft, directory: Path, *, block: dict[str, Any] | None = None, **changes: Any) -> Bundle:
    """Seal a draft that knows dermoscopic pictures with plausible values; any of them can be changed.

    `block` has changed parts of the entry in `image_types`.
    """
    words: dict[str, Any] = {
        "version": "colours",
        "probe": probe_pixels()[0],
        "image_types": {
            DERMOSCOPIC: {
                "calibration": Calibration(temperature=2.0).as_json(),
                "operating_points": [],
                "assessment": {},
                "metrics": {},
                **(block or {}),
            }
        },
        "dataset": {"name": "colours"},
        "split": {"fingerprint": "none"},
        "recipe": {"name": "TEST"},
        "licence": "none",
    }
    return seal_bundle(draft, directory=directory, **(words | changes))
