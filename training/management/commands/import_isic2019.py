"""`manage.py import_isic2019`: import ISIC 2019 files or an isic-cli download in the foreground."""

from argparse import ArgumentParser
from typing import Any

from training.data.importing import ImportSource
from training.management.importing import ImportCommand, file_argument, images_argument


class Command(ImportCommand):
    help = (
        "Import a data set: the official ISIC 2019 files, or a folder that isic-cli downloaded (give its "
        "metadata.csv as --ground-truth). Every fault is reported by file and line; with one, nothing is imported. "
        "The official test table becomes a test set."
    )

    def add_files(self, parser: ArgumentParser) -> None:
        file_argument(parser, "--ground-truth", "one-hot labels, or isic-cli's metadata.csv")
        file_argument(parser, "--metadata", "age, site, lesion and sex of every image", required=False)
        images_argument(parser)
        parser.add_argument(
            "--leave-out-unmapped",
            action="store_true",
            help="skip images whose diagnosis is none of the eight (UNK) instead of refusing the table",
        )

    def source(self, options: dict[str, Any]) -> ImportSource:
        return ImportSource(
            ground_truth=options["ground_truth"],
            metadata=options["metadata"],
            images=options["images"],
            leave_out_unmapped=options["leave_out_unmapped"],
            near_together=not options["near_duplicates_apart"],
        )
