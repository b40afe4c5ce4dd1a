"""Indexes of shards (codec ``sharding_indexed``): which range of a shard holds which chunk.

Source: Zarr v3 specification of the sharding codec.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.codecs.pipeline import compile_pipeline
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.hierarchy.sharding import Sharding
from intake_virtualzarr.storage.limits import MAX_PAGE

__all__ = ["ShardLayout", "decoded_index", "references_of_shards"]

ABSENT = 2**64 - 1
"""Offset and length of a chunk that a shard does not hold."""
MAX_LENGTH = 2**32 - 2
"""A manifest holds no longer chunk [bytes]."""


@dataclass(frozen=True, eq=False)
class ShardLayout:
    """How the chunks of an array lie in shards."""

    sharding: Sharding
    """What the codec says."""
    per_shard: Shape
    """Chunks in a shard, by axis."""
    grid_shape: Shape
    """Shape of the grid of chunks."""

    @classmethod
    def of(cls, sharding: Sharding, shard_grid: ChunkGrid, label: str) -> ShardLayout:
        """The layout of an array.

        Raises
        ------
        UnsupportedError
            If shards differ in shape, hold no whole chunks, or too many.
        """
        shard, chunk = shard_grid.chunk_shape, sharding.chunk_shape
        if shard is None:
            raise UnsupportedError(f"{label}: has shards in an uneven chunk grid, which have no references here")
        if len(shard) != len(chunk) or any(inner < 1 or outer % inner for outer, inner in zip(shard, chunk, strict=True)):
            raise UnsupportedError(f"{label}: shards of {shard} hold no whole chunks of {chunk}")
        per_shard = tuple(outer // inner for outer, inner in zip(shard, chunk, strict=True))
        if prod(per_shard) > MAX_PAGE:
            raise UnsupportedError(f"{label}: has {per_shard} chunks in a shard; at most {MAX_PAGE} are read")
        return cls(sharding, per_shard, ChunkGrid.regular(shard_grid.shape, chunk).grid_shape)

    def index_span(self, size: int, label: str) -> tuple[int, int]:
        """First byte of the index in a shard of some size, and one past its last.

        Raises
        ------
        FormatError
            If the shard is shorter than its index.
        """
        length = self.sharding.index_size(self.per_shard)
        if size < length:
            raise FormatError(f"{label}: has {size} bytes; the index of a shard here takes {length}")
        return (0, length) if self.sharding.index_first else (size - length, size)


def decoded_index(layout: ShardLayout, raw: bytes, size: int, label: str) -> npt.NDArray[np.uint64]:
    """Offset and length of each chunk of a shard, shape ``(*per_shard, 2)``; length 0 for one that it does not hold.

    Raises
    ------
    FormatError
        If the index is damaged, or names bytes outside the shard.
    UnsupportedError
        If a chunk is too long for a manifest.
    """
    try:
        decode = compile_pipeline(layout.sharding.index_codecs, np.dtype("uint64"))
        index = np.array(decode(raw, (*layout.per_shard, 2)), np.uint64)
    except Exception as exc:
        raise FormatError(f"the index of shard {label} is damaged: {exc}") from exc
    offset, length = index[..., 0], index[..., 1]
    absent = (offset == ABSENT) & (length == ABSENT)
    index[absent] = 0
    end = np.uint64(size)
    if ((offset > end) | (length > end) | (offset + length > end) | (~absent & (length == 0))).any():
        raise FormatError(f"the index of shard {label} is damaged: it names bytes outside the {size} that there are")
    if size > MAX_LENGTH and (length > MAX_LENGTH).any():
        raise UnsupportedError(f"shard {label}: holds a chunk of {int(length.max())} bytes; a chunk has at most {MAX_LENGTH}")
    return index


def references_of_shards(
    layout: ShardLayout,
    box: Sequence[range],
    shards: Sequence[Sequence[int]],
    numbers: npt.NDArray[np.int64],
    indexes: Mapping[int, npt.NDArray[np.uint64]],
) -> ChunkManifest:
    """The references of a box of chunks.

    Parameters
    ----------
    layout : ShardLayout
    box : sequence of range
        Chunks along each axis.
    shards : sequence of sequence of int
        Shards along each axis that these lie in, without a gap.
    numbers : array of int
        Row of the source table of each of these shards.
    indexes : mapping
        Their indexes, by row; none for a shard that is not there.
    """
    counts = [len(span) for span in shards]
    extent = tuple(n * inner for n, inner in zip(counts, layout.per_shard, strict=True))
    source, offset, length = np.zeros(extent, np.uint32), np.zeros(extent, np.uint64), np.zeros(extent, np.uint32)
    for at in product(*(range(n) for n in counts)):
        number = int(numbers[at])
        index = indexes.get(number)
        if index is None:
            continue
        place = tuple(slice(i * n, (i + 1) * n) for i, n in zip(at, layout.per_shard, strict=True))
        offset[place], length[place] = index[..., 0], index[..., 1]
        source[place] = np.where(index[..., 1] > 0, number, 0)
    first = [span[0] * n for span, n in zip(shards, layout.per_shard, strict=True)]
    chosen = np.ix_(*(np.asarray(span) - start for span, start in zip(box, first, strict=True))) if box else ()
    return ChunkManifest(np.asarray(source[chosen]), np.asarray(offset[chosen]), np.asarray(length[chosen]))
