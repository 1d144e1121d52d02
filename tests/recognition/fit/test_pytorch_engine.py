"""The engine pytorch: the same network as Keras's, the right gradients, and a killed run that continues."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is optional and not installed here (make pytorch)")

from recognition.fit.distillation import keras_teachers, taught  # noqa: E402
from recognition.fit.norms import measure_norms  # noqa: E402
from recognition.fit.pytorch import depthwise, fine_tune, tuning  # noqa: E402
from recognition.fit.pytorch.depthwise import DepthwiseConvolution  # noqa: E402
from recognition.fit.pytorch.network import EfficientNetB4  # noqa: E402
from recognition.fit.pytorch.tuning import learning_rate_at  # noqa: E402
from recognition.fit.run import tuner  # noqa: E402
from recognition.inference.bundle import read_bundle  # noqa: E402  # after the skip
from recognition.inference.network import Architecture, build_network, network_tensors, set_network_tensors  # noqa: E402
from recognition.inference.preprocessing import to_input, to_reference  # noqa: E402
from recognition.progress import Progress  # noqa: E402
from recognition.recipes import FINE_TUNE, Recipe, RecipeError, changed  # noqa: E402
from recognition.taxonomy import CODES  # noqa: E402
from tests.factories import made_picture  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]

# Odd and even sides on the way down: 75 -> 38 -> 19 -> 10 -> 5 -> 3.
SIZE = 75


@pytest.fixture(scope="module")
def network() -> Any:
    """EfficientNetB4 with weights under which every part changes the output.

    Always the same: some drawn weights make numbers so large and so opposed that float32 differs by more than 1e-4.
    """
    import keras

    keras.utils.set_random_seed(1)
    built = build_network(Architecture("efficientnetb4", SIZE))
    random = np.random.default_rng(0)
    tensors = network_tensors(built)
    for key, value in tensors.items():
        if key.endswith(("gamma", "moving_variance", "/variance")):
            tensors[key] = random.uniform(0.5, 1.5, value.shape).astype(np.float32)
        elif key.endswith(("beta", "moving_mean", "bias", "/mean")):
            tensors[key] = random.normal(0.0, 0.2, value.shape).astype(np.float32)
    set_network_tensors(built, tensors)
    return built


def recipe(**changes: str) -> Recipe:
    short = {
        "architecture.input_size": "32",
        "frozen.epochs": "0",
        "fine_tune.epochs": "2",
        "fine_tune.pictures_per_epoch": "16",
        "fine_tune.batch_size": "8",
        "fine_tune.frozen_blocks": "4",
    }
    return changed(FINE_TUNE, short | {f"fine_tune.{name}": value for name, value in changes.items()})


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    pictures = [to_reference(made_picture(code, 1, size=(80, 60)), long_side=200) for code in CODES]
    labels = np.arange(8)
    return {
        "references": {"train": pictures, "validation": pictures},
        "labels": {"train": labels, "validation": labels},
    }


def test_it_is_the_network_that_keras_builds(network: Any) -> None:
    pixels = np.random.default_rng(1).uniform(0, 255, (3, SIZE, SIZE, 3)).astype(np.float32)
    expected = network.predict_on_batch(pixels)[0]
    twin = EfficientNetB4(network_tensors(network), head_dropout=0.0).eval()
    with torch.inference_mode():
        found = twin(torch.from_numpy(pixels).permute(0, 3, 1, 2)).numpy()
    assert np.abs(expected).max() > 0.01
    assert np.allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_batch_norm_is_measured_as_keras_measures_it(network: Any) -> None:
    pixels = np.random.default_rng(2).uniform(0, 255, (40, SIZE, SIZE, 3)).astype(np.float32)
    start = network_tensors(network)
    twin = EfficientNetB4(start, head_dropout=0.0)
    twin.freeze(("stem_", "block1"))
    twin.learn_norms()
    parts = [pixels[:32], pixels[32:]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # float32, to compare
        twin.measure_norms(torch.from_numpy(part).permute(0, 3, 1, 2) for part in parts)
    found = twin.tensors()
    try:
        for layer in network.layers:
            layer.trainable = not layer.name.startswith(("stem_", "block1"))
        measure_norms(network, parts)
        expected = network_tensors(network)
    finally:
        for layer in network.layers:
            layer.trainable = True
        set_network_tensors(network, start)
    changed_keys = {key for key in start if not np.array_equal(start[key], expected[key])}
    assert changed_keys
    assert all(key.endswith(("/moving_mean", "/moving_variance")) for key in changed_keys)
    assert not any(key.startswith(("stem_", "block1")) for key in changed_keys)
    for key in start:
        deviation = np.sqrt(expected[key.replace("moving_mean", "moving_variance")]) if "moving_mean" in key else 1.0
        # PyTorch's variance has N - 1 below, Keras's has N: of 32 x 3 x 3 values and fewer at the end.
        assert np.allclose(found[key] / deviation, expected[key] / deviation, rtol=0.02, atol=0.01), key


@pytest.mark.drill
def test_batch_norm_learns_where_it_is_asked_to(
    made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "refuse_degenerate_output", lambda *_: None)
    wanted = recipe(batch_norm="trained", learn_validation="true")  # four steps: the average moves every fourth
    network = build_network(wanted.architecture)
    start = network_tensors(network)
    fine_tune(network, recipe=wanted, run_folder=tmp_path, **made)
    after = network_tensors(network)
    moved = {key for key in start if not np.allclose(after[key], start[key], atol=1e-6)}
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        assert f"block7a_bn/{name}" in moved
        assert f"top_bn/{name}" in moved
    assert not any(key.startswith(("stem_", "block1", "block2", "block3")) for key in moved)


def test_its_weights_come_back_by_their_names(network: Any) -> None:
    tensors = network_tensors(network)
    found = EfficientNetB4(tensors, head_dropout=0.0).tensors()
    assert list(found) == list(tensors)
    assert all(np.allclose(found[key], tensors[key], atol=1e-5) for key in tensors)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("channels", "side", "kernel", "stride"), [(70, 9, 5, 1), (64, 8, 3, 2), (130, 7, 5, 2)])
def test_the_gradients_of_a_depthwise_convolution(
    channels: int, side: int, kernel: int, stride: int, precision: str
) -> None:
    torch.manual_seed(0)
    kind = getattr(torch, precision)
    x = torch.randn(3, channels, side, side).to(kind)
    weight, bias = torch.randn(channels, 1, kernel, kernel).to(kind), torch.randn(channels).to(kind)

    def gradients(convolution: Any, kind: Any) -> list[Any]:
        inputs = [each.detach().to(kind).requires_grad_() for each in (x, weight, bias)]
        output = convolution(*inputs)
        (output.float() * torch.linspace(-1, 1, output.numel()).reshape(output.shape)).sum().backward()
        return [each.grad.float() for each in inputs]

    def plain(x: Any, weight: Any, bias: Any) -> Any:
        return torch.nn.functional.conv2d(x, weight, bias, stride=stride, padding=kernel // 2, groups=channels)

    expected = gradients(plain, torch.float32)
    found = gradients(lambda *inputs: DepthwiseConvolution.apply(*inputs, stride, kernel // 2), kind)
    for ours, theirs in zip(found, expected, strict=True):
        assert float((ours - theirs).norm() / theirs.norm()) < (1e-5 if precision == "float32" else 2e-2)


def test_without_a_compiler_it_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("Error building extension 'teri_depthwise'\nmany more lines")

    monkeypatch.setattr("torch.utils.cpp_extension.load_inline", failing)
    monkeypatch.setattr(depthwise, "_compiled", depthwise._compiled.__wrapped__)  # not what it kept
    with pytest.raises(RecipeError, match=r"Error building extension 'teri_depthwise'\)\. It needs a C\+\+ compiler"):
        tuner("pytorch")


@pytest.mark.drill
def test_a_killed_run_ends_as_an_undisturbed_one(
    made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        tuning, "refuse_degenerate_output", lambda *_: None
    )  # after four steps from random weights it would

    def tuned(folder: str, network: Any, report: Any = lambda _: None) -> dict[str, Any]:
        fine_tune(network, recipe=recipe(learn_validation="true"), run_folder=tmp_path / folder, report=report, **made)
        return network_tensors(network)

    start = network_tensors(build_network(recipe().architecture))
    networks = [build_network(recipe().architecture) for _ in range(3)]
    for each in networks:
        set_network_tensors(each, start)
    undisturbed = tuned("whole", networks[0])

    def killed(progress: Progress) -> None:
        if progress.done == 3:  # in the second epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned("cut", networks[1], killed)
    resumed = tuned("cut", networks[2])
    assert all(np.allclose(resumed[key], undisturbed[key], atol=1e-4) for key in start)
    moved = {key for key in start if not np.allclose(undisturbed[key], start[key], atol=1e-6)}
    assert "logits/kernel" in moved
    assert "block7a_dwconv/kernel" in moved
    assert not any(key.startswith(("stem_", "block1", "block2", "block3")) for key in moved)


def test_a_teacher_answers_as_it_does_in_keras(made: dict[str, Any]) -> None:
    bundle = read_bundle(ROOT / "bundles" / "default")
    pixels = np.stack([to_input(each, input_size=64) for each in made["references"]["train"]])
    expected = keras_teachers([bundle], input_size=64)(pixels)
    found = tuning._logits(tuning._teacher(bundle), torch.from_numpy(pixels).permute(0, 3, 1, 2))
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()  # bfloat16


def test_a_student_learns_what_its_teacher_says(
    made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "refuse_degenerate_output", lambda *_: None)
    bundle = read_bundle(ROOT / "bundles" / "default")
    learned = []

    def noted(truth: Any, said: Any, **how: Any) -> Any:
        learned.append(taught(truth, said, **how))
        assert how["share"] == 0.75
        assert np.allclose(learned[-1].sum(axis=1), 1.0, atol=1e-5)
        return learned[-1]

    monkeypatch.setattr(tuning, "taught", noted)
    wanted = recipe(teacher_share="0.75", epochs="1")
    fine_tune(build_network(wanted.architecture), recipe=wanted, run_folder=tmp_path, teachers=[bundle], **made)
    assert [each.shape for each in learned] == [(8, 8), (8, 8)]


def test_a_teacher_of_another_kind_is_refused(made: dict[str, Any], tiny_bundle: Path, tmp_path: Path) -> None:
    wanted = recipe(teacher_share="0.5")
    with pytest.raises(RecipeError, match="cannot teach in the engine pytorch"):
        fine_tune(
            build_network(wanted.architecture),
            recipe=wanted,
            run_folder=tmp_path,
            teachers=[read_bundle(tiny_bundle)],
            **made,
        )


def test_the_learning_rate_rises_and_falls() -> None:
    phase = recipe(learning_rate="0.001", warmup_share="0.1").fine_tune
    assert phase is not None
    rates = [learning_rate_at(step, 100, phase) for step in range(101)]
    assert rates[0] == 0.0
    assert max(rates) == rates[10] == pytest.approx(0.001)
    assert rates[-1] == pytest.approx(0.0)


@pytest.mark.parametrize("changes", [{"balance.focal_gamma": "2"}])
def test_what_it_does_not_offer_is_refused(made: dict[str, Any], changes: dict[str, str], tmp_path: Path) -> None:
    wanted = recipe(**changes)
    with pytest.raises(RecipeError, match="focal"):
        fine_tune(build_network(wanted.architecture), recipe=wanted, run_folder=tmp_path, **made)
