"""Train the seed's recipe, ask about its two pictures, and write docs/seed.md with its charts."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from jinja2 import UndefinedError

from recognition.datasets.examples import Examples, read_examples
from recognition.datasets.pictures import PictureStore
from recognition.datasets.problems import ExamplesError
from recognition.datasets.splits import Split, split_examples
from recognition.fit import TrainingError
from recognition.fit.run import train_classifier
from recognition.inference.bundle import Bundle, BundleError, read_bundle
from recognition.inference.export import ExportError
from recognition.inference.network import WeightsError
from recognition.inference.sealing import SealingError
from recognition.progress import Report
from recognition.recipes import SEED_FINE_TUNE, SEED_TRANSFER
from training.evaluation.seed_page import EXAMPLES, draw_charts, seed_page, without_lesions
from training.management.console import ProgressBar

PREFIX: Final = "ISIC_2019_Training_"


class Command(BaseCommand):
    help = (
        "Train SEED_TRANSFER and SEED_FINE_TUNE without the two pictures that the seed showed, ask these classifiers "
        "and the shipped one about them, and write the page with its charts. Stopped and started again, it goes on "
        "where it was."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--data",
            type=Path,
            required=True,
            help=f"folder with {PREFIX}GroundTruth.csv, {PREFIX}Metadata.csv and {PREFIX}Input (folder or .zip)",
        )
        parser.add_argument("--weights", type=Path, help="ImageNet backbone as .npz")
        parser.add_argument("--bundle", type=Path, default=Path("bundles/default"), help="the classifier beside them")
        parser.add_argument("--work", type=Path, default=Path("var/training"), help="caches, checkpoints and bundles")
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
                transfer, fine_tuned = _runs(
                    examples, split, pictures, weights=options["weights"], work=options["work"], report=bar
                )
                page = seed_page(
                    transfer=transfer,
                    fine_tuned=fine_tuned,
                    shipped=shipped,
                    examples=examples,
                    dealt=dealt,
                    split=split,
                    pictures=pictures,
                    charts=output.stem,
                    command="manage.py write_seed_page --data FOLDER --weights NPZ",
                )
            charts = draw_charts(transfer, fine_tuned, split=split, examples=examples)
            folder = output.with_suffix("")
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in charts.items():
                (folder / name).write_bytes(content)
            output.write_text(page, encoding="utf-8")
        except (
            ExamplesError, WeightsError, TrainingError, SealingError, ExportError, BundleError, OSError,
        ) as error:  # fmt: skip
            raise CommandError(str(error)) from error
        except (KeyError, UndefinedError) as error:
            raise CommandError(f"The manifest lacks a figure: {error}; was the bundle sealed by a training?") from error
        self.stdout.write(f"Wrote {output} and {len(charts)} charts in {folder}.")


def _runs(
    examples: Examples, split: Split, pictures: PictureStore, *, weights: Path | None, work: Path, report: Report
) -> tuple[Bundle, Bundle]:
    """The bundles of SEED_TRANSFER and of SEED_FINE_TUNE, which goes on from it."""
    transfer = train_classifier(
        recipe=SEED_TRANSFER,
        examples=examples,
        split=split,
        pictures=pictures,
        imagenet_weights=weights,
        work=work,
        directory=work / "seed-transfer",
        version="seed-transfer",
        report=report,
    )
    fine_tuned = train_classifier(
        recipe=SEED_FINE_TUNE,
        examples=examples,
        split=split,
        pictures=pictures,
        imagenet_weights=None,
        parent=transfer,
        work=work,
        directory=work / "seed-fine-tune",
        version="seed-fine-tune",
        report=report,
    )
    return transfer, fine_tuned


def _pictures(data: Path) -> Path:
    folder, archive = data / f"{PREFIX}Input", data / f"{PREFIX}Input.zip"
    return folder if folder.is_dir() else archive
