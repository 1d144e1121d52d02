#!/usr/bin/env python
"""Django's command line. Settings default to `config.settings.local`.

If no PostgreSQL or Redis is configured, every command uses the local servers of this checkout
(devtools/local_services). It shares them with a running `make run`; they stop with the last process that uses them.
"""

import os
import sys
from pathlib import Path

from devtools.local_services import LocalServiceError, start_missing

BASE_DIR = Path(__file__).resolve().parent


def main() -> None:
    """Start the missing servers and run the command."""
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
