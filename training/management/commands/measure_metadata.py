"""`manage.py measure_metadata`: learn the table of ages, sites and answers, and measure it on held-out pictures."""

import math
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from django.core.management.base import BaseCommand, CommandError

from recognition.datasets.examples import metadata_of
from recognition.datasets.problems import ExamplesError
from recognition.datasets.splits import TEST, SplitError, split_examples, split_groups
from recognition.evaluation.answers import AnswerCache, Answers
from recognition.evaluation.bootstrap import Estimate
from recognition.evaluation.metrics import is_malignant
from recognition.fit.calibration.metadata_figures import FULL, SPECIFICITY, HeldOut, figures
from recognition.fit.calibration.metadata_table import learn_table, learnable
from recognition.inference.bundle import Bundle, BundleError, file_sha256, read_bundle
from recognition.inference.calibration import Calibration
from recognition.inference.case_mix import BALANCED, CaseMix
from recognition.inference.metadata import ANSWERS, MetadataTable, Strengths
from recognition.inference.runtime import OnnxBackend
from recognition.taxonomy import CODES, IMAGE_TYPES, Diagnosis
from training.data.reading import DATA_HELP, LearningData, read_learning_data
from training.management.console import ProgressBar

ASKED: Final = "photos whose patients were asked"
SHOWN: Final[Mapping[str, str]] = {
    "AUC": "AUC cancer",
    "accuracy": "accuracy",
    "balanced": "balanced accuracy",
    "cancers": f"cancers at {SPECIFICITY:.2f}",
    "melanomas": f"melanomas at {SPECIFICITY:.2f}",
}
"""Columns; the last two are sensitivities at this specificity."""


class Command(BaseCommand):
    help = (
        "Learn the metadata table (age, sex, site, answers) from the training rows of a data set, with or without a "
        "picture, and print what it adds to the pictures of a sealed classifier on the test split: at full strength "
        "and at the sealed strengths, with 95 % intervals by patient and lesion. Opens the test split."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bundle", type=Path, default=Path("bundles/default"))
        parser.add_argument("--data", required=True, metavar="FOLDER_OR_NAME", help=DATA_HELP)
        parser.add_argument(
            "--case-mix",
            choices=("sealed", "balanced"),
            default="sealed",
            help="probabilities for the sealed case mix (default), or for all diagnoses equally frequent",
        )
        parser.add_argument("--work", type=Path, default=Path("var/training/answers"), help="where answers are kept")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            bundle = read_bundle(options["bundle"])
            assessor = bundle.assessor()
            with ProgressBar() as bar:
                data = read_learning_data(options["data"], report=bar)
                with data.pictures:
                    held_out, kinds = _held_out(bundle, data, options["work"], bar)
            rows = learnable(data.examples, data.split or split_examples(data.examples.table))
        except (BundleError, ExamplesError, SplitError, OSError) as error:
            raise CommandError(str(error)) from error
        mix = BALANCED if options["case_mix"] == "balanced" else assessor.case_mix
        table = learn_table(rows, assessor.case_mix)
        self.stdout.write(
            f"Table learned from {len(rows):,} training rows, {(rows['sha256'] == '').sum():,} of them without a "
            f"picture; fields: {', '.join(table.ratios)}.\n"
            f"Probabilities of {bundle.version} for the case mix {mix.name}."
        )
        asked = np.array([any(getattr(each, name) is not None for name in ANSWERS) for each in held_out.metadata])
        for name, chosen in ((ASKED, asked), *((kind, kinds == kind) for kind in IMAGE_TYPES)):
            if not chosen.any():
                self.stdout.write(f"\n{name}: none in the test split.")
                continue
            kind = str(kinds[np.flatnonzero(chosen)[0]])
            settings = assessor.image_types.get(kind)
            self._say_whose(name, held_out.only(chosen), known=settings is not None)
            calibration = (settings or next(iter(assessor.image_types.values()))).calibration
            self._say(held_out.only(chosen), table, calibration, mix)

    def _say_whose(self, name: str, held_out: HeldOut, *, known: bool) -> None:
        cancers, melanomas = is_malignant(held_out.labels), held_out.labels == Diagnosis.MEL.position
        self.stdout.write(
            f"\n{name}: {len(held_out.labels):,} pictures of {len(set(held_out.groups)):,} patients or lesions; "
            f"{cancers.sum():,} cancers, {melanomas.sum():,} of them melanomas; "
            f"{len(np.unique(held_out.labels))} of {len(CODES)} diagnoses"
        )
        if not known:
            self.stdout.write("The classifier does not know this kind of picture; calibrated as the kind it knows.")

    def _say(self, held_out: HeldOut, table: MetadataTable, calibration: Calibration, case_mix: CaseMix) -> None:
        sealed = calibration.strengths
        for words, strengths in (("full strength", FULL), ("sealed strengths", sealed)):
            self.stdout.write(f"{words}: age, sex, site {strengths.demographics:g}; answers {strengths.answers:g}")
            if strengths == Strengths():
                continue  # nothing but the picture counts
            self.stdout.write(f"  {'':26}" + "".join(f"{column:>22}" for column in SHOWN.values()))
            for row, found in figures(held_out, table, calibration, case_mix, strengths).items():
                self.stdout.write(f"  {row:26}" + "".join(f"{_shown(found[column]):>22}" for column in SHOWN))


def _held_out(bundle: Bundle, data: LearningData, work: Path, bar: ProgressBar) -> tuple[HeldOut, Any]:
    """The test split with the outputs of the network, and the kind of each picture (N,)."""
    examples = data.examples
    split = data.split or split_examples(examples.table)
    images = split.images(TEST)
    manifest = bundle.manifest
    weights = file_sha256(bundle.weights_path)
    answers = Answers.of(
        OnnxBackend(bundle.graph_path),
        images,
        labels=dict(zip(examples.table["image"], map(CODES.index, examples.table["diagnosis"]), strict=True)),
        pictures=data.pictures,
        preprocessing=manifest.preprocessing,
        views=manifest.views,
        cache=AnswerCache(work, examples.fingerprint, f"{manifest.architecture.backbone}:{weights}"),
        report=bar,
    )
    table = examples.table.assign(group=split_groups(examples.table)).set_index("image").loc[images]
    held_out = HeldOut(answers.labels, answers.logits, metadata_of(examples.table, images), table["group"].tolist())
    return held_out, table["image_type"].to_numpy()


def _shown(found: Estimate) -> str:
    if math.isnan(found.value):
        return "-"
    return f"{found.value:.3f} ({found.low:.3f}-{found.high:.3f})"
