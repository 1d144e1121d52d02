"""Ends a child process when its parent dies, with the Linux call `prctl(PR_SET_PDEATHSIG)`.

A parent that is killed with `kill -9` cannot stop its children. With this call the kernel sends them a signal. On
systems without the call nothing happens; the service supervisor watches locks as well and still stops the servers.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def die_with_parent(signum: signal.Signals, *, parent: int | None = None) -> Callable[[], None]:
    """Return a function that makes the process calling it receive `signum` when its parent dies.

    Use it as `preexec_fn` of `subprocess.Popen` in a single-threaded parent: the kernel watches the *thread* that
    started the child. `parent` is the process id of that parent (default: the caller of this function); if it has
    died before the call took effect, the child ends itself at once.
    """
    expected = os.getpid() if parent is None else parent
    # Loaded before the fork: between fork and exec only the system call should happen.
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def set_signal() -> None:
        if libc is None:
            return
        # Between fork and exec the child still has the handlers of the parent, which would swallow the signal.
        if signum != signal.SIGKILL:
            signal.signal(signum, signal.SIG_DFL)
        libc.prctl(PR_SET_PDEATHSIG, int(signum), 0, 0, 0)
        if os.getppid() != expected:
            os.kill(os.getpid(), signum)

    return set_signal
