"""`manage.py inference_worker`: a Celery worker for the inference and maintenance queues, with a whole live classifier.

A worker without one never starts: the command says why and ends (exit status 78, EX_CONFIG). Whoever keeps processes
running (`make run`, Docker's restart policy) asks again.
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
        # What the forked child must not share; Celery opens its own connections.
        connection.close()
        os.environ["TERI_WORKER"] = "inference"
        # In this process: it may hold the checkout's own servers, and signals reach the worker without a detour.
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
