"""Carrying out a claimed job of any kind, and its one end: succeeded, failed with a reason, cancelled or given back.

The same for imports, runs and evaluations, in a worker and in the foreground. A worker whose lease is lost writes
nothing more.
"""

import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from billiard.exceptions import SoftTimeLimitExceeded

from diagnoses.classifiers.services import ClassifierError
from recognition.datasets.problems import ExamplesError, FileProblem
from recognition.fit import TrainingError
from recognition.inference.bundle import BundleError
from recognition.inference.export import ExportError
from recognition.inference.network import WeightsError
from recognition.inference.sealing import SealingError
from recognition.progress import Cancelled, Report, silent
from recognition.recipes import RecipeError
from training.data.import_errors import DatasetImportError
from training.models import Job
from training.services import jobs
from training.worker.reporter import Reporter, Stopped

logger = logging.getLogger(__name__)

CODES_OF: Final[Mapping[type[Exception], str]] = {
    RecipeError: "bad_settings",
    WeightsError: "weights",
    ExamplesError: "data",
    ExportError: "export",
    BundleError: "bundle",
    ClassifierError: "registration",
}

OUT_OF_MEMORY: Final = ("ResourceExhaustedError", "XlaRuntimeError", "MemoryError")
"""Names of the errors by which TensorFlow, JAX and Python say that memory ran out; no common class exists."""

TOO_LONG: Final = "The import took longer than a worker may work on one. Try fewer files."
"""Only imports have a time limit (`training.tasks`)."""

FAULTS_KEPT: Final = 2000
"""A file that is wrong from top to bottom has a fault in every row; so many are kept to be looked at."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What a kind of job says where it ends early."""

    cancelled: str
    disk_full: str
    out_of_memory: str


class _Failure(Exception):
    def __init__(self, code: str, message: str, faults: Sequence[FileProblem] = ()) -> None:
        self.code = code
        self.faults = faults
        super().__init__(message)


def execute(
    claim: jobs.JobClaim,
    work: Callable[[Reporter], Callable[[Any], None]],
    *,
    wording: Wording,
    should_stop: Callable[[], bool] = lambda: False,
    when_stopped: Job.Status = Job.Status.QUEUED,
    also: Report = silent,
) -> Job.Status | None:
    """Do the `work` of a claimed job and end it.

    `work(report)` writes no rows; it returns `keep(job)`, which does, in the transaction that ends the job as
    succeeded. `should_stop` is asked at every report. `when_stopped` is QUEUED for a worker, whose successor goes on,
    or CANCELLED for a person at a keyboard. `also` hears every report.

    Returns the state it ended in, QUEUED when it was given back, None when the lease was lost. Expected failures are
    recorded and returned; a surprise is recorded and raised.
    """
    try:
        with _failures(wording), Reporter(claim, should_stop=should_stop, also=also) as report:
            report.log(f"Attempt {claim.attempt} on {socket.gethostname()}.")
            keep = work(report)
            if not jobs.finish(claim, Job.Status.SUCCEEDED, and_then=keep):
                raise jobs.LeaseLost
        return Job.Status.SUCCEEDED
    except jobs.LeaseLost:
        logger.warning("Job %s belongs to another worker now; nothing more is written here.", claim.pk)
        return None
    except (Cancelled, Stopped) as reason:
        if isinstance(reason, Stopped) and when_stopped == Job.Status.QUEUED:
            _say(claim, "The worker was stopped; the job waits for the next one.")
            return Job.Status.QUEUED if jobs.give_back(claim) else None
        _say(claim, wording.cancelled)
        return Job.Status.CANCELLED if jobs.finish(claim, Job.Status.CANCELLED) else None
    except _Failure as failure:
        logger.warning("Job %s failed: %s.", claim.pk, failure.code)
        return _fail(claim, failure)
    except Exception as error:
        _fail(claim, _Failure("unexpected", f"{type(error).__name__}: {error}"))
        raise


@contextlib.contextmanager
def _failures(wording: Wording) -> Iterator[None]:
    """Turn what is known to go wrong into a code and a sentence that says what to do."""
    try:
        yield
    except DatasetImportError as error:
        raise _Failure(error.code, error.message, error.faults) from error
    except (TrainingError, SealingError) as error:
        raise _Failure(error.code, str(error)) from error
    except tuple(CODES_OF) as error:
        raise _Failure(next(code for kind, code in CODES_OF.items() if isinstance(error, kind)), str(error)) from error
    except SoftTimeLimitExceeded as error:
        raise _Failure("too_long", TOO_LONG) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _Failure("disk_full", wording.disk_full) from error
        raise
    except Exception as error:
        if type(error).__name__ in OUT_OF_MEMORY:
            raise _Failure("out_of_memory", wording.out_of_memory) from error
        raise


def _fail(claim: jobs.JobClaim, failure: _Failure) -> Job.Status | None:
    def keep_faults(job: Any) -> None:
        if failure.faults:
            job.faults = [fault.as_json() for fault in failure.faults[:FAULTS_KEPT]]

    _say(claim, f"Failed ({failure.code}): {failure}")
    ended = jobs.finish(
        claim,
        Job.Status.FAILED,
        failure_code=failure.code,
        failure_detail=str(failure)[:2000],
        and_then=keep_faults,
    )
    return Job.Status.FAILED if ended else None


def _say(claim: jobs.JobClaim, line: str) -> None:
    with contextlib.suppress(jobs.LeaseLost):
        jobs.append_log(claim, line)
