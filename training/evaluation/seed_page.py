"""The page about the seed: what it published, our runs of its recipe, and what all say of its two pictures.

The seed is the published project whose recipe is here as `SEED_TRANSFER` and `SEED_FINE_TUNE`. The text is the template
beside this file, `seed_page.md.jinja`; the figures come from the manifests of the bundles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from recognition.datasets.examples import Examples
from recognition.datasets.pictures import Pictures
from recognition.datasets.splits import TRAIN, VALIDATION, Split, split_fingerprint, split_groups
from recognition.inference.bundle import Bundle
from recognition.inference.runtime import LoadedClassifier, load_classifier
from recognition.taxonomy import Diagnosis
from training.charts.epochs import EpochCurve, Level, Stage, epoch_curves
from training.charts.output import as_png
from training.charts.style import BLUE, VERMILION

TEMPLATE: Final = Path(__file__).with_name("seed_page.md.jinja")

ACCURACIES: Final = (0.636, 0.658)
"""The two accuracies that the seed published."""

RARE: Final = (Diagnosis.AK, Diagnosis.DF, Diagnosis.SCC)
"""The diagnoses that its recipe hardly ever finds here."""


@dataclass(frozen=True, slots=True)
class SeedExample:
    """A picture that the seed showed: what it said, how sure it was, and the diagnosis in the ISIC 2019 table."""

    image: str
    said: Diagnosis
    confidence: float
    truth: Diagnosis


EXAMPLES: Final = (
    SeedExample("ISIC_0024468", Diagnosis.DF, 0.484, Diagnosis.AK),
    SeedExample("ISIC_0024331", Diagnosis.DF, 0.485, Diagnosis.BCC),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a classifier says of one picture. Probabilities are calibrated and lie in [0, 1]."""

    classifier: str
    diagnosis: str
    confidence: float
    of_the_truth: float
    malignant_score: float
    advice: str
    learned: str


def without_lesions(split: Split, examples: Examples, images: Sequence[str]) -> Split:
    """The split without these pictures and without all other pictures of their lesions and patients."""
    groups = split_groups(examples.table)
    named = examples.table["image"]
    left_out = set(named[groups.isin(set(groups[named.isin(list(images))]))])
    assignment = split.assignment[~split.assignment.index.isin(list(left_out))]
    return Split(assignment, split.seed, split.shares, split_fingerprint(assignment))


def seed_page(
    *,
    transfer: Bundle,
    fine_tuned: Bundle,
    shipped: Bundle,
    examples: Examples,
    dealt: Split,
    split: Split,
    pictures: Pictures,
    charts: str,
    command: str,
    asked: Sequence[SeedExample] = EXAMPLES,
) -> str:
    """The page as Markdown.

    - `transfer`, `fine_tuned`: the runs of the two recipes, trained on `split`, which holds none of the pictures
      `asked` about; `dealt` is the split of the whole data set;
    - `shipped`: the classifier to compare with;
    - `charts`: the folder of the charts, as the page names it; `command`: what wrote the page.

    Raises KeyError or jinja2.UndefinedError for a manifest that lacks something, BundleError for a bundle that does
    not load, ExamplesError for a picture that cannot be read.
    """
    replies: dict[str, list[Reply]] = {example.image: [] for example in asked}
    for bundle, its_split in ((transfer, split), (fine_tuned, split), (shipped, dealt)):
        loaded = load_classifier(bundle)
        for example in asked:
            learned = _learned(bundle, its_split, example.image)
            replies[example.image].append(_reply(loaded, pictures, example, learned))
    # Markdown for a file: nothing is escaped.
    environment = Environment(  # noqa: S701
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    environment.filters.update(percent=_percent)
    columns = (transfer, fine_tuned, shipped)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        accuracies=ACCURACIES,
        asked=asked,
        dealt_to={example.image: dealt.assignment.get(example.image) for example in asked},
        replies=replies,
        transfer=transfer,
        fine_tuned=fine_tuned,
        shipped=shipped,
        versions=[bundle.version for bundle in columns],
        figures=_figures(columns),
        same_test=shipped.manifest.split["test_fingerprint"] == split.test_fingerprint,
        left_out=len(dealt.assignment) - len(split.assignment),
        examples=examples,
        split=split,
        epochs=_epochs(transfer, fine_tuned),
        kept=_kept(transfer),
        charts=charts,
        command=command,
    )


