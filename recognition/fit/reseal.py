"""Own sealing a classifier's weights once more: measured again, at another input size, with more views of a picture.

A network takes pictures of any size; which one serves best need not be the one it was trained at, because training
crops make lesions look larger than they are when served (Touvron et al. 2019, "FixRes"). What is best is chosen without
the test split (`compare`); calibration and test splits then give the sealed figures as after a training.
"""

import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from recognition.datasets.examples import Examples, metadata_of
from recognition.datasets.pictures import Pictures
from recognition.datasets.splits import CALIBRATION, VALIDATION, Split, split_examples
from recognition.evaluation import metrics
from recognition.evaluation.answers import AnswerCache, Answers
from recognition.fit.calibration import fit_temperature
from recognition.fit.distillation import learned_validation
from recognition.fit.seal import seal_measured
from recognition.inference.bundle import GRAPH_NAME, VIEWS, WEIGHTS_NAME, Bundle
from recognition.inference.export import store_weights, write_graph
from recognition.inference.metadata import metadata_head_of
from recognition.inference.network import Architecture, build_network, set_network_tensors
from recognition.inference.runtime import OnnxBackend, softmax
from recognition.progress import Report, silent
from recognition.taxonomy import CODES

TOLERANCE: Final = 1e-3
"""Figures that differ by less were reproduced: another machine rounds otherwise, and one picture at a threshold moves a
share by one in some hundreds, which is more."""


class ResealError(Exception):
    """The classifier cannot be sealed again from these data; the message says why."""


@dataclass(frozen=True, slots=True)
class ServingOption:
    """How one way of serving does on the split of `choosing_split`."""

    input_size: int
    views: int
    balanced_accuracy: float
    malignant_auc: float
    log_loss: float
    mean_log_loss: float


def split_of(bundle: Bundle, examples: Examples) -> Split:
    """The split the bundle was sealed with, made again from its data. Raises ResealError for other data."""
    sealed = bundle.manifest.split
    split = split_examples(examples.table, shares=sealed["shares"], seed=sealed["seed"])
    if split.fingerprint != sealed["fingerprint"] or examples.fingerprint != bundle.manifest.dataset["fingerprint"]:
        raise ResealError(
            f"{bundle.version} was sealed on other data than these: its data set {bundle.manifest.dataset['name']} has "
            f"the fingerprint {bundle.manifest.dataset['fingerprint'][:12]}, this one {examples.fingerprint[:12]}."
        )
    return split


def choosing_split(bundle: Bundle) -> str:
    """The split on which a way of serving is chosen: validation, or calibration where validation has been learned.

    Calibration gives temperature and thresholds as well, so that figures of it flatter all choices a little, and alike.
    """
    return CALIBRATION if learned_validation(bundle) else VALIDATION


def reseal(
    bundle: Bundle,
    *,
    examples: Examples,
    pictures: Pictures,
    directory: Path,
    version: str,
    input_size: int | None = None,
    views: int | None = None,
    keep_answers: Path | None = None,
    report: Report = silent,
) -> Bundle:
    """Seal the bundle's weights in `directory` anew; `input_size` and `views` are its own unless given.

    Raises ResealError for other data, ValueError for sizes or views that cannot be, and what `seal_measured` raises.
    """
    split = split_of(bundle, examples)
    manifest = bundle.manifest
    architecture, network = _network(bundle, input_size or manifest.architecture.input_size)
    return seal_measured(
        network,
        architecture=architecture,
        preprocessing=replace(manifest.preprocessing, input_size=architecture.input_size),
        recipe=manifest.recipe,
        examples=examples,
        split=split,
        pictures=pictures,
        directory=directory,
        version=version,
        provenance={**manifest.provenance, "resealed_from": {"version": bundle.version, "sha256": bundle.sha256}},
        metadata_head=metadata_head_of(bundle),
        views=views or manifest.views,
        keep_answers=keep_answers,
        report=report,
    )


def compare(
    bundle: Bundle,
    *,
    examples: Examples,
    pictures: Pictures,
    sizes: Sequence[int],
    views: Sequence[int] = VIEWS,
    keep_answers: Path | None = None,
    report: Report = silent,
) -> Iterator[ServingOption]:
    """How each input size and number of views does on `choosing_split`, each at its own best temperature.

    The temperature is fitted on the same pictures: it has no say in balanced accuracy, and in the log loss the same
    small one for every choice. Raises as `reseal`.
    """
    split = split_of(bundle, examples)
    labels = dict(zip(examples.table["image"], map(CODES.index, examples.table["diagnosis"]), strict=True))
    images = split.images(choosing_split(bundle))
    head = metadata_head_of(bundle)
    for size in sizes:
        architecture, network = _network(bundle, size)
        folder = Path(tempfile.mkdtemp(prefix="teri-compare-"))
        try:
            store_weights(network, folder / WEIGHTS_NAME)
            write_graph(network, weights=folder / WEIGHTS_NAME, graph=folder / GRAPH_NAME)
            backend = OnnxBackend(folder / GRAPH_NAME)
            for count in views:
                keep = None
                if keep_answers is not None:
                    keep = AnswerCache(keep_answers, examples.fingerprint, f"{architecture.backbone}:{bundle.sha256}")
                answers = Answers.of(
                    backend,
                    images,
                    labels=labels,
                    pictures=pictures,
                    preprocessing=replace(bundle.manifest.preprocessing, input_size=size),
                    views=count,
                    keep=keep,
                    report=report,
                )
                logits = answers.logits
                if head is not None:
                    logits = logits + head.contribution(metadata_of(examples.table, images))
                probabilities = softmax(logits / fit_temperature(logits, answers.labels))
                yield ServingOption(
                    size,
                    count,
                    metrics.balanced_accuracy(answers.labels, probabilities),
                    metrics.malignant_auc(answers.labels, probabilities),
                    metrics.log_loss(answers.labels, probabilities),
                    metrics.mean_log_loss(answers.labels, probabilities),
                )
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def differences(sealed: Any, again: Any, path: str = "") -> list[str]:
    """Where two JSON values differ by more than `TOLERANCE`, as readable lines; empty when they agree."""
    if isinstance(sealed, Mapping) and isinstance(again, Mapping):
        lines = [f"{path}{key}: only once there" for key in sorted(sealed.keys() ^ again.keys())]
        for key in sorted(sealed.keys() & again.keys()):
            lines += differences(sealed[key], again[key], f"{path}{key}.")
        return lines
    if isinstance(sealed, list | tuple) and isinstance(again, list | tuple) and len(sealed) == len(again):
        return [
            line
            for at, (one, other) in enumerate(zip(sealed, again, strict=True))
            for line in differences(one, other, f"{path}{at}.")
        ]
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (sealed, again))
    same = math.isclose(sealed, again, rel_tol=TOLERANCE, abs_tol=TOLERANCE) if numbers else sealed == again
    return [] if same else [f"{path.rstrip('.')}: sealed {sealed}, now {again}"]


def _network(bundle: Bundle, input_size: int) -> tuple[Architecture, Any]:
    architecture = replace(bundle.manifest.architecture, input_size=input_size)
    network = build_network(architecture)
    set_network_tensors(network, bundle.network_tensors())
    return architecture, network
