"""`manage.py classify`: files, folders or a zip through the live classifier, into the ISIC submission format."""

import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from tqdm import tqdm

from diagnoses.classifiers.models import Classifier
from diagnoses.classifiers.services import registered_bundle
from recognition.classify import Classified, Unreadable, classify_sources, find_sources, image_names
from recognition.datasets.problems import ExamplesError
from recognition.inference.assessment import Gate
from recognition.inference.bundle import Bundle, BundleError, read_bundle
from recognition.inference.runtime import load_classifier
from recognition.sandbox import IntakeLimits
from recognition.taxonomy import CODES, UNKNOWN_CODE


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
            help="Write gates, advice, score and prediction sets to this CSV file.",
        )
        parser.add_argument("--bundle", type=Path, help="Use this sealed bundle instead of the live classifier.")

    def handle(
        self,
        *args: Any,
        paths: list[Path],
        output: Path | None,
        json: bool,
        bundle: Path | None,
        assessments: Path | None = None,
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
        sealed = self._bundle(bundle)
        try:
            loaded = load_classifier(sealed, runtime=settings.INFERENCE_RUNTIME, threads=settings.INFERENCE_THREADS)
        except BundleError as error:
            raise CommandError(f"The classifier cannot be used: {error}") from error

        classified: list[Classified] = []
        unreadable: list[Unreadable] = []
        answers = classify_sources(sources, loaded=loaded, limits=limits)
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
        for missing in unreadable:
            self.stderr.write(f"Not read: {missing.name}: {missing.detail} [{missing.code}]")
        if interrupted:
            raise CommandError("Interrupted; what was done is written.", returncode=130)
        if unreadable:
            raise CommandError(f"{len(unreadable)} file(s) could not be read; everything else is written.")

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
    writer.writerow(["image", "decision", "score", *(gate.value for gate in Gate), "prediction_set"])
    for name, row in rows:
        said = row.outcome.assessment
        gates = (result.code or "passed" for result in said.gates)
        score = "" if said.score is None else said.score
        writer.writerow([name, said.decision.value, score, *gates, " ".join(said.prediction_set)])


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
                    "probabilities": dict(zip(CODES, map(float, row.outcome.probabilities), strict=True)),
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
