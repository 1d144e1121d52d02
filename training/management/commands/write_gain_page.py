"""Write the page that tells what the gain of a classifier came from, out of the manifests of bundles."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from jinja2 import UndefinedError

from recognition.evaluation.gain_page import gain_page
from recognition.inference.bundle import BundleError, read_bundle


class Command(BaseCommand):
    help = "Write what the gain of a classifier came from as Markdown, out of the manifests of bundles."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE", help="oldest first, the classifier last")
        parser.add_argument("--output", type=Path, default=Path("docs/gain.md"))

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            page = gain_page([read_bundle(folder) for folder in options["bundles"]])
            options["output"].write_text(page, encoding="utf-8")
        except (BundleError, OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        except (KeyError, UndefinedError) as error:
            raise CommandError(f"A manifest lacks a figure: {error}; was it sealed by a training?") from error
        self.stdout.write(f"Wrote {options['output']}.")
