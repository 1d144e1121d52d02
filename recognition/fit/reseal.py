"""Sealing the weights of a classifier again: measured again, at another input size, with more views, or on other data.

A network takes pictures of any size. The best size for serving can differ from the one of training, because training
crops make lesions larger than they are when served (Touvron et al. 2019, "FixRes"). The best is chosen without the test
split (`compare`). The calibration and test splits then give the sealed figures, as after a training.

On other data than those it was sealed on, a classifier can learn to know a kind of picture that its network never
learned: only if neither the network nor an ancestor has learned a lesion of these calibration and test splits.
"""

import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from recognition.datasets.examples import Examples
from recognition.datasets.identity import picture_ids
from recognition.datasets.other_pictures import OtherPictures
from recognition.datasets.pictures import Pictures
from recognition.datasets.splits import CALIBRATION, TEST, VALIDATION, Split, split_examples
from recognition.evaluation import metrics
from recognition.evaluation.answers import AnswerCache, Answers
from recognition.evaluation.by_collection import collection_figures
from recognition.fit.calibration import fit_calibration
from recognition.fit.calibration.assessment import Seen, answer_all
from recognition.fit.calibration.lesion import measure_lesion, pairs_of
from recognition.fit.learned import ancestry, learned_by, learned_validation
from recognition.fit.seal import SplitData, seal_measured
from recognition.inference.bundle import GRAPH_NAME, VIEWS, WEIGHTS_NAME, Bundle
from recognition.inference.case_mix import BALANCED, HAM10000
from recognition.inference.export import store_weights, write_graph
from recognition.inference.learned import Learned
from recognition.inference.network import Architecture, build_network, set_network_tensors
from recognition.inference.runtime import OnnxBackend
from recognition.progress import Report, silent
from recognition.taxonomy import IMAGE_TYPES

TOLERANCE: Final = 1e-3
"""Figures that differ by less count as reproduced: machines round differently. One picture more or less at a threshold
changes a share by more than this."""


class ResealError(Exception):
    """The classifier cannot be sealed again with these data; the message says why."""


@dataclass(frozen=True, slots=True)
class KindOption:
    """The metrics of a `ServingOption` for one kind of picture alone, best calibrated.

    `balanced_accuracy` and `mean_log_loss` are at the balanced case mix; `malignant_auc` and `log_loss` are at that of
    HAM10000, the log loss weighted to it.
    """

    balanced_accuracy: float
    malignant_auc: float
    log_loss: float
    mean_log_loss: float


@dataclass(frozen=True, slots=True)
class ServingOption:
    """One input size and number of views, with its metrics on the split of `choosing_split`.

    - `kinds`: by kind of picture;
    - `collections`: `by_collection.collection_figures` of each kind that the bundle knows, with its sealed calibration
      and limits; `lesion`: the figures of `measure_lesion`, empty without lesions that have a picture of each kind;
    - `as_sealed`: whether these limits were fitted at this input size and number of views. Where they were not,
      balanced accuracy and AUC can be read, but not what depends on a limit.
    """

    input_size: int
    views: int
    kinds: Mapping[str, KindOption]
    collections: Mapping[str, Mapping[str, Any]]
    lesion: Mapping[str, Any]
    as_sealed: bool


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


def learned_of_sealed(bundle: Bundle, examples: Examples, split: Split | None = None) -> Learned:
    """What a bundle has learned, from the data that it was sealed on; see `fit.learned.learned_by`.

    Raises ResealError for other data, or if nobody knows what an ancestor learned.
    """
    return _complete(bundle, learned_by(bundle, examples, split_of(bundle, examples, split)))


def unseen_split(bundle: Bundle, examples: Examples, split: Split | None = None, *, learned: Learned | None) -> Split:
    """The split of data that the bundle was not sealed on, if calibration and test hold nothing that it has learned.

    `split` is that of the data, dealt here if they have none. `learned` is what the network learned, for a bundle that
    does not say. Raises ResealError if nobody knows, or if a lesion or patient of these splits was learned.
    """
    known = _complete(bundle, bundle.learned() or learned or Learned.unknown())
    split = split or split_examples(examples.table)
    for name in (CALIBRATION, TEST):
        images = split.images(name)
        if found := known.overlap(picture_ids(examples.table, images)):
            raise ResealError(
                f"{bundle.version} has learned {len(found)} of the {len(images)} {name} pictures of {examples.name}, "
                f"or others of their lesions or patients, {found[0]} among them: its figures would flatter it."
            )
    return split


def choosing_split(bundle: Bundle) -> str:
    """The split on which input size and views are chosen: validation, or calibration if validation was learned.

    Calibration and thresholds are fitted on the calibration split too, so its figures are a little optimistic, equally
    for all options.
    """
    return CALIBRATION if learned_validation(bundle) else VALIDATION


