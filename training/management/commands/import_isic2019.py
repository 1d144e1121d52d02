"""`manage.py import_isic2019`: import data-set files in the foreground, with a progress bar."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from training.data.import_errors import DatasetImportError
from training.data.importing import ImportSource, import_dataset
from training.management.console import ProgressBar
from training.services.imports import NAME_LENGTH

PROBLEMS_SHOWN: Final = 50


class Command(BaseCommand):
    help = (
        "Import a data set: the official ISIC 2019 files, or a folder that isic-cli downloaded (give its "
        "metadata.csv as --ground-truth). Every fault is reported by file and line; with one, nothing is imported."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help="what the data set will be called")
        parser.add_argument(
            "--ground-truth", type=Path, required=True, metavar="CSV", help="one-hot labels, or isic-cli's metadata.csv"
        )
        parser.add_argument("--metadata", type=Path, metavar="CSV", help="age, site, lesion and sex of every image")
        parser.add_argument(
            "--images", type=Path, metavar="DIR_OR_ZIP", help="the images; without them only the tables are imported"
        )
        parser.add_argument("--seed", type=int, default=2019, help="of the split (default %(default)s)")
        parser.add_argument(
            "--leave-out-unmapped",
            action="store_true",
            help="isic-cli: skip images whose diagnosis is none of the eight instead of refusing the table",
        )
        parser.add_argument(
            "--near-duplicates-apart",
            action="store_true",
            help="deal by lesion id alone; without it pictures that look alike are put on one side of the split",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"].strip()
        if not name or len(name) > NAME_LENGTH:
            raise CommandError(f"Give the data set a --name of 1 to {NAME_LENGTH} characters.")
        if not 0 <= options["seed"] < 2**31:
            raise CommandError("--seed is a whole number from 0 to 2147483647.")
        source = ImportSource(
            ground_truth=options["ground_truth"],
            metadata=options["metadata"],
            images=options["images"],
            leave_out_unmapped=options["leave_out_unmapped"],
            near_together=not options["near_duplicates_apart"],
        )
        try:
            with ProgressBar() as bar:
                dataset = import_dataset(name=name, source=source, seed=options["seed"], report=bar)
        except DatasetImportError as error:
            for problem in error.problems[:PROBLEMS_SHOWN]:
                self.stderr.write(str(problem))
            if len(error.problems) > PROBLEMS_SHOWN:
                self.stderr.write(f"... and {len(error.problems) - PROBLEMS_SHOWN:,} more faults.")
            raise CommandError(error.message) from error
        kind = "images" if dataset.has_images else "rows (tables only)"
        split = dataset.report["split"]
        ours = sum(split["leakage"]["ours"].values())
        random = split["leakage"]["random"]["mean"]
        self.stdout.write(
            f"Imported {dataset.name}: {dataset.example_count:,} {kind} of {split['lesions']:,} lesions.\n"
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
