"""`manage.py train NAME --recipe RECIPE`: a training run, in the foreground with a progress bar, or queued."""

import signal
import threading
from types import FrameType
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from diagnoses.classifiers.models import Classifier
from recognition.recipes import RECIPES
from training.models import Dataset, Job, TrainingRun
from training.services.evaluations import evaluation_on
from training.services.jobs import JobRejected
from training.services.runs import begin_run, recipe_with, request_run, resume_run, warnings_of

INTERRUPTED: Final = 130  # the exit status of a command that Ctrl-C ended


class Command(BaseCommand):
    help = (
        "Train a classifier on an imported data set. In the foreground unless --queue hands it to the training worker. "
        "Ctrl-C stops after the current batch and keeps the checkpoint; --resume goes on from it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help="name of the data set")
        parser.add_argument("--recipe", choices=sorted(RECIPES), default="FINE_TUNE")
        parser.add_argument(
            "--set", action="append", default=[], metavar="FIELD=VALUE", dest="changes",
            help="change a field of the recipe, such as fine_tune.epochs=8; may be given several times",
        )  # fmt: skip
        parser.add_argument("--parent", metavar="VERSION", help="start from the weights of this classifier")
        parser.add_argument("--queue", action="store_true", help="let the training worker do it")
        parser.add_argument("--resume", metavar="RUN", help="queue a cancelled or failed run again, by its id")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["resume"]:
            self._resume(options["resume"])
            return
        if not options["name"]:
            raise CommandError("Say which data set to train on; `manage.py import_isic2019` makes one.")
        dataset = Dataset.objects.filter(name=options["name"]).first()
        if dataset is None:
            known = ", ".join(Dataset.objects.values_list("name", flat=True)) or "none yet; see import_isic2019"
            raise CommandError(f"There is no data set named {options['name']}. There are: {known}.")
        try:
            recipe = recipe_with(options["recipe"], dict(_change(text) for text in options["changes"]))
            parent = _classifier(options["parent"])
            for sentence in warnings_of(dataset, recipe, parent):
                self.stderr.write(sentence)
            if options["queue"]:
                run = request_run(dataset=dataset, recipe=recipe, parent=parent)
                self.stdout.write(f"Queued run {run.pk}. The training worker takes it next; watch it in the admin.")
                return
            self._train(dataset, recipe, parent)
        except JobRejected as error:
            raise CommandError(error.message) from error

    def _train(self, dataset: Dataset, recipe: Any, parent: Classifier | None) -> None:
        # TensorFlow is loaded only here, so that `--queue` and `--help` answer at once.
        from training.management.console import ProgressBar
        from training.worker.supervisor import DeviceBusy, device
        from training.worker.training import train_claimed

        stop = threading.Event()

        def on_signal(number: int, frame: FrameType | None) -> None:
            self.stderr.write("Stopping after this batch; the checkpoint stays.")
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, on_signal)
        try:
            with device():
                run, claim = begin_run(dataset=dataset, recipe=recipe, parent=parent)
                self.stdout.write(f"Run {run.pk}.")
                with ProgressBar() as bar:
                    status = train_claimed(claim, should_stop=stop.is_set, also=bar, when_stopped=Job.Status.CANCELLED)
        except DeviceBusy as error:
            raise CommandError(str(error)) from error
        run.refresh_from_db()
        if status == Job.Status.CANCELLED:
            raise CommandError(f"Stopped. Go on with: manage.py train --resume {run.pk}", returncode=INTERRUPTED)
        if status != Job.Status.SUCCEEDED or run.classifier is None:
            raise CommandError(f"The run failed ({run.failure_code}): {run.failure_detail}")
        evaluation = evaluation_on(run.classifier, dataset)
        if evaluation is None:
            raise CommandError("The evaluation of the run is missing.")
        self.stdout.write(
            f"Sealed {run.classifier.version} (sha256 {run.classifier.sha256}), a candidate, and measured it.\n"
            f"Its test figures are closed until its promotion is asked for: manage.py promote {run.classifier.version}."
        )

    def _resume(self, text: str) -> None:
        run = TrainingRun.objects.filter(pk=text).first() if _is_uuid(text) else None
        if run is None:
            raise CommandError(f"There is no run {text}.")
        if not resume_run(run=run):
            raise CommandError(
                f"Run {run.pk} is {run.get_status_display().lower()}; only a cancelled or failed one resumes."
            )
        self.stdout.write(f"Queued run {run.pk} again; it goes on from its checkpoint.")


def _is_uuid(text: str) -> bool:
    import uuid

    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _change(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"--set takes FIELD=VALUE; {text!r} has no equals sign.")
    return name.strip(), value.strip()


def _classifier(version: str | None) -> Classifier | None:
    if version is None:
        return None
    classifier = Classifier.objects.filter(version=version).first()
    if classifier is None:
        raise CommandError(f"There is no classifier {version}.")
    return classifier
