"""`manage.py inference_worker`: start a Celery worker for the inference and maintenance queues.

Without a valid live classifier it does not start: it says why and ends (exit status 78, EX_CONFIG). The supervisor
(`make run`, Docker's restart policy) tries again.
"""

import os
from typing import Any, Final

from celery import current_app
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from diagnoses.photos.worker import NoLiveClassifier, check_live_bundle

EX_CONFIG: Final = 78


class Command(BaseCommand):
    help = "Run an inference worker with the live classifier."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--loglevel", default="INFO")

    def handle(self, *args: Any, loglevel: str, **options: Any) -> None:
        self._require_classifier()
        # The forked child must not share connections. Celery opens its own.
        connection.close()
        os.environ["TERI_WORKER"] = "inference"
        # Run Celery in this process, so that signals reach the worker directly.
        current_app.start(
            [
                "--quiet", "worker", "--queues", "inference,maintenance", "--pool", "prefork", "--concurrency", "1",
                "--hostname", f"inference-{os.getpid()}@%h", "--loglevel", loglevel,
                "--without-gossip", "--without-mingle",
            ]
        )  # fmt: skip

    def _require_classifier(self) -> None:
        try:
            live = check_live_bundle()
        except NoLiveClassifier as error:
            raise CommandError(f"The inference worker does not start: {error}", returncode=EX_CONFIG) from error
        self.stdout.write(f"Inference worker with classifier {live}.")
        self.stdout.flush()
