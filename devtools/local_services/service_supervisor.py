"""The service supervisor: a small process of its own that runs one server for as long as anybody uses it.

`python -m devtools.local_services.service_supervisor postgres|redis CHECKOUT [--fleeting]`, started by this package.

Why a process between the users and the server. Users come and go and may be killed with `kill -9`; counting them in a
file goes wrong then. Here every user holds a shared lock on `var/run/<server>.users`, which the kernel releases when
the user dies in whatever way. The keeper tries the exclusive lock on the same file twice a second; when it gets it
nobody is left, and it stops the server and ends. The other way round, should the keeper itself be killed, the kernel
tells the server to shut down (`devtools.parent_death`). So no way of dying leaves a server running for ever, and none
takes a server from under somebody else's feet except killing its keeper; the next start heals that.

A server that dies while it is in use is started again.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import psutil

from devtools.local_services.paths import FileLock, LocalServiceError, Places, keep_log_small
from devtools.local_services.servers import SERVERS, Server
from devtools.parent_death import die_with_parent

POLL_S = 0.1
# How often the keeper asks whether anybody is left: leaving is noticed this late at most.
USERS_POLL_S = 0.5
# A crash recovery reads the write-ahead log of minutes at most; a server silent for longer is not coming.
START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 15
RESTART_PAUSE_S = 1.0
# A server that dies this often in a row without ever answering is given up.
START_ATTEMPTS = 3


class Keeper:
    """Runs `server` until nobody holds the users' lock."""

    def __init__(self, server: Server) -> None:
        """Nothing starts yet."""
        self.server = server
        self.places = server.places
        self._process: subprocess.Popen[bytes] | None = None
        self._told_to_stop = False

    def run(self) -> int:
        """Return the exit status: 0 also when another keeper was faster."""
        name = self.server.name
        own = FileLock(self.places.lock(name, "keeper"))
        if not own.try_take():
            return 0
        users = FileLock(self.places.lock(name, "users"))
        self._listen()
        try:
            self._start()
            # Written whole or not at all: whoever sees the file may connect.
            address = self.places.address(name)
            draft = address.with_suffix(".draft")
            draft.write_text(self.server.url())
            draft.rename(address)
            self._watch(users)
        except LocalServiceError as error:
            self.places.error(name).write_text(str(error))
            return 1
        finally:
            self.places.address(name).unlink(missing_ok=True)
            self._stop()
        return 0

    def _listen(self) -> None:
        def stop(_signum: int, _frame: FrameType | None) -> None:
            self._told_to_stop = True

        signal.signal(signal.SIGTERM, stop)
        # Ctrl-C and a closing terminal are for the users; the keeper leaves when they have left.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _start(self) -> None:
        for attempt in range(1, START_ATTEMPTS + 1):
            self._stop_strays()
            self.server.prepare()
            self._spawn()
            if self._wait_until_it_answers():
                self.server.finish()
                return
            self._stop()
            if attempt < START_ATTEMPTS:
                time.sleep(RESTART_PAUSE_S)
        log = self.places.log(self.server.name)
        raise LocalServiceError(
            f"The local {self.server.name} server does not start. The end of {log}:\n{_end_of(log)}"
        )

    def _spawn(self) -> None:
        user = self.server.user
        with self.places.log(self.server.name).open("ab") as log:
            try:
                self._process = subprocess.Popen(
                    self.server.command(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.server.data,
                    user=user.uid,
                    group=user.gid,
                    extra_groups=None if user.uid is None else [],
                    preexec_fn=die_with_parent(self.server.stop_signal),  # noqa: PLW1509 - the keeper has one thread
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise LocalServiceError(
                    f"The local {self.server.name} server cannot be started as {user.name}: {error}"
                ) from error

    def _wait_until_it_answers(self) -> bool:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and not self._told_to_stop:
            if self._process is None or self._process.poll() is not None:
                return False
            if self.server.answers():
                return True
            time.sleep(POLL_S / 2)
        return False

    def _watch(self, users: FileLock) -> None:
        while not self._told_to_stop:
            if users.try_take():
                return
            if self._process is None or self._process.poll() is not None:
                print(f"keeper: {self.server.name} ended by itself, starting it again", flush=True)  # noqa: T201 - goes to var/log
                time.sleep(RESTART_PAUSE_S)
                self._start()
            time.sleep(USERS_POLL_S)

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(self.server.stop_signal)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _stop_strays(self) -> None:
        """Stop a server that outlived its keeper: its working folder is our data folder."""
        strays = [
            process
            for process in psutil.process_iter(["name", "cwd"])
            if process.info["name"] == self.server.process_name and process.info["cwd"] == str(self.server.data)
        ]
        for process in strays:
            _signal(process, self.server.stop_signal)
        _, stubborn = psutil.wait_procs(strays, timeout=STOP_TIMEOUT_S)
        for process in stubborn:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(stubborn, timeout=STOP_TIMEOUT_S)


def _signal(process: psutil.Process, signum: signal.Signals) -> None:
    try:
        process.send_signal(signum)
    except psutil.NoSuchProcess:
        return


def _end_of(log: Path, *, lines: int = 15) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def main() -> int:
    """Parse the command line and keep one server."""
    parser = argparse.ArgumentParser(description="Run a local server for as long as somebody uses it.")
    parser.add_argument("server", choices=sorted(SERVERS))
    parser.add_argument("base_dir", type=Path)
    parser.add_argument("--fleeting", action="store_true", help="no crash safety: for tests")
    arguments = parser.parse_args()
    places = Places(arguments.base_dir.resolve())
    places.make()
    keep_log_small(places.log(arguments.server))
    os.umask(0o077)
    return Keeper(SERVERS[arguments.server](places, durable=not arguments.fleeting)).run()


if __name__ == "__main__":
    sys.exit(main())
