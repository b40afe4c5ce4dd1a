"""Ordinary Zarr arrays as stored arrays: each chunk, or each shard of chunks, is a source of its own: an object of the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from intake_virtualzarr._typing import Attrs, Shape
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import StoredArray
from intake_virtualzarr.codecs.spec import pipeline_from_json
from intake_virtualzarr.errors import HierarchyError, ManifestError
from intake_virtualzarr.hierarchy.chunk_grid_json import grid_from_json, shape_from_json
from intake_virtualzarr.hierarchy.data_types import data_type_from_json, fill_value_from_json
from intake_virtualzarr.hierarchy.sharding import Sharding, ShardKeys, ShardListing, ShardObjects, Shards
from intake_virtualzarr.storage.key_value import Keys
from intake_virtualzarr.storage.source import Source, SourceRows
from intake_virtualzarr.storage.urls import quoted

__all__ = ["ChunkObjects", "key_parts", "ordinary_stored"]

ABSENT = Source("inline:absent", size=0, content=b"")
"""Stands in the source table where a chunk is not stored."""
FEW = 8
"""Up to this many chunks are fetched at once instead of being asked for their sizes first."""


class ChunkObjects(SourceRows):
    """The chunks of an ordinary array as sources: row = number of the chunk in C order; bytes are fetched at once."""

    def __init__(self, keys: Keys, prefix: str, separator: str, grid_shape: Shape) -> None:
        self._keys = keys
        self._prefix = prefix
        self._separator = separator
        self._grid = grid_shape
        self._count = int(np.prod(grid_shape, dtype=np.int64))
        self._kept: dict[int, bytes] = {}

    def __len__(self) -> int:
        return self._count

    def key(self, row: int) -> str:
        """The key of a chunk."""
        coords = np.unravel_index(row, self._grid) if self._grid else ()
        return self._prefix + self._separator.join(str(int(c)) for c in coords)

    def fetch(self, rows: Sequence[int]) -> dict[int, int]:
        """Fetch and keep a few chunks at once; their sizes, 0 for one that is absent."""
        if not all(row in self._kept for row in rows):
            blobs = self._keys.get_many([self.key(row) for row in rows])
            self._kept = {row: blob for row, blob in zip(rows, blobs, strict=True) if blob is not None}
        return {row: len(self._kept.get(row, b"")) for row in rows}

    def __iter__(self) -> Iterator[Source]:
        return (self._source(row) or ABSENT for row in range(self._count))

    def row(self, number: int) -> Source:
        """One chunk, with its bytes."""
        if not 0 <= number < self._count:
            raise ManifestError(f"manifest names chunk {number}, the array has {self._count}")
        found = self._source(number)
        if found is None:
            raise HierarchyError(f"{self._keys.url}/{self.key(number)}: vanished while it was read")
        return found

    def _source(self, row: int) -> Source | None:
        content = self._kept.get(row) or self._keys.get(self.key(row))
        return None if content is None else Source(f"{self._keys.url}/{self.key(row)}", size=len(content), content=content)


class ChunkListing:
    """The manifest of an ordinary array: asks the store for the size of each chunk."""

    nbytes = 0
    """Nothing is kept."""
    deferred = False

    def __init__(self, keys: Keys, objects: ChunkObjects, grid_shape: Shape) -> None:
        self._keys = keys
        self._objects = objects
        self.shape = grid_shape

    def region(self, slices: tuple[slice, ...]) -> ChunkManifest:
        """References of a box of chunks."""
        spans = [range(*s.indices(n)) for s, n in zip(slices, self.shape, strict=True)]
        shape = tuple(len(span) for span in spans)
        rows = np.zeros(shape, np.uint32)
        lengths = np.zeros(shape, np.uint32)
        for at in product(*(range(n) for n in shape)):
            coords = [span[i] for span, i in zip(spans, at, strict=True)]
            rows[at] = int(np.ravel_multi_index(coords, self.shape)) if self.shape else 0
        few = self._objects.fetch(rows.ravel().tolist()) if rows.size <= FEW else None
        for at in product(*(range(n) for n in shape)):
            row = int(rows[at])
            lengths[at] = few[row] if few is not None else self._keys.size(self._objects.key(row)) or 0
        return ChunkManifest(rows, np.zeros(shape, np.uint64), lengths)

    def load(self) -> ChunkManifest:
        """All references."""
        return self.region(tuple(slice(0, n) for n in self.shape))


def ordinary_stored(keys: Keys, path: str, document: Attrs) -> StoredArray:
    """An ordinary Zarr v3 array as a stored array.

    Raises
    ------
    HierarchyError
        If its chunk keys are encoded in an unknown way, or its shards cannot be read here.
    """
    label = f"{keys.url}/{path}"
    shape = shape_from_json(document["shape"], label)
    dtype = data_type_from_json(document["data_type"])
    grid: ChunkGrid = grid_from_json(document["chunk_grid"], shape, None, label)
    codecs = pipeline_from_json(document["codecs"])
    prefix, separator = key_parts(document, path, label)
    origin = f"{keys.url}/{quoted(path)}"
    fill = fill_value_from_json(document["fill_value"], dtype)
    sharding = Sharding.of(codecs, label)
    if sharding is None:
        chunks = ChunkObjects(keys, prefix, separator, grid.grid_shape)
        return StoredArray(dtype, fill, grid, codecs, ChunkListing(keys, chunks, grid.grid_shape), chunks, origin=origin)
    if grid.chunk_shape is None:
        raise HierarchyError(f"{label}: has shards in an uneven chunk grid, which cannot be read here")
    shards = Shards(keys, ShardKeys(prefix, separator), grid.chunk_shape, sharding, label)
    inner = ChunkGrid.regular(shape, sharding.chunk_shape)
    objects = ShardObjects(keys, shards, grid.grid_shape)
    return StoredArray(dtype, fill, inner, sharding.codecs, ShardListing(shards, inner, grid.grid_shape), objects, origin=origin)


def key_parts(document: Attrs, path: str, label: str) -> tuple[str, str]:
    """What stands before the coordinates in the keys of an array's chunks, and between them.

    Raises
    ------
    HierarchyError
        If the chunk key encoding is unknown.
    """
    encoding = document.get("chunk_key_encoding", {})
    separator = (encoding.get("configuration") or {}).get("separator")
    if separator not in (None, "", "/", "."):
        raise HierarchyError(f"{label}: separator of chunk keys is {separator!r}, expected '/' or '.'")
    below = f"{path}/" if path else ""
    if encoding.get("name") == "default":
        separator = separator or "/"
        return (f"{below}c{separator}" if document["shape"] else f"{below}c"), separator
    if encoding.get("name") == "v2":
        return (below if document["shape"] else f"{below}0"), separator or "."
    raise HierarchyError(f"{label}: chunk_key_encoding {encoding.get('name')!r} is unknown")
