"""Garbage collection put off while another library reads a file whose bytes another thread fetches.

h5py holds one lock during every call, so also while it reads from a file object. Where a collection in the thread that fetches the
bytes comes upon an object of h5py, that thread waits for the lock, and its holder for the bytes: for ever.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["no_collection"]


class _Inside:
    """How many threads are inside, and whether garbage was collected before the first came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._was_on = False

    def enter(self) -> None:
        """Turn collection off."""
        with self._lock:
            if not self._count:
                self._was_on = gc.isenabled()
                gc.disable()
            self._count += 1

    def leave(self) -> None:
        """Turn it on again when the last one leaves."""
        with self._lock:
            self._count -= 1
            if not self._count and self._was_on:
                gc.enable()


_inside = _Inside()


@contextmanager
def no_collection() -> Iterator[None]:
    """No thread collects garbage by itself until the block ends."""
    _inside.enter()
    try:
        yield
    finally:
        _inside.leave()
