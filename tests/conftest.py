"""Servers, workers and web servers for the tests. The servers themselves: devtools/local_services/for_tests.py.

Real processes see only what is committed, so the fixtures that start them use `transactional_db`, and end them before
the database is emptied.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import translation

from devtools.local_services import for_tests
from devtools.local_services.for_tests import PrivateRedis
from devtools.local_services.paths import FileLock
from devtools.parent_death import die_with_parent
from diagnoses.classifiers.models import Classifier
from diagnoses.photos.queue import forget_connections

ROOT = Path(__file__).resolve().parent.parent
# A Celery worker on two busy cores; nobody waits for it where it is quicker.
START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 20


@dataclass
class RealProcess:
    """A process that a test started."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Process id of the parent process."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def log_text(self) -> str:
        """Everything it has written so far."""
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """`kill -9` of the process and its children at once; waits until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> int:
        """SIGTERM; waits and returns the exit status."""
        self.process.terminate()
        return self.process.wait(STOP_TIMEOUT_S)

    def freeze(self) -> None:
        """SIGSTOP the process and its children."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.killpg(self.pid, signal.SIGCONT)

    def wait_for_log(self, text: str, *, timeout: float = START_TIMEOUT_S) -> None:
        """Wait until `text` appears in the log; fails with the log's end otherwise."""
        deadline = time.monotonic() + timeout
        while text not in self.log_text():
            if not self.running:
                pytest.fail(f"The process ended (status {self.process.returncode}):\n{self.log_text()[-4000:]}")
            if time.monotonic() > deadline:
                pytest.fail(f"{text!r} never appeared in the log:\n{self.log_text()[-4000:]}")
            time.sleep(0.05)


def _test_database_url() -> str:
    """The address of pytest-django's database: DATABASE_URL with the name of the test database."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    return urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))


def _environment(overrides: dict[str, str]) -> dict[str, str]:
    from django.conf import settings

    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "DATABASE_URL": _test_database_url(),
        "MEDIA_ROOT": str(settings.MEDIA_ROOT),
        "PYTHONUNBUFFERED": "1",
        **overrides,
    }


def _start(
    command: Sequence[str], *, log: Path, environment: dict[str, str], pass_fds: Sequence[int] = ()
) -> RealProcess:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - three system calls, no locks
        )
    return RealProcess(process, log)


@pytest.fixture(autouse=True)
def language_of_the_test() -> Iterator[None]:
    """Deactivate the language after each test: a page in Russian leaves Russian active in this thread."""
    yield
    translation.deactivate()


@pytest.fixture
def redis_server() -> Iterator[PrivateRedis]:
    """The tests' own Redis, empty. A test may stop, freeze or flush it; afterwards it works again."""
    server = for_tests.private_redis
    assert server is not None, "the settings of this run are not config.settings.test"
    server.make_healthy()
    forget_connections()
    yield server
    server.make_healthy()
    forget_connections()


StartWorker = Callable[..., RealProcess]


@pytest.fixture
def celery_worker_process(transactional_db: None, redis_server: PrivateRedis, tmp_path: Path) -> Iterator[StartWorker]:
    """Start real Celery workers: `start(queues="inference", env={"FAULT": "..."}, arguments=[...])`.

    Returns a `RealProcess` once the worker is ready. `wait=False` returns at once, for a worker that is to fail.
    """
    started: list[RealProcess] = []

    def start(
        *,
        queues: str = "inference,maintenance",
        env: dict[str, str] | None = None,
        arguments: Sequence[str] = (),
        wait: bool = True,
    ) -> RealProcess:
        name = f"worker{len(started) + 1}"
        command = [
            sys.executable, "-m", "celery", "-A", "config", "worker", "--queues", queues, "--pool", "prefork",
            "--concurrency", "1", "--hostname", f"{name}-{os.getpid()}@%h", "--loglevel", "INFO",
            "--without-gossip", "--without-mingle", *arguments,
        ]  # fmt: skip
        # The mark by which the application knows an inference worker, as `manage.py inference_worker` sets it.
        kind = {"TERI_WORKER": "inference"} if "inference" in queues.split(",") else {}
        worker = _start(command, log=tmp_path / f"{name}.log", environment={**kind, **(env or {})})
        started.append(worker)
        if wait:
            worker.wait_for_log(" ready.")
        return worker

    yield start
    for worker in started:
        worker.kill()


