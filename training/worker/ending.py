"""Own how a claimed job ends, whatever it does: in one terminal state with a reason, or back in the queue.

The same for runs and evaluations, in a worker's process and in the foreground. A job whose lease is lost writes
nothing more.
"""

import contextlib
import errno
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from diagnoses.datasets.problems import ExamplesError
from diagnoses.inference.bundle import BundleError
from diagnoses.inference.export import ExportError
from diagnoses.inference.network import WeightsError
from diagnoses.inference.sealing import SealingError
from diagnoses.services import ClassifierError
from training.models import Job
from training.pipeline.fit import TrainingError
from training.pipeline.progress import Cancelled
from training.recipes import RecipeError
from training.services import jobs
from training.worker.reporter import Stopped

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

NO_MEMORY: Final = "Memory ran out. Choose a smaller batch_size or input_size, or a machine with more memory."


class _Failure(Exception):
    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def carry_out(
    claim: jobs.JobClaim, work: Callable[[], None], *, when_stopped: Job.Status, cancelled: str, disk_full: str
) -> Job.Status | None:
    """Do the `work` of a claimed job, which ends the job itself where it succeeds.

    Returns the state it ended in, QUEUED when it was given back, None when the lease was lost. `when_stopped` is QUEUED
    for a worker, whose successor goes on, or CANCELLED for a person at a keyboard. `cancelled` and `disk_full` are
    what is said then. Expected failures are recorded and returned; a surprise is recorded and raised.
    """
    try:
        with _failures(disk_full):
            work()
        return Job.Status.SUCCEEDED
    except jobs.LeaseLost:
        logger.warning("Job %s belongs to another worker now; nothing more is written here.", claim.pk)
        return None
    except (Cancelled, Stopped) as reason:
        if isinstance(reason, Stopped) and when_stopped == Job.Status.QUEUED:
            _say(claim, "The worker was stopped; the job waits for the next one.")
            return Job.Status.QUEUED if jobs.give_back(claim) else None
        _say(claim, cancelled)
        return Job.Status.CANCELLED if jobs.finish(claim, Job.Status.CANCELLED) else None
    except _Failure as failure:
        _say(claim, f"Failed ({failure.code}): {failure}")
        logger.warning("Job %s failed: %s.", claim.pk, failure.code)
        return _fail(claim, failure.code, str(failure))
    except Exception as error:
        _fail(claim, "unexpected", f"{type(error).__name__}: {error}")
        raise


@contextlib.contextmanager
def _failures(disk_full: str) -> Iterator[None]:
    """Turn what is known to go wrong into a code and a sentence that says what to do."""
    try:
        yield
    except (TrainingError, SealingError) as error:
        raise _Failure(error.code, str(error)) from error
    except tuple(CODES_OF) as error:
        raise _Failure(next(code for kind, code in CODES_OF.items() if isinstance(error, kind)), str(error)) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _Failure("disk_full", disk_full) from error
        raise
    except Exception as error:
        if type(error).__name__ in OUT_OF_MEMORY:
            raise _Failure("out_of_memory", NO_MEMORY) from error
        raise


def _fail(claim: jobs.JobClaim, code: str, detail: str) -> Job.Status | None:
    ended = jobs.finish(claim, Job.Status.FAILED, failure_code=code, failure_detail=detail[:2000])
    return Job.Status.FAILED if ended else None


def _say(claim: jobs.JobClaim, line: str) -> None:
    with contextlib.suppress(jobs.LeaseLost):
        jobs.append_log(claim, line)
