"""Runs several programs side by side, prints their output, restarts those that die, and ends all of them together.

There is one thread on purpose: `preexec_fn` is safe only in a process with one thread, and the kernel sends "your
parent died" when the thread that started the child ends.
"""

import contextlib
import itertools
import math
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import FrameType
from typing import TextIO

from devtools.launcher.programs import Program
from devtools.parent_death import die_with_parent

# Ctrl-C, `kill`, a closing terminal.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Seconds after the first request to stop: first SIGTERM (finish your work), then quick_stop, then SIGKILL.
QUICK_STOP_AFTER_S = 6.0
KILL_AFTER_S = 9.0
# A program that dies is started again after 1, 2, 4 ... seconds, and after 1 again once it ran for a minute.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 60.0
TICK_S = 0.5
READ_BYTES = 65_536
# A longer line is cut here, so that a broken program cannot fill the memory.
LONGEST_LINE_BYTES = 16_384
COLOURS = ("36", "33", "35", "32", "34", "31")


class LogWriter:
    """Writes lines with the time and the program's name before them, in its colour on a terminal."""

    def __init__(self, output: TextIO, names: Sequence[str]) -> None:
        """`names` are all programs; they give the width of the column and the colours."""
        self._output = output
        self._width = max(len(name) for name in names)
        self._colours = dict(zip(names, itertools.cycle(COLOURS), strict=False)) if output.isatty() else {}

    def write(self, name: str, line: str) -> None:
        """Write one line; a closed terminal is not an error."""
        prefix = f"{datetime.now().astimezone():%H:%M:%S} {name:<{self._width}} |"
        if colour := self._colours.get(name):
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        with contextlib.suppress(OSError, ValueError):
            print(prefix, line, file=self._output, flush=True)