def reseal(
    bundle: Bundle,
    *,
    examples: Examples,
    pictures: Pictures,
    split: Split | None = None,
    new_data: bool = False,
    learned: Learned | None = None,
    directory: Path,
    version: str,
    input_size: int | None = None,
    views: int | None = None,
    keep_answers: Path | None = None,
    others: OtherPictures | None = None,
    report: Report = silent,
) -> Bundle:
    """Seal the bundle's weights again, into `directory`.

    `input_size` (pixels) and `views` are by default those of the bundle. `keep_answers` is a folder that caches the
    network's outputs. `others`: see `seal_measured`; without them the gates are those of training pictures alone, also
    where the bundle's had learned from some. `split` is that of the data, where it cannot be made again from seed and
    shares (`split_of`). With `new_data` they are others than those it was sealed on, see `unseen_split`. Raises
    ResealError for data that may not be used, ValueError for an impossible size or number of views, and what
    `seal_measured` raises.
    """
    if new_data:
        split = unseen_split(bundle, examples, split, learned=learned)
        known = bundle.learned() or learned
    else:
        split = split_of(bundle, examples, split)
        known = learned_by(bundle, examples, split)
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
        learned=known,
        views=views or manifest.views,
        keep_answers=keep_answers,
        others=others,
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
    """Metrics of each input size and number of views on `choosing_split`.

    The calibration of a kind alone is fitted on the same pictures. It does not change the balanced accuracy much, and
    the others a little, equally for all options. Raises as `reseal`.
    """
    data = SplitData(examples, split_of(bundle, examples, split))
    chosen, manifest = choosing_split(bundle), bundle.manifest
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
                seen = {
                    kind: data.seen(
                        Answers.of(
                            backend,
                            data.images(chosen, kind),
                            labels=data.labels,
                            pictures=pictures,
                            preprocessing=replace(manifest.preprocessing, input_size=size),
                            views=count,
                            cache=cache,
                            report=report,
                        )
                    )
                    for kind in data.image_types(chosen)
                }
                collections, lesion = _by_collection(bundle, seen)
                yield ServingOption(
                    size,
                    count,
                    {kind: _option(each.answers) for kind, each in seen.items()},
                    collections,
                    lesion,
                    as_sealed=(size, count) == (manifest.architecture.input_size, manifest.views),
                )
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _by_collection(bundle: Bundle, seen: Mapping[str, Seen]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The figures of each collection, by kind of picture, and those of the lesions with a picture of each kind."""
    assessor, detectors = bundle.assessor(), bundle.detectors()
    known = {kind: each for kind, each in seen.items() if kind in assessor.image_types}
    outputs = {
        kind: detectors.measure(each.answers.logits, each.answers.features, each.answers.statistics)
        for kind, each in known.items()
    }
    collections = {}
    for kind, each in known.items():
        _answers, tables = answer_all(kind, assessor=assessor, seen=each, outputs=outputs[kind])
        collections[kind] = collection_figures(tables, each.rows, case_mix=assessor.case_mix)
    paired = set(known) == set(IMAGE_TYPES) and len(pairs_of(known)) > 0
    return collections, measure_lesion(known, outputs, assessor) if paired else {}


def _option(answers: Answers) -> KindOption:
    logits, truth = answers.logits, answers.labels
    calibration = fit_calibration(logits, truth)
    served, balanced = (calibration.probabilities(logits, mix) for mix in (HAM10000, BALANCED))
    return KindOption(
        metrics.balanced_accuracy(truth, balanced),
        metrics.malignant_auc(truth, served),
        float(np.average(metrics.surprise(truth, served), weights=HAM10000.weights(truth))),
        metrics.mean_log_loss(truth, balanced),
    )


def _complete(bundle: Bundle, learned: Learned) -> Learned:
    if not learned.complete:
        raise ResealError(
            f"Nobody can say what {bundle.version} or a classifier it comes from has learned. Name the data that it "
            "was sealed on as well; if it still is not known, it cannot be sealed on other data."
        )
    return learned


def differences(sealed: Any, again: Any, path: str = "") -> list[str]:
    """The differences of two JSON values above `TOLERANCE`, one line each; empty if they agree.

    Metrics that an older bundle does not have, because they were not measured then, are no difference.
    """
    if isinstance(sealed, Mapping) and isinstance(again, Mapping):
        newer = again.keys() - sealed.keys() if ".metrics." in f".{path}" else set()
        lines = [f"{path}{key}: only once there" for key in sorted((sealed.keys() ^ again.keys()) - newer)]
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
