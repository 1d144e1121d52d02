"""The sandbox child: a process that limits itself, decodes one untrusted file, writes a reply and ends.

It runs as `python -I -S -B` with nothing but Pillow and this package. It sets its limits before it reads
the first byte. `recognition.sandbox.process` starts it and reads the reply; the layout of a reply is here.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
from pathlib import Path

from recognition.sandbox.policy import IntakeLimits, PhotoRejected

REPLY_MAGIC = b"TERI1"
#: Length of the JSON that follows the magic, big-endian; the two pictures follow the JSON.
LENGTH_BYTES = 4

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
#: stdin, stdout, stderr, and a few for the lazy import of the colour engine.
_OPEN_FILES = 16
_READ_SIZE = 1024 * 1024


def main(argument: str) -> None:
    """Read the file from stdin, write the reply to stdout, end the process.

    `argument` is JSON with "parent" (process id) and "limits" (the fields of `IntakeLimits`).
    """
    order = json.loads(argument)
    limits = IntakeLimits(**order["limits"])
    _leave_with_parent(int(order["parent"]))
    _limit_self(limits)
    # Imported after the limits are set: the decoder must not run without them.
    from recognition.sandbox.reply import build_reply

    data = _read_all()
    try:
        facts, bodies = build_reply(data, limits=limits)
    except PhotoRejected as rejection:
        facts, bodies = {"rejected": rejection.code, "params": dict(rejection.params)}, []
    except MemoryError:
        facts, bodies = {"rejected": "decode_memory", "params": {}}, []
    facts["peak_memory_bytes"] = _peak_memory()
    head = json.dumps(facts).encode()
    _write_all(REPLY_MAGIC + len(head).to_bytes(LENGTH_BYTES, "big") + head)
    for body in bodies:
        _write_all(body)
    # Without cleaning up: freeing hundreds of megabytes takes longer than ending the process.
    os._exit(0)


def _leave_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the thread that started it dies, however that happens."""
    libc = ctypes.CDLL(None, use_errno=True)
    prctl = getattr(libc, "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:
        # The parent died before prctl was called.
        os._exit(1)


def _limit_self(limits: IntakeLimits) -> None:
    """Limit CPU, address space, file size, open files, core dumps and wall clock: a limit ends the process."""
    for name in (signal.SIGALRM, signal.SIGXCPU):
        signal.signal(name, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    # Ends this process even when the parent is stopped.
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)
    with contextlib.suppress(OSError):
        # If the machine runs out of memory, this process goes first, not the web server.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    for kind, value in (
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # SIGXCPU comes at the soft limit, SIGKILL at the hard one. One second between them tells the two apart.
        grace = 1 if kind == resource.RLIMIT_CPU and ceiling == value and hard != value else 0
        resource.setrlimit(kind, (ceiling, ceiling + grace))


def _read_all() -> bytes:
    pieces = []
    while piece := os.read(0, _READ_SIZE):
        pieces.append(piece)
    return b"".join(pieces)


def _write_all(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def _peak_memory() -> int:
    """Most resident memory of this process in bytes (0 if unknown).

    ru_maxrss is of no use: after fork and exec it begins at the size of the parent.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
