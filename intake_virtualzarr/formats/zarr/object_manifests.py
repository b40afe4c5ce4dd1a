"""Manifests of the arrays of a Zarr store: each chunk an object, or a range of a shard, found out when it is needed."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.zarr.object_table import ObjectTable
from intake_virtualzarr.formats.zarr.shard_index import ShardLayout, decoded_index, references_of_shards
from intake_virtualzarr.storage.object_states import read_ranges

__all__ = ["ObjectChunks", "ShardChunks"]

MAX_LENGTH = 2**32 - 2
"""A manifest holds no longer chunk [bytes]."""


class ObjectChunks:
    """The manifest of an array whose chunks are an object each."""

    deferred = True
    """Showing an array must not ask for its chunks."""
    nbytes = 0
    """What is kept are the states of objects, by the table."""

    def __init__(self, objects: ObjectTable) -> None:
        self._objects = objects

    @property
    def shape(self) -> Shape:
        """Shape of the chunk grid."""
        return self._objects.grid_shape

    def region(self, slices: tuple[slice, ...]) -> ChunkManifest:
        """The references of a box of chunks.

        Raises
        ------
        SourceError
            If the store cannot be asked.
        """
        box = [range(*s.indices(n)) for s, n in zip(slices, self.shape, strict=True)]
        rows = self._objects.rows(box)
        if not rows.size:
            return ChunkManifest.empty(rows.shape)
        numbers = rows.ravel().tolist()
        self._objects.look(numbers)
        lengths = np.fromiter((_length(self._objects, number) for number in numbers), np.int64, len(numbers))
        present = lengths > 0
        source = np.where(present, rows.ravel(), 0).astype(np.uint32)
        shape = rows.shape
        return ChunkManifest(source.reshape(shape), np.zeros(shape, np.uint64), lengths.astype(np.uint32).reshape(shape))

    def load(self) -> ChunkManifest:
        """All references."""
        return self.region(tuple(slice(0, n) for n in self.shape))


def _length(objects: ObjectTable, number: int) -> int:
    state = objects.state(number)
    if state is None:
        return 0
    if not state.size:
        raise FormatError(f"{state.url}: {'is empty' if state.size == 0 else 'has no known length'}, so it is not a chunk")
    if state.size > MAX_LENGTH:
        raise UnsupportedError(f"{state.url}: has {state.size} bytes; a chunk has at most {MAX_LENGTH}")
    return state.size


class ShardChunks:
    """The manifest of an array in shards: from their indexes, each read once."""

    deferred = True
    """Showing an array must not read indexes."""

    def __init__(self, objects: ObjectTable, layout: ShardLayout) -> None:
        self._objects = objects
        self._layout = layout
        self._indexes: dict[int, npt.NDArray[np.uint64]] = {}

    def __reduce__(self) -> tuple[type[ShardChunks], tuple[ObjectTable, ShardLayout]]:
        return ShardChunks, (self._objects, self._layout)

    @property
    def shape(self) -> Shape:
        """Shape of the grid of chunks."""
        return self._layout.grid_shape

    @property
    def nbytes(self) -> int:
        """Memory of indexes [bytes]."""
        return sum(index.nbytes for index in list(self._indexes.values()))

    def region(self, slices: tuple[slice, ...]) -> ChunkManifest:
        """The references of a box of chunks; the indexes of their shards are read.

        Raises
        ------
        SourceError
            If the store cannot be asked.
        FormatError
            If an index is damaged.
        """
        box = [range(*s.indices(n)) for s, n in zip(slices, self.shape, strict=True)]
        if not prod(len(span) for span in box):
            return ChunkManifest.empty(tuple(len(span) for span in box))
        shards = [np.arange(min(span) // n, max(span) // n + 1) for span, n in zip(box, self._layout.per_shard, strict=True)]
        numbers = self._objects.rows(shards)
        self._look(numbers.ravel().tolist())
        return references_of_shards(self._layout, box, [span.tolist() for span in shards], numbers, self._indexes)

    def load(self) -> ChunkManifest:
        """All references."""
        return self.region(tuple(slice(0, n) for n in self.shape))

    def _look(self, numbers: Iterable[int]) -> None:
        """Read the indexes of shards that are there."""
        missing = [number for number in numbers if number not in self._indexes]
        self._objects.look(missing)
        there = [(number, state) for number in missing if (state := self._objects.state(number)) is not None]
        spans = [self._layout.index_span(state.size or 0, state.url) for _, state in there]
        keys = [self._objects.key(number) for number, _ in there]
        found = read_ranges(self._objects.keys, [(key, *span) for key, span in zip(keys, spans, strict=True)])
        for (number, state), raw in zip(there, found, strict=True):
            if raw is None:
                raise FormatError(f"{state.url}: vanished while it was read")
            self._indexes[number] = decoded_index(self._layout, raw, state.size or 0, state.url)
