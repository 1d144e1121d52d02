"""`manage.py evaluate VERSION [--dataset NAME] [--queue]`: measure a classifier on a test split."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from diagnoses.classifiers.models import Classifier
from recognition.datasets.problems import ExamplesError
from recognition.inference.bundle import BundleError
from recognition.taxonomy import CODES
from training.evaluation.evaluating import evaluate_classifier
from training.evaluation.figures import blocks_of, refused_pictures
from training.management.console import ProgressBar
from training.models import Dataset, Evaluation
from training.services.evaluations import evaluation_on, request_evaluation
from training.services.jobs import JobRejected, queue_position
from training.services.openings import figures_open, open_figures
from training.services.test_contamination import dealt_fingerprint
from training.worker.supervisor import DeviceBusy, device


class Command(BaseCommand):
    help = "Measure a classifier on the sealed test split of a data set (once; the result is kept) and print the table."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="of the classifier")
        parser.add_argument("--dataset", metavar="NAME", help="by default the data set it was trained on")
        parser.add_argument(
            "--open", action="store_true", help="open the test figures of a candidate: written down, and counted"
        )
        parser.add_argument("--reason", default="", help="for the audit log, with --open")
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
        if options["open"]:
            open_figures(evaluation=evaluation, by=None, reason=options["reason"])
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
    """The figures of each kind of picture as plain text, at most 100 columns; none while they are closed."""
    figures = evaluation.metrics
    lines = [
        f"{evaluation.classifier} on the {evaluation.split} split of {evaluation.dataset}: "
        f"{figures['pictures']} images, fingerprint {evaluation.fingerprint[:12]}",
        *_exposure(figures),
    ]
    if not figures_open(evaluation):
        return "\n".join(
            [*lines, "", "Measured. The test figures are closed until its promotion is asked for (--open)."]
        )
    lines.append("95 % intervals in brackets, by the bootstrap over lesions.")
    for image_type, pictures in refused_pictures(figures).items():
        lines += ["", f"{image_type}: {pictures} images, all refused: the classifier does not know this kind."]
    for image_type, block in blocks_of(figures).items():
        lines += ["", f"{image_type}: {block['pictures']} images of {block['lesions']} lesions", *_of_kind(block)]
    return "\n".join(lines)


def _exposure(figures: dict[str, Any]) -> list[str]:
    contamination = figures.get("exposure") or {}
    if contamination.get("seen"):
        return [
            f"{contamination['by']} learned from {contamination['seen']} of these images, or from others of",
            "their lesions: the figures flatter it.",
        ]
    if not figures.get("sealed_before_training", True):
        return [
            "It, or a classifier it continues, was trained on another split, perhaps on some of",
            "these images: the figures may flatter it.",
        ]
    return []


def _of_kind(block: dict[str, Any]) -> list[str]:
    error, soon = block["malignant_calibration_error"], block["advice"]["soon"]
    baseline = f"always {block['majority_diagnosis']}: {block['majority_baseline']:.3f}"
    lines = [
        f"{'Balanced accuracy':<28}{_figure(block['balanced_accuracy'])}   (balanced case mix)",
        f"{'Accuracy':<28}{_figure(block['accuracy'])}   ({baseline})",
        f"{'Malignant AUC':<28}{_figure(block['malignant_auc'])}",
        f"{'Calibration error':<28}{_figure(error['after'])}   (before: {_figure(error['before'])})",
        f"{'Told to see a doctor':<28}{_figure(soon['sensitivity'])} of the cancers,",
        f"{'':<28}{_figure(soon['melanoma_sensitivity'])} of the melanomas",
        f"{'Told to wait':<28}{_figure(soon['specificity'])} of the benign lesions",
        f"{'Not assessed':<28}{_figure(block['advice']['not_assessed'])}",
    ]
    rows = block["per_diagnosis"]
    for names, titles in (
        (("sensitivity", "specificity", "precision"), ("sensitivity", "specificity", "precision")),
        (("auc", "auc_above_80_sensitivity"), ("AUC", "AUC above 80 % sensitivity")),
    ):
        lines += ["", f"{'':<6}{'images':>7}  {''.join(f'{title:<24}' for title in titles)}".rstrip()]
        for code in CODES:
            cells = "".join(f"{_figure(rows[code][name]):<24}" for name in names)
            lines.append(f"{code:<6}{rows[code]['pictures']:>7}  {cells}".rstrip())
    if not block["operating_points"]:
        return lines
    lines += ["", "Malignant against benign", f"{'':<12}{'threshold':>10}  {'sensitivity':<24}{'specificity':<24}"]
    for name, point in block["operating_points"].items():
        rates = f"{_figure(point['sensitivity']):<24}{_figure(point['specificity'])}"
        lines.append(f"{name:<12}{point['threshold']:>10.4f}  {rates}")
    return lines


def _figure(figure: dict[str, float | None]) -> str:
    if figure["low"] is None:
        return _number(figure["value"])
    return f"{_number(figure['value'])} ({_number(figure['low'])} to {_number(figure['high'])})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
