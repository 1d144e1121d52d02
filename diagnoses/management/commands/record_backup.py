"""`manage.py record_backup`: record that a backup was made. The admin's first page shows its age."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from diagnoses.monitoring.backups import BackupRefused, record_backup


class Command(BaseCommand):
    help = "Note that a backup was made just now. Run it after the backup: pg_dump … && manage.py record_backup FILE…"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="*", type=Path, help="Files of the backup: their size and SHA-256 are kept.")
        parser.add_argument("--note", default="", help="Where it lies, for whoever has to find it.")

    def handle(self, *args: Any, files: list[Path], note: str, **options: Any) -> None:
        try:
            record = record_backup(files=files, note=note)
        except BackupRefused as error:
            raise CommandError(f"Nothing was recorded: {error}") from error
        for file in record.files:
            self.stdout.write(f"{file['sha256']}  {file['name']} ({file['size']} bytes, {file['kind']})")
        self.stdout.write(f"A backup was recorded at {record.created:%Y-%m-%d %H:%M} UTC.")
