"""The fixtures that other tests use: real servers, real workers, a real web server, on the tests' database."""

import json
import os
import time
import urllib.request
from collections.abc import Callable
from typing import Protocol

import pytest
import redis
from celery import current_app
from django.contrib.auth import get_user_model
from django.db import connection

from devtools.local_services.for_tests import PrivateRedis
from diagnoses.photos.queue import queue_depth

pytestmark = pytest.mark.stack


class Worker(Protocol):
    """The part of a started worker that these tests use."""

    running: bool

    def wait_for_log(self, text: str) -> None:
        """Wait for a line."""

    def kill(self) -> None:
        """End it."""


class LiveWeb(Protocol):
    """The part of the web server that these tests use."""

    url: str


def test_database_is_private_postgresql(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT version(), current_database()")
        version, name = cursor.fetchone()
    assert version.startswith("PostgreSQL")
    assert name.startswith("test_")


def test_redis_can_be_stopped_frozen_and_emptied(redis_server: PrivateRedis) -> None:
    def client() -> redis.Redis:
        return redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=0.3, retry=None)

    with client() as connection_to_redis:
        connection_to_redis.set("key", "value")
        redis_server.flush()
        assert connection_to_redis.get("key") is None
    redis_server.freeze()
    with client() as frozen, pytest.raises(redis.TimeoutError):
        frozen.ping()
    redis_server.thaw()
    redis_server.stop()
    with client() as stopped, pytest.raises(redis.ConnectionError):
        stopped.ping()
    redis_server.start()
    with client() as again:
        assert again.ping()


def test_worker_takes_messages_from_the_queue_and_dies_whole(
    redis_server: PrivateRedis, celery_worker_process: Callable[..., Worker]
) -> None:
    worker = celery_worker_process(queues="training")
    current_app.send_task("nobody.knows_this", queue="training")
    worker.wait_for_log("nobody.knows_this")
    assert queue_depth("training") == 0
    worker.kill()
    assert not worker.running
    # On a busy machine Redis takes a while to see that nobody waits at the other end any more.
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        deadline = time.monotonic() + 10
        while client.info("clients")["blocked_clients"] and time.monotonic() < deadline:
            time.sleep(0.05)
    current_app.send_task("nobody.knows_this", queue="training")
    assert queue_depth("training") == 1


def test_web_server_reads_the_tests_database(live_web: LiveWeb) -> None:
    person = {"email": "somebody@example.org", "password": "a long enough password"}
    get_user_model().objects.create_user(**person)
    request = urllib.request.Request(
        f"{live_web.url}/api/v1/token/",
        data=json.dumps(person).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["token"]
