"""`manage.py measure_other_pictures`: how many pictures that show no lesion a classifier refuses to assess."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

import numpy as np
from django.core.management.base import BaseCommand, CommandError

from recognition.classify import Classified, classify_sources, find_sources
from recognition.datasets.csv_files import need_columns, read_csv
from recognition.datasets.problems import ExamplesError
from recognition.evaluation import metrics
from recognition.evaluation.measure import with_intervals
from recognition.inference.assessment import Decision
from recognition.inference.bundle import BundleError, read_bundle
from recognition.inference.runtime import load_classifier
from recognition.sandbox import IntakeLimits
from recognition.taxonomy import CLOSE_UP

TOLD: Final = {"nobody tells the kind": "", "told that they are photos": CLOSE_UP}
ALL: Final = "all"


class Command(BaseCommand):
    help = (
        "Print the share of pictures that a sealed classifier refuses to assess, by what they show, with 95 % "
        "intervals: for pictures that show no lesion, so that any other answer is a mistake. Needs no database."
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
            table = read_csv(options["labels"])
            if not table.problems:
                need_columns(table, ("image", "kind"))
            if table.problems:
                raise ExamplesError(table.problems)
            shows = {Path(row["image"]).stem: row["kind"] for row in table.rows}
            found, _passed_over = find_sources([options["pictures"]], limits=limits)
            sources = [each for each in found if each.image in shows]
            if not sources:
                raise CommandError(f"{options['labels'].name} names none of these pictures.")
            bundle = read_bundle(options["bundle"])
            loaded = load_classifier(bundle)
        except (ExamplesError, BundleError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{bundle.version}: share refused of pictures that show no lesion, with 95 % intervals over pictures; all "
            f"others get one of the eight diagnoses, for there is no answer that is none of them. "
            f"{len(shows) - len(sources)} named pictures are not there."
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
            kinds = np.array([kind for kind, _refused in answers], dtype=object)
            refused = np.array([each for _kind, each in answers], dtype=bool)
            shares = {ALL: metrics.proportion(refused, np.ones(refused.size, dtype=bool))}
            shares |= {kind: metrics.proportion(refused, kinds == kind) for kind in sorted(set(kinds))}
            # Nothing is stratified: there are no diagnoses.
            figures = with_intervals(shares, np.zeros(refused.size, dtype=np.intp), groups=None)
            self.stdout.write(f"\n{words} ({len(sources) - len(answers)} unreadable)\n")
            for name, share in figures.items():
                of = refused.size if name == ALL else int((kinds == name).sum())
                self.stdout.write(
                    f"{name:>14} {of:>4} pictures: {share['value']:.3f} ({share['low']:.3f} to {share['high']:.3f})"
                )
