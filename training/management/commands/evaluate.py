"""`manage.py evaluate VERSION [--dataset NAME] [--queue]`: measure a classifier on a test split."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from diagnoses.classifiers.models import Classifier
from recognition.datasets.problems import ExamplesError
from recognition.inference.bundle import BundleError
from recognition.taxonomy import CODES
from training.evaluation.evaluating import evaluate_classifier
from training.evaluation.figures import calibration_errors, figure_of
from training.management.console import ProgressBar
from training.models import Dataset, Evaluation
from training.services.evaluations import evaluation_on, request_evaluation
from training.services.jobs import JobRejected, queue_position
from training.services.test_contamination import dealt_fingerprint
from training.worker.supervisor import DeviceBusy, device


class Command(BaseCommand):
    help = "Measure a classifier on the sealed test split of a data set (once; the result is kept) and print the table."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="of the classifier")
        parser.add_argument("--dataset", metavar="NAME", help="by default the data set it was trained on")
        parser.add_argument("--queue", action="store_true", help="let the training worker do it")

    def handle(self, *args: Any, **options: Any) -> None:
        classifier = Classifier.objects.filter(version=options["version"]).first()
        if classifier is None:
            known = ", ".join(Classifier.objects.values_list("version", flat=True)) or "none"
            raise CommandError(f"There is no classifier {options['version']}. There are: {known}.")
        dataset = self._dataset(classifier, options["dataset"])
        evaluation = evaluation_on(classifier, dataset)
        if evaluation is None and options["queue"]:
            try:
                job = request_evaluation(classifier=classifier, dataset=dataset)
            except JobRejected as error:
                raise CommandError(str(error)) from error
            self.stdout.write(f"Queued as evaluation job {job.pk}, number {queue_position(job)} in the queue.")
            return
        if evaluation is None:
            try:
                with device(), ProgressBar() as bar:
                    evaluation = evaluate_classifier(classifier=classifier, dataset=dataset, report=bar)
            except (BundleError, ExamplesError, DeviceBusy) as error:
                raise CommandError(str(error)) from error
        self.stdout.write(table(evaluation))

    def _dataset(self, classifier: Classifier, name: str | None) -> Dataset:
        if name is not None:
            dataset = Dataset.objects.filter(name=name).first()
        else:
            # The same files imported with another seed have a test split that this classifier learned from.
            same = Dataset.objects.filter(fingerprint=classifier.manifest["dataset"]["fingerprint"]).defer("eda")
            split = classifier.manifest["split"]["fingerprint"]
            dataset = next((each for each in same if split in (each.split_fingerprint, dealt_fingerprint(each))), None)
        if dataset is None:
            known = ", ".join(Dataset.objects.filter(has_images=True).values_list("name", flat=True)) or "none yet"
            raise CommandError(f"Say with --dataset which data set to measure on. There are: {known}.")
        return dataset


def table(evaluation: Evaluation) -> str:
    """The figures as plain text, at most 100 columns."""
    figures = evaluation.metrics
    lines = [
        f"{evaluation.classifier} on the {evaluation.split} split of {evaluation.dataset}: "
        f"{figures['pictures']} images, fingerprint {evaluation.fingerprint[:12]}",
        "95 % bootstrap intervals in brackets.",
        "",
    ]
    contamination = figures.get("exposure") or {}
    if contamination.get("seen"):
        lines[2:2] = [
            f"{contamination['by']} learned from {contamination['seen']} of these images, or from others of",
            "their lesions: the figures flatter it.",
        ]
    elif not figures.get("sealed_before_training", True):
        lines[2:2] = [
            "It, or a classifier it continues, was trained on another split, perhaps on some of",
            "these images: the figures may flatter it.",
        ]
    accuracy = _figure(figures["accuracy"])
    baseline = f"always {figures['majority_diagnosis']}: {figures['majority_baseline']:.3f}"
    error = calibration_errors(figures)
    lines += [
        f"{'Balanced accuracy':<28}{_figure(figures['balanced_accuracy'])}",
        f"{'Accuracy':<28}{accuracy}   ({baseline})",
        f"{'Malignant AUC':<28}{_figure(figures['malignant_auc'])}",
        f"{'Calibration error':<28}{_figure(error['after'])}   (before temperature: {_figure(error['before'])})",
        "",
        f"{'':<6}{'images':>7}  {'sensitivity':<24}{'specificity':<24}{'precision':<24}",
    ]
    rows = figures["per_diagnosis"]
    for code in CODES:
        cells = "".join(f"{_figure(rows[code][name]):<24}" for name in ("sensitivity", "specificity", "precision"))
        lines.append(f"{code:<6}{rows[code]['pictures']:>7}  {cells}".rstrip())
    lines += ["", f"{'':<6}{'':>7}  {'AUC':<24}{'AUC above 80 % sensitivity':<24}"]
    for code in CODES:
        cells = "".join(f"{_figure(rows[code][name]):<24}" for name in ("auc", "auc_above_80_sensitivity"))
        lines.append(f"{code:<6}{'':>7}  {cells}".rstrip())
    lines += ["", "Malignant against benign", f"{'':<12}{'threshold':>10}  {'sensitivity':<24}{'specificity':<24}"]
    for name, point in figures["operating_points"].items():
        rates = f"{_figure(point['sensitivity']):<24}{_figure(point['specificity'])}"
        lines.append(f"{name:<12}{point['threshold']:>10.4f}  {rates}")
    return "\n".join(lines)


def _figure(stored: Any) -> str:
    figure = figure_of(stored)
    if figure["low"] is None:
        return _number(figure["value"])
    return f"{_number(figure['value'])} ({_number(figure['low'])} to {_number(figure['high'])})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
