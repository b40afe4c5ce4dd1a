"""The pool of threads that decode chunks: one for the process, so that dask's threads and ours do not add up."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from intake_virtualzarr.errors import VirtualZarrError

__all__ = ["ENVIRONMENT", "decode_pool", "set_threads", "thread_count"]

ENVIRONMENT = "INTAKE_VIRTUALZARR_THREADS"
"""Environment variable with the number of decoding threads."""

_lock = threading.Lock()
_count: int | None = None
_pool: ThreadPoolExecutor | None = None
_owner = -1


def thread_count() -> int:
    """Number of decoding threads: what `set_threads` said, else the environment variable, else the usable cores."""
    if _count is not None:
        return _count
    text = os.environ.get(ENVIRONMENT)
    if text:
        if not text.isdigit() or int(text) < 1:
            raise VirtualZarrError(f"{ENVIRONMENT} is {text!r}, expected a number of threads of at least 1")
        return int(text)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(count: int | None) -> None:
    """Set the number of decoding threads of this process; None returns to the default."""
    global _count, _pool
    if count is not None and count < 1:
        raise VirtualZarrError(f"{count} decoding threads; at least 1 is needed")
    with _lock:
        _count, _pool = count, None


def decode_pool() -> ThreadPoolExecutor:
    """The pool. Work given to it never waits for the pool itself."""
    global _pool, _owner
    with _lock:
        if _pool is None or _owner != os.getpid():
            _pool = ThreadPoolExecutor(thread_count(), thread_name_prefix="intake-virtualzarr-decode")
            _owner = os.getpid()
        return _pool
