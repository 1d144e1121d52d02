"""`manage.py inference_worker`: a Celery worker for the inference and maintenance queues, with a whole live classifier.

A worker without one never starts: the command says why and ends (exit status 78, EX_CONFIG), or with `--wait` looks
again until there is one.
"""

import os
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from diagnoses.worker import NoLiveClassifier, check_live_bundle

EX_CONFIG: Final = 78
LOOK_AGAIN: Final = 3.0  # seconds between two looks for a whole live classifier
PAUSE: Final = 1.0  # seconds before a worker that ended is started again


class Command(BaseCommand):
    help = "Run an inference worker with the live classifier."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--wait", action="store_true", help="Without a live classifier wait for one; restart when the worker ends."
        )
        parser.add_argument("--loglevel", default="WARNING")

    def handle(self, *args: Any, wait: bool, loglevel: str, **options: Any) -> None:
        command = [
            sys.executable, "-m", "celery", "-A", "config", "worker",
            "--queues", "inference,maintenance", "--pool", "prefork", "--concurrency", "1",
            "--hostname", f"inference-{os.getpid()}@%h", "--loglevel", loglevel,
            "--without-gossip", "--without-mingle",
        ]  # fmt: skip
        environment = {**os.environ, "TERI_WORKER": "inference"}
        if not wait:
            self._require_classifier()
            connection.close()
            os.execve(sys.executable, command, environment)  # noqa: S606
        _Keeper(command, environment, self).run()

    def _require_classifier(self) -> None:
        try:
            live = check_live_bundle()
        except NoLiveClassifier as error:
            raise CommandError(f"The inference worker does not start: {error}", returncode=EX_CONFIG) from error
        self.stdout.write(f"Inference worker with classifier {live}.")
        self.stdout.flush()


class _Keeper:
    """Starts the worker when a whole classifier is live, again when it ended, and takes it along when stopped."""

    def __init__(self, command: list[str], environment: dict[str, str], out: Command) -> None:
        self.command = command
        self.environment = environment
        self.out = out
        self.child: subprocess.Popen[bytes] | None = None
        self.stopping = False

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        said = ""
        while not self.stopping:
            try:
                live = check_live_bundle()
            except NoLiveClassifier as error:
                if str(error) != said:
                    said = str(error)
                    self.out.stderr.write(f"The inference worker waits: {said}")
                self._sleep(LOOK_AGAIN)
                continue
            finally:
                connection.close()
            said = ""
            self.out.stdout.write(f"Inference worker with classifier {live}.")
            self.out.stdout.flush()
            self.child = subprocess.Popen(self.command, env=self.environment)
            status = self.child.wait()
            self.child = None
            if not self.stopping:
                self.out.stderr.write(f"The inference worker ended (status {status}); starting again.")
                self._sleep(PAUSE)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < until:
            time.sleep(0.1)
