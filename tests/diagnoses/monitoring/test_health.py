"""`/health/live` and `/health/ready`: correct, in bounded time, without internal details."""

import datetime
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.utils import timezone

from diagnoses.classifiers.models import Classifier
from diagnoses.monitoring import health
from diagnoses.photos.models import Worker

# Much more than the checks may take; a hanging server would take for ever.
LATE = 10.0


@pytest.fixture(autouse=True)
def fresh_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the threads and cached results of the previous test."""
    monkeypatch.setattr(health, "_probes", health._Probes())
    monkeypatch.setitem(health.CHECKS, "storage", health.StorageProbe())


@pytest.fixture
def everything(transactional_db: None, redis_server: Any) -> None:
    """Everything that a ready application needs."""
    Classifier.objects.create(version="v", sha256="a" * 64, manifest={}, stage="live", promoted=timezone.now())
    Worker.objects.create(name="w", last_seen=timezone.now())


def ask() -> tuple[int, dict[str, str]]:
    response = Client().get("/health/ready")
    return response.status_code, response.json()["checks"]


def failed() -> set[str]:
    """The failed checks. Asserts that the status agrees."""
    status, checks = ask()
    assert set(checks) == {"database", "broker", "storage", "classifier", "worker"}
    bad = {name for name, outcome in checks.items() if outcome != "ok"}
    assert status == (503 if bad else 200)
    return bad


def test_ready_when_everything_is_there(everything: None) -> None:
    assert failed() == set()
    assert Client().get("/health/ready").headers["Cache-Control"].count("no-store") == 1


def test_live_asks_nobody(db: None, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        response = Client().get("/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "live"})


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_exact_paths_and_safe_methods_only(everything: None, path: str) -> None:
    assert Client().head(path).status_code == 200
    assert Client().post(path).status_code == 405
    assert Client().get(f"{path}/").status_code == 404


def test_no_classifier_or_a_faulty_one(everything: None) -> None:
    Classifier.objects.update(fault="The weights are altered.")
    assert failed() == {"classifier"}
    Classifier.objects.update(stage="retired", fault="")
    assert failed() == {"classifier"}


def test_a_silent_worker(everything: None, settings: Any) -> None:
    Worker.objects.update(last_seen=timezone.now() - settings.WORKER_SILENCE - datetime.timedelta(seconds=1))
    assert failed() == {"worker"}


def test_a_broker_stopped_or_frozen(everything: None, redis_server: Any) -> None:
    for break_it in (redis_server.stop, redis_server.freeze):
        redis_server.make_healthy()
        assert failed() == set()
        break_it()
        started = time.monotonic()
        assert failed() == {"broker"}
        assert time.monotonic() - started < LATE


def test_a_storage_that_fails_or_lies(everything: None, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = default_storage._wrapped  # type: ignore[attr-defined]  # the lazy object's inside

    def refuse(*args: Any) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "_save", refuse)
        assert failed() == {"storage"}
    assert failed() == set()
    assert default_storage.listdir("health")[1] == [], "the probe cleans up"


def test_a_check_that_hangs_is_late_once_and_started_once(everything: None, monkeypatch: pytest.MonkeyPatch) -> None:
    released, starts = threading.Event(), []

    def hang() -> bool:
        starts.append(1)
        return released.wait(60)

    monkeypatch.setitem(health.CHECKS, "worker", hang)
    try:
        started = time.monotonic()
        for _ in range(3):
            assert failed() == {"worker"}
        assert len(starts) == 1, "a frozen server must not collect threads"
        assert time.monotonic() - started < LATE
    finally:
        released.set()
    deadline = time.monotonic() + LATE
    while failed() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert failed() == set()


@pytest.fixture
def frozen_database(everything: None) -> Iterator[None]:
    """The postmaster is stopped: new connections are taken by the kernel and never answered."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = Path(f"/proc/{cursor.fetchone()[0]}/stat")
    if not backend.exists():
        pytest.skip("needs a PostgreSQL server on this machine")
    postmaster = int(backend.read_text().rsplit(")", 1)[1].split()[1])
    os.kill(postmaster, signal.SIGSTOP)
    yield
    os.kill(postmaster, signal.SIGCONT)


def test_a_frozen_database_is_an_answer_too(frozen_database: None) -> None:
    started = time.monotonic()
    assert failed() == {"database", "classifier", "worker"}
    assert time.monotonic() - started < LATE
    assert Client().get("/health/live").status_code == 200


def test_the_answer_tells_nothing_of_the_inside(everything: None, redis_server: Any, settings: Any) -> None:
    redis_server.stop()
    body = json.dumps(Client().get("/health/ready").json())
    for secret in (settings.REDIS_URL, settings.DATABASES["default"]["NAME"], str(settings.MEDIA_ROOT), "Error", "/"):
        assert secret not in body
