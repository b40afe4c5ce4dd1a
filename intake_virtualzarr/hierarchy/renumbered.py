"""References as they are written: rows of another source table in place of the array's own, box by box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.errors import ManifestError

__all__ = ["Renumbered", "used_rows"]

BLOCK = 1 << 20
"""References that are looked at together."""


@dataclass(frozen=True, eq=False)
class Renumbered:
    """A manifest whose rows are those of another table; made where a box is asked for, so that there is no second manifest."""

    manifest: ChunkManifest
    rows: npt.NDArray[np.uint32]
    """The new row of each old one."""
    shift: npt.NDArray[np.uint64] | None = None
    """What is added to the offsets in each old row [bytes]; None: nothing."""

    @property
    def shape(self) -> Shape:
        """Shape of the chunk grid."""
        return self.manifest.shape

    def region(self, slices: tuple[slice, ...]) -> ChunkManifest:
        """The references of a box of chunks."""
        part = self.manifest.region(slices)
        kept = part.length > 0
        old = np.where(kept, part.source, 0)  # the row of a chunk that is not stored means nothing
        source = np.where(kept, self.rows[old], np.uint32(0)) if self.rows.size else np.zeros(part.shape, np.uint32)
        offset = part.offset if self.shift is None else part.offset + np.where(kept, self.shift[old], np.uint64(0))
        return ChunkManifest(source, offset, part.length, part.codec)


def used_rows(manifest: ChunkManifest, count: int) -> list[int]:
    """The rows of a source table that stored chunks lie in, in order.

    Parameters
    ----------
    manifest : ChunkManifest
        The references.
    count : int
        Rows of the table.

    Raises
    ------
    ManifestError
        If a chunk lies in a row that is not there.
    """
    used = np.zeros(count, bool)
    for box in _blocks(manifest.shape):
        part = manifest.region(box)
        rows = part.source[part.length > 0] if not np.all(part.length) else part.source
        if rows.size and int(rows.max()) >= count:
            raise ManifestError(f"manifest names source {int(rows.max())}, the table has {count} rows")
        used[rows] = True
    found: list[int] = np.flatnonzero(used).tolist()
    return found


def _blocks(shape: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Boxes along the longest axis, of some `BLOCK` references each."""
    axis = max(range(len(shape)), key=shape.__getitem__, default=0)
    if not shape:
        yield ()
        return
    others = int(np.prod(shape, dtype=np.int64)) // max(shape[axis], 1)
    step = max(1, BLOCK // max(others, 1))
    for start in range(0, shape[axis], step):
        yield tuple(slice(start, start + step) if i == axis else slice(None) for i in range(len(shape)))
