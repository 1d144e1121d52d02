"""`manage.py eda`: the figures of an imported data set, computed from its rows."""

import json
import time
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recognition.progress import silent
from training.data.exploration import dataset_frame, explore_and_draw
from training.data.import_errors import DatasetImportError
from training.eda.explore import explore
from training.models import Dataset
from training.services.datasets import FOLDER, store_exploration


class Command(BaseCommand):
    help = (
        "Explore an imported data set: print every figure, as text or as JSON; --store draws the charts anew as well."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the data set")
        parser.add_argument("--json", action="store_true", help="print the figures as JSON, as the page stores them")
        parser.add_argument(
            "--store", action="store_true", help="put the figures and charts in place of the stored ones"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        dataset = Dataset.objects.filter(name=options["name"]).first()
        if dataset is None:
            known = ", ".join(Dataset.objects.values_list("name", flat=True)[:10]) or "none yet"
            raise CommandError(f"There is no data set named {options['name']!r}. There are: {known}.")
        table = dataset_frame(dataset)
        started = time.perf_counter()
        sections = explore(table)
        seconds = time.perf_counter() - started
        if options["store"]:
            try:
                eda = explore_and_draw(table, folder=f"{FOLDER}/eda-{uuid.uuid4().hex}", report=silent)
            except DatasetImportError as error:
                raise CommandError(error.message) from error
            store_exploration(dataset, eda)
        if options["json"]:
            figures = {
                "dataset": dataset.name,
                "rows": len(table),
                "seconds": round(seconds, 3),
                "sections": [section.as_json() for section in sections],
            }
            self.stdout.write(json.dumps(figures, indent=2, ensure_ascii=False))
            return
        for section in sections:
            self.stdout.write(self.style.MIGRATE_HEADING(section.title))
            self.stdout.write(f"  {section.reading}")
            if section.caution:
                self.stdout.write(self.style.WARNING(f"  {section.caution}"))
            for row in section.rows:
                cells = [_cell(value, column.kind) for value, column in zip(row, section.columns, strict=True)]
                self.stdout.write("    " + "  ".join(f"{column.label}: {cell}" for column, cell in zip(
                    section.columns, cells, strict=True)))  # fmt: skip
            self.stdout.write("")
        self.stdout.write(f"{len(table):,} rows, computed in {seconds:.2f} s.")


def _cell(value: Any, kind: str) -> str:
    if value is None:
        return "–"
    if kind == "share":
        return f"{value:.1%}"
    if kind == "number":
        return f"{value:.1f}"
    return f"{value:,}" if kind == "count" else str(value)
