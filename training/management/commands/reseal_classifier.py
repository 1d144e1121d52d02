"""Seal a classifier's weights again, compare ways of serving them, or check that its figures can be reproduced."""

import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from recognition.datasets.other_pictures import OtherPictures
from recognition.datasets.problems import ExamplesError
from recognition.datasets.splits import CALIBRATION, VALIDATION, SplitError
from recognition.evaluation.model_card import BY_COLLECTION, WITHOUT_LIMITS, collections_table
from recognition.fit.reseal import ResealError, choosing_split, compare, differences, learned_of_sealed, reseal
from recognition.inference.bundle import VIEWS, Bundle, BundleError, read_bundle
from recognition.inference.export import ExportError
from recognition.inference.network import WeightsError
from recognition.inference.sealing import SealingError
from training.data.reading import (
    DATA_HELP,
    LearningData,
    add_other_pictures,
    opened_other_pictures,
    read_learning_data,
)
from training.management.console import ProgressBar, sealed_words

BEWARE: Final = {
    VALIDATION: "on which training has chosen its epoch, so that all figures are a little too good",
    CALIBRATION: "to which calibration and thresholds were fitted, so that all figures are a little too good",
}

SHOWN: Final = 20
"""Lines of differences that are printed."""


class Command(BaseCommand):
    help = (
        "Measure a sealed classifier again on the data it was sealed on, or with --new-data on others, and seal it "
        "with --output; with --compare print how input sizes and views do without the test split, by collection as "
        "well; with neither, say whether its figures are reproduced. "
        "A folder of data needs no database and no broker."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bundle", type=Path, default=Path("bundles/default"))
        parser.add_argument(
            "--data", required=True, metavar="FOLDER_OR_NAME", help=f"the data it was sealed on: {DATA_HELP}"
        )
        parser.add_argument(
            "--new-data",
            action="store_true",
            help="--data are others than it was sealed on; refused if it has learned a calibration or test picture",
        )
        parser.add_argument(
            "--learned-from",
            metavar="FOLDER_OR_NAME",
            help="with --new-data: the data it was sealed on, for a bundle that does not say what it has learned",
        )
        add_other_pictures(parser)
        parser.add_argument("--output", type=Path, help="where the new bundle goes; replaced if it is there")
        parser.add_argument("--input-size", type=int, help="side of the network's input, pixels")
        parser.add_argument("--views", type=int, choices=VIEWS, help="views of a picture that are averaged")
        parser.add_argument("--bundle-version", help="name for people; by default the old one with -resealed")
        parser.add_argument("--compare", type=int, nargs="+", metavar="SIZE", help="input sizes to compare; no sealing")
        parser.add_argument("--work", type=Path, default=Path("var/training/answers"), help="where answers are kept")

    def handle(self, *args: Any, **options: Any) -> None:
        asked = any(options[name] for name in ("input_size", "views", "bundle_version", "new_data"))
        if asked and options["output"] is None and not options["compare"]:
            raise CommandError("Other data, size, views or name make another bundle: say with --output where it goes.")
        if options["learned_from"] and not options["new_data"]:
            raise CommandError("--learned-from is for --new-data.")
        if options["new_data"] and options["compare"]:
            raise CommandError("Ways of serving are compared on the data that the classifier was sealed on.")
        try:
            bundle = read_bundle(options["bundle"])
            with ProgressBar() as bar, opened_other_pictures(options["other_pictures"]) as others:
                name = "" if options["new_data"] else bundle.manifest.dataset["name"]
                data = read_learning_data(options["data"], name=name, report=bar)
                with data.pictures:
                    if options["compare"]:
                        self._compare(bundle, data, bar, options)
                    elif options["output"]:
                        self._seal(bundle, data, others, bar, options)
                    else:
                        self._check(bundle, data, others, bar)
        except (
            ResealError, ExamplesError, SplitError, WeightsError, SealingError, ExportError, BundleError, OSError,
            ValueError,
        ) as error:  # fmt: skip
            raise CommandError(str(error)) from error
        except KeyError as error:
            raise CommandError(f"The manifest does not say {error}; was the bundle sealed by a training?") from error

    def _compare(self, bundle: Bundle, data: LearningData, bar: ProgressBar, options: dict[str, Any]) -> None:
        views = VIEWS if options["views"] is None else (options["views"],)
        self.stdout.write(
            f"{choosing_split(bundle)} split, {BEWARE[choosing_split(bundle)]}\n"
            "AUC and log loss at the case mix of HAM10000, the mean of the diagnoses at the balanced one; by "
            "collection as in the model card, with 95 % intervals over lesions, or patients where known"
        )
        for choice in compare(
            bundle,
            examples=data.examples,
            pictures=data.pictures,
            split=data.split,
            sizes=options["compare"],
            views=views,
            keep_answers=options["work"],
            report=bar,
        ):
            self.stdout.write(
                "\n  size  views  balanced accuracy  malignant AUC  log loss    mean  kind of picture\n"
                + "\n".join(
                    f"{choice.input_size:>6}{choice.views:>7}{each.balanced_accuracy:>19.3f}{each.malignant_auc:>15.3f}"
                    f"{each.log_loss:>10.3f}{each.mean_log_loss:>8.3f}  {kind}"
                    for kind, each in choice.kinds.items()
                )
            )
            columns = BY_COLLECTION if choice.as_sealed else WITHOUT_LIMITS
            self.stdout.write("\n" + collections_table(choice.collections, choice.lesion, columns=columns))
            if not choice.as_sealed:
                self.stdout.write("Other size or views than sealed, so nothing that depends on a sealed limit.")

    def _seal(
        self,
        bundle: Bundle,
        data: LearningData,
        others: OtherPictures | None,
        bar: ProgressBar,
        options: dict[str, Any],
    ) -> None:
        if bundle.manifest.other_pictures and others is None:
            self.stderr.write(f"The gates of {bundle.version} have learned from other pictures; the new ones do not.")
        learned = None
        if options["learned_from"]:
            earlier = read_learning_data(options["learned_from"], name=bundle.manifest.dataset["name"], report=bar)
            with earlier.pictures:
                learned = learned_of_sealed(bundle, earlier.examples, earlier.split)
        sealed = reseal(
            bundle,
            examples=data.examples,
            pictures=data.pictures,
            split=data.split,
            new_data=options["new_data"],
            learned=learned,
            directory=options["output"],
            version=options["bundle_version"] or f"{bundle.version}-resealed",
            input_size=options["input_size"],
            views=options["views"],
            keep_answers=options["work"],
            others=others,
            report=bar,
        )
        self.stdout.write(sealed_words(sealed))

    def _check(self, bundle: Bundle, data: LearningData, others: OtherPictures | None, bar: ProgressBar) -> None:
        if bundle.manifest.other_pictures.get("fingerprint") != (None if others is None else others.fingerprint):
            raise CommandError(
                f"The gates of {bundle.version} have learned from other pictures: name them by --other-pictures."
                if others is None
                else f"{bundle.version} was not sealed with these --other-pictures."
            )
        with tempfile.TemporaryDirectory(prefix="teri-reseal-") as folder:
            again = reseal(
                bundle,
                examples=data.examples,
                pictures=data.pictures,
                split=data.split,
                directory=Path(folder) / "bundle",
                version=bundle.version,
                others=others,
                # Without keep_answers: the check must compute everything again.
                report=bar,
            )
        found = [
            line
            for part in ("image_types", "lesion", "image_type_head", "other_pictures", "metadata_table", "case_mix")
            for line in differences(getattr(bundle.manifest, part), getattr(again.manifest, part), f"{part}.")
        ]
        if found:
            raise CommandError(
                f"{len(found)} figures of {bundle.version} were not reproduced:\n" + "\n".join(found[:SHOWN])
            )
        self.stdout.write(f"Every figure of {bundle.version} is reproduced from its weights and these data.")
