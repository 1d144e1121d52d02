"""Brings database, static files, classifier and demo accounts up to date: `python -m devtools.launcher.preparation`.

It runs in a process of its own, so that the launcher does not load Django. Every step may run again at any time and
does nothing when there is nothing to do.
"""

import hashlib
import os
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import CommandError, call_command


def say(text: str) -> None:
    """Tell the person at the terminal what happens."""
    print(text, flush=True)  # noqa: T201 - this is a command line program


def static_fingerprint() -> str:
    """Return a fingerprint of all static sources: installed packages, and name, size and time of our own files."""
    base_dir = Path(settings.BASE_DIR)
    digest = hashlib.sha256((base_dir / "requirements.txt").read_bytes())
    for folder in settings.STATICFILES_DIRS:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                state = path.stat()
                digest.update(f"{path.relative_to(folder)}|{state.st_size}|{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def collect_static() -> None:
    """Collect the static files unless nothing changed since the last time."""
    stamp = Path(settings.STATIC_ROOT) / ".collected"
    fingerprint = static_fingerprint()
    if stamp.exists() and stamp.read_text() == fingerprint:
        return
    say("Collecting static files")
    call_command("collectstatic", interactive=False, clear=stamp.exists(), verbosity=0)
    stamp.write_text(fingerprint)


def load_classifier() -> None:
    """Load the classifier of the repository. Without one the site runs and says that no classifier is live."""
    try:
        call_command("load_default_classifier")
    except CommandError as error:
        say(
            f"No classifier could be loaded: {error}\nThe site starts all the same and says that no classifier is live."
        )


def main() -> None:
    """Run all steps."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    django.setup()
    say("Updating the database")
    call_command("migrate", interactive=False, verbosity=0)
    call_command("createcachetable", verbosity=0)
    collect_static()
    load_classifier()
    if getattr(settings, "DEMO_ACCOUNTS", False):
        call_command("create_demo_accounts")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
