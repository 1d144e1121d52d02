"""`manage.py import_milk10k`: import the official files of MILK10k in the foreground."""

from argparse import ArgumentParser
from typing import Any

from recognition.datasets.tables import MILK10K
from training.data.importing import ImportSource
from training.management.importing import ImportCommand, file_argument, images_argument


class Command(ImportCommand):
    help = (
        "Import MILK10k: lesions photographed twice, through a dermatoscope and with a camera. Pictures of its three "
        "classes that are none of the eight are kept and never learned. Every fault is reported by file and line; with "
        "one, nothing is imported."
    )

    def add_files(self, parser: ArgumentParser) -> None:
        images_argument(parser, required=True)
        file_argument(parser, "--ground-truth", "MILK10k_Training_GroundTruth.csv: the class of every lesion")
        file_argument(parser, "--metadata", "MILK10k_Training_Metadata.csv: the two pictures of every lesion")
        file_argument(parser, "--supplement", "MILK10k_Training_Supplement.csv: the diagnosis in full")

    def source(self, options: dict[str, Any]) -> ImportSource:
        return ImportSource(
            ground_truth=options["ground_truth"],
            metadata=options["metadata"],
            supplement=options["supplement"],
            images=options["images"],
            layout=MILK10K,
            near_together=not options["near_duplicates_apart"],
        )
