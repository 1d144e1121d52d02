"""Train the seed's recipe, ask about its two pictures, and write docs/seed.md with its charts."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from jinja2 import UndefinedError

from recognition.datasets.examples import read_examples
from recognition.datasets.pictures import PictureStore
from recognition.datasets.problems import ExamplesError
from recognition.datasets.splits import split_examples
from recognition.fit import TrainingError
from recognition.fit.head_runs import run_heads
from recognition.inference.bundle import BundleError, read_bundle
from recognition.inference.export import ExportError
from recognition.inference.network import WeightsError
from recognition.recipes import SEED_FINE_TUNE, SEED_TRANSFER
from training.evaluation.seed_page import EXAMPLES, draw_charts, seed_page, without_lesions
from training.management.console import ProgressBar

PREFIX: Final = "ISIC_2019_Training_"


class Command(BaseCommand):
    help = (
        "Train SEED_TRANSFER and SEED_FINE_TUNE without the two pictures that the seed showed, ask these classifiers "
        "and the shipped one about them, and write the page with its charts. One pass over all pictures takes nearly "
        "all of the time; stopped and started again, it goes on where it was."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--data",
            type=Path,
            required=True,
            help=f"folder with {PREFIX}GroundTruth.csv, {PREFIX}Metadata.csv and {PREFIX}Input (folder or .zip)",
        )
        parser.add_argument(
            "--weights",
            type=Path,
            help="ImageNet backbone as .npz; without it the file of the setting IMAGENET_WEIGHTS, or Keras's own",
        )
        parser.add_argument("--bundle", type=Path, default=Path("bundles/default"), help="the classifier beside them")
        parser.add_argument("--work", type=Path, default=Path("var/training"), help="cache of the features")
        parser.add_argument("--output", type=Path, default=Path("docs/seed.md"), help="charts go to a folder beside it")

    def handle(self, *args: Any, **options: Any) -> None:
        data, output = options["data"], options["output"]
        try:
            shipped = read_bundle(options["bundle"])
            with PictureStore(_pictures(data)) as pictures, ProgressBar() as bar:
                examples = read_examples(
                    name=data.resolve().name,
                    ground_truth=data / f"{PREFIX}GroundTruth.csv",
                    metadata=data / f"{PREFIX}Metadata.csv",
                    pictures=pictures,
                    report=bar,
                )
                missing = {each.image for each in EXAMPLES} - set(examples.table["image"])
                if missing:
                    raise CommandError(f"{data} lacks {', '.join(sorted(missing))}, which the page is about.")
                dealt = split_examples(examples.table)
                split = without_lesions(dealt, examples, [each.image for each in EXAMPLES])
                runs = run_heads(
                    (SEED_TRANSFER, SEED_FINE_TUNE),
                    examples=examples,
                    split=split,
                    pictures=pictures,
                    imagenet_weights=options["weights"] or _weights_of_settings(),
                    work=options["work"],
                    report=bar,
                )
                page = seed_page(
                    runs=runs,
                    shipped=shipped,
                    examples=examples,
                    dealt=dealt,
                    split=split,
                    pictures=pictures,
                    charts=output.stem,
                    command=f"manage.py write_seed_page --data {data.name} --output {output}",
                )
            charts = draw_charts(runs, split=split, examples=examples)
            folder = output.with_suffix("")
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in charts.items():
                (folder / name).write_bytes(content)
            output.write_text(page, encoding="utf-8")
        except (ExamplesError, WeightsError, TrainingError, ExportError, BundleError, OSError) as error:
            raise CommandError(str(error)) from error
        except (KeyError, UndefinedError) as error:
            raise CommandError(f"The manifest lacks a figure: {error}; was the bundle sealed by a training?") from error
        self.stdout.write(f"Wrote {output} and {len(charts)} charts in {folder}.")


def _weights_of_settings() -> Path | None:
    path = Path(settings.IMAGENET_WEIGHTS)
    return path if path.is_file() else None


def _pictures(data: Path) -> Path:
    folder, archive = data / f"{PREFIX}Input", data / f"{PREFIX}Input.zip"
    return folder if folder.is_dir() else archive
