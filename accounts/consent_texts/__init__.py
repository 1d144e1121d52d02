"""The consent texts that Teri comes with: version 1 of each, in three languages, as text files in this folder.

They are written into a database that has none, after a migration or after it was emptied, like Django's own content
types. Later versions are published by an administrator and live in the database alone; editing a file here changes
nothing where version 1 has been published.

A practice should have its own lawyer read them.
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
    """Handler of `post_migrate`: version 1 of every text that has no version at all.

    `migrate` says in which state of the models it is; `flush` says nothing, and means the installed ones.
    """
    try:
        model = apps.get_model("accounts", "ConsentText")
    except LookupError:
        return  # migrated back to before there were such texts
    if not router.allow_migrate_model(using, model):
        return
    texts = model._default_manager.using(using)
    for purpose in PURPOSES:
        if not texts.filter(purpose=purpose).exists():
            words = {f"text_{language}": first_text(purpose, language) for language in LANGUAGES}
            texts.bulk_create([model(purpose=purpose, version=FIRST, **words)], ignore_conflicts=True)
