"""`manage.py load_default_classifier`: register the project's bundle, which goes live if nobody chose another."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import (
    DEFAULT_REASON,
    ClassifierError,
    default_bundle_sha256,
    is_chosen,
    promote_classifier,
    register_bundle,
)
from recognition.inference.bundle import BundleError


class Command(BaseCommand):
    help = "Register the classifier that comes with the project; it goes live unless somebody has chosen another one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--bundle", type=Path, default=settings.DEFAULT_BUNDLE_DIR, help="Folder of a sealed bundle."
        )

    def handle(self, *args: Any, bundle: Path, **options: Any) -> None:
        try:
            classifier = register_bundle(directory=bundle)
            live = Classifier.objects.live()
            is_default = classifier.sha256 == default_bundle_sha256()
            # A newer default replaces an older one by itself. Over a classifier that somebody chose it does not go:
            # it is registered, and a notice on the admin's first page says so. Any other bundle passes the gates.
            if live is None or (is_default and classifier.promoted is None and not is_chosen(live)):
                reason = DEFAULT_REASON if is_default else f"loaded from {bundle}, as none was live"
                promote_classifier(classifier=classifier, reason=reason)
        except (BundleError, ClassifierError) as error:
            raise CommandError(f"No classifier was loaded: {error}") from error
        live = Classifier.objects.live()
        self.stdout.write(f"Classifier {classifier} is registered; live: {live}.")
