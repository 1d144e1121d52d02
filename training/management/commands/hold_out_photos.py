"""`manage.py hold_out_photos`: a local test set of confirmed photos, which measures classifiers and trains none."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recognition.datasets.splits import DEFAULT_SEED
from training.data.importing import workspace
from training.data.versions import hold_out_photos
from training.management.console import ProgressBar
from training.management.importing import check_seed, checked_name, shown_problems


class Command(BaseCommand):
    help = (
        "Hold out a share of the patients who agreed to training: their confirmed photos become a sealed data set that "
        "is all test split. Later versions of other data sets get no photo of these patients."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", required=True, help="what the local test set will be called")
        parser.add_argument("--share", type=float, default=0.3, help="of the patients (default %(default)s)")
        parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of the choice (default %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        name = checked_name(options)
        if not 0 < options["share"] <= 1:
            raise CommandError("--share is above 0 and at most 1.")
        check_seed(options)
        with shown_problems(self), ProgressBar() as bar, workspace() as work:
            dataset = hold_out_photos(
                name=name, share=options["share"], seed=options["seed"], by=None, work=work, report=bar
            )
        added = dataset.report["added"]
        self.stdout.write(
            f"{dataset.name}: {added['photos']} photos of {added['patients']} of {added['patients_asked']} patients, "
            "all in the test split."
        )
        for reason, count in added["left_out"].items():
            self.stdout.write(f"Left out, {reason}: {count}.")