def draw_charts(transfer: Bundle, fine_tuned: Bundle, *, split: Split, examples: Examples) -> dict[str, bytes]:
    """Accuracy and loss by epoch, each of training and validation, as PNG files by name."""
    stages = [Stage(bundle.manifest.recipe["name"], len(_history(bundle))) for bundle in (transfer, fine_tuned)]
    epochs = _epochs(transfer, fine_tuned)

    def curves(training: str, validation: str) -> list[EpochCurve]:
        return [
            EpochCurve("training", [each[training] for each in epochs], BLUE),
            EpochCurve("validation", [each[validation] for each in epochs], VERMILION),
        ]

    diagnosis = examples.table.set_index("image").loc[split.images(VALIDATION), "diagnosis"]
    shares = diagnosis.value_counts(normalize=True)
    level = Level(f"always {shares.index[0]}, validation", float(shares.iloc[0]))
    return {
        "accuracy.png": as_png(
            epoch_curves(curves("accuracy", "validation_accuracy"), stages=stages, y="accuracy", level=level)
        ),
        "loss.png": as_png(epoch_curves(curves("loss", "validation_loss"), stages=stages, y="loss (cross-entropy)")),
    }


def _history(bundle: Bundle) -> list[dict[str, float]]:
    return list(bundle.manifest.provenance["history"]["head"])


def _epochs(*bundles: Bundle) -> list[dict[str, Any]]:
    return [{"recipe": bundle.manifest.recipe["name"], **figures} for bundle in bundles for figures in _history(bundle)]


def _kept(bundle: Bundle) -> int:
    """The number of the epoch with the least validation loss, counted from 1."""
    losses = [each["validation_loss"] for each in _history(bundle)]
    return losses.index(min(losses)) + 1


def _figures(bundles: Sequence[Bundle]) -> list[tuple[str, list[str]]]:
    """The rows of the table of figures: a label, and a cell for each bundle."""
    metrics = [bundle.manifest.metrics for bundle in bundles]
    return [
        ("accuracy", [_interval(each["accuracy"]) for each in metrics]),
        ("accuracy of one answer for all", [f"{each['majority_baseline']:.3f}" for each in metrics]),
        ("balanced accuracy (chance 0.125)", [_interval(each["balanced_accuracy"]) for each in metrics]),
        ("malignant AUC", [_interval(each["malignant_auc"]) for each in metrics]),
        (f"{', '.join(RARE)} found", [_found(each["confusion"]) for each in metrics]),
    ]


def _found(confusion: Sequence[Sequence[int]]) -> str:
    """How many test pictures of the rare diagnoses were called what they are, and how many there are."""
    positions = [diagnosis.position for diagnosis in RARE]
    return f"{sum(confusion[at][at] for at in positions)} of {sum(sum(confusion[at]) for at in positions)}"


def _learned(bundle: Bundle, split: Split, image: str) -> str:
    """Whether the classifier learned the picture, as far as its manifest says."""
    if bundle.manifest.split["fingerprint"] != split.fingerprint:
        return "perhaps: its split is another"
    place = split.assignment.get(image)
    tuning = bundle.manifest.recipe.get("fine_tune") or {}
    if place == TRAIN or (place == VALIDATION and tuning.get("learn_validation")):
        return "yes"
    return "no" if place is None else f"no ({place} split)"


def _reply(loaded: LoadedClassifier, pictures: Pictures, example: SeedExample, learned: str) -> Reply:
    answer = loaded.classify([pictures.picture(example.image)])[0]
    return Reply(
        classifier=loaded.bundle.version,
        diagnosis=answer.diagnosis,
        confidence=answer.confidence,
        of_the_truth=float(answer.probabilities[example.truth.position]),
        malignant_score=answer.malignant_score,
        advice=answer.assessment.decision.replace("_", " "),
        learned=learned,
    )


def _interval(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")
