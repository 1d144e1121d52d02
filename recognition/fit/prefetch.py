"""Batches that threads make ahead of their use, so that the network does not wait for pictures.

Pillow and NumPy let go of the GIL, so threads decode and resize in parallel.
"""

import functools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Generic, TypeVar

WORKERS: Final = max(1, min(8, os.cpu_count() or 1))
"""Threads of this process that make batches. More than eight wait for the GIL instead of each other."""

AHEAD: Final = WORKERS
"""Batches that are made ahead: one for each thread. A batch of 32 pictures of 320 px has 39 MB."""

Item = TypeVar("Item")


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="prefetch")


class Prefetched(Generic[Item]):
    """The items `make(0)` to `make(count - 1)`; threads make the next ones while one is used.

    `make` must not depend on the order of its calls, and must not read from a `Prefetched` itself. The items can be
    read in any order, and more than once; reading them in order is fast. What `make` raises is raised where its item is
    read; `failed` is the first such error.
    """

    def __init__(self, make: Callable[[int], Item], count: int) -> None:
        self._make, self._count = make, count
        self._waiting: dict[int, Future[Item]] = {}
        self._lock = threading.Lock()
        self.failed: Exception | None = None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        return (self[place] for place in range(self._count))

    def __getitem__(self, place: int) -> Item:
        if not 0 <= place < self._count:
            raise IndexError(place)
        wanted = range(place, min(place + 1 + AHEAD, self._count))
        with self._lock:
            for skipped in self._waiting.keys() - set(wanted):
                self._waiting.pop(skipped).cancel()
            for each in wanted:
                if each not in self._waiting:
                    self._waiting[each] = _pool().submit(self._make, each)
            item = self._waiting.pop(place)
        try:
            return item.result()
        except Exception as error:
            self.failed = self.failed or error
            raise
