"""A bounded cache of decoded chunks, the least recently used dropped first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from intake_virtualzarr._typing import AnyArray

__all__ = ["ChunkCache"]

type _Key = tuple[int, int]


class ChunkCache:
    """Decoded chunks by stored array and chunk number.

    Parameters
    ----------
    limit : int
        Size of all kept chunks [bytes].
    """

    def __init__(self, limit: int = 128 * 1024 * 1024) -> None:
        self.limit = limit
        self.hits = 0
        self._size = 0
        self._chunks: OrderedDict[_Key, tuple[Any, AnyArray]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, owner: Any, number: int) -> AnyArray | None:
        """A decoded chunk, or None."""
        key = (id(owner), number)
        with self._lock:
            found = self._chunks.get(key)
            if found is None:
                return None
            self._chunks.move_to_end(key)
            self.hits += 1
            return found[1]

    def put(self, owner: Any, number: int, chunk: AnyArray) -> None:
        """Keep a decoded chunk (the owner is kept, too, so that its id stays its own)."""
        if chunk.nbytes > self.limit:
            return
        key = (id(owner), number)
        with self._lock:
            if key in self._chunks:
                return
            self._chunks[key] = (owner, chunk)
            self._size += chunk.nbytes
            while self._size > self.limit:
                _, (_, dropped) = self._chunks.popitem(last=False)
                self._size -= dropped.nbytes

    def __reduce__(self) -> tuple[type[ChunkCache], tuple[int]]:
        return ChunkCache, (self.limit,)
