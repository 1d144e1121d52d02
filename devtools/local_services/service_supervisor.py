"""The service supervisor: a small process that runs one server for as long as any process uses it.

`python -m devtools.local_services.service_supervisor postgres|redis CHECKOUT [--fleeting]`, started by this package.

The users of a server may be killed with `kill -9`, and a count of users in a file would be wrong then. So every user
holds a shared lock on `var/run/<server>.users`, which the kernel releases when the user ends, however it ends. Twice a
second the supervisor tries to get the exclusive lock on the same file. When it gets it, no user is left: it stops the
server and ends. If the supervisor is killed, the kernel tells the server to shut down (`devtools.parent_death`), and
the next start repairs that. So no server runs for ever, and only a killed supervisor stops a server in use.

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

from devtools.local_services.paths import SUPERVISOR_LOCK, CheckoutPaths, FileLock, LocalServiceError, keep_log_small
from devtools.local_services.servers import SERVERS, Server
from devtools.parent_death import die_with_parent

POLL_S = 0.1
# Seconds between two looks for users.
USERS_POLL_S = 0.5
# A crash recovery takes less than this; a server that is silent for longer will not answer.
START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 15
RESTART_PAUSE_S = 1.0
# A server that dies so many times in a row without ever answering is given up.
START_ATTEMPTS = 3


class ServiceSupervisor:
    """Runs `server` until no process holds the lock of its users."""

    def __init__(self, server: Server) -> None:
        """`run` starts the server."""
        self.server = server
        self.paths = server.paths
        self._process: subprocess.Popen[bytes] | None = None
        self._told_to_stop = False

    def run(self) -> int:
        """Return the exit status; 0 also if another supervisor was faster."""
        name = self.server.name
        own = FileLock(self.paths.lock(name, SUPERVISOR_LOCK))
        if not own.try_take():
            return 0
        users = FileLock(self.paths.lock(name, "users"))
        self._listen()
        try:
            self._start()
            # Renamed when it is complete: whoever sees the file can connect.
            address = self.paths.address(name)
            draft = address.with_suffix(".draft")
            draft.write_text(self.server.url())
            draft.rename(address)
            self._watch(users)
        except LocalServiceError as error:
            self.paths.error(name).write_text(str(error))
            return 1
        finally:
            self.paths.address(name).unlink(missing_ok=True)
            self._stop()
        return 0

    def _listen(self) -> None:
        def stop(_signum: int, _frame: FrameType | None) -> None:
            self._told_to_stop = True

        signal.signal(signal.SIGTERM, stop)
        # Ctrl-C and a closing terminal end the users; the supervisor ends after them.
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
        log = self.paths.log(self.server.name)
        raise LocalServiceError(
            f"The local {self.server.name} server does not start. The end of {log}:\n{_end_of(log)}"
        )

    def _spawn(self) -> None:
        user = self.server.user
        with self.paths.log(self.server.name).open("ab") as log:
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
                    preexec_fn=die_with_parent(self.server.stop_signal),  # noqa: PLW1509 - this process has one thread
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
                print(f"supervisor: {self.server.name} ended by itself, starting it again", flush=True)  # noqa: T201 - goes to var/log
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
        """Stop a server that outlived its supervisor. It is known by its working folder, our data folder."""
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
    """Parse the command line and run one server."""
    parser = argparse.ArgumentParser(description="Run a local server for as long as somebody uses it.")
    parser.add_argument("server", choices=sorted(SERVERS))
    parser.add_argument("base_dir", type=Path)
    parser.add_argument("--fleeting", action="store_true", help="no crash safety: for tests")
    arguments = parser.parse_args()
    paths = CheckoutPaths(arguments.base_dir.resolve())
    paths.make()
    keep_log_small(paths.log(arguments.server))
    os.umask(0o077)
    return ServiceSupervisor(SERVERS[arguments.server](paths, durable=not arguments.fleeting)).run()


if __name__ == "__main__":
    sys.exit(main())
