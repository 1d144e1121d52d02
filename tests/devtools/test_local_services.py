"""The local PostgreSQL and Redis of a checkout: shared, restarted after a crash, never left running."""

import ast
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
import redis

from devtools.local_services import for_tests
from devtools.local_services.paths import LONGEST_SOCKET_DIR

ROOT = Path(__file__).resolve().parents[2]
# Nothing waits this long unless it is broken.
PATIENCE_S = 60
SUPERVISOR = "devtools.local_services.service_supervisor"

USER_PROGRAM = """
import json, os, sys
from pathlib import Path
from typing import Any
from devtools.local_services import LocalServiceError, start_missing
try:
    services = start_missing(Path(sys.argv[1]), durable=sys.argv[2] == "durable")
except LocalServiceError as error:
    sys.exit(str(error))
with services:
    print(json.dumps({"postgres": os.environ["DATABASE_URL"], "redis": os.environ["REDIS_URL"],
                      "started": services.started}), flush=True)
    sys.stdin.readline()
"""


class User:
    """A process that uses the servers of a checkout."""

    def __init__(self, checkout: Path, *, durable: bool = False, **environment: str) -> None:
        clean = {key: value for key, value in os.environ.items() if key not in UNCONFIGURED}
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER_PROGRAM, str(checkout), "durable" if durable else "fleeting"],
            cwd=ROOT,
            env={**clean, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.answer: dict[str, Any] = {}

    def wait_until_ready(self) -> "User":
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(f"The servers did not start: {self.complaint()}")
        self.answer = json.loads(line)
        return self

    def complaint(self) -> str:
        """Wait for its end and return its error output."""
        return self.process.communicate(timeout=PATIENCE_S)[1]

    def leave(self) -> None:
        self.process.communicate("\n", timeout=PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        connection = psycopg2.connect(self.answer["postgres"])
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def redis(self) -> "redis.Redis":
        return redis.Redis.from_url(self.answer["redis"])


UNCONFIGURED = {"DATABASE_URL", "REDIS_URL", for_tests.MARK}


def processes_of(checkout: Path) -> list[psutil.Process]:
    """Service supervisors and servers of a checkout."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "name"]):
        command = process.info["cmdline"] or []
        supervisor = SUPERVISOR in command and str(checkout) in command
        server = process.info["name"] in {"postgres", "redis-server"} and (process.info["cwd"] or "").startswith(
            f"{checkout}/"
        )
        if supervisor or server:
            found.append(process)
    return found


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"Never happened: {what}")
        time.sleep(0.05)


@pytest.fixture
def make_checkout() -> Iterator[Callable[[str], Path]]:
    """Make empty folders as checkouts. Not in pytest's folder: if root runs pytest, the servers cannot enter it."""
    parent = Path(tempfile.mkdtemp(prefix="teri-checkouts-"))

    def make(name: str) -> Path:
        folder = parent / name
        folder.mkdir(parents=True)
        return folder

    yield make
    for process in psutil.process_iter(["cmdline"]):
        if any(str(parent) in argument for argument in process.info["cmdline"] or []):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    shutil.rmtree(parent, ignore_errors=True)


def test_data_survive_a_restart_and_nothing_is_left_running(make_checkout: Callable[[str], Path]) -> None:
    checkout = make_checkout("one")
    first = User(checkout, durable=True).wait_until_ready()
    assert first.answer["started"] == ["postgres", "redis"]
    first.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with first.redis() as client:
        client.set("kept", "42")
    first.leave()
    # leave() returns when the process has ended, and the process ends after its servers.
    assert processes_of(checkout) == []

    second = User(checkout, durable=True).wait_until_ready()
    assert second.execute("SELECT answer FROM kept") == [(42,)]
    with second.redis() as client:
        assert client.get("kept") == b"42"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("port") == {"port": "0"}
    second.leave()


def test_two_checkouts_have_nothing_in_common(make_checkout: Callable[[str], Path]) -> None:
    one, two = (User(make_checkout(name)) for name in ("one", "two"))
    one.wait_until_ready()
    two.wait_until_ready()
    one.execute("CREATE TABLE only_here AS SELECT 1")
    assert two.execute("SELECT to_regclass('only_here')") == [(None,)]
    with one.redis() as client:
        client.set("only here", "1")
    with two.redis() as client:
        assert client.get("only here") is None
    one.leave()
    assert two.execute("SELECT 1") == [(1,)]
    two.leave()


def test_servers_stay_for_the_last_user_even_if_the_first_is_killed(make_checkout: Callable[[str], Path]) -> None:
    checkout = make_checkout("shared")
    first = User(checkout).wait_until_ready()
    second = User(checkout).wait_until_ready()
    assert first.answer["postgres"] == second.answer["postgres"]
    first.kill()
    third = User(checkout).wait_until_ready()
    third.leave()
    assert second.execute("SELECT 1") == [(1,)]
    assert len([process for process in processes_of(checkout) if SUPERVISOR in (process.info["cmdline"] or [])]) == 2
    second.kill()
    wait_for(lambda: not processes_of(checkout), "the servers stop after the last user was killed")


def test_killed_servers_and_supervisors_are_replaced(make_checkout: Callable[[str], Path]) -> None:
    checkout = make_checkout("hurt")
    user = User(checkout, durable=True).wait_until_ready()
    user.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    server = int((checkout / "var/postgres/postmaster.pid").read_text().split()[0])
    os.kill(server, signal.SIGKILL)

    def answers() -> bool:
        with contextlib.suppress(psycopg2.OperationalError):
            return user.execute("SELECT answer FROM kept") == [(42,)]
        return False

    wait_for(answers, "a killed server is started again")

    for process in processes_of(checkout):
        if SUPERVISOR in (process.info["cmdline"] or []):
            process.kill()
    wait_for(lambda: not processes_of(checkout), "the servers stop with their killed supervisors")
    healed = User(checkout, durable=True).wait_until_ready()
    assert healed.execute("SELECT answer FROM kept") == [(42,)]
    healed.leave()
    user.leave()


def test_pid_file_of_a_stranger_does_not_stop_the_start(make_checkout: Callable[[str], Path]) -> None:
    checkout = make_checkout("rebooted")
    User(checkout).wait_until_ready().leave()
    data = checkout / "var/postgres"
    # After a reboot the number in the file may belong to any living process: here, to one of the servers' own user.
    stranger = subprocess.Popen(
        ["sleep", "600"], user=data.stat().st_uid if os.geteuid() == 0 else None, stdin=subprocess.DEVNULL
    )
    try:
        for path in (data / "postmaster.pid", checkout / "var/run/sockets/.s.PGSQL.5432.lock"):
            path.write_text(f"{stranger.pid}\n{data}\n1700000000\n5432\n\n\n   1 1\nready\n")
        user = User(checkout).wait_until_ready()
        assert user.execute("SELECT 1") == [(1,)]
        user.leave()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_deep_path_and_unusual_characters(make_checkout: Callable[[str], Path]) -> None:
    checkout = make_checkout("a folder with spaces & Қазақ letters/" + "x" * LONGEST_SOCKET_DIR)
    user = User(checkout).wait_until_ready()
    assert user.execute("SELECT 1") == [(1,)]
    with user.redis() as client:
        assert client.ping()
    sockets = Path(user.answer["redis"].removeprefix("unix://")).parent
    assert not sockets.is_relative_to(checkout)
    assert sockets.stat().st_mode & 0o077 == 0
    user.leave()
    shutil.rmtree(sockets)


def test_the_longest_folder_of_sockets_is_short_enough_for_the_kernel() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as parent:
        folder = Path(parent) / ("x" * (LONGEST_SOCKET_DIR - len(parent) - 1))
        folder.mkdir()
        assert len(str(folder)) == LONGEST_SOCKET_DIR
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(folder / ".s.PGSQL.5432.lock"))


def test_unusable_folders_are_explained(make_checkout: Callable[[str], Path]) -> None:
    in_the_way = make_checkout("in-the-way")
    (in_the_way / "var").write_text("not a folder")
    assert "cannot be written" in User(in_the_way).complaint()

    old = make_checkout("old")
    (old / "var/postgres").mkdir(parents=True)
    (old / "var/postgres/PG_VERSION").write_text("12\n")
    complaint = User(old).complaint()
    assert "was made by PostgreSQL 12" in complaint
    assert "Traceback" not in complaint


def test_configured_servers_are_used_and_none_is_started(make_checkout: Callable[[str], Path]) -> None:
    checkout = make_checkout("configured")
    user = User(checkout, DATABASE_URL="postgresql://db.example/teri", REDIS_URL="redis://mq.example/0")
    user.wait_until_ready()
    assert user.answer == {
        "postgres": "postgresql://db.example/teri",
        "redis": "redis://mq.example/0",
        "started": [],
    }
    user.leave()
    assert list(checkout.iterdir()) == []


def test_local_services_import_no_django() -> None:
    paths = [*(ROOT / "devtools/local_services").glob("*.py"), ROOT / "devtools/parent_death.py"]
    assert len(paths) > 2
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "django"], path


