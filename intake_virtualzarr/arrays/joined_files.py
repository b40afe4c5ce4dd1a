"""What was joined of many files as one array, file by file again: for who wants each file to keep a manifest of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from intake_virtualzarr.arrays.chunk_grid import AxisGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import Segment
from intake_virtualzarr.storage.source import SourceTable

__all__ = ["file_by_file"]


def file_by_file(segment: Segment) -> Iterator[Segment]:
    """The segments of the files that a segment was joined of; any other segment as it is."""
    stored, axis = segment.stored, segment.stored.joined_along
    files = len(stored.sources)
    if axis is None or not segment.is_whole or files < 2 or stored.grid.grid_shape[axis] % files:
        yield segment
        return
    manifest, along = stored.manifest.load(), stored.grid.axes[axis]
    each = stored.grid.grid_shape[axis] // files
    at = segment.offset[axis]
    for number in range(files):
        rows = slice(number * each, (number + 1) * each)
        part = manifest.region((*(slice(None),) * axis, rows))
        own = ChunkManifest(np.zeros(part.shape, np.uint32), part.offset, part.length, part.codec)
        grid = stored.grid.replace(axis, AxisGrid.varying(along.visible[rows], along.stored[rows]))
        one = replace(stored, grid=grid, manifest=own, sources=SourceTable((stored.sources[number],)), joined_along=None)
        whole = Segment.whole(one, segment.packing)
        yield whole.moved((*segment.offset[:axis], at, *segment.offset[axis + 1 :]))
        at += whole.shape[axis]
