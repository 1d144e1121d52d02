"""`manage.py measure_other_pictures`: how many pictures that show no lesion a classifier refuses to assess."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from django.core.management.base import BaseCommand, CommandError

from recognition.classify import Classified, PictureSource, classify_sources, find_sources
from recognition.datasets.other_pictures import is_near_copy, read_shown
from recognition.datasets.problems import ExamplesError
from recognition.fit.calibration.other_pictures import refused_shares
from recognition.inference.assessment import Decision
from recognition.inference.bundle import BundleError, read_bundle
from recognition.inference.runtime import load_classifier
from recognition.sandbox import IntakeLimits, PhotoRejected, read_image
from recognition.sandbox.perceptual_hash import content_hash
from recognition.taxonomy import CLOSE_UP

TOLD: Final = {"nobody tells the kind": "", "told that they are photos": CLOSE_UP}


class Command(BaseCommand):
    help = (
        "Print the share of pictures that a sealed classifier refuses to assess, by what they show, with 95 % "
        "intervals: for pictures that show no lesion, so that any other answer is a mistake. Pictures from which the "
        "classifier's gates have learned, and near copies of these, are left out. Needs no database."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bundle", type=Path, default=Path("bundles/default"))
        parser.add_argument("--pictures", type=Path, required=True, metavar="FOLDER_OR_ZIP")
        parser.add_argument(
            "--labels", type=Path, required=True, metavar="CSV", help="image (the file's name), kind (what it shows)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        limits = IntakeLimits()
        try:
            shows = read_shown(options["labels"])
            found, _passed_over = find_sources([options["pictures"]], limits=limits)
            sources = [each for each in found if each.image in shows]
            if not sources:
                raise CommandError(f"{options['labels'].name} names none of these pictures.")
            named = len(sources)
            bundle = read_bundle(options["bundle"])
            learned = [bytes.fromhex(each) for each in bundle.manifest.other_pictures.get("learned", ())]
            sources = [each for each in sources if not _is_learned(each, learned, limits)]
            loaded = load_classifier(bundle)
        except (ExamplesError, BundleError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{bundle.version}: share refused of pictures that show no lesion, with 95 % intervals over pictures; all "
            f"others get one of the eight diagnoses, for there is no answer that is none of them. "
            f"{len(shows) - named} named pictures are not there; of {named - len(sources)} that "
            "the classifier has learned from none is measured."
        )
        for words, image_type in TOLD.items():
            # A kind that the classifier does not know is refused whatever the picture shows.
            if image_type and image_type not in bundle.manifest.image_types:
                continue
            # A file that cannot be read is refused before the classifier sees it; that says nothing of its gates.
            answers = [
                (shows[source.image], each.outcome.assessment.decision is Decision.NOT_ASSESSED)
                for source, each in zip(
                    sources,
                    classify_sources(sources, loaded=loaded, limits=limits, image_type=image_type),
                    strict=True,
                )
                if isinstance(each, Classified)
            ]
            if not answers:
                raise CommandError("None of these pictures can be read.")
            shares = refused_shares(
                np.array([each for _kind, each in answers], dtype=bool),
                np.array([kind for kind, _refused in answers]),
                groups=None,
            )
            self.stdout.write(f"\n{words} ({len(sources) - len(answers)} unreadable)\n")
            for name, share in shares.items():
                self.stdout.write(
                    f"{name:>14} {share['pictures']:>4} pictures: "
                    f"{share['value']:.3f} ({share['low']:.3f} to {share['high']:.3f})"
                )


def _is_learned(source: PictureSource, learned: Sequence[bytes], limits: IntakeLimits) -> bool:
    """Whether the gates have learned from the picture; False for one that cannot be read."""
    if not learned:
        return False
    try:
        return is_near_copy(content_hash(read_image(source.read(), limits=limits)), learned)
    except (PhotoRejected, ExamplesError):
        return False
