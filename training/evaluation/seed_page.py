"""The page about the seed: what it published, our runs of its recipe, and what all say of its two pictures.

The seed is the published project whose recipe is here as `SEED_TRANSFER` and `SEED_FINE_TUNE`. The text is the template
beside this file, `seed_page.md.jinja`; the figures come from these runs and from the manifest of the shipped bundle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray

from recognition.datasets.examples import Examples
from recognition.datasets.pictures import Pictures
from recognition.datasets.splits import TEST, TRAIN, VALIDATION, Split, lesion_groups, split_fingerprint, split_groups
from recognition.evaluation.measure import split_metrics
from recognition.fit.head_runs import HeadRun
from recognition.fit.learned import learned_validation
from recognition.inference.assessor import malignant_score
from recognition.inference.bundle import Bundle
from recognition.inference.runtime import load_classifier
from recognition.taxonomy import CODES, DERMOSCOPIC, Diagnosis
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
    """What a classifier says of one picture. Probabilities lie in [0, 1]."""

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
    runs: Sequence[HeadRun],
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

    - `runs`: those of the seed's recipes, trained on `split`, which holds none of the pictures `asked` about; `dealt`
      is the split of the whole data set;
    - `shipped`: the classifier to compare with;
    - `charts`: the folder of the charts, as the page names it; `command`: what wrote the page.

    Raises KeyError or jinja2.UndefinedError for a manifest that lacks something, BundleError for a bundle that does
    not load, ExamplesError for a picture that cannot be read.
    """
    loaded = load_classifier(shipped)
    replies: dict[str, list[Reply]] = {}
    for example in asked:
        row = examples.table["image"].tolist().index(example.image)
        answer = loaded.classify([pictures.picture(example.image)])[0]
        replies[example.image] = [
            *(
                _reply(run.recipe.name, run.probabilities[row], example, learned=_place(split, example.image))
                for run in runs
            ),
            _reply(
                shipped.version,
                answer.probabilities,
                example,
                advice=answer.assessment.decision.replace("_", " "),
                learned=_learned(shipped, dealt, example.image),
            ),
        ]
    # Markdown for a file: nothing is escaped.
    environment = Environment(  # noqa: S701
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    environment.filters.update(percent=_percent)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        accuracies=ACCURACIES,
        asked=asked,
        dealt_to={example.image: dealt.assignment.get(example.image) for example in asked},
        replies=replies,
        runs=runs,
        shipped=shipped,
        names=[*(run.recipe.name for run in runs), shipped.version],
        figures=_figures(
            [*(_metrics(run, examples, split) for run in runs), shipped.manifest.image_types[DERMOSCOPIC]["metrics"]]
        ),
        same_test=shipped.manifest.split["test_fingerprint"] == split.test_fingerprint,
        left_out=len(dealt.assignment) - len(split.assignment),
        examples=examples,
        split=split,
        tested=len(split.images(TEST)),
        epochs=_epochs(runs),
        charts=charts,
        command=command,
    )


def draw_charts(runs: Sequence[HeadRun], *, split: Split, examples: Examples) -> dict[str, bytes]:
    """Accuracy and loss by epoch, each of training and validation, as PNG files by name."""
    stages = [Stage(run.recipe.name, len(run.history.epochs)) for run in runs]
    epochs = _epochs(runs)

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


def _epochs(runs: Sequence[HeadRun]) -> list[dict[str, Any]]:
    """The metrics of all epochs in order, each with its recipe and whether its weights were kept."""
    return [
        {"recipe": run.recipe.name, "kept": number == run.history.best_epoch, **figures}
        for run in runs
        for number, figures in enumerate(run.history.epochs)
    ]


def _metrics(run: HeadRun, examples: Examples, split: Split) -> dict[str, Any]:
    """The metrics on the test split, as a manifest holds them."""
    tested = examples.table["image"].isin(split.images(TEST)).to_numpy()
    labels = np.array([CODES.index(code) for code in examples.table.loc[tested, "diagnosis"]])
    probabilities = run.probabilities[tested]
    lesions = lesion_groups(examples.table)[tested].tolist()
    return split_metrics(labels, probabilities, groups=lesions)


def _figures(metrics: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """The rows of the table of figures: a label, and a cell for each classifier."""
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


def _place(split: Split, image: str, *, learns_validation: bool = False) -> str:
    """Whether a picture was learned by a classifier of this split, in words."""
    place = split.assignment.get(image)
    if place == TRAIN or (place == VALIDATION and learns_validation):
        return "yes"
    return "no" if place is None else f"no ({place} split)"


def _learned(bundle: Bundle, dealt: Split, image: str) -> str:
    """Whether the classifier learned the picture, as far as its manifest says."""
    if bundle.manifest.split["fingerprint"] != dealt.fingerprint:
        return "perhaps: its split is another"
    return _place(dealt, image, learns_validation=learned_validation(bundle))


def _reply(
    classifier: str,
    probabilities: NDArray[np.float64],
    example: SeedExample,
    *,
    learned: str,
    advice: str = "has none",
) -> Reply:
    said = int(probabilities.argmax())
    return Reply(
        classifier=classifier,
        diagnosis=CODES[said],
        confidence=float(probabilities[said]),
        of_the_truth=float(probabilities[example.truth.position]),
        malignant_score=malignant_score(probabilities),
        advice=advice,
        learned=learned,
    )


def _interval(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")
