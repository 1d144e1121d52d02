"""What the commands that make data sets share: checks of name and seed, problems shown, and the import itself."""

from abc import ABC, abstractmethod
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from training.data.import_errors import DatasetImportError
from training.data.importing import ImportSource, import_dataset
from training.management.console import ProgressBar
from training.models import Dataset
from training.services.imports import NAME_LENGTH

PROBLEMS_SHOWN: Final = 50


def checked_name(options: Mapping[str, Any]) -> str:
    """The name of the new data set, without spaces around it. Raises CommandError."""
    name = str(options["name"]).strip()
    if not name or len(name) > NAME_LENGTH:
        raise CommandError(f"Give the data set a --name of 1 to {NAME_LENGTH} characters.")
    return name


def check_seed(options: Mapping[str, Any]) -> None:
    """Raise CommandError for a seed that the database cannot hold."""
    if not 0 <= options["seed"] < 2**31:
        raise CommandError("--seed is a whole number from 0 to 2147483647.")


@contextmanager
def shown_problems(command: BaseCommand) -> Iterator[None]:
    """Turn a DatasetImportError into a CommandError, after its problems are on the error output."""
    try:
        yield
    except DatasetImportError as error:
        for problem in error.problems[:PROBLEMS_SHOWN]:
            command.stderr.write(str(problem))
        if len(error.problems) > PROBLEMS_SHOWN:
            command.stderr.write(f"... and {len(error.problems) - PROBLEMS_SHOWN:,} more faults.")
        raise CommandError(error.message) from error


class ImportCommand(ABC, BaseCommand):
    """A command that imports one data set; a subclass names its files in `add_files` and gives them in `source`."""

    @abstractmethod
    def add_files(self, parser: ArgumentParser) -> None:
        """Add the arguments for the tables and images."""

    @abstractmethod
    def source(self, options: dict[str, Any]) -> ImportSource:
        """The files that the options name."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help="what the data set will be called")
        self.add_files(parser)
        parser.add_argument("--seed", type=int, default=2019, help="of the split (default %(default)s)")
        parser.add_argument(
            "--near-duplicates-apart",
            action="store_true",
            help="deal by lesion and patient alone; without it pictures that look alike are put on one side of the "
            "split",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = checked_name(options)
        check_seed(options)
        with shown_problems(self), ProgressBar() as bar:
            dataset = import_dataset(name=name, source=self.source(options), seed=options["seed"], report=bar)
        self._say(dataset)

    def _say(self, dataset: Dataset) -> None:
        kind = "images" if dataset.has_images else "rows (tables only)"
        split = dataset.report["split"]
        others = dataset.report["notes"].get("none_of_the_eight", 0)
        more = f", and {others:,} that show none of the eight and are never learned" if others else ""
        ours = sum(split["leakage"]["ours"].values())
        random = split["leakage"]["random"]["mean"]
        self.stdout.write(
            f"Imported {dataset.name}: {dataset.example_count - others:,} {kind} of {split['lesions']:,} lesions{more}."
            "\n"
            f"Split {dataset.split_fingerprint[:12]} (seed {dataset.split_seed}), test "
            f"{dataset.test_fingerprint[:12]}: {ours} images outside training show a lesion of "
            f"training; a random split of the images would leave {random:.0%} of its validation images so."
        )
        duplicates = dataset.report.get("duplicates")
        if duplicates:
            self.stdout.write(
                f"Exact copies: {duplicates['exact_copies_count']}. Near duplicates (at most "
                f"{duplicates['near_within_bits']} of 256 bits): {duplicates['near_count']}, of different lesions: "
                f"{duplicates['near_other_lesion_count']}; of those on two sides of the split: "
                f"{duplicates['near_across_splits_count']}."
            )
        moved = split.get("near_together", {}).get("moved", {})
        if moved:
            self.stdout.write(f"Moved to one side with what they look like: {len(moved)} images.")
        self._say_notes(dataset.report["notes"])

    def _say_notes(self, notes: dict[str, Any]) -> None:
        if notes.get("test_set"):
            self.stdout.write("This is a test set: every image is in the test split.")
        for words, key in (("Kinds of picture", "image_types"), ("Left out", "left_out")):
            if notes.get(key):
                self.stdout.write(
                    f"{words}: {', '.join(f'{name} ({number:,})' for name, number in notes[key].items())}."
                )
        if notes.get("absent_diagnoses"):
            absent = ", ".join(notes["absent_diagnoses"])
            self.stdout.write(
                self.style.WARNING(f"Diagnoses without an image, which cannot be learned here: {absent}.")
            )
        if notes.get("unread_columns"):
            self.stdout.write(f"Columns that are not read: {', '.join(notes['unread_columns'])}.")
        if notes.get("missing_columns"):
            missing = ", ".join(notes["missing_columns"])
            self.stdout.write(self.style.WARNING(f"Columns that are known and not there: {missing}."))


def file_argument(parser: ArgumentParser, name: str, help_text: str, *, required: bool = True) -> None:
    """Add the argument for one table."""
    parser.add_argument(name, type=Path, required=required, metavar="CSV", help=help_text)


def images_argument(parser: ArgumentParser, *, required: bool = False) -> None:
    """Add the argument for the images."""
    parser.add_argument(
        "--images",
        type=Path,
        required=required,
        metavar="ZIP_OR_FOLDER",
        help="the images" if required else "the images; without them only the tables are imported",
    )
