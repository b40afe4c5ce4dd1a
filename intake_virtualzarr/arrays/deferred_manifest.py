"""References that are read when an array is first touched, part by part, and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.errors import ManifestError
from intake_virtualzarr.storage.source import Source, SourceRows

__all__ = ["DeferredReferences", "DeferredSources", "Part"]


class Part(NamedTuple):
    """References of some chunks, in C order of the grid."""

    sources: Sequence[Source]
    """Files that they lie in."""
    row: npt.NDArray[np.int64]
    """For each chunk its file, a position in ``sources``."""
    offset: npt.NDArray[np.uint64]
    """First byte of each chunk [bytes]."""
    length: npt.NDArray[np.uint32]
    """Encoded size of each chunk [bytes]; 0 for one that is not stored."""


ABSENT = Source("inline:absent", size=0, content=b"")
"""Stands in the source table where a chunk is not stored."""


class DeferredReferences:
    """A manifest, with its source table, of references that are kept in parts.

    Parameters
    ----------
    grid_shape : tuple of int
        Shape of the chunk grid.
    part_size : int
        Chunks in a part; the last part has fewer.
    read_part : callable
        Reads the references of a part, by number. Must survive pickling if the references are to.

    Notes
    -----
    The source table has a row for each chunk, so that it can be told what a row means without reading the other parts. Chunks of
    one part that lie in one file share the row of the first of them.
    """

    deferred = True
    """Showing an array must not read its references."""

    def __init__(self, grid_shape: Shape, part_size: int, read_part: Callable[[int], Part]) -> None:
        self.shape = grid_shape
        self.size = max(part_size, 1)
        self._read = read_part
        self._parts: dict[int, Part] = {}
        self.sources = DeferredSources(self)

    def __reduce__(self) -> tuple[type[DeferredReferences], tuple[Shape, int, Callable[[int], Part]]]:
        return DeferredReferences, (self.shape, self.size, self._read)

    @property
    def nbytes(self) -> int:
        """Memory of what was read [bytes]."""
        return sum(part.row.nbytes + part.offset.nbytes + part.length.nbytes for part in list(self._parts.values()))

    def region(self, slices: tuple[slice, ...]) -> ChunkManifest:
        """The references of a box of chunks."""
        spans = [np.arange(n)[s] for s, n in zip(slices, self.shape, strict=True)]
        box = tuple(span.size for span in spans)
        if 0 in box:
            return ChunkManifest.empty(box)
        flat = np.ravel_multi_index(np.ix_(*spans), self.shape).reshape(-1) if spans else np.zeros(1, np.intp)
        row, offset, length = np.zeros(flat.size, np.uint32), np.zeros(flat.size, np.uint64), np.zeros(flat.size, np.uint32)
        numbers = flat // self.size
        for number in np.unique(numbers).tolist():
            here = np.flatnonzero(numbers == number)
            inside = flat[here] - number * self.size
            part = self.part(number)
            offset[here], length[here] = part.offset[inside], part.length[inside]
            row[here] = np.where(part.length[inside] > 0, number * self.size + _first_uses(part)[part.row[inside]], 0)
        return ChunkManifest(row.reshape(box), offset.reshape(box), length.reshape(box))

    def load(self) -> ChunkManifest:
        """All references, in memory."""
        return self.region(tuple(slice(0, n) for n in self.shape))

    def part(self, number: int) -> Part:
        """The references of a part, read once."""
        found = self._parts.get(number)
        if found is None:
            found = self._parts[number] = self._read(number)
        return found


def _first_uses(part: Part) -> npt.NDArray[np.int64]:
    """For each source of a part the first chunk that lies in it."""
    first = np.zeros(max(len(part.sources), 1), np.int64)
    stored = np.flatnonzero(part.length > 0)
    used, where = np.unique(part.row[stored], return_index=True)
    first[used] = stored[where]
    return first


class DeferredSources(SourceRows):
    """The source table of deferred references: one row for each chunk."""

    def __init__(self, references: DeferredReferences) -> None:
        self._references = references

    def __len__(self) -> int:
        return prod(self._references.shape)

    def row(self, number: int) -> Source:
        """The source of one chunk."""
        if not 0 <= number < len(self):
            raise ManifestError(f"manifest names source {number}, the table has {len(self)} rows")
        which, inside = divmod(number, self._references.size)
        part = self._references.part(which)
        return part.sources[int(part.row[inside])] if part.length[inside] else ABSENT
