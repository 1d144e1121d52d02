"""Train a recipe, or the stages of the default classifier, and seal the bundle; a folder needs no database."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recognition.datasets.ancestry import learns_validation
from recognition.datasets.problems import ExamplesError
from recognition.datasets.splits import DEFAULT_SEED, split_examples
from recognition.fit import TrainingError
from recognition.fit.learned import absent_diagnoses
from recognition.fit.stages import train_in_stages
from recognition.inference.bundle import VIEWS, BundleError, read_bundle
from recognition.inference.export import ExportError
from recognition.inference.network import WeightsError
from recognition.inference.sealing import SealingError
from recognition.recipes import DEFAULT_STAGES, RECIPES, Recipe, RecipeError, changed
from training.data.reading import DATA_HELP, add_other_pictures, opened_other_pictures, read_learning_data
from training.management.console import ProgressBar, sealed_words


class Command(BaseCommand):
    help = (
        "Train a classifier on the official ISIC 2019 files or on a joined data set and seal it as a bundle: by one "
        f"recipe, or by the stages of the default classifier ({', '.join(each.name for each in DEFAULT_STAGES)}), each "
        "of which goes on from the one before. Stopped and started again with the same arguments, it goes on where it "
        "stood."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--data",
            required=True,
            metavar="FOLDER_OR_NAME",
            help=DATA_HELP,
        )
        parser.add_argument(
            "--weights", type=Path, help="ImageNet backbone as .npz; without it Keras's own is downloaded into --work"
        )
        parser.add_argument("--parent", type=Path, help="folder of a sealed bundle whose weights are the start")
        parser.add_argument(
            "--recipe", choices=sorted(RECIPES), help="one recipe; without it the stages of the default classifier"
        )
        parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", dest="changes")
        add_other_pictures(parser)
        parser.add_argument(
            "--views", type=int, choices=VIEWS, default=1, help="views of a picture that are averaged in serving"
        )
        parser.add_argument("--output", type=Path, required=True, help="where the bundle goes; another one is replaced")
        parser.add_argument("--bundle-version", help="name for people; by default made of the recipe and the data")
        parser.add_argument(
            "--work", type=Path, default=Path("var/training"), help="caches, checkpoints and the bundles of stages"
        )
        parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of the split; joined data have their own")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            stages = _stages(options)
            parent = None if options["parent"] is None else read_bundle(options["parent"])
            with (
                ProgressBar() as bar,
                opened_other_pictures(options["other_pictures"]) as others,
                (data := read_learning_data(options["data"], report=bar)).pictures as pictures,
            ):
                examples = data.examples
                split = data.split or split_examples(examples.table, seed=options["seed"])
                learns = learns_validation(stages[-1].as_json())
                if absent := absent_diagnoses(examples, split, learn_validation=learns):
                    self.stderr.write(
                        f"There is not one training picture of {', '.join(absent)}. The classifier will never answer "
                        "that."
                    )
                name = stages[-1].name if options["recipe"] else "default"
                bundle = train_in_stages(
                    stages,
                    examples=examples,
                    split=split,
                    pictures=pictures,
                    imagenet_weights=options["weights"],
                    parent=parent,
                    work=options["work"],
                    directory=options["output"],
                    version=options["bundle_version"] or f"{name.lower()}-{examples.fingerprint[:8]}",
                    others=others,
                    views=options["views"],
                    report=bar,
                )
        except (
            RecipeError, ExamplesError, WeightsError, TrainingError, SealingError, ExportError, BundleError, OSError,
        ) as error:  # fmt: skip
            raise CommandError(str(error)) from error
        self.stdout.write(sealed_words(bundle))


def _stages(options: dict[str, Any]) -> tuple[Recipe, ...]:
    if options["recipe"] is not None:
        return (changed(RECIPES[options["recipe"]], dict(_change(text) for text in options["changes"])),)
    if options["parent"] is not None or options["changes"]:
        raise CommandError("--parent and --set need --recipe: the stages of the default classifier are fixed.")
    return DEFAULT_STAGES


def _change(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"--set takes FIELD=VALUE; {text!r} has no equals sign.")
    return name.strip(), value.strip()
