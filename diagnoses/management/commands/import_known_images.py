"""`manage.py import_known_images`: import the images of a labelled data set, so that uploads of them are recognised.

All or nothing: one bad row or file stops the import. Then small copies of the pictures are saved, so that clinicians
can be shown similar ones. If the command is stopped there, the next run continues with the missing ones.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from diagnoses.photos.known_images import recognise_photos, register_known_images
from diagnoses.photos.models import KnownImage
from diagnoses.similar.references import store_references, without_reference
from recognition.datasets.known_images import fingerprint_images, small_pictures
from recognition.datasets.problems import ExamplesError
from recognition.datasets.tables import read_labels, read_lesions


class Command(BaseCommand):
    help = "Make the images of a labelled data set (official ISIC layout) known, to show their ground truth."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "folder", nargs="?", type=Path, help="folder with one *GroundTruth.csv and one *_Input.zip or *_Input/"
        )
        parser.add_argument("--dataset", default="ISIC 2019", help="its name, as people will read it (%(default)s)")
        parser.add_argument("--images", type=Path, help="folder or zip of the images, instead of FOLDER's")
        parser.add_argument("--ground-truth", type=Path, help="CSV with the labels, instead of FOLDER's")
        parser.add_argument("--metadata", type=Path, help="CSV that says which images show one lesion, if any")
        parser.add_argument("--if-empty", action="store_true", help="do nothing when this data set is known already")

    def handle(
        self,
        *args: Any,
        folder: Path | None,
        dataset: str,
        images: Path | None,
        ground_truth: Path | None,
        metadata: Path | None,
        if_empty: bool,
        **options: Any,
    ) -> None:
        if if_empty and KnownImage.objects.filter(dataset=dataset).exists() and not without_reference(dataset=dataset):
            self.stdout.write(f"{dataset} is known already.")
            return
        images = images or _only(folder, ["*_Input.zip", "*_Input"], "--images")
        ground_truth = ground_truth or _only(folder, ["*GroundTruth.csv"], "--ground-truth")
        if metadata is None and folder is not None:
            metadata = next(iter(sorted(folder.glob("*Metadata.csv"))), None)
        try:
            labels = read_labels(ground_truth)
            lesions = read_lesions(metadata) if metadata is not None else {}
            # No progress line without a terminal.
            with tqdm(total=len(labels), unit="image", disable=None) as bar:
                prints = fingerprint_images(images, list(labels), progress=bar.update)
        except ExamplesError as error:
            raise CommandError(f"Nothing was imported.\n{error}") from error
        count = register_known_images(
            KnownImage(
                dataset=dataset,
                image=image,
                diagnosis=diagnosis,
                lesion=lesions.get(image, ""),
                original_sha256=prints[image].original_sha256,
                content_hash=prints[image].content_hash,
            )
            for image, diagnosis in labels.items()
        )
        recognised = recognise_photos()
        self.stdout.write(f"{count} images of {dataset} are known; {recognised} earlier photos were recognised.")
        missing = without_reference(dataset=dataset)
        try:
            with tqdm(total=len(missing), unit="picture", disable=None) as bar:
                kept = store_references(small_pictures(images, missing, progress=bar.update)) if missing else 0
        except ExamplesError as error:
            raise CommandError(f"The images are known, but not all pictures could be kept.\n{error}") from error
        self.stdout.write(f"{kept} pictures were kept small, to be shown as similar cases.")


def _only(folder: Path | None, patterns: list[str], option: str) -> Path:
    """The only file of a kind in the folder. Raises CommandError if there are none or several."""
    if folder is None:
        raise CommandError(f"Give a folder in the official layout, or {option}.")
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    if len(found) != 1:
        raise CommandError(f"{folder} holds {len(found)} of {' or '.join(patterns)}; say with {option} which to use.")
    return found[0]
