"""How a prefork child learns that its worker was told to stop.

Celery's parent answers SIGTERM by waiting for running tasks; it does not tell them. A training would make it wait for
hours, an import for minutes. So the parent sets one byte of memory that it shares with the children it forked.
"""

import mmap
from typing import Final

# Made when the parent imports the tasks, before it forks: anonymous shared memory is the same in every child.
_FLAG: Final = mmap.mmap(-1, 1)


def announce_stop() -> None:
    """In the parent: the worker was told to stop."""
    _FLAG[0] = 1


def stop_announced() -> bool:
    """In any child: whether the worker was told to stop."""
    return _FLAG[0] == 1
