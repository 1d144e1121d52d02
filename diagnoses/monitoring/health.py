"""Own `/health/live` and `/health/ready`: is the process alive, and can a photo be accepted and analysed now?

`live` touches nothing. `ready` asks the database, the broker, the storage, the live classifier and the workers, each on
a thread of its own and for a bounded time: a frozen server makes the answer 503, never late. The answer holds no
addresses, names or error messages: it is for load balancers, and anybody can read it. Details go to the log.

`alarm` says besides whether the live classifier's recent answers are those of one that works. It does not make the site
unready: taking it away would not mend the classifier, and hide the results that people wait for.
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

PATIENCE: Final = 1.0  # seconds for all checks together; a healthy machine answers in milliseconds
STORAGE_TRUST: Final = 10.0  # seconds a storage that could be written counts as writable: three requests a probe on S3
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
    """One classifier is live and no worker found its bundle broken."""
    live = Classifier.objects.only("fault").live()
    return live is not None and not live.fault


def worker() -> bool:
    """An inference worker proved itself lately."""
    return Worker.objects.heard_from_lately().exists()


def quiet() -> bool:
    """No alarm rings about the live classifier."""
    return not ClassifierAlarm.objects.ringing().exists()


class StorageProbe:
    """The storage takes a file, gives it back and lets it go."""

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
    """Runs checks on threads. One that hangs is not started a second time: it fails until it comes back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._running: dict[str, Future[bool]] = {}

    def run(self, checks: dict[str, Check], *, patience: float) -> dict[str, bool]:
        """Whether each check succeeded within `patience` seconds, counted from now for all of them."""
        deadline = time.monotonic() + patience
        with self._lock:
            if self._executor is None:
                # Made at the first use: gunicorn forks before that, and threads do not survive a fork.
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
        # This thread's own connections; nobody else would ever close them.
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
    """The process takes requests; nothing else is asked."""
    return JsonResponse({"status": "live"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when everything a photo needs is there, else 503; each check says for itself."""
    outcomes = _probes.run({**CHECKS, "alarm": ALARM}, patience=PATIENCE)
    silent = outcomes.pop("alarm")
    good = all(outcomes.values())
    body = {
        "status": "ready" if good else "not ready",
        "checks": {name: "ok" if outcome else "failed" for name, outcome in outcomes.items()},
        # Also "raised" where nobody could ask: then the database is among the failed checks.
        "alarm": "none" if silent else "raised",
    }
    return JsonResponse(body, status=200 if good else 503)


urlpatterns = [
    path("live", live, name="health-live"),
    path("ready", ready, name="health-ready"),
]
