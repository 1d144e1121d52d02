"""Train a recipe on a folder in the official ISIC 2019 layout and seal the bundle: no database, no broker."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from recognition.datasets.examples import read_examples
from recognition.datasets.pictures import PictureStore
from recognition.datasets.problems import ExamplesError
from recognition.datasets.splits import DEFAULT_SEED, split_examples
from recognition.fit import TrainingError
from recognition.fit.device import ENGINES, KERAS_ENGINE
from recognition.fit.run import train_classifier
from recognition.inference.bundle import BundleError, read_bundle
from recognition.inference.export import ExportError
from recognition.inference.network import WeightsError
from recognition.inference.sealing import SealingError
from recognition.recipes import RECIPES, RecipeError, changed
from training.management.console import ProgressBar, sealed_words

PREFIX: Final = "ISIC_2019_Training_"


class Command(BaseCommand):
    help = (
        "Train a classifier on a folder with the official ISIC 2019 files and seal it as a bundle. "
        "Stopped and started again with the same arguments, it goes on where it stood."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--data",
            type=Path,
            required=True,
            help=f"folder with {PREFIX}GroundTruth.csv, {PREFIX}Metadata.csv and {PREFIX}Input (folder or .zip)",
        )
        parser.add_argument(
            "--weights", type=Path, help="ImageNet backbone as .npz; without it Keras's own is downloaded into --work"
        )
        parser.add_argument("--parent", type=Path, help="folder of a sealed bundle whose weights are the start")
        parser.add_argument(
            "--teacher",
            type=Path,
            action="append",
            default=[],
            dest="teachers",
            help="folder of a sealed bundle to learn from besides (fine_tune.teacher_share says how much); repeatable",
        )
        parser.add_argument("--recipe", choices=sorted(RECIPES), default="LINEAR_PROBE")
        parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", dest="changes")
        parser.add_argument("--output", type=Path, required=True, help="where the bundle goes; replaced if it is there")
        parser.add_argument("--bundle-version", help="name for people; by default made of the recipe and the data")
        parser.add_argument("--work", type=Path, default=Path("var/training"), help="caches and checkpoints")
        parser.add_argument(
            "--engine",
            choices=ENGINES,
            default=KERAS_ENGINE,
            help="what computes the fine-tuning; pytorch (make pytorch) is faster on CPUs with bfloat16",
        )
        parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of the split")

    def handle(self, *args: Any, **options: Any) -> None:
        data: Path = options["data"]
        try:
            recipe = changed(RECIPES[options["recipe"]], dict(_change(text) for text in options["changes"]))
            parent = None if options["parent"] is None else read_bundle(options["parent"])
            teachers = [read_bundle(folder) for folder in options["teachers"]]
            with PictureStore(_pictures(data)) as pictures, ProgressBar() as bar:
                examples = read_examples(
                    name=data.resolve().name,
                    ground_truth=data / f"{PREFIX}GroundTruth.csv",
                    metadata=data / f"{PREFIX}Metadata.csv",
                    pictures=pictures,
                    report=bar,
                )
                split = split_examples(examples.table, seed=options["seed"])
                bundle = train_classifier(
                    recipe=recipe,
                    examples=examples,
                    split=split,
                    pictures=pictures,
                    imagenet_weights=options["weights"],
                    parent=parent,
                    teachers=teachers,
                    work=options["work"],
                    directory=options["output"],
                    version=options["bundle_version"] or f"{recipe.name.lower()}-{examples.fingerprint[:8]}",
                    engine=options["engine"],
                    report=bar,
                )
        except (
            RecipeError, ExamplesError, WeightsError, TrainingError, SealingError, ExportError, BundleError, OSError,
        ) as error:  # fmt: skip
            raise CommandError(str(error)) from error
        self.stdout.write(sealed_words(bundle))


def _change(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"--set takes FIELD=VALUE; {text!r} has no equals sign.")
    return name.strip(), value.strip()


def _pictures(data: Path) -> Path:
    folder, archive = data / f"{PREFIX}Input", data / f"{PREFIX}Input.zip"
    return folder if folder.is_dir() else archive
