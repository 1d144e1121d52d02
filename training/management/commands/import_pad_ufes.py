"""`manage.py import_pad_ufes`: import smartphone photos of PAD-UFES-20, or its table alone, in the foreground."""

from argparse import ArgumentParser
from typing import Any

from recognition.datasets.tables import PAD_UFES
from training.data.importing import ImportSource
from training.management.importing import ImportCommand, file_argument, images_argument


class Command(ImportCommand):
    help = (
        "Import PAD-UFES-20: smartphone photos with what the patients answered. Rows whose photo is not among --images "
        "are left out and counted; without --images all rows become a data set of tables only. Every fault is reported "
        "by file and line; with one, nothing is imported."
    )

    def add_files(self, parser: ArgumentParser) -> None:
        file_argument(parser, "--metadata", "metadata.csv, in the data set's own columns")
        images_argument(parser)

    def source(self, options: dict[str, Any]) -> ImportSource:
        return ImportSource(
            ground_truth=options["metadata"],
            images=options["images"],
            layout=PAD_UFES,
            near_together=not options["near_duplicates_apart"],
        )
