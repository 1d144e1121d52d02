#!/usr/bin/env python
"""Django's command line. Settings default to `config.settings.local`.

Where no PostgreSQL or Redis is configured, every command uses the checkout's own (config/local_services), shared with
a `make run` beside it and stopped with the last one to leave.
"""

import os
import sys
from pathlib import Path

from devtools.local_services import LocalServiceError, start_missing

BASE_DIR = Path(__file__).resolve().parent


def main() -> None:
    """Start missing servers, run the command, let go of the servers."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    try:
        services = start_missing(BASE_DIR)
    except LocalServiceError as error:
        sys.exit(f"{error}")
    with services:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
