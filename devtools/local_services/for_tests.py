"""The servers of one pytest run: private and empty, stopped and deleted at its end.

`config.settings.test` calls `start_for_tests()` before anything else, because pytest-django reads the settings before
it reads any conftest. PostgreSQL comes from `DATABASE_URL` if that is set (pytest-django makes a database `test_...`
of its own there); Redis is always a private one, because the tests stop, freeze and empty it. Where pytest-xdist runs
several processes they share PostgreSQL, each with a database of its own, and each has its own Redis.
"""

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from devtools.local_services import start_missing
from devtools.local_services.paths import CheckoutPaths, LocalServiceError
from devtools.local_services.servers import Redis
from devtools.parent_death import die_with_parent

# Set for child processes (workers and web servers of a test), which use these servers and start none. Its value names
# the pytest process that started them: a process of pytest-xdist inherits the variable and needs a Redis of its own.
MARK = "TERI_TEST_SERVERS"
XDIST = "PYTEST_XDIST_WORKER"
START_TIMEOUT_S = 30


class PrivateRedis:
    """A Redis that a test can stop, freeze and empty. Nothing is written to disk."""

    def __init__(self, base_dir: Path) -> None:
        """Prepare its folders; `start` starts it."""
        paths = CheckoutPaths(base_dir.resolve())
        paths.make()
        self._server = Redis(paths, durable=False)
        self._server.prepare()
        self._process: subprocess.Popen[bytes] | None = None
        self.log = paths.log("redis")

    @property
    def url(self) -> str:
        """The value of REDIS_URL."""
        return self._server.url()

    @property
    def pid(self) -> int | None:
        """Process id, or None while it is stopped."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, empty, and wait until it answers; does nothing if it runs."""
        if self._process is not None:
            return
        self._server.prepare()
        user = self._server.user
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._server.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._server.data,
                user=user.uid,
                group=user.gid,
                extra_groups=None if user.uid is None else [],
                preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - three system calls, no locks
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._server.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise LocalServiceError(f"The tests' Redis does not start; see {self.log}.")
            time.sleep(0.02)

    def stop(self, signum: signal.Signals = signal.SIGKILL) -> None:
        """Stop it and wait for its end; all messages are lost. Does nothing if it is stopped."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signum)
            process.wait()

    def restart(self) -> None:
        """Stop and start: everything in it is lost."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def flush(self) -> None:
        """FLUSHALL: everything in it is lost, connections stay."""
        import redis

        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def make_healthy(self) -> None:
        """Bring it back to running, thawed and empty, whatever a test did to it."""
        self.thaw()
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        self.start()
        self.flush()


# The Redis of this process, if this is a pytest process.
private_redis: PrivateRedis | None = None


def start_for_tests() -> None:
    """Start the servers of this pytest run and set `DATABASE_URL` and `REDIS_URL`; a second call does nothing.

    They stop when this process ends, however it ends.
    """
    global private_redis
    process = os.environ.get(XDIST)
    if MARK in os.environ and process in {None, os.environ[MARK]}:
        return
    # Not in pytest's folder: other users cannot enter it, and under root PostgreSQL runs as another user.
    base_dir = Path(tempfile.mkdtemp(prefix="teri-tests-"))
    os.environ.pop("REDIS_URL", None)
    private_redis = PrivateRedis(base_dir)
    private_redis.start()
    os.environ["REDIS_URL"] = private_redis.url
    services = start_missing(base_dir, durable=False)
    os.environ[MARK] = process or "pytest"
    owner = os.getpid()

    def tidy() -> None:
        if os.getpid() != owner:  # a child that was forked without exec inherits this
            return
        services.close()
        if private_redis is not None:
            private_redis.stop()
        shutil.rmtree(base_dir, ignore_errors=True)

    atexit.register(tidy)
