"""How a prefork child learns that its worker must stop.

At SIGTERM the Celery parent waits for running tasks and does not tell them. It would wait hours for a training and
minutes for an import. So the parent sets one byte of memory that it shares with the children it forked.
"""

import mmap
from typing import Final

# Made when the parent imports the tasks, before it forks, so every child sees the same memory.
_FLAG: Final = mmap.mmap(-1, 1)


def announce_stop() -> None:
    """Call in the parent when the worker must stop."""
    _FLAG[0] = 1


def stop_announced() -> bool:
    """In a child: whether the worker must stop."""
    return _FLAG[0] == 1
