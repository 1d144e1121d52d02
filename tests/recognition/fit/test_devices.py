"""Several devices and mixed precision: the same training, and a float32 classifier at its end.

Without a GPU the devices are two parts of the CPU, which the backends can be told to take for two.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recognition.fit import device
from recognition.recipes import RecipeError

ROOT = Path(__file__).resolve().parents[3]

# Trains SMOKE's fine-tuning on one device and on two. Dropout draws anew on every device, so it is left out of the
# comparison; augmentation happens before the batch is shared.
SPREAD = """
import json, sys
from pathlib import Path

work = Path(sys.argv[1])
import keras
if keras.backend.backend() == "tensorflow":
    import tensorflow
    cpu = tensorflow.config.list_physical_devices("CPU")[0]
    tensorflow.config.set_logical_device_configuration(cpu, [tensorflow.config.LogicalDeviceConfiguration()] * 2)
    names = ["CPU:0", "CPU:1"]
else:
    names = keras.distribution.list_devices("cpu")
import numpy as np
from recognition.inference.network import build_network, network_tensors
from recognition.inference.preprocessing import to_reference
from recognition.taxonomy import CODES
from tests.factories import made_picture
from recognition.fit.checkpoints import load_checkpoint
from recognition.fit import fine_tune
from recognition.recipes import RecipeError, SMOKE, changed

numbers = {"train": range(12), "validation": range(50, 53)}
references = {
    split: [to_reference(made_picture(code, each, size=(80, 60)), long_side=200) for code in CODES for each in every]
    for split, every in numbers.items()
}
labels = {split: np.repeat(np.arange(8), len(every)) for split, every in numbers.items()}
plain = {"fine_tune.epochs": "2", "architecture.head_dropouts": "0,0", "fine_tune.clip_norm": "0.5"}
recipe = changed(SMOKE, plain)


def trained(devices, folder, recipe, report=lambda _: None):
    keras.utils.set_random_seed(1)
    network = build_network(recipe.architecture)
    history = fine_tune(network, recipe=recipe, references=references, labels=labels, run_folder=work / folder,
                        devices=devices, report=report)
    return network_tensors(network), history


def far(first, second):
    return max(float(np.abs(first[key] - second[key]).max()) for key in first)


class Stop(Exception):
    pass


def stop(progress):
    if progress.done > 8:  # in the second epoch
        raise Stop

one, _ = trained(names[:1], "one", recipe)
two, history = trained(names, "two", recipe)
try:
    trained(names, "stopped", recipe, stop)
except Stop:
    pass
stopped_at = load_checkpoint(work / "stopped")[0]
resumed, _ = trained(names, "stopped", recipe)
start = network_tensors(build_network(recipe.architecture))
scaled, _ = trained(names, "scaled", changed(recipe, {"precision": "mixed_float16", "fine_tune.epochs": "1"}))
try:
    trained(names, "uneven", changed(recipe, {"fine_tune.batch_size": "15"}))
    refused = ""
except RecipeError as error:
    refused = str(error)
print(json.dumps({
    "devices": len(names), "difference": far(one, two), "moved": far(one, start), "resumed": far(resumed, two),
    "stopped_at": stopped_at, "losses": [each["loss"] for each in history.epochs], "refused": refused,
    "distribution": str(getattr(keras.distribution, "distribution")()), "policy": keras.config.dtype_policy().name,
    "scaled_finite": bool(all(np.isfinite(value).all() for value in scaled.values())),
    "scaled_moved": far(scaled, start),
}))
"""


# Two trainings in processes with two devices each: half a minute for each backend.
@pytest.mark.drill
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_give_the_weights_of_one(backend: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed; pip install {backend} to try it.")
    done = subprocess.run(
        [sys.executable, "-c", SPREAD, str(tmp_path)],
        cwd=ROOT,
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["devices"] == 2
    assert found["difference"] < 1e-4
    assert found["moved"] > 1e-2
    assert found["stopped_at"] == 0
    assert found["resumed"] < 1e-4
    assert found["losses"][1] < found["losses"][0]
    assert "batch_size 15 cannot be shared evenly among 2 devices" in found["refused"]
    assert (found["distribution"], found["policy"]) == ("None", "float32")  # set back for whatever comes next
    assert found["scaled_finite"]
    assert found["scaled_moved"] > 1e-2


def test_a_batch_that_does_not_divide_is_refused_by_name() -> None:
    device.require_even_shares(32, ("GPU:0", "GPU:1"))
    device.require_even_shares(33, ("GPU:0",))
    device.require_even_shares(33, ())
    with pytest.raises(RecipeError, match=r"^fine_tune.batch_size: .* among 2 devices"):
        device.require_even_shares(33, ("GPU:0", "GPU:1"))


@pytest.mark.parametrize(
    ("choice", "accelerator", "capability", "policy"),
    [
        ("auto", False, None, "float32"),
        ("auto", True, (9, 0), "mixed_bfloat16"),
        ("auto", True, (8, 0), "mixed_bfloat16"),
        ("auto", True, (7, 5), "mixed_float16"),
        ("auto", True, (6, 1), "float32"),
        ("auto", True, None, "mixed_bfloat16"),
        ("mixed_float16", False, None, "mixed_float16"),
        ("float32", True, (9, 0), "float32"),
    ],
)
def test_auto_computes_in_what_the_machine_is_made_for(
    choice: str,
    accelerator: bool,
    capability: tuple[int, ...] | None,
    policy: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "has_accelerator", lambda: accelerator)
    monkeypatch.setattr(device, "_compute_capability", lambda: capability)
    assert device.precision_for(choice) == policy


def test_one_device_and_no_accelerator_are_left_to_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "has_accelerator", lambda: False)
    assert device.training_devices("auto") == ()
    monkeypatch.setattr(device, "has_accelerator", lambda: True)
    assert device.training_devices("one") == ()


def test_onednn_is_asked_for_unless_somebody_has_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")  # so that what was there comes back afterwards
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    device.use_onednn()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    device.use_onednn()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
