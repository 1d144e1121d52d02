"""Hands work to the broker, and never waits for it.

The row in PostgreSQL is the outbox; a message only says "look at this row now". So publishing may fail: the sweep
sends again what was not sent. What it must not do is hang a request, and Celery's own `.delay()` does exactly that
when Redis is frozen (RELIABILITY R1: more than 45 s). Here it runs on a thread of its own with short socket
timeouts, the caller waits at most `PATIENCE`, and after a failure nobody tries again for `REST`.
"""

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final
from uuid import UUID

# What Celery imports at its first message is imported now, so that the first upload does not wait for it.
import celery.app.amqp
import celery.backends.base  # noqa: F401
import kombu.transport.redis  # noqa: F401
from celery import current_app
from django.conf import settings

logger = logging.getLogger(__name__)

PREDICT_TASK: Final = "diagnoses.predict_photo"
INFERENCE_QUEUE: Final = "inference"

PATIENCE: Final = 1.0  # seconds a caller waits for the broker's answer; a healthy one takes a millisecond or two
REST: Final = 5.0  # seconds without another try after a failure; the sweep runs as often
SOCKET_TIMEOUTS: Final = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5, "retry_on_timeout": False}


class _Publisher:
    """One thread and one connection per process, made at the first use so that a fork never inherits them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._connection: Any = None
        self._resting_until = 0.0

    def publish(self, task: str, keys: list[str], *, queue: str, patience: float) -> bool:
        """Send one message per key; True when the broker has taken all of them within `patience` seconds."""
        with self._lock:
            if time.monotonic() < self._resting_until:
                return False
            if self._executor is None:
                self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="publisher")
            sending: Future[None] = self._executor.submit(self._send, task, keys, queue)
        try:
            sending.result(timeout=patience)
        except Exception as error:
            logger.warning("The broker did not take %d message(s): %s.", len(keys), type(error).__name__)
            with self._lock:
                self._resting_until = time.monotonic() + REST
            return False
        return True

    def _send(self, task: str, keys: list[str], queue: str) -> None:
        try:
            if self._connection is None:
                self._connection = current_app.connection_for_write(
                    transport_options={**settings.CELERY_BROKER_TRANSPORT_OPTIONS, **SOCKET_TIMEOUTS}
                )
            with self._connection.Producer() as producer:
                for key in keys:
                    current_app.send_task(task, args=[key], queue=queue, producer=producer, retry=False)
        except Exception:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.collapse()
            raise

    def depth(self, queue: str) -> int:
        """How many messages wait in `queue`. Raises whatever the broker raises within the socket timeouts."""
        with current_app.connection_for_read(
            transport_options={**settings.CELERY_BROKER_TRANSPORT_OPTIONS, **SOCKET_TIMEOUTS}
        ) as connection:
            connection.connect()
            return int(connection.default_channel._size(queue))  # type: ignore[attr-defined]  # kombu's Redis channel has it

    def forget(self) -> None:
        """Drop thread, connection and rest period (after a fork, and between tests)."""
        self.__init__()  # type: ignore[misc]  # resetting every field is the point


_publisher = _Publisher()


def publish(task: str, keys: list[str], *, queue: str, patience: float = PATIENCE) -> bool:
    """Send `task` once per primary key to `queue`. Never raises, never takes longer than `patience` seconds.

    Returns whether the broker took the messages; where it did not, the sweep of whoever owns the rows sends again.
    """
    return not keys or _publisher.publish(task, keys, queue=queue, patience=patience)


def publish_photos(photo_ids: list[UUID], *, patience: float = PATIENCE) -> bool:
    """Ask the inference workers to look at these photos now; see `publish`."""
    return publish(PREDICT_TASK, [str(photo_id) for photo_id in photo_ids], queue=INFERENCE_QUEUE, patience=patience)


def queue_depth(queue: str = INFERENCE_QUEUE) -> int:
    """Messages waiting in the broker. Raises the broker's error (within about a second) when it does not answer."""
    return _publisher.depth(queue)


def forget_connections() -> None:
    """Start afresh: called in a worker child after the fork."""
    _publisher.forget()
