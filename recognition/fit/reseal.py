"""Sealing the weights of a classifier again: measured again, at another input size, or with more views of a picture.

A network takes pictures of any size. The best size for serving can differ from the one of training, because training
crops make lesions larger than they are when served (Touvron et al. 2019, "FixRes"). The best is chosen without the test
split (`compare`). The calibration and test splits then give the sealed figures, as after a training.
"""

import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from recognition.datasets.examples import Examples
from recognition.datasets.pictures import Pictures
from recognition.datasets.splits import CALIBRATION, VALIDATION, Split, split_examples
from recognition.evaluation import metrics
from recognition.evaluation.answers import AnswerCache, Answers
from recognition.fit.calibration import fit_temperature
from recognition.fit.learned import ancestry, learned_by, learned_validation
from recognition.fit.seal import seal_measured
from recognition.inference.bundle import GRAPH_NAME, VIEWS, WEIGHTS_NAME, Bundle
from recognition.inference.calibration import softmax
from recognition.inference.export import store_weights, write_graph
from recognition.inference.network import Architecture, build_network, set_network_tensors
from recognition.inference.runtime import OnnxBackend
from recognition.progress import Report, silent
from recognition.taxonomy import CODES

TOLERANCE: Final = 1e-3
"""Figures that differ by less count as reproduced: machines round differently. One picture more or less at a threshold
changes a share by more than this."""


class ResealError(Exception):
    """The classifier cannot be sealed again with these data; the message says why."""


@dataclass(frozen=True, slots=True)
class ServingOption:
    """One input size and number of views, with its metrics on the split of `choosing_split`."""

    input_size: int
    views: int
    balanced_accuracy: float
    malignant_auc: float
    log_loss: float
    mean_log_loss: float


def split_of(bundle: Bundle, examples: Examples, split: Split | None = None) -> Split:
    """The split of a sealed bundle: `split` where the data have one, else made again. Raises ResealError otherwise."""
    sealed = bundle.manifest.split
    if split is None:
        split = split_examples(examples.table, shares=sealed["shares"], seed=sealed["seed"])
    if split.fingerprint != sealed["fingerprint"] or examples.fingerprint != bundle.manifest.dataset["fingerprint"]:
        raise ResealError(
            f"{bundle.version} was sealed on other data than these: its data set {bundle.manifest.dataset['name']} has "
            f"the fingerprint {bundle.manifest.dataset['fingerprint'][:12]}, this one {examples.fingerprint[:12]}."
        )
    return split


def choosing_split(bundle: Bundle) -> str:
    """The split on which input size and views are chosen: validation, or calibration if validation was learned.

    Temperature and thresholds are fitted on the calibration split too, so its figures are a little optimistic, equally
    for all options.
    """
    return CALIBRATION if learned_validation(bundle) else VALIDATION


def reseal(
    bundle: Bundle,
    *,
    examples: Examples,
    pictures: Pictures,
    split: Split | None = None,
    directory: Path,
    version: str,
    input_size: int | None = None,
    views: int | None = None,
    keep_answers: Path | None = None,
    report: Report = silent,
) -> Bundle:
    """Seal the bundle's weights again, into `directory`.

    `input_size` (pixels) and `views` are by default those of the bundle. `keep_answers` is a folder that caches the
    network's outputs. `split` is that of the data, where it cannot be made again from seed and shares (`split_of`).
    Raises ResealError for other data, ValueError for an impossible size or number of views, and what
    `seal_measured` raises.
    """
    split = split_of(bundle, examples, split)
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
        ancestry=ancestry(resealed=bundle),
        absent=manifest.absent,
        learned=learned_by(bundle, examples, split),
        views=views or manifest.views,
        keep_answers=keep_answers,
        report=report,
    )


def compare(
    bundle: Bundle,
    *,
    examples: Examples,
    pictures: Pictures,
    split: Split | None = None,
    sizes: Sequence[int],
    views: Sequence[int] = VIEWS,
    keep_answers: Path | None = None,
    report: Report = silent,
) -> Iterator[ServingOption]:
    """Metrics of each input size and number of views on `choosing_split`, each at its best temperature.

    The temperature is fitted on the same pictures. It does not change balanced accuracy, and it changes the log loss a
    little, equally for all options. Raises as `reseal`.
    """
    split = split_of(bundle, examples, split)
    labels = dict(zip(examples.table["image"], map(CODES.index, examples.table["diagnosis"]), strict=True))
    images = split.images(choosing_split(bundle))
    for size in sizes:
        architecture, network = _network(bundle, size)
        folder = Path(tempfile.mkdtemp(prefix="teri-compare-"))
        try:
            store_weights(network, folder / WEIGHTS_NAME)
            write_graph(network, weights=folder / WEIGHTS_NAME, graph=folder / GRAPH_NAME)
            backend = OnnxBackend(folder / GRAPH_NAME)
            for count in views:
                cache = None
                if keep_answers is not None:
                    cache = AnswerCache(keep_answers, examples.fingerprint, f"{architecture.backbone}:{bundle.sha256}")
                answers = Answers.of(
                    backend,
                    images,
                    labels=labels,
                    pictures=pictures,
                    preprocessing=replace(bundle.manifest.preprocessing, input_size=size),
                    views=count,
                    cache=cache,
                    report=report,
                )
                logits = answers.logits
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
    """The differences of two JSON values above `TOLERANCE`, one line each; empty if they agree."""
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
