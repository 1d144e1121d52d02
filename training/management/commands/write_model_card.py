"""Write the model card of a bundle as Markdown, out of its manifest."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from jinja2 import UndefinedError

from recognition.evaluation.model_card import model_card
from recognition.inference.bundle import BundleError, read_bundle


class Command(BaseCommand):
    help = "Write the model card of a bundle as Markdown, out of its manifest."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bundle", type=Path, default=Path("bundles/default"))
        parser.add_argument("--output", type=Path, default=Path("docs/model-card.md"))

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            options["output"].write_text(model_card(read_bundle(options["bundle"])), encoding="utf-8")
        except (BundleError, OSError) as error:
            raise CommandError(str(error)) from error
        except (KeyError, UndefinedError) as error:
            raise CommandError(f"The manifest lacks a figure: {error}; was the bundle sealed by a training?") from error
        self.stdout.write(f"Wrote {options['output']}.")
