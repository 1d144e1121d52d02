"""Import errors: why no data set came of an import, each with a code and a sentence."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from django.core.exceptions import ImproperlyConfigured

from recognition.datasets.problems import FileProblem

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class DatasetImportError(Exception):
    """An import failed: no data set came of it and nothing is left behind.

    (A request that is turned down before there is a job is `training.services.imports.ImportRejected`.)

    `code` is one of "faulty_files", "name_taken", "disk_full", "storage_failed", "upload_gone", "nothing_to_add";
    `faults` names file and row where there is one.
    """

    def __init__(self, code: str, message: str, faults: Sequence[FileProblem] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.faults = tuple(faults)


def faulty(faults: Sequence[FileProblem]) -> DatasetImportError:
    """The error of files with faults."""
    files = sorted({fault.file for fault in faults})
    shown = ", ".join(files[:3]) + (f" and {len(files) - 3} more files" if len(files) > 3 else "")
    one = len(faults) == 1
    return DatasetImportError(
        "faulty_files",
        f"{'One fault' if one else f'{len(faults):,} faults'} in {shown}. Nothing was imported: "
        f"mend {'it' if one else 'them'} and import again.",
        faults,
    )


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Turn whatever a disk or a storage raises while `what` is written into an import error."""
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
