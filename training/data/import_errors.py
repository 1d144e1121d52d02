"""Import errors: why an import made no data set, each with a code and a sentence."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from django.core.exceptions import ImproperlyConfigured

from recognition.datasets.problems import FileProblem

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class DatasetImportError(Exception):
    """An import failed: it made no data set and left no files. (`JobRejected` is raised before there is a job.)

    `code` is one of "faulty_files", "name_taken", "disk_full", "storage_failed", "upload_gone", "nothing_to_add",
    "nothing_to_join", "part_gone";
    `problems` names file and row of what is wrong in the files.
    """

    def __init__(self, code: str, message: str, problems: Sequence[FileProblem] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.problems = tuple(problems)


def error_of(problems: Sequence[FileProblem]) -> DatasetImportError:
    """The import error for problems in the files."""
    files = sorted({problem.file for problem in problems})
    shown = ", ".join(files[:3]) + (f" and {len(files) - 3} more files" if len(files) > 3 else "")
    one = len(problems) == 1
    return DatasetImportError(
        "faulty_files",
        f"{'One fault' if one else f'{len(problems):,} faults'} in {shown}. Nothing was imported: "
        f"mend {'it' if one else 'them'} and import again.",
        problems,
    )


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Turn an OSError into an import error while `what` is written to the disk or the storage."""
    try:
        yield
    except (DatasetImportError, ImproperlyConfigured):
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise DatasetImportError(
                "disk_full",
                f"The disk is full: {what} could not be written. Nothing was imported; make room and import again.",
            ) from error
        raise DatasetImportError(
            "storage_failed",
            f"The storage did not take {what}: {error.strerror or error}. Nothing was imported; try again later.",
        ) from error
