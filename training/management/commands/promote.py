"""`manage.py promote VERSION`: make a classifier the live one if it passes the gates; `--roll-back` undoes it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from diagnoses.classifiers.description import describe
from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import ClassifierError
from diagnoses.photos.rejudging import left_to_judge
from recognition.inference.bundle import BundleError
from training.services.registry import (
    PromotionRejected,
    admission_of,
    ask_for_promotion,
    promote,
    roll_back,
    rolled_back_to,
)


class Command(BaseCommand):
    help = (
        "Make a classifier the live one, if it passes the gates. This opens its test figures, which is counted. "
        "Workers load it before their next photo; nothing is restarted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", nargs="?")
        parser.add_argument("--reason", default="", help="for the audit log; needed to go against a gate")
        parser.add_argument("--override", action="store_true", help="go against closed gates, with a written reason")
        parser.add_argument("--roll-back", action="store_true", help="make the previous live classifier live again")
        parser.add_argument(
            "--yes", action="store_true", help="with --roll-back: do it; without, only say what changes"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            live = self._roll_back(options) if options["roll_back"] else self._promote(options)
        except (PromotionRejected, BundleError, ClassifierError) as error:
            raise CommandError(f"Not promoted. {error}") from error
        self.stdout.write(f"{live} is live.")

    def _promote(self, options: dict[str, Any]) -> Classifier:
        classifier = Classifier.objects.filter(version=options["version"]).first()
        if classifier is None:
            known = ", ".join(Classifier.objects.values_list("version", flat=True)) or "none"
            raise CommandError(f"There is no classifier {options['version']}. There are: {known}.")
        for gate in ask_for_promotion(classifier=classifier, by=None):
            self.stdout.write(f"{'passed' if gate.passed else 'closed'}  {gate.code}: {gate.said}")
        return promote(classifier=classifier, by=None, reason=options["reason"], override=options["override"])

    def _roll_back(self, options: dict[str, Any]) -> Classifier:
        previous, live = rolled_back_to(), Classifier.objects.live()
        if previous is None:
            raise CommandError("No other classifier that passed its gates has been live: there is no way back.")
        for name, each in (("live now", live), ("after it", previous)):
            if each is not None:
                described = describe(each.manifest)
                kinds = ", ".join(described.image_types)
                self.stdout.write(f"{name}: {each}, {described.network} {described.input_size} px, knows: {kinds}")
        admission = admission_of(previous)
        if admission is not None and admission.closed:
            self.stdout.write(f"{previous} went live against {', '.join(admission.closed)}: {admission.reason}")
        self.stdout.write(f"Photos that are judged again: {left_to_judge(previous).count()}")
        if not options["yes"]:
            raise CommandError("Nothing was changed. Say --yes to do it.")
        return roll_back(to=previous, by=None, reason=options["reason"])
