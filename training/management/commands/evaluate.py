"""`manage.py evaluate VERSION [--dataset NAME]`: what a classifier achieves on a sealed test split, as a table."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from diagnoses.inference.bundle import BundleError
from diagnoses.models import Classifier
from diagnoses.taxonomy import CODES
from training.models import Dataset, Evaluation
from training.pipeline.faults import ExamplesError
from training.services.evaluations import evaluation_on


class Command(BaseCommand):
    help = "Measure a classifier on the sealed test split of a data set (once; the result is kept) and print the table."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="of the classifier")
        parser.add_argument("--dataset", metavar="NAME", help="by default the data set it was trained on")

    def handle(self, *args: Any, **options: Any) -> None:
        classifier = Classifier.objects.filter(version=options["version"]).first()
        if classifier is None:
            known = ", ".join(Classifier.objects.values_list("version", flat=True)) or "none"
            raise CommandError(f"There is no classifier {options['version']}. There are: {known}.")
        dataset = self._dataset(classifier, options["dataset"])
        evaluation = evaluation_on(classifier, dataset)
        if evaluation is None:
            from training.evaluation.room import evaluate_classifier
            from training.progress_bar import ProgressBar

            try:
                with ProgressBar() as bar:
                    evaluation = evaluate_classifier(classifier=classifier, dataset=dataset, report=bar)
            except (BundleError, ExamplesError) as error:
                raise CommandError(str(error)) from error
        self.stdout.write(table(evaluation))

    def _dataset(self, classifier: Classifier, name: str | None) -> Dataset:
        if name is not None:
            dataset = Dataset.objects.filter(name=name).first()
        else:
            # The same files may be there under another seed, whose test split holds what this one learned from.
            same = Dataset.objects.filter(fingerprint=classifier.manifest["dataset"]["fingerprint"])
            dataset = same.filter(split_fingerprint=classifier.manifest["split"]["fingerprint"]).first()
        if dataset is None:
            known = ", ".join(Dataset.objects.filter(has_images=True).values_list("name", flat=True)) or "none yet"
            raise CommandError(f"Say with --dataset which data set to measure on. There are: {known}.")
        return dataset


def table(evaluation: Evaluation) -> str:
    """The figures as plain text, 80 columns."""
    figures = evaluation.metrics
    lines = [
        f"{evaluation.classifier} on the {evaluation.split} split of {evaluation.dataset}: "
        f"{figures['pictures']} images, fingerprint {evaluation.fingerprint[:12]}",
        "95 % bootstrap intervals in brackets.",
        "",
    ]
    if not figures.get("sealed_before_training", True):
        lines[2:2] = [
            "It, or a classifier it continues, was trained on another split, perhaps on some of",
            "these images: the figures may flatter it.",
        ]
    accuracy = _figure(figures["accuracy"])
    baseline = f"always {figures['majority_diagnosis']}: {figures['majority_baseline']:.3f}"
    error = figures["expected_calibration_error"]
    lines += [
        f"{'Balanced accuracy':<28}{_figure(figures['balanced_accuracy'])}",
        f"{'Accuracy':<28}{accuracy}   ({baseline})",
        f"{'Malignant AUC':<28}{_figure(figures['malignant_auc'])}",
        f"{'Calibration error':<28}{error['before']:.3f} before, {error['after']:.3f} after temperature",
        "",
        f"{'':<6}{'images':>7}  {'sensitivity':<24}{'specificity':>11}{'precision':>11}{'AUC':>7}{'AUC80':>7}",
    ]
    for code in CODES:
        row = figures["per_diagnosis"][code]
        lines.append(
            f"{code:<6}{row['pictures']:>7}  {_figure(row['sensitivity']):<24}"
            f"{_number(row['specificity']['value']):>11}{_number(row['precision']['value']):>11}"
            f"{_number(row['auc']['value']):>7}"
            f"{_number(row['auc_above_80_sensitivity']):>7}"
        )
    lines += ["", "Malignant against benign", f"{'':<12}{'threshold':>10}  {'sensitivity':<24}{'specificity':<24}"]
    for name, point in figures["operating_points"].items():
        rates = f"{_figure(point['sensitivity']):<24}{_figure(point['specificity'])}"
        lines.append(f"{name:<12}{point['threshold']:>10.4f}  {rates}")
    return "\n".join(lines)


def _figure(figure: dict[str, float | None]) -> str:
    return f"{_number(figure['value'])} ({_number(figure['low'])} to {_number(figure['high'])})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