@pytest.fixture
def celery_beat_process(transactional_db: None, redis_server: PrivateRedis, tmp_path: Path) -> Iterator[RealProcess]:
    """The real scheduler, which sends the sweep every few seconds."""
    beat = _start(
        [
            sys.executable, "-m", "celery", "-A", "config", "beat", "--pidfile", "", "--loglevel", "INFO",
            "--schedule", str(tmp_path / "schedule"),
        ],
        log=tmp_path / "beat.log",
        environment={},
    )  # fmt: skip
    beat.wait_for_log("beat: Starting")
    yield beat
    beat.kill()


@dataclass
class LiveWeb(RealProcess):
    """A real web server; `url` has no slash at the end."""

    url: str


@pytest.fixture
def live_web(transactional_db: None, redis_server: PrivateRedis, tmp_path: Path) -> Iterator[LiveWeb]:
    """gunicorn on a free port, with the settings of the tests and the tests' database."""
    cache.clear()  # rate limits of the last test
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        started = _start(
            [
                sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn", "--workers", "1",
                "--bind", f"fd://{listener.fileno()}", "config.wsgi:application",
            ],
            log=tmp_path / "web.log",
            environment={},
            pass_fds=[listener.fileno()],
        )  # fmt: skip
    web = LiveWeb(started.process, started.log, f"http://127.0.0.1:{port}")
    _wait_until_it_answers(web)
    yield web
    web.kill()


def _wait_until_it_answers(web: LiveWeb) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            urllib.request.urlopen(f"{web.url}/health/live", timeout=START_TIMEOUT_S).close()
        except urllib.error.HTTPError as error:
            error.close()  # an answer all the same
        except OSError as error:
            if not web.running or time.monotonic() > deadline:
                pytest.fail(f"The web server does not answer ({error}):\n{web.log_text()[-4000:]}")
            time.sleep(0.05)
            continue
        return


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real sealed bundle of the tiny network, trained by the real command on generated pictures.

    In a process of its own: the tests' process never loads TensorFlow. Kept under `var/` for the next session, until
    any of the code that makes it changes.
    """
    from tests.factories import write_dataset

    kept = ROOT / "var" / "test-bundles" / _fingerprint_of_training()
    kept.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(FileLock(kept.parent / "lock")) as lock:
        lock.take()  # another process of the same tests waits for it instead of training as well
        if kept.is_dir():
            return kept
        folder = tmp_path_factory.mktemp("tiny")
        write_dataset(folder / "data")
        command = [
            sys.executable, "manage.py", "train_default_classifier", "--data", str(folder / "data"),
            "--recipe", "SMOKE", "--output", str(folder / "bundle"), "--work", str(folder / "work"),
            "--bundle-version", "tiny-for-tests",
        ]  # fmt: skip
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.test"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        shutil.move(folder / "bundle", kept)
    return kept


def _fingerprint_of_training() -> str:
    sources = [ROOT / "recognition/taxonomy.py", ROOT / "tests/factories.py"]
    for folder in (
        "recognition/inference",
        "recognition/datasets",
        "recognition/recipes",
        "recognition/evaluation",
        "recognition/fit",
    ):
        sources += sorted((ROOT / folder).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


@pytest.fixture
def tiny_classifier(db: None, tiny_bundle: Path) -> Classifier:
    """The tiny classifier, registered and live in the test's database."""
    from diagnoses.classifiers.services import DEFAULT_REASON, promote_classifier, register_bundle

    return promote_classifier(classifier=register_bundle(directory=tiny_bundle), reason=DEFAULT_REASON)
