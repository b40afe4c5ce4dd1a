"""A bounded cache of decoded chunks."""

from __future__ import annotations

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.storage.lru import LRU

__all__ = ["ChunkCache"]

type _Key = tuple[int, int]


class ChunkCache:
    """Decoded chunks by stored array and chunk number, the least recently used dropped first.

    Parameters
    ----------
    limit : int
        Size of all kept chunks [bytes].
    """

    def __init__(self, limit: int = 128 * 1024 * 1024) -> None:
        self._chunks: LRU[_Key, tuple[object, AnyArray]] = LRU(limit, lambda kept: kept[1].nbytes)

    @property
    def limit(self) -> int:
        """Size of all kept chunks [bytes]."""
        return self._chunks.limit

    @property
    def nbytes(self) -> int:
        """Size of the chunks that are kept [bytes]."""
        return sum(chunk.nbytes for _, chunk in self._chunks.values())

    @property
    def hits(self) -> int:
        """How often a chunk was there."""
        return self._chunks.hits

    def get(self, owner: object, number: int) -> AnyArray | None:
        """A decoded chunk, or None."""
        found = self._chunks.find((id(owner), number))
        return None if found is None else found[1]

    def put(self, owner: object, number: int, chunk: AnyArray) -> None:
        """Keep a decoded chunk (the owner is kept, too, so that its id stays its own)."""
        self._chunks.keep((id(owner), number), (owner, chunk))

    def __reduce__(self) -> tuple[type[ChunkCache], tuple[int]]:
        return ChunkCache, (self.limit,)
