"""Carries out a claimed job of any kind and ends it: succeeded, failed with a reason, cancelled, or queued again.

It is the same for imports, runs and evaluations, in a worker and in the foreground. A worker that has lost its lease
writes nothing more.
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
"""Names of the errors that TensorFlow, JAX and Python raise when memory runs out; they have no common class."""

TOO_LONG: Final = "The import took longer than a worker may work on one. Try fewer files."
"""Only imports have a time limit (`training.tasks`)."""

PROBLEMS_KEPT: Final = 2000
"""Problems that are stored; a wrong file may have one in every row."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The sentences of one kind of job when it ends early."""

    cancelled: str
    disk_full: str
    out_of_memory: str


class _Failure(Exception):
    def __init__(self, code: str, message: str, problems: Sequence[FileProblem] = ()) -> None:
        self.code = code
        self.problems = problems
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

    `work(report)` writes no rows. It returns `keep(job)`, which writes them in the transaction that ends the job as
    succeeded. `should_stop` is called at every report. `when_stopped` is QUEUED under a worker, so that another one
    goes on, or CANCELLED in the foreground. `also` gets every report as well.

    Returns the final status, QUEUED if the job went back to the queue, None if the lease was lost. An expected failure
    is recorded and returned; an unexpected one is recorded and raised.
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
    """Turn known errors into a code and a sentence that says what to do."""
    try:
        yield
    except DatasetImportError as error:
        raise _Failure(error.code, error.message, error.problems) from error
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
    def keep_problems(job: Any) -> None:
        if failure.problems:
            job.faults = [problem.as_json() for problem in failure.problems[:PROBLEMS_KEPT]]

    _say(claim, f"Failed ({failure.code}): {failure}")
    ended = jobs.finish(
        claim,
        Job.Status.FAILED,
        failure_code=failure.code,
        failure_detail=str(failure)[:2000],
        and_then=keep_problems,
    )
    return Job.Status.FAILED if ended else None


def _say(claim: jobs.JobClaim, line: str) -> None:
    with contextlib.suppress(jobs.LeaseLost):
        jobs.append_log(claim, line)
