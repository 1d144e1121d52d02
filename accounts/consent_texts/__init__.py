"""The consent texts that Teri comes with: version 1 of each, in three languages, as text files in this folder.

They are written into an empty database after `migrate` or `flush`, like Django's own content types. An administrator
publishes later versions; these exist only in the database. Editing a file here has no effect after version 1 has been
published.

A practice should have its own lawyer check them.
"""

from pathlib import Path
from typing import Any

from django.apps.registry import Apps
from django.apps.registry import apps as installed
from django.db import router

FOLDER = Path(__file__).parent
PURPOSES = ("diagnosis", "training")
LANGUAGES = ("kk", "ru", "en")
FIRST = 1


def first_text(purpose: str, language: str) -> str:
    """Version 1 of the text about `purpose` in `language`: paragraphs, separated by empty lines."""
    return (FOLDER / f"{purpose}-{FIRST}.{language}.txt").read_text(encoding="utf-8").strip()


def publish_first_texts(*, using: str, apps: Apps = installed, **_kwargs: Any) -> None:
    """Handler of `post_migrate`: create version 1 of every text that has no version.

    `migrate` passes the historical models as `apps`. `flush` passes nothing; then the installed models are used.
    """
    try:
        model = apps.get_model("accounts", "ConsentText")
    except LookupError:
        return  # migrated back to a state without this table
    if not router.allow_migrate_model(using, model):
        return
    texts = model._default_manager.using(using)
    for purpose in PURPOSES:
        if not texts.filter(purpose=purpose).exists():
            words = {f"text_{language}": first_text(purpose, language) for language in LANGUAGES}
            texts.bulk_create([model(purpose=purpose, version=FIRST, **words)], ignore_conflicts=True)
