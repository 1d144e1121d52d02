"""The health checks `/health/live` and `/health/ready`.

`live` says that the process runs and checks nothing else. `ready` says whether a photo can be accepted and analysed: it
checks database, broker, storage, live classifier and workers, each on its own thread with a time limit. A frozen server
therefore gives a 503 in time, not a late answer. The response contains no addresses, names or error messages, because
anybody can read it. Details are in the log.

`alarm` also says whether the output of the live classifier is degenerate. It does not make the site unready: without
the site, people could not read the results they wait for.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection, connections
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from diagnoses.classifiers.models import Classifier
from diagnoses.monitoring.models import ClassifierAlarm
from diagnoses.photos.models import Worker
from diagnoses.photos.queue import queue_depth

logger = logging.getLogger(__name__)

PATIENCE: Final = 1.0  # seconds for all checks together; a healthy machine needs milliseconds
STORAGE_TRUST: Final = 10.0  # seconds for which a successful write check is cached: it costs three requests on S3
PROBE: Final = b"Teri was here."

Check = Callable[[], bool]


def database() -> bool:
    """PostgreSQL answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone() == (1,))


def broker() -> bool:
    """Redis answers."""
    return queue_depth() >= 0


def classifier() -> bool:
    """A classifier is live and no worker reported a bundle problem."""
    live = Classifier.objects.only("fault").live()
    return live is not None and not live.fault


def worker() -> bool:
    """An inference worker sent a heartbeat recently."""
    return Worker.objects.heard_from_lately().exists()


def quiet() -> bool:
    """There is no active alarm about the live classifier."""
    return not ClassifierAlarm.objects.ringing().exists()


class StorageProbe:
    """A file can be written to the storage, read and deleted."""

    def __init__(self) -> None:
        self._trusted_until = 0.0

    def __call__(self) -> bool:
        if time.monotonic() < self._trusted_until:
            return True
        name = default_storage.save(f"health/{uuid.uuid4().hex}", ContentFile(PROBE))
        try:
            with default_storage.open(name) as file:
                whole = bool(file.read() == PROBE)
        finally:
            default_storage.delete(name)
        if whole:
            self._trusted_until = time.monotonic() + STORAGE_TRUST
        return whole


CHECKS: Final[dict[str, Check]] = {
    "database": database,
    "broker": broker,
    "storage": StorageProbe(),
    "classifier": classifier,
    "worker": worker,
}


ALARM: Final[Check] = quiet


class _Probes:
    """Runs checks on threads. A check that hangs is not started again; it counts as failed until it returns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._running: dict[str, Future[bool]] = {}

    def run(self, checks: dict[str, Check], *, patience: float) -> dict[str, bool]:
        """Whether each check succeeded within `patience` seconds from now."""
        deadline = time.monotonic() + patience
        with self._lock:
            if self._executor is None:
                # Created at the first use, after gunicorn has forked: threads do not survive a fork.
                self._executor = ThreadPoolExecutor(max_workers=len(CHECKS) + 1, thread_name_prefix="health")
            for name, check in checks.items():
                earlier = self._running.get(name)
                if earlier is None or earlier.done():
                    self._running[name] = self._executor.submit(_run, name, check)
            futures = {name: self._running[name] for name in checks}
        return {name: _outcome(name, future, deadline) for name, future in futures.items()}


def _run(name: str, check: Check) -> bool:
    try:
        return check()
    except Exception as error:
        logger.warning("Health: %s does not answer (%s).", name, type(error).__name__)
        return False
    finally:
        # Close the database connections of this thread.
        connections.close_all()


def _outcome(name: str, future: Future[bool], deadline: float) -> bool:
    try:
        return future.result(timeout=max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        logger.warning("Health: %s has not answered in time.", name)
        return False


_probes = _Probes()


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """The process takes requests. Nothing else is checked."""
    return JsonResponse({"status": "live"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 if everything that a photo needs is available, else 503. The body has the result of each check."""
    outcomes = _probes.run({**CHECKS, "alarm": ALARM}, patience=PATIENCE)
    silent = outcomes.pop("alarm")
    good = all(outcomes.values())
    body = {
        "status": "ready" if good else "not ready",
        "checks": {name: "ok" if outcome else "failed" for name, outcome in outcomes.items()},
        # Also "raised" if the check failed; then the database is among the failed checks.
        "alarm": "none" if silent else "raised",
    }
    return JsonResponse(body, status=200 if good else 503)


urlpatterns = [
    path("live", live, name="health-live"),
    path("ready", ready, name="health-ready"),
]
