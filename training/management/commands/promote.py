"""`manage.py promote VERSION`: make a classifier the live one if it passes the gates; `--roll-back` undoes it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import ClassifierError
from recognition.inference.bundle import BundleError
from training.services.registry import PromotionRejected, gates, promote, roll_back


class Command(BaseCommand):
    help = "Make a classifier the live one. Workers load it before their next photo; nothing is restarted."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", nargs="?")
        parser.add_argument("--reason", default="", help="for the audit log; needed to go against a gate")
        parser.add_argument("--override", action="store_true", help="go against closed gates, with a written reason")
        parser.add_argument("--roll-back", action="store_true", help="make the previous live classifier live again")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            live = roll_back(by=None, reason=options["reason"]) if options["roll_back"] else self._promote(options)
        except (PromotionRejected, BundleError, ClassifierError) as error:
            raise CommandError(f"Not promoted. {error}") from error
        self.stdout.write(f"{live} is live.")

    def _promote(self, options: dict[str, Any]) -> Classifier:
        classifier = Classifier.objects.filter(version=options["version"]).first()
        if classifier is None:
            known = ", ".join(Classifier.objects.values_list("version", flat=True)) or "none"
            raise CommandError(f"There is no classifier {options['version']}. There are: {known}.")
        for gate in gates(classifier):
            self.stdout.write(f"{'passed' if gate.passed else 'closed'}  {gate.code}: {gate.said}")
        return promote(classifier=classifier, by=None, reason=options["reason"], override=options["override"])
