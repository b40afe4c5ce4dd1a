"""Shards: chunks of an ordinary Zarr array that lie together in one object, with an index of where each begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.codecs.pipeline import compile_pipeline
from intake_virtualzarr.codecs.spec import Pipeline, pipeline_from_json
from intake_virtualzarr.errors import HierarchyError, ManifestError
from intake_virtualzarr.hierarchy.source_table import held
from intake_virtualzarr.storage.key_value import Keys, ReadKeys
from intake_virtualzarr.storage.limits import MAX_PAGE
from intake_virtualzarr.storage.lru import LRU
from intake_virtualzarr.storage.source import Source, SourceRows
from intake_virtualzarr.storage.urls import quoted

__all__ = ["ShardKeys", "ShardListing", "ShardObjects", "Sharding", "Shards"]

INDEXES_KEPT = 64
"""Indexes of one array that stay in memory."""
ABSENT = 2**64 - 1
"""Offset and length of a chunk that a shard does not hold."""
INDEX_BYTES = {"bytes": 0, "crc32c": 4}
"""Codecs that an index may have, and what each adds to its size [bytes]."""


@dataclass(frozen=True, slots=True)
class Sharding:
    """The configuration of ``sharding_indexed``."""

    chunk_shape: Shape
    """Shape of the chunks within a shard [elements]."""
    codecs: Pipeline
    """Codec pipeline of these chunks."""
    index_codecs: Pipeline
    """Codec pipeline of the index."""
    index_first: bool
    """Whether the index stands before the chunks instead of behind them."""

    @classmethod
    def of(cls, codecs: Pipeline, label: str) -> Sharding | None:
        """Read an array's codecs; None if its chunks are not shards.

        Raises
        ------
        HierarchyError
            If shards lie in shards, or another codec stands beside ``sharding_indexed``.
        """
        if not any(codec.name == "sharding_indexed" for codec in codecs):
            return None
        if len(codecs) > 1:
            names = ", ".join(codec.name for codec in codecs)
            raise HierarchyError(f"{label}: has shards that are encoded once more ({names}); expected sharding_indexed alone")
        configuration = codecs[0].configuration
        inner = pipeline_from_json(configuration["codecs"])
        if any(codec.name == "sharding_indexed" for codec in inner):
            raise HierarchyError(f"{label}: has shards within shards, which cannot be read here")
        index = pipeline_from_json(configuration["index_codecs"])
        unknown = [codec.name for codec in index if codec.name not in INDEX_BYTES]
        if unknown:
            raise HierarchyError(f"{label}: the index of its shards has codec {unknown[0]!r}, expected {' and '.join(INDEX_BYTES)}")
        shape = tuple(int(n) for n in configuration["chunk_shape"])
        return cls(shape, inner, index, configuration.get("index_location", "end") == "start")

    def index_size(self, per_shard: Shape) -> int:
        """Size of the encoded index of a shard [bytes]."""
        return 16 * prod(per_shard) + sum(INDEX_BYTES[codec.name] for codec in self.index_codecs)


@dataclass(frozen=True, slots=True)
class ShardKeys:
    """From the coordinates of a shard to its key."""

    prefix: str
    """What stands before the coordinates."""
    separator: str
    """What stands between them."""

    def __call__(self, coords: Sequence[int]) -> str:
        return self.prefix + self.separator.join(str(int(c)) for c in coords)


class Shards:
    """The indexes of an array's shards, fetched when they are needed.

    Parameters
    ----------
    keys : ReadKeys
        Where the shards are kept.
    key_of : ShardKeys
        From the coordinates of a shard to its key.
    shard_shape : tuple of int
        Shape of a shard [elements].
    sharding : Sharding
        How chunks lie in a shard.
    label : str
        The array, for messages.

    Raises
    ------
    HierarchyError
        If a shard does not hold whole chunks.
    """

    def __init__(self, keys: ReadKeys, key_of: ShardKeys, shard_shape: Shape, sharding: Sharding, label: str) -> None:
        if len(shard_shape) != len(sharding.chunk_shape) or any(
            chunk < 1 or shard % chunk for shard, chunk in zip(shard_shape, sharding.chunk_shape, strict=True)
        ):
            raise HierarchyError(f"{label}: shards of {shard_shape} hold no whole chunks of {sharding.chunk_shape}")
        self.per_shard = tuple(s // c for s, c in zip(shard_shape, sharding.chunk_shape, strict=True))
        if prod(self.per_shard) > MAX_PAGE:
            raise HierarchyError(f"{label}: has {self.per_shard} chunks in a shard; at most {MAX_PAGE} are read")
        self.key_of = key_of
        self._shape = shard_shape
        self._keys = keys
        self._sharding = sharding
        self._label = label
        self._indexes: LRU[Shape, npt.NDArray[np.uint64] | None] = LRU(INDEXES_KEPT)

    def __reduce__(self) -> Any:
        return Shards, (self._keys, self.key_of, self._shape, self._sharding, self._label)

    def index(self, shard: Shape) -> npt.NDArray[np.uint64] | None:
        """Offset and length of each chunk of a shard, shape ``(*per_shard, 2)``; None for a shard that is absent."""
        return self._indexes.get(shard, lambda: self._read_index(shard))

    def _read_index(self, shard: Shape) -> npt.NDArray[np.uint64] | None:
        key, size = self.key_of(shard), self._sharding.index_size(self.per_shard)
        raw = self._keys.get(key, 0, size) if self._sharding.index_first else _tail(self._keys, key, size)
        if raw is None:
            return None
        try:
            return compile_pipeline(self._sharding.index_codecs, np.dtype("uint64"))(raw, (*self.per_shard, 2))
        except Exception as exc:
            raise HierarchyError(f"{self._label}: the index of shard {self._keys.url}/{key} is damaged: {exc}") from exc

    def split(self, coords: Sequence[int]) -> tuple[Shape, Shape]:
        """The shard that a chunk lies in, and the chunk's place in it."""
        pairs = [divmod(int(c), n) for c, n in zip(coords, self.per_shard, strict=True)]
        return tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)

    def get(self, coords: Sequence[int]) -> bytes | None:
        """The encoded bytes of a chunk; None if it is not stored."""
        shard, inside = self.split(coords)
        index = self.index(shard)
        if index is None or int(index[(*inside, 1)]) == ABSENT:
            return None
        offset, length = (int(n) for n in index[inside])
        return self._keys.get(self.key_of(shard), offset, offset + length)


