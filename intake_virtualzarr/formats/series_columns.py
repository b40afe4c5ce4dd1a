"""The chunks of all files of a series, joined as columns: one manifest, without a segment for each file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.arrays.chunk_grid import AxisGrid, concatenate_axes
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import Segment, StoredArray
from intake_virtualzarr.formats.base import ScannedArray
from intake_virtualzarr.formats.series import Schema, SeriesArrays
from intake_virtualzarr.storage.source import SourceTable

__all__ = ["SeriesColumns"]


@dataclass(frozen=True, eq=False)
class SeriesColumns:
    """Files of one schema, one after the other."""

    schema: Schema
    sources: SourceTable
    offset: AnyArray
    """First bytes of chunks: a row for each file."""
    length: AnyArray
    """Encoded sizes, likewise; 0 for chunks that are not stored."""
    _axes: dict[int, AxisGrid] = field(default_factory=dict)
    """Chunks along the joined axis, by the identity of those of one file."""

    @classmethod
    def of(cls, arrays: Sequence[SeriesArrays], count: int) -> SeriesColumns | None:
        """The columns of ``count`` files; None if these are not all of one schema."""
        if len(arrays) < count or any(one.schema is not arrays[0].schema for one in arrays):
            return None
        schema = arrays[0].schema
        offset = np.concatenate([one.offset for one in arrays]).reshape(count, schema.chunks)
        length = np.concatenate([one.length for one in arrays]).reshape(count, schema.chunks)
        return cls(schema, SourceTable(tuple(one.source for one in arrays)), offset, length)

    def join(self, array: ScannedArray, axis: int) -> Segment | None:
        """One segment for all files, which lie one after the other along an axis.

        It is what the segments of the files become when they are written (`write_plan`); None for an array of which that is not
        plain.
        """
        place, segment = self.schema.places.get(array.path), array.segments[0]
        stored = segment.stored
        if place is None or stored.alternatives or not segment.is_whole or segment.shape != array.shape:
            return None
        manifest = self._manifest(stored, place, axis)
        along = stored.grid.axes[axis]
        joined = self._axes.get(id(along))
        if joined is None:
            joined = self._axes[id(along)] = concatenate_axes([along] * len(self.sources))
        grid = stored.grid.replace(axis, joined)
        whole = StoredArray(stored.dtype, stored.fill_value, grid, stored.codecs, manifest, self.sources, joined_along=axis)
        return Segment.whole(whole, segment.packing)

    def _manifest(self, stored: StoredArray, place: slice, axis: int) -> ChunkManifest:
        counts, files = stored.grid.grid_shape, len(self.sources)
        shape = (*counts[:axis], files * counts[axis], *counts[axis + 1 :])

        def joined(column: AnyArray) -> AnyArray:
            return np.moveaxis(column[:, place].reshape(files, *counts), 0, axis).reshape(shape)

        length = np.ascontiguousarray(joined(self.length))
        rows = np.repeat(np.arange(files, dtype=np.uint32), counts[axis])
        source = np.array(np.broadcast_to(rows.reshape(-1, *(1 for _ in counts[axis + 1 :])), shape))
        source[length == 0] = 0  # the row of a chunk that is not stored means nothing
        return ChunkManifest(source, np.ascontiguousarray(joined(self.offset)), length)
