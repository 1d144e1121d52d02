"""PostgreSQL and Redis for a machine that has neither, so that a fresh clone runs with nothing configured.

`start_missing(base_dir)` looks at `DATABASE_URL` and `REDIS_URL`. An address that is set is used. For one that is not
set, it starts the server that pip installed, with its data under `var/`. Processes of one checkout share the servers,
and the servers stop after the last process (`service_supervisor.py` says how that survives `kill -9`). There is no
Django in here: the settings read the two addresses, so the servers start before Django.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from devtools.local_services.paths import SUPERVISOR_LOCK, CheckoutPaths, FileLock, LocalServiceError, exclusive
from devtools.local_services.servers import ServerName

__all__ = ["LocalServiceError", "LocalServices", "start_missing"]

# The environment variable that holds the address of each server.
VARIABLES: dict[ServerName, str] = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}
# Longer than a service supervisor tries, because its message says more.
START_TIMEOUT_S = 300
# A service supervisor looks for users twice a second and gives its server 15 seconds to stop.
LEAVE_TIMEOUT_S = 18
POLL_S = 0.03
# The folder that holds the `devtools` package; in tests it is not `base_dir`.
CODE_DIR = Path(__file__).resolve().parent.parent.parent


class LocalServices:
    """The local servers that this process uses, for as long as the object is open; a context manager.

    `started` names these servers: empty when both addresses were configured.
    """

    def __init__(self, base_dir: Path, *, durable: bool = True) -> None:
        """See `start_missing`."""
        self.paths = CheckoutPaths(base_dir.resolve())
        self.durable = durable
        self._holds: dict[ServerName, FileLock] = {}
        self._supervisors: dict[ServerName, subprocess.Popen[bytes]] = {}

    @property
    def started(self) -> list[ServerName]:
        """Names of the local servers this process uses."""
        return list(self._holds)

    @property
    def lock_fds(self) -> list[int]:
        """File descriptors for `pass_fds` of children that need the servers for longer than this process."""
        return [hold.fd for hold in self._holds.values()]

    def start(self) -> None:
        """Start the missing servers and set the addresses in `os.environ`. Raises LocalServiceError with the reason."""
        missing = [server for server, variable in VARIABLES.items() if not os.environ.get(variable)]
        if not missing:
            return
        self.paths.make()
        try:
            for server in missing:
                # Inheritable: a command that replaces itself by a worker (exec) goes on using the servers.
                hold = FileLock(self.paths.lock(server, "users"), inheritable=True)
                hold.share()
                self._holds[server] = hold
            for server in missing:  # start both before waiting, so that they start side by side
                self._ensure_supervisor(server)
            for server in missing:
                os.environ[VARIABLES[server]] = self._wait_for(server)
        except BaseException:
            self.close()
            raise

    def heal(self) -> None:
        """Start service supervisors again that were killed; cheap enough for every second."""
        for server in self._holds:
            self._ensure_supervisor(server)

    def _ensure_supervisor(self, server: ServerName) -> None:
        """Start a service supervisor unless one runs."""
        lock = FileLock(self.paths.lock(server, SUPERVISOR_LOCK))
        try:
            with exclusive(self.paths.lock(server, "starting")):
                mine = self._supervisors.get(server)
                if (mine is not None and mine.poll() is None) or lock.is_held_elsewhere():
                    return
                self.paths.address(server).unlink(missing_ok=True)
                self.paths.error(server).unlink(missing_ok=True)
                self._supervisors[server] = self._start_supervisor(server)
        finally:
            lock.close()

    def _start_supervisor(self, server: ServerName) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "devtools.local_services.service_supervisor",
            server,
            str(self.paths.base_dir),
        ]
        with self.paths.log(server).open("ab") as log:
            return subprocess.Popen(
                command if self.durable else [*command, "--fleeting"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=CODE_DIR,
                # A session of its own: Ctrl-C and a closing terminal do not reach it.
                start_new_session=True,
            )

    def _wait_for(self, server: ServerName) -> str:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                return self.paths.address(server).read_text()
            except FileNotFoundError:
                pass
            mine = self._supervisors.get(server)
            if mine is None or mine.poll() is not None:
                if self.paths.error(server).exists():
                    raise LocalServiceError(self.paths.error(server).read_text())
                if mine is not None and mine.returncode != 0:
                    raise LocalServiceError(
                        f"The supervisor of the local {server} server ended unexpectedly; see {self.paths.log(server)}."
                    )
                # The supervisor that ran when this process came was about to end.
                self._ensure_supervisor(server)
            time.sleep(POLL_S)
        raise LocalServiceError(f"The local {server} server did not answer; see {self.paths.log(server)}.")

    def close(self) -> None:
        """Stop using the servers; wait until those that nobody else uses have stopped. A second call does nothing."""
        for server, hold in list(self._holds.items()):
            hold.release()
            os.environ.pop(VARIABLES[server], None)
        for server, hold in list(self._holds.items()):
            self._wait_until_left(server, hold)
            hold.close()
        self._holds.clear()

    def _wait_until_left(self, server: ServerName, users: FileLock) -> None:
        lock = FileLock(self.paths.lock(server, SUPERVISOR_LOCK))
        deadline = time.monotonic() + LEAVE_TIMEOUT_S
        try:
            while time.monotonic() < deadline:
                if mine := self._supervisors.get(server):
                    mine.poll()
                if not lock.is_held_elsewhere():
                    break
                if not users.try_take() and users.try_share():
                    break  # somebody else still uses it
                users.release()
                time.sleep(POLL_S)
        finally:
            lock.close()

    def __enter__(self) -> Self:
        """Nothing to do: `start_missing` has started the servers."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop using the servers."""
        self.close()


def start_missing(base_dir: Path, *, durable: bool = True) -> LocalServices:
    """Start the servers whose address is not configured and set `DATABASE_URL` and `REDIS_URL` in `os.environ`.

    Data are kept under `base_dir/var`. Use the returned object with `with`: on exit it stops the servers that no other
    process of the checkout uses. `durable=False` gives up crash safety for speed, for tests. Raises LocalServiceError
    if a server cannot be started; its text is for the person at the terminal.
    """
    services = LocalServices(base_dir, durable=durable)
    services.start()
    return services
