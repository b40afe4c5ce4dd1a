"""The pool of threads that decode chunks: one for the process, so that dask's threads and ours do not add up."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from intake_virtualzarr.errors import warn_renamed
from intake_virtualzarr.storage.config import config

__all__ = ["decode_pool", "set_threads", "thread_count"]

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_made_for: tuple[int, int | None] | None = None


def thread_count() -> int:
    """Number of decoding threads."""
    return config.threads


def set_threads(count: int | None) -> None:
    """Set the number of decoding threads of this process. Deprecated: use ``config.set(threads=…)``."""
    warn_renamed("set_threads(…)", "config.set(threads=…)")
    config.set(threads=count)


def decode_pool() -> ThreadPoolExecutor:
    """The pool. Work given to it never waits for the pool itself."""
    global _pool, _made_for
    wanted = (os.getpid(), config.settings.threads)
    with _lock:
        if _pool is None or _made_for != wanted:
            _pool = ThreadPoolExecutor(thread_count(), thread_name_prefix="intake-virtualzarr-decode")
            _made_for = wanted
        return _pool