def _tail(keys: ReadKeys, key: str, count: int) -> bytes | None:
    """The last bytes of a key."""
    measure = getattr(keys, "size", None)  # what stands in a document is at hand as a whole
    if measure is None:
        whole = keys.get(key)
        return None if whole is None else whole[-count:]
    size = measure(key)
    return None if size is None else keys.get(key, max(0, size - count), size)


class ShardObjects(SourceRows):
    """The shards of an ordinary array as sources: row = number of the shard in C order."""

    def __init__(self, keys: Keys, shards: Shards, counts: Shape) -> None:
        self._keys = keys
        self._shards = shards
        self.counts = counts

    def __len__(self) -> int:
        return prod(self.counts)

    def row(self, number: int) -> Source:
        """One shard."""
        if not 0 <= number < len(self):
            raise ManifestError(f"manifest names shard {number}, the array has {len(self)}")
        coords = [int(c) for c in np.unravel_index(number, self.counts)] if self.counts else []
        return held(self._keys, Source(f"{self._keys.url}/{quoted(self._shards.key_of(coords))}"))


class ShardListing:
    """The manifest of an array in shards: references to the chunks within, from the indexes of the shards."""

    nbytes = 0
    """Indexes are kept by the shards."""
    deferred = False

    def __init__(self, shards: Shards, grid: ChunkGrid, counts: Shape) -> None:
        self.shape = grid.grid_shape
        self._shards = shards
        self._counts = counts

    def region(self, slices: tuple[slice, ...]) -> ChunkManifest:
        """References of a box of chunks."""
        spans = [range(*s.indices(n)) for s, n in zip(slices, self.shape, strict=True)]
        shape = tuple(len(span) for span in spans)
        rows, offsets, lengths = np.zeros(shape, np.uint32), np.zeros(shape, np.uint64), np.zeros(shape, np.uint32)
        for at in product(*(range(n) for n in shape)):
            shard, inside = self._shards.split([span[i] for span, i in zip(spans, at, strict=True)])
            index = self._shards.index(shard)
            if index is None or int(index[(*inside, 1)]) == ABSENT:
                continue
            rows[at] = int(np.ravel_multi_index(shard, self._counts)) if shard else 0
            offsets[at], lengths[at] = index[inside]
        return ChunkManifest(rows, offsets, lengths)

    def load(self) -> ChunkManifest:
        """All references."""
        return self.region(tuple(slice(0, n) for n in self.shape))
