"""A bounded cache: what was not used for longest is dropped first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

__all__ = ["LRU"]


class LRU[K: Hashable, V]:
    """Values by key, within a limit. Threads may share it.

    Parameters
    ----------
    limit : int
        How much is kept: a count, or the sum of weights.
    weight : callable, optional
        What one value counts for, e.g. its size [bytes]; default: 1. What alone exceeds the limit is not kept.
    """

    def __init__(self, limit: int, weight: Callable[[V], int] | None = None) -> None:
        self.limit = limit
        self.hits = 0
        self._weight = weight
        self._sum = 0
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: K) -> bool:
        with self._lock:
            return key in self._values

    def find(self, key: K) -> V | None:
        """The value of a key, or None."""
        with self._lock:
            if key not in self._values:
                return None
            self.hits += 1
            self._values.move_to_end(key)
            return self._values[key]

    def keep(self, key: K, value: V) -> V:
        """Keep a value; the one that is there already, if another thread was faster, stays and is returned."""
        weight = 1 if self._weight is None else self._weight(value)
        with self._lock:
            if key in self._values:
                return self._values[key]
            if weight > self.limit:
                return value
            self._values[key] = value
            self._sum += weight
            while self._sum > self.limit:
                _, dropped = self._values.popitem(last=False)
                self._sum -= 1 if self._weight is None else self._weight(dropped)
            return value

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, which may be None; made if it is not there. Nobody waits for another thread that makes one."""
        with self._lock:
            if key in self._values:
                self.hits += 1
                self._values.move_to_end(key)
                return self._values[key]
        return self.keep(key, make())

    def values(self) -> list[V]:
        """What is kept, the least recently used first."""
        with self._lock:
            return list(self._values.values())

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._values.clear()
            self._sum = 0
