"""PostgreSQL and Redis for a machine that has neither, so that a fresh clone runs with nothing configured.

`start_missing(base_dir)` looks at `DATABASE_URL` and `REDIS_URL`: what is set is used as it is, what is not set is
answered by the server that pip installed, with its data under `var/`. Processes of one checkout share the servers;
the last one to leave stops them (`keeper.py` says how that survives `kill -9`). No Django in here: settings read the
two addresses, so they have to be known first.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from devtools.local_services.paths import FileLock, LocalServiceError, Places, exclusive
from devtools.local_services.servers import ServerName

__all__ = ["LocalServiceError", "LocalServices", "start_missing"]

# The environment variable each server answers for.
VARIABLES: dict[ServerName, str] = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}
# Longer than a keeper tries: it has the better message.
START_TIMEOUT_S = 300
# A keeper looks for users twice a second and gives its server 15 seconds.
LEAVE_TIMEOUT_S = 18
POLL_S = 0.03
# The folder that holds the `config` package, which is not `base_dir` in tests.
CODE_DIR = Path(__file__).resolve().parent.parent.parent


class LocalServices:
    """A hold on the local servers this process uses; a context manager that lets go at the end.

    `started` names the servers that are held: empty when both addresses were configured.
    """

    def __init__(self, base_dir: Path, *, durable: bool = True) -> None:
        """See `start_missing`."""
        self.places = Places(base_dir.resolve())
        self.durable = durable
        self._holds: dict[ServerName, FileLock] = {}
        self._keepers: dict[ServerName, subprocess.Popen[bytes]] = {}

    @property
    def started(self) -> list[ServerName]:
        """Names of the servers this process holds."""
        return list(self._holds)

    @property
    def lock_fds(self) -> list[int]:
        """File descriptors to hand to children (`pass_fds`) which need the servers for longer than this process."""
        return [hold.fd for hold in self._holds.values()]

    def start(self) -> None:
        """Start what is missing and set the addresses in `os.environ`; raises LocalServiceError with the reason."""
        missing = [server for server, variable in VARIABLES.items() if not os.environ.get(variable)]
        if not missing:
            return
        self.places.make()
        try:
            for server in missing:
                # Kept through exec: a command that turns itself into a worker goes on using the servers.
                hold = FileLock(self.places.lock(server, "users"), inheritable=True)
                hold.share()
                self._holds[server] = hold
            for server in missing:  # both first, then wait: they start side by side
                self._call_keeper(server)
            for server in missing:
                os.environ[VARIABLES[server]] = self._wait_for(server)
        except BaseException:
            self.close()
            raise

    def heal(self) -> None:
        """Call a keeper back that was killed; cheap enough to be asked every second."""
        for server in self._holds:
            self._call_keeper(server)

    def _call_keeper(self, server: ServerName) -> None:
        """Start a keeper unless one is there."""
        keeper = FileLock(self.places.lock(server, "keeper"))
        try:
            with exclusive(self.places.lock(server, "starting")):
                mine = self._keepers.get(server)
                if (mine is not None and mine.poll() is None) or keeper.is_held_elsewhere():
                    return
                self.places.address(server).unlink(missing_ok=True)
                self.places.error(server).unlink(missing_ok=True)
                self._keepers[server] = self._start_keeper(server)
        finally:
            keeper.close()

    def _start_keeper(self, server: ServerName) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "devtools.local_services.service_supervisor",
            server,
            str(self.places.base_dir),
        ]
        with self.places.log(server).open("ab") as log:
            return subprocess.Popen(
                command if self.durable else [*command, "--fleeting"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=CODE_DIR,
                # Its own session: Ctrl-C at the terminal and a closing terminal do not reach it.
                start_new_session=True,
            )

    def _wait_for(self, server: ServerName) -> str:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                return self.places.address(server).read_text()
            except FileNotFoundError:
                pass
            mine = self._keepers.get(server)
            if mine is None or mine.poll() is not None:
                if self.places.error(server).exists():
                    raise LocalServiceError(self.places.error(server).read_text())
                if mine is not None and mine.returncode != 0:
                    raise LocalServiceError(
                        f"The keeper of the local {server} server ended unexpectedly; see {self.places.log(server)}."
                    )
                # The one that was there when we came was about to leave.
                self._call_keeper(server)
            time.sleep(POLL_S)
        raise LocalServiceError(f"The local {server} server did not answer; see {self.places.log(server)}.")

    def close(self) -> None:
        """Let go of the servers and wait for those to stop which nobody else uses; the second time does nothing."""
        for server, hold in list(self._holds.items()):
            hold.release()
            os.environ.pop(VARIABLES[server], None)
        for server, hold in list(self._holds.items()):
            self._wait_until_left(server, hold)
            hold.close()
        self._holds.clear()

    def _wait_until_left(self, server: ServerName, users: FileLock) -> None:
        keeper = FileLock(self.places.lock(server, "keeper"))
        deadline = time.monotonic() + LEAVE_TIMEOUT_S
        try:
            while time.monotonic() < deadline:
                if mine := self._keepers.get(server):
                    mine.poll()
                if not keeper.is_held_elsewhere():
                    break
                if not users.try_take() and users.try_share():
                    break  # somebody else still uses it
                users.release()
                time.sleep(POLL_S)
        finally:
            keeper.close()

    def __enter__(self) -> Self:
        """Nothing is left to do: `start_missing` has started the servers."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let go."""
        self.close()


def start_missing(base_dir: Path, *, durable: bool = True) -> LocalServices:
    """Start the servers whose address is not configured and set `DATABASE_URL` and `REDIS_URL` in `os.environ`.

    Data are kept under `base_dir/var`. Returns a handle (use it with `with`) that stops on exit what nobody else of the
    checkout uses. `durable=False` trades crash safety for speed, for tests. Raises LocalServiceError, whose text is
    meant for a person, if a server cannot be started.
    """
    services = LocalServices(base_dir, durable=durable)
    services.start()
    return services