@dataclass
class _Child:
    """One program and the process that runs it now, if any."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    unfinished_line: bytes = b""
    started: float = 0.0
    start_at: float = 0.0
    pause: float = FIRST_PAUSE_S


class Supervisor:
    """Runs `programs` until a stop signal arrives."""

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        output: TextIO,
        pass_fds: Sequence[int] = (),
        on_tick: Callable[[], None] = lambda: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """`pass_fds` are file descriptors that every child inherits.

        `on_tick` is called about twice a second while the programs run, `on_stop` once, when they begin to stop.
        """
        self._children = [_Child(program) for program in programs]
        self.log = LogWriter(output, [*(program.name for program in programs), "teri"])
        self._pass_fds = tuple(pass_fds)
        self._on_tick = on_tick
        self._on_stop = on_stop
        self._selector = selectors.DefaultSelector()
        self._stop_requests = 0

    def run(self) -> None:
        """Start all, look after them, and return when all have ended."""
        with self._signals():
            while not self._stop_requests:
                self._start_due()
                self._listen(TICK_S)
                self._reap()
                if not self._stop_requests:
                    self._on_tick()
            self._on_stop()
            self._stop_all()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        reader, writer = socket.socketpair()
        for end in (reader, writer):
            end.setblocking(False)

        def note(_signum: int, _frame: FrameType | None) -> None:
            self._stop_requests += 1

        before = {signum: signal.getsignal(signum) for signum in STOP_SIGNALS}
        # Under nohup SIGHUP is ignored; then it stays ignored.
        mine = [signum for signum in STOP_SIGNALS if signum != signal.SIGHUP or before[signum] != signal.SIG_IGN]
        old_wakeup = signal.set_wakeup_fd(writer.fileno())
        for signum in mine:
            signal.signal(signum, note)
        # Python writes a byte here for every signal, so that `select` returns at once.
        self._selector.register(reader, selectors.EVENT_READ, None)
        try:
            yield
        finally:
            self._selector.close()
            for signum in mine:
                signal.signal(signum, before[signum])
            signal.set_wakeup_fd(old_wakeup)
            reader.close()
            writer.close()

    def _start_due(self) -> None:
        for child in self._children:
            if child.process is None and time.monotonic() >= child.start_at:
                self._start(child)

    def _start(self, child: _Child) -> None:
        program = child.program
        follow_parent = die_with_parent(program.quick_stop)

        def before_exec() -> None:
            if program.niceness:
                os.nice(program.niceness)
            follow_parent()

        try:
            process = subprocess.Popen(
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **program.environment},
                pass_fds=self._pass_fds,
                # Ctrl-C reaches only the launcher, which then stops the programs.
                start_new_session=True,
                preexec_fn=before_exec,  # noqa: PLW1509 - one thread, see the module's docstring
            )
        except OSError as error:
            self.log.write("teri", f"{program.name} cannot be started: {error}")
            self._postpone(child)
            return
        if process.stdout is not None:  # never None with PIPE, but mypy cannot know
            os.set_blocking(process.stdout.fileno(), False)
            self._selector.register(process.stdout, selectors.EVENT_READ, child)
        child.process, child.started = process, time.monotonic()

    def _postpone(self, child: _Child) -> None:
        child.start_at = time.monotonic() + child.pause
        child.pause = min(child.pause * 2, LONGEST_PAUSE_S)

    def _listen(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(key.fd, READ_BYTES)
            elif not self._read(key.data, key.fd):
                self._selector.unregister(key.fileobj)

    def _read(self, child: _Child, fd: int) -> bool:
        """Print what the child wrote; False at the end of its output."""
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return True
        *lines, rest = (child.unfinished_line + data).split(b"\n")
        if len(rest) > LONGEST_LINE_BYTES or not data:
            lines, rest = [*lines, rest], b""
        child.unfinished_line = rest
        for line in lines:
            if text := line.decode(errors="replace").rstrip():
                self.log.write(child.program.name, text)
        return bool(data)

    def _reap(self) -> None:
        """Find programs that have ended and plan their restart."""
        for child in self._children:
            if child.process is None or (status := child.process.poll()) is None:
                continue
            self._close(child)
            if time.monotonic() - child.started > STEADY_AFTER_S:
                child.pause = FIRST_PAUSE_S
            if child.program.once:
                child.start_at = math.inf
                if status and not self._stop_requests:
                    self.log.write("teri", f"{child.program.name} did not succeed; it is tried again at the next start")
            elif not self._stop_requests:
                reason = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
                self.log.write("teri", f"{child.program.name} {reason}; starting it again in {child.pause:.0f} s")
                self._postpone(child)

    def _close(self, child: _Child) -> None:
        """Print the rest of the output of a process that ended, and kill the children it left behind."""
        process = child.process
        if process is None or process.stdout is None:
            return
        self._signal_group(process, signal.SIGKILL)
        while self._read(child, process.stdout.fileno()) and self._has_more(process):
            pass
        with contextlib.suppress(KeyError):
            self._selector.unregister(process.stdout)
        process.stdout.close()
        child.process = None

    @staticmethod
    def _has_more(process: subprocess.Popen[bytes]) -> bool:
        with selectors.DefaultSelector() as selector:
            if process.stdout is None:
                return False
            selector.register(process.stdout, selectors.EVENT_READ)
            return bool(selector.select(0))

    def _stop_all(self) -> None:
        self.log.write("teri", "stopping (again Ctrl-C: at once)")
        stages: list[tuple[float, Callable[[_Child], None]]] = [
            (0.0, lambda child: self._signal(child, signal.SIGTERM)),
            (QUICK_STOP_AFTER_S, lambda child: self._signal(child, child.program.quick_stop)),
            (KILL_AFTER_S, lambda child: self._signal(child, signal.SIGKILL)),
        ]
        began, done = time.monotonic(), 0
        asked = self._stop_requests
        while any(child.process is not None for child in self._children):
            impatient = self._stop_requests > asked
            asked = self._stop_requests
            if done < len(stages) and (impatient or time.monotonic() - began >= stages[done][0]):
                for child in self._children:
                    stages[done][1](child)
                done += 1
            self._listen(0.1)
            self._reap()

    @staticmethod
    def _signal(child: _Child, signum: signal.Signals) -> None:
        """Send a signal to the program only; it ends its own children."""
        if child.process is not None:
            with contextlib.suppress(ProcessLookupError):
                child.process.send_signal(signum)

    @staticmethod
    def _signal_group(process: subprocess.Popen[bytes], signum: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signum)
