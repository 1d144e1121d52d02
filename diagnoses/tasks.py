"""Celery tasks of this app. Each one takes at most a primary key and calls one function.

The tasks import the worker's modules inside the functions: the web process imports this module (Celery's
autodiscovery) and must not load the worker's libraries.
"""

import logging
import os
import signal
from typing import Any
from uuid import UUID

from celery import shared_task
from celery.signals import worker_process_init
from django.conf import settings

from diagnoses.photos.queue import INFERENCE_QUEUE, PREDICT_TASK, forget_connections

logger = logging.getLogger(__name__)


@shared_task(
    name=PREDICT_TASK,
    queue=INFERENCE_QUEUE,
    soft_time_limit=settings.PREDICTION_SOFT_TIME_LIMIT,
    time_limit=settings.PREDICTION_TIME_LIMIT,
)
def predict_photo_task(photo_id: str) -> None:
    """Predict one photo with the live classifier."""
    # Only the worker loads this; the web process imports this module too.
    from diagnoses.photos import worker

    try:
        worker.predict_photo(UUID(photo_id))
    except worker.NoLiveClassifier as error:
        logger.critical("The inference worker stops: %s", error)
        # The parent process shuts down gracefully. The supervisor decides when to start it again.
        os.kill(os.getppid(), signal.SIGTERM)


@shared_task(name="diagnoses.sweep", soft_time_limit=30, time_limit=40)
def sweep_task() -> None:
    """Write the heartbeat of this worker and run the periodic sweep."""
    # Only the worker loads this; the web process imports this module too.
    from diagnoses.photos import worker

    worker.heartbeat_and_sweep()


@shared_task(name="diagnoses.index_similar_cases", soft_time_limit=50, time_limit=60)
def index_similar_cases_task() -> None:
    """Index pictures for similar cases for some seconds."""
    # Only the worker loads this; the web process imports this module too.
    from diagnoses.photos import worker

    worker.index_similar_cases()


@shared_task(name="diagnoses.watch_live_classifier", soft_time_limit=30, time_limit=40)
def watch_live_classifier_task() -> None:
    """Check the live classifier's recent output for degenerate output."""
    # Only the worker loads this; the web process imports this module too.
    from diagnoses.monitoring.alarms import watch_live_classifier

    watch_live_classifier()


@shared_task(name="diagnoses.remind", soft_time_limit=60, time_limit=80)
def remind_task() -> None:
    """Send due reminders to photograph a spot again."""
    # Only the worker loads this; the web process imports this module too.
    from diagnoses.lesions.reminders import send_due_reminders

    send_due_reminders()


@worker_process_init.connect
def warm_up_child(**_: Any) -> None:
    """In a new child of the inference worker: drop the parent's connections and load the network."""
    forget_connections()
    if os.environ.get("TERI_WORKER") != "inference":
        return
    # Only the worker loads this; the web process imports this module too.
    from diagnoses.photos import worker

    try:
        worker.warm_up()
        worker.heartbeat_and_sweep()
    except Exception:
        # The first task meets the same problem and handles it.
        logger.exception("The network could not be warmed up.")
