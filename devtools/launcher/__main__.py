"""The command behind `make run`: everything a newcomer needs, in one terminal.

`python -m devtools.launcher` checks the port, starts the local servers that are not configured, brings the database and
the static files up to date, and runs the site, the workers and the scheduler until Ctrl-C.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from devtools.launcher.programs import one_shot_jobs, programs
from devtools.launcher.supervisor import Supervisor
from devtools.local_services import LocalServiceError, LocalServices, start_missing
from devtools.local_services.paths import CheckoutPaths, FileLock
from devtools.parent_death import die_with_parent

BASE_DIR = Path(__file__).resolve().parent.parent.parent
DEFAULT_PORT = 8000
HIGHEST_PORT = 65_535
# Programs get nine seconds, PostgreSQL up to fifteen.
LONGEST_END_S = 30


class LaunchError(Exception):
    """Teri cannot start; the text says why and what to do."""


def say(text: str) -> None:
    """Tell the person at the terminal what happens."""
    print(text, flush=True)  # noqa: T201 - this is a command line program


def read_port(text: str) -> int:
    """Return the port number written in `text`; raises LaunchError if it is none."""
    try:
        port = int(text)
    except ValueError:
        port = 0
    if not 1 <= port <= HIGHEST_PORT:
        raise LaunchError(
            f"PORT is {text!r}, but a port is a number from 1 to {HIGHEST_PORT}: try `make run PORT=8001`."
        )
    return port


def check_port(bind: str, port: int) -> None:
    """Raise LaunchError unless `bind:port` is free."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            raise LaunchError(
                f"Port {port} on {bind} cannot be used ({error.strerror}). Is Teri or another program already there?\n"
                f"Stop it, or choose another port: `make run PORT={port + 1 if port < HIGHEST_PORT else DEFAULT_PORT}`."
            ) from error


@contextlib.contextmanager
def only_one(paths: CheckoutPaths, address: str) -> Iterator[Callable[[], None]]:
    """Refuse a second launcher in the same checkout: two schedulers would do everything twice.

    Yields a function to call when the launcher begins to stop: from then on a second launcher waits for its end.
    """
    paths.make()
    lock = FileLock(paths.run / "launcher")
    note = paths.run / "launcher.address"
    try:
        deadline = time.monotonic() + LONGEST_END_S
        while not lock.try_take():
            if note.exists():
                raise LaunchError(
                    f"Teri already runs from this folder, at {note.read_text()}. Stop that one first (Ctrl-C there)."
                )
            if time.monotonic() > deadline:
                raise LaunchError("Teri in this folder has been stopping for too long; look for its processes.")
            time.sleep(0.1)
        note.write_text(address)
        yield lambda: note.unlink(missing_ok=True)
    finally:
        lock.close()


def prepare() -> None:
    """Run the preparation. Raises LaunchError if it failed; its output says why."""
    done = subprocess.run(
        [sys.executable, "-m", "devtools.launcher.preparation"],
        cwd=BASE_DIR,
        check=False,
        preexec_fn=die_with_parent(signal.SIGTERM),
    )
    if done.returncode:
        raise LaunchError("Teri could not be prepared; the reason is above.")


class Watch:
    """Called about twice a second while Teri runs: restarts lost service supervisors, announces the site once."""

    def __init__(self, services: LocalServices, *, bind: str, port: int) -> None:
        """`bind` and `port` are the address of the site."""
        self.services = services
        self.address = (bind, port)
        self.announced = False

    def __call__(self) -> None:
        """Start killed service supervisors again; print the address once the site answers."""
        self.services.heal()
        if self.announced:
            return
        with contextlib.suppress(OSError), socket.create_connection(self.address, timeout=0.2):
            self.announced = True
            say(f"\n    Teri is ready: {site_address(*self.address)}    (Ctrl-C stops everything)\n")


def site_address(bind: str, port: int) -> str:
    """Return the address to open in a browser."""
    host = "127.0.0.1" if bind in {"0.0.0.0", "::"} else f"[{bind}]" if ":" in bind else bind  # noqa: S104 - compared, not bound
    return f"http://{host}:{port}/"


def launch() -> None:
    """Run Teri until a stop signal."""
    bind = os.environ.get("BIND") or "127.0.0.1"
    port = read_port(os.environ.get("PORT") or str(DEFAULT_PORT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    os.chdir(BASE_DIR)
    with only_one(CheckoutPaths(BASE_DIR), site_address(bind, port)) as let_others_wait:
        check_port(bind, port)
        with start_missing(BASE_DIR) as services:
            if services.started:
                say(f"Local servers: {', '.join(services.started)} (data in {BASE_DIR / 'var'})")
            prepare()
            Supervisor(
                [*programs(BASE_DIR, bind=bind, port=port), *one_shot_jobs(BASE_DIR)],
                output=sys.stdout,
                pass_fds=services.lock_fds,
                on_tick=Watch(services, bind=bind, port=port),
                on_stop=let_others_wait,
            ).run()
    say("Teri has stopped; nothing is left running.")


def main() -> int:
    """Return the exit status: 0 after an ordinary stop, 1 if Teri could not start, 130 if stopped while preparing."""
    if "MAKELEVEL" in os.environ:
        # make cannot forward `kill -9`, so the kernel tells this process that make is gone.
        die_with_parent(signal.SIGTERM, parent=os.getppid())()
    for signum in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, signal.default_int_handler)
    try:
        launch()
    except (LaunchError, LocalServiceError) as error:
        print(f"\n{error}\n", file=sys.stderr)  # noqa: T201 - this is a command line program
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
