"""`manage.py classify`: files, folders or a zip through the live classifier, into the ISIC submission format."""

import csv
import io
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from tqdm import tqdm

from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import registered_bundle
from recognition.classify import Classified, PictureSource, Unreadable, classify_sources, find_sources, image_names
from recognition.datasets.metadata_file import FIELDS, MetadataFile, read_metadata_file
from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.inference.assessment import Gate
from recognition.inference.bundle import Bundle, BundleError, read_bundle
from recognition.inference.case_mix import BALANCED, CaseMix
from recognition.inference.runtime import load_classifier
from recognition.sandbox import IntakeLimits
from recognition.taxonomy import CLOSE_UP, CODES, DERMOSCOPIC, UNKNOWN_CODE

# By the word on the command line; "" and None leave it to the classifier.
IMAGE_TYPE_OF: Final = {"auto": "", "dermoscopic": DERMOSCOPIC, "clinical": CLOSE_UP}
CASE_MIX_OF: Final[Mapping[str, CaseMix | None]] = {"sealed": None, "balanced": BALANCED}


class Command(BaseCommand):
    help = (
        "Classify photos with the live classifier. Writes the ISIC submission format "
        "(image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK; probabilities) or JSON; exit status 1 when a file could not be read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="Pictures, folders or zip files.")
        parser.add_argument("--output", type=Path, help="File to write (default: standard output).")
        parser.add_argument("--json", action="store_true", help="Write one JSON document instead of CSV.")
        parser.add_argument(
            "--assessments",
            type=Path,
            help="Write gates, advice, score, prediction sets and kinds of picture to this CSV file.",
        )
        parser.add_argument("--bundle", type=Path, help="Use this sealed bundle instead of the live classifier.")
        parser.add_argument(
            "--case-mix",
            choices=tuple(CASE_MIX_OF),
            default="sealed",
            help="Probabilities for the case mix that is sealed with the classifier (default), or for a world in which "
            "all diagnoses are equally frequent, as the ISIC 2019 metric asks. Advice and score stay the same.",
        )
        parser.add_argument(
            "--image-type",
            choices=tuple(IMAGE_TYPE_OF),
            default="auto",
            help="The kind of all pictures: through a dermatoscope, or with a phone or camera (clinical). Default: "
            "recognised from each picture.",
        )
        parser.add_argument(
            "--metadata",
            type=Path,
            metavar="CSV",
            help=f"What is known beside the pictures: image (name of the file without folder and suffix), and any of "
            f"{', '.join(FIELDS)}. Answers are True, False or UNK; an empty cell means unknown.",
        )

    def handle(
        self,
        *args: Any,
        paths: list[Path],
        output: Path | None,
        json: bool,
        bundle: Path | None,
        assessments: Path | None = None,
        case_mix: str = "sealed",
        image_type: str = "auto",
        metadata: Path | None = None,
        **options: Any,
    ) -> None:
        limits = IntakeLimits()
        try:
            sources, passed_over = find_sources(paths, limits=limits)
        except (FileNotFoundError, ExamplesError) as error:
            raise CommandError(str(error)) from error
        if not sources:
            raise CommandError("There are no pictures to classify.")
        for place in (output, assessments):
            if place is not None:
                _require_writable(place)
        known = None if metadata is None else self._metadata(metadata, sources)
        sealed = self._bundle(bundle)
        try:
            loaded = load_classifier(sealed, runtime=settings.INFERENCE_RUNTIME, threads=settings.INFERENCE_THREADS)
        except BundleError as error:
            raise CommandError(f"The classifier cannot be used: {error}") from error

        classified: list[Classified] = []
        unreadable: list[Unreadable] = []
        answers = classify_sources(
            sources,
            loaded=loaded,
            limits=limits,
            metadata=None if known is None else known.rows,
            image_type=IMAGE_TYPE_OF[image_type],
            case_mix=CASE_MIX_OF[case_mix],
        )
        interrupted = False
        try:
            for answer in tqdm(answers, total=len(sources), unit="photo", file=sys.stderr, disable=None):
                (classified if isinstance(answer, Classified) else unreadable).append(answer)  # type: ignore[arg-type]  # the test decides
        except KeyboardInterrupt:
            interrupted = True  # the rows that are done are written in any case

        names = image_names([answer.name for answer in classified])
        rows = list(zip(names, classified, strict=True))
        self._write_out(rows, unreadable, sealed, output=output, assessments=assessments, as_json=json)
        if passed_over:
            self.stderr.write(f"{passed_over} file(s) were passed over: not named like a picture.")
        self.stderr.write(f"{len(classified)} of {len(sources)} photo(s) classified with {sealed.version}.")
        self._say_about_answers(classified, metadata)
        for missing in unreadable:
            self.stderr.write(f"Not read: {missing.name}: {missing.detail} [{missing.code}]")
        if interrupted:
            raise CommandError("Interrupted; what was done is written.", returncode=130)
        if unreadable:
            raise CommandError(f"{len(unreadable)} file(s) could not be read; everything else is written.")

    def _say_about_answers(self, classified: Sequence[Classified], metadata: Path | None) -> None:
        answers = [row.outcome.answer for row in classified]
        if metadata is not None:
            counted = sum(bool(answer.used) for answer in answers)
            self.stderr.write(f"What {metadata.name} says counted for {counted} photo(s).")
        contradicted = sum(answer.contradicted for answer in answers)
        if contradicted:
            self.stderr.write(f"{contradicted} photo(s) look like the other kind of picture than --image-type says.")

    def _metadata(self, path: Path, sources: Sequence[PictureSource]) -> MetadataFile:
        """The checked file, for these pictures. Raises CommandError with every problem."""
        try:
            found = read_metadata_file(path)
            files: dict[str, list[str]] = defaultdict(list)
            for source in sources:
                files[source.image].append(source.name)
            problems = [
                FileProblem(path.name, found.lines[image], f"{image} could be {' or '.join(files[image][:3])}.")
                for image in found.rows
                if len(files.get(image, ())) > 1
            ]
            if problems:
                raise ExamplesError(problems)
        except ExamplesError as error:
            raise CommandError(str(error)) from error
        missing = sum(image not in files for image in found.rows)
        if missing:
            self.stderr.write(
                f"{path.name}: {missing} of {len(found.rows)} row(s) are of images that are not among these photos. An "
                "image is named like its file, without folder and suffix."
            )
        if found.unread:
            self.stderr.write(f"{path.name}: these columns are not read: {', '.join(found.unread)}.")
        return found

    def _write_out(
        self,
        rows: Sequence[tuple[str, Classified]],
        unreadable: list[Unreadable],
        sealed: Bundle,
        *,
        output: Path | None,
        assessments: Path | None,
        as_json: bool,
    ) -> None:
        if output is None:
            text = io.StringIO()
            _write(text, rows, unreadable, sealed, as_json=as_json)
            self.stdout.write(text.getvalue(), ending="")
        else:
            with _written(output) as file:
                _write(file, rows, unreadable, sealed, as_json=as_json)
        if assessments is not None:
            with _written(assessments) as file:
                _write_assessments(file, rows)

    def _bundle(self, directory: Path | None) -> Bundle:
        """The bundle to use: the given one, the live one, or on a new machine the default one."""
        try:
            return read_bundle(directory) if directory is not None else self._live_bundle()
        except BundleError as error:
            raise CommandError(f"The classifier cannot be used: {error}") from error

    def _live_bundle(self) -> Bundle:
        try:
            live = Classifier.objects.live()
            if live is not None:
                return registered_bundle(live)
            if Classifier.objects.exists():
                raise CommandError("No classifier is live. Promote one, or name a bundle with --bundle.")
        except DatabaseError:
            pass  # not migrated: same as empty
        self.stderr.write("No classifier is registered here yet; using the one that comes with the project.")
        return read_bundle(Path(settings.DEFAULT_BUNDLE_DIR))


def _require_writable(output: Path) -> None:
    """Check the output before the work starts."""
    if not output.absolute().parent.is_dir():
        raise CommandError(f"There is no folder {output.absolute().parent} to write {output.name} into.")
    if output.is_dir():
        raise CommandError(f"{output} is a folder; name a file to write.")


@contextmanager
def _written(place: Path) -> Iterator[TextIO]:
    """Write a file atomically: complete or not at all."""
    temporary = place.with_name(f".{place.name}.writing")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(place)


def _write_assessments(file: TextIO, rows: Iterable[tuple[str, Classified]]) -> None:
    """Write details that the ISIC format has no columns for, one row per photo."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["image", "decision", "score", *(gate.value for gate in Gate), "prediction_set", "image_type"])
    for name, row in rows:
        said = row.outcome.assessment
        gates = (result.code or "passed" for result in said.gates)
        score = "" if said.score is None else said.score
        kind = row.outcome.answer.image_type
        writer.writerow([name, said.decision.value, score, *gates, " ".join(said.prediction_set), kind])


def _by_code(probabilities: Iterable[float]) -> dict[str, float]:
    return dict(zip(CODES, map(float, probabilities), strict=True))


def _write(
    file: TextIO, rows: Iterable[tuple[str, Classified]], unreadable: list[Unreadable], bundle: Bundle, *, as_json: bool
) -> None:
    if as_json:
        document = {
            "classifier": {"version": bundle.version, "sha256": bundle.sha256},
            "photos": [
                {
                    "image": name,
                    "file": row.name,
                    "diagnosis": row.outcome.diagnosis,
                    "confidence": row.outcome.confidence,
                    "malignant_score": row.outcome.malignant_score,
                    "probabilities": _by_code(row.outcome.probabilities),
                    "picture_alone": _by_code(row.outcome.answer.picture_alone),
                    "case_mix": row.outcome.answer.case_mix.as_json(),
                    "metadata_used": list(row.outcome.answer.used),
                    "image_type": row.outcome.answer.image_type,
                    "image_type_source": row.outcome.answer.source,
                    "contradicted": row.outcome.answer.contradicted,
                    "assessment": row.outcome.assessment.as_json(),
                }
                for name, row in rows
            ],
            "unreadable": [{"file": u.name, "code": u.code, "detail": u.detail} for u in unreadable],
        }
        json.dump(document, file, indent=2, ensure_ascii=False)
        file.write("\n")
        return
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["image", *CODES, UNKNOWN_CODE])
    for name, row in rows:
        writer.writerow([name, *(f"{float(p):.6f}" for p in row.outcome.probabilities), "0.0"])
