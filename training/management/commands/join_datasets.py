"""`manage.py join_datasets`: make one data set of several imported ones."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from training.data.joining import join_datasets, outcome_line
from training.management.console import ProgressBar
from training.management.importing import checked_name, shown_problems
from training.models import Dataset


class Command(BaseCommand):
    help = (
        "Join imported data sets into one. No picture is copied. Each picture keeps its split; a lesion or a patient "
        "that is in two splits goes to the one nearest to training. The last line says how many lesions the data sets "
        "share, and how many pictures outside training show a lesion or a patient of training, before and after."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "datasets", nargs="+", metavar="DATASET", help="names of the data sets; the first goes first"
        )
        parser.add_argument("--name", required=True, help="what the joined data set will be called")
        parser.add_argument(
            "--same-lesion", type=Path, metavar="CSV", help="two columns of lesion ids that mean the same lesion"
        )
        parser.add_argument("--leave-out", type=Path, metavar="CSV", help="column lesion_id: lesions to leave out")
        parser.add_argument(
            "--output",
            type=Path,
            metavar="FOLDER",
            help="also write the data set into this folder, for train_default_classifier and reseal_classifier --data",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = checked_name(options)
        there = {dataset.name: dataset for dataset in Dataset.objects.filter(name__in=options["datasets"])}
        missing = [each for each in options["datasets"] if each not in there]
        if missing:
            raise CommandError(f"There is no data set named {', '.join(missing)}.")
        with shown_problems(self), ProgressBar() as bar:
            dataset = join_datasets(
                name=name,
                parts=[there[each] for each in options["datasets"]],
                same_lesion=options["same_lesion"],
                leave_out=options["leave_out"],
                output=options["output"],
                report=bar,
            )
        self._say(dataset)

    def _say(self, dataset: Dataset) -> None:
        joined = dataset.report["joined"]
        links = joined["links"]
        self.stdout.write(f"{dataset.name}: {dataset.example_count:,} images of {len(joined['parts'])} data sets.")
        if links["rows"]:
            self.stdout.write(
                f"Links between lesions: {links['rows']}; {links['not_there']} of them name a lesion that is not there."
            )
        self.stdout.write(
            f"Lesions joined because their pictures look alike: {joined['look_alike_lesions']}. Images that two data "
            f"sets hold, counted once: {joined['images_held_twice']}."
        )
        for old_to_new, count in sorted(joined["moved"].items()):
            self.stdout.write(f"Moved from {old_to_new}: {count} images.")
        for why, left in joined["left_out"].items():
            self.stdout.write(f"Left out, {why}: {left['lesions']} lesions, {left['images']} images.")
            for each in left["named"]:
                self.stdout.write(f"  {' and '.join(each['lesions'])} ({', '.join(each['diagnoses'])})")
        if joined["asked_not_there"]:
            self.stdout.write(f"Lesions to leave out that are not there: {joined['asked_not_there']}.")
        if joined["withdrawn"]:
            self.stdout.write(f"Photos left out because consent was withdrawn: {joined['withdrawn']}.")
        self.stdout.write(outcome_line(dataset))
