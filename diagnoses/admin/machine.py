"""Own workers and backups in the admin."""

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _

from diagnoses.admin.rows import LongListAdmin
from diagnoses.models import BackupRecord, Worker


@admin.register(Worker)
class WorkerAdmin(LongListAdmin[Worker]):
    """Inference workers and when they were last heard from."""

    list_display = ["name", "runtime", "classifier", "last_seen"]
    fields = ["name", "runtime", "classifier", "last_seen"]


@admin.register(BackupRecord)
class BackupRecordAdmin(LongListAdmin[BackupRecord]):
    """Backups that `manage.py record_backup` was told of."""

    list_display = ["created", "shown_files", "note"]
    fields = ["created", "shown_files", "note"]
    readonly_fields = ["shown_files"]

    @admin.display(description=_("files"))
    def shown_files(self, record: BackupRecord) -> str:
        shown = [f"{file['name']} ({filesizeformat(file['size'])}, {file['sha256'][:12]}…)" for file in record.files]
        return ", ".join(shown) or "–"
