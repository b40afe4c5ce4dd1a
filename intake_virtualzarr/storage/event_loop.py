"""One asyncio loop in a daemon thread, for all remote reading; callers may be in any thread or in a running loop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from typing import Any

__all__ = ["cancel_all", "gather", "run", "submit"]

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_owner = -1


def _running() -> asyncio.AbstractEventLoop:
    global _loop, _owner
    with _lock:
        if _loop is None or _owner != os.getpid():  # a forked child has no thread that runs the loop
            _loop = asyncio.new_event_loop()
            _owner = os.getpid()
            threading.Thread(target=_loop.run_forever, name="intake-virtualzarr-io", daemon=True).start()
        return _loop


def submit[T](work: Coroutine[Any, Any, T]) -> Future[T]:
    """Start a coroutine in the reading loop."""
    return asyncio.run_coroutine_threadsafe(work, _running())


def run[T](work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the reading loop and wait for its result."""
    loop = _running()
    if threading.current_thread().name == "intake-virtualzarr-io":
        work.close()
        raise RuntimeError("blocking read from inside the reading loop")
    return asyncio.run_coroutine_threadsafe(work, loop).result()


def cancel_all() -> None:
    """Cancel all work of the reading loop: threads that wait for it go on, with an error."""
    loop = _loop
    if loop is None or _owner != os.getpid():
        return

    def cancel() -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()

    loop.call_soon_threadsafe(cancel)


async def gather[T](works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines at once; the first error cancels the others and waits for their end."""
    if len(works) == 1:
        return [await works[0]]
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
