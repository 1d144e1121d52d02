"""Recording a backup: its checks, and that nothing is recorded for invalid files."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from diagnoses.monitoring.backups import BackupRefused, record_backup
from diagnoses.monitoring.models import BackupRecord

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_size_and_checksum_are_kept(db: None, tmp_path: Path) -> None:
    (tmp_path / "teri.dump").write_bytes(b"PGDMP and so on")
    (tmp_path / "media.tar").write_bytes(b"tar")
    output = StringIO()
    files = [str(tmp_path / name) for name in ("teri.dump", "media.tar")]
    call_command("record_backup", *files, note="on the shelf", stdout=output)
    record = BackupRecord.objects.get()
    assert record.note == "on the shelf"
    assert [(f["name"], f["size"], f["kind"]) for f in record.files] == [
        ("teri.dump", 15, "database"),
        ("media.tar", 3, "file"),
    ]
    assert all(f["sha256"] != EMPTY_SHA256 and len(f["sha256"]) == 64 for f in record.files)
    assert "teri.dump" in output.getvalue() and str(tmp_path) not in str(record.files)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("teri.dump", b"", "empty"),
        ("teri.dump", b"pg_dump: error", "not a file of pg_dump"),
        ("gone.tar", None, "read"),
    ],
)
def test_what_is_no_backup_is_not_recorded(
    db: None, tmp_path: Path, name: str, content: bytes | None, why: str
) -> None:
    (tmp_path / "whole.tar").write_bytes(b"tar")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BackupRefused, match=why):
        record_backup(files=[tmp_path / "whole.tar", tmp_path / name])
    with pytest.raises(CommandError, match="Nothing was recorded"):
        call_command("record_backup", str(tmp_path / name))
    assert not BackupRecord.objects.exists()


def test_without_files_only_the_moment_is_kept(db: None) -> None:
    call_command("record_backup", stdout=StringIO())
    assert BackupRecord.objects.get().files == []