def test_many_processes_start_at_once(make_checkout: Callable[[str], Path]) -> None:
    checkout = make_checkout("crowded")
    users = [User(checkout) for _ in range(5)]
    for user in users:
        user.wait_until_ready()
    assert len({user.answer["postgres"] for user in users}) == 1
    for user in users:
        user.leave()
        assert user.process.returncode == 0
    assert processes_of(checkout) == []


@pytest.mark.parametrize(
    ("process", "its_own_redis"),
    [
        pytest.param("gw7", True, id="of-xdist"),
        pytest.param(None, False, id="started-by-a-test"),
    ],
)
def test_processes_of_one_run_share_postgresql_alone(process: str | None, its_own_redis: bool) -> None:
    asked = "import os; from devtools.local_services.for_tests import start_for_tests as go; go(); go(); "
    environment = {**os.environ, for_tests.MARK: "pytest", "REDIS_URL": "redis://mq.example/0"}
    environment.pop(for_tests.XDIST, None)
    if process:
        environment[for_tests.XDIST] = process
    done = subprocess.run(
        [sys.executable, "-c", asked + "print(os.environ['DATABASE_URL'], os.environ['REDIS_URL'])"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    database, queue = done.stdout.split()
    assert database == os.environ["DATABASE_URL"]
    assert (queue != "redis://mq.example/0") is its_own_redis
