"""What all readers over the network share: how many requests are under way, and that nobody waits in a forked process."""

from __future__ import annotations

import asyncio
import os
from weakref import WeakKeyDictionary

from intake_virtualzarr.errors import SourceError

__all__ = ["check_not_forked", "gate"]

IN_FLIGHT = 128
"""Requests under way at once, of all reads of the process: beyond that, servers refuse or answer no faster."""

_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
_process: int | None = None


def gate() -> asyncio.Semaphore:
    """The semaphore of the running loop that every request for data passes."""
    loop = asyncio.get_running_loop()
    found = _gates.get(loop)
    if found is None:
        found = _gates[loop] = asyncio.Semaphore(IN_FLIGHT)
    return found


def check_not_forked() -> None:
    """Raise in a child that was forked after its parent used the network: the threads that wait for answers are not in it.

    Raises
    ------
    SourceError
        In such a child, where every request would wait without end.
    """
    global _process
    if _process is None:
        _process = os.getpid()
    if _process != os.getpid():
        raise SourceError(
            "a forked process cannot read over the network after its parent did; start processes with the method 'spawn': "
            "multiprocessing.get_context('spawn'), or ProcessPoolExecutor(mp_context=get_context('spawn'))"
        )
