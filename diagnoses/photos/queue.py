"""Publishes messages to the broker without blocking the caller.

The row in PostgreSQL is the outbox; a message only says "process this row now". So publishing may fail: the sweep
sends missing messages again. But it must not block a request, and Celery's `.delay()` blocks for more than 45 s if
Redis is frozen (RELIABILITY R1). Here a separate thread publishes with short socket timeouts. The caller waits at most
`PATIENCE`, and after a failure there is no further attempt for `REST`.
"""

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final
from uuid import UUID

# Import now what Celery imports at its first message, so that the first upload does not wait.
import celery.app.amqp
import celery.backends.base  # noqa: F401
import kombu.transport.redis  # noqa: F401
from celery import current_app
from django.conf import settings

logger = logging.getLogger(__name__)

PREDICT_TASK: Final = "diagnoses.predict_photo"
INFERENCE_QUEUE: Final = "inference"

PATIENCE: Final = 1.0  # seconds a caller waits for the broker; normally it takes one or two milliseconds
REST: Final = 5.0  # seconds without another attempt after a failure; the interval of the sweep
SOCKET_TIMEOUTS: Final = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5, "retry_on_timeout": False}


class _Publisher:
    """One thread and one connection per process, created at the first use so that a fork does not inherit them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._connection: Any = None
        self._resting_until = 0.0

    def publish(self, task: str, keys: list[str], *, queue: str, patience: float) -> bool:
        """Send one message per key. Returns True if the broker accepted all of them within `patience` seconds."""
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
        """The number of messages in `queue`. Raises the broker's errors within the socket timeouts."""
        with current_app.connection_for_read(
            transport_options={**settings.CELERY_BROKER_TRANSPORT_OPTIONS, **SOCKET_TIMEOUTS}
        ) as connection:
            connection.connect()
            return int(connection.default_channel._size(queue))  # type: ignore[attr-defined]  # kombu's Redis channel has it

    def forget(self) -> None:
        """Drop thread, connection and pause (after a fork, and between tests)."""
        self.__init__()  # type: ignore[misc]  # resets every field


_publisher = _Publisher()


def publish(task: str, keys: list[str], *, queue: str, patience: float = PATIENCE) -> bool:
    """Send `task` once per primary key to `queue`. Never raises, and never takes longer than `patience` seconds.

    Returns whether the broker accepted the messages. If not, the sweep of the rows' owner sends them again.
    """
    return not keys or _publisher.publish(task, keys, queue=queue, patience=patience)


def publish_photos(photo_ids: list[UUID], *, patience: float = PATIENCE) -> bool:
    """Send these photos to the inference workers; see `publish`."""
    return publish(PREDICT_TASK, [str(photo_id) for photo_id in photo_ids], queue=INFERENCE_QUEUE, patience=patience)


def queue_depth(queue: str = INFERENCE_QUEUE) -> int:
    """The number of messages in the broker. Raises the broker's error within about a second if it does not answer."""
    return _publisher.depth(queue)


def forget_connections() -> None:
    """Drop inherited connections. Called in a worker child after the fork."""
    _publisher.forget()
