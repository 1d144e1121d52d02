"""Celery tasks of the training worker: a primary key comes in, one function is called.

Runs and evaluations share the accelerator of the machine, so their messages only say that a job waits: the oldest job
is done first, in whatever order messages arrive. The key in the message is for people who read the broker's log.

The work is imported inside the tasks: the web process imports this module (Celery's autodiscovery) and must not load
pandas, TensorFlow or Keras.
"""

from typing import Any, Final

from celery import shared_task
from celery.signals import worker_shutting_down

from training.worker.stopping import announce_stop

# An import of the whole ISIC 2019 set at full size (9 GB) takes minutes; the limit only ends an import that hangs.
IMPORT_SOFT_LIMIT: Final = 3 * 3600
IMPORT_HARD_LIMIT: Final = IMPORT_SOFT_LIMIT + 60

# A run has no time limit: its heartbeat tells whether it is alive. Celery takes None and 0 for "the default limit", so
# "no limit" is a year.
NO_LIMIT: Final = 365 * 24 * 3600


@shared_task(
    name="training.train",
    queue="training",
    # Acknowledged at once: otherwise the message would be delivered again after the visibility timeout, while the run
    # goes on.
    acks_late=False,
    soft_time_limit=NO_LIMIT,
    time_limit=NO_LIMIT + 60,
)
def train_task(pk: str) -> None:
    """A run waits: do the oldest waiting run or evaluation, in a process of its own."""
    # Only the worker loads this; the web process imports this module too.
    from training.worker.supervisor import supervise_next

    supervise_next()


@shared_task(
    name="training.evaluate",
    queue="training",
    acks_late=False,
    soft_time_limit=NO_LIMIT,
    time_limit=NO_LIMIT + 60,
)
def evaluate_task(pk: str) -> None:
    """An evaluation waits: do the oldest waiting run or evaluation, in a process of its own."""
    # Only the worker loads this; the web process imports this module too.
    from training.worker.supervisor import supervise_next

    supervise_next()


@shared_task(
    name="training.import_dataset",
    queue="training",
    # Acknowledged at once, so that no visibility timeout starts an import twice; the lease in the row decides.
    acks_late=False,
    soft_time_limit=IMPORT_SOFT_LIMIT,
    time_limit=IMPORT_HARD_LIMIT,
)
def import_dataset_task(pk: str) -> None:
    """Do one queued import."""
    # Only the worker loads this; the web process imports this module too.
    from training.worker.importing import run_import_job

    run_import_job(pk)


@shared_task(name="training.sweep", soft_time_limit=30, time_limit=40)
def sweep_task() -> None:
    """Take back the jobs of lost workers, and delete the files that ended imports left on the storage."""
    # Only the worker loads this; the web process imports this module too.
    from training.services.jobs import sweep_jobs
    from training.services.orphans import sweep_files

    sweep_jobs()
    sweep_files()


@worker_shutting_down.connect
def tell_children(**_: Any) -> None:
    """In the parent, at SIGTERM: jobs in progress go back to the queue instead of delaying the shutdown for hours."""
    announce_stop()
