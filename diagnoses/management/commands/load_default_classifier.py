"""`manage.py load_default_classifier`: register the project's bundle, and make it live if no classifier is."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import AuditEntry
from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import ClassifierError, promote_classifier, register_bundle
from recognition.inference.bundle import BundleError


class Command(BaseCommand):
    help = "Register the classifier that comes with the project; it goes live unless another one already is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--bundle", type=Path, default=settings.DEFAULT_BUNDLE_DIR, help="Folder of a sealed bundle."
        )

    def handle(self, *args: Any, bundle: Path, **options: Any) -> None:
        try:
            classifier = register_bundle(directory=bundle)
            live = Classifier.objects.live()
            # A newer default replaces an older default. A classifier that an administrator promoted stays live.
            if live is None or (live.pk != classifier.pk and classifier.promoted is None and _chosen_by_nobody(live)):
                promote_classifier(classifier=classifier, reason="default classifier")
        except (BundleError, ClassifierError) as error:
            raise CommandError(f"No classifier was loaded: {error}") from error
        live = Classifier.objects.live()
        self.stdout.write(f"Classifier {classifier} is registered; live: {live}.")


def _chosen_by_nobody(live: Classifier) -> bool:
    """Whether this command, not an administrator, promoted the live classifier."""
    entry = AuditEntry.objects.filter(
        action=AuditEntry.Action.CLASSIFIER_PROMOTED, subject=f"classifier:{live.pk}"
    ).first()
    return entry is None or entry.actor == ""
