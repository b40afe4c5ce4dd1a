"""Images compressed by tiles: rows of a table as chunks.

Source: FITS standard 4.0 (2018), section 10.1.
"""

from __future__ import annotations

from math import prod

import numpy as np

from intake_virtualzarr._typing import AnyArray, Shape
from intake_virtualzarr.arrays.chunk_grid import AxisGrid, ChunkGrid
from intake_virtualzarr.arrays.manifest import MAX_PIPELINES, ChunkManifest
from intake_virtualzarr.arrays.segments import Segment, StoredArray
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.fits.hdus import Hdu, axes_of
from intake_virtualzarr.formats.fits.tile_codecs import numbers_of_compressed, pipelines_of
from intake_virtualzarr.formats.fits.tile_table import read_table, streams_of
from intake_virtualzarr.storage.limits import MAX_DECODED, MAX_TILES
from intake_virtualzarr.storage.source import Source

__all__ = ["compressed_segments"]


def compressed_segments(hdu: Hdu, source: Source) -> tuple[Shape, tuple[Segment, ...]]:
    """Shape of a compressed image, and where its values lie.

    Raises
    ------
    UnsupportedError
        If it has no virtual form.
    FormatError
        If the table contradicts itself, or tiles lie outside of the part.
    """
    if len(hdu.axes) != 2:
        raise FormatError(f"is a table of {len(hdu.axes)} axes, expected 2")
    numbers = numbers_of_compressed(hdu)
    shape = axes_of(hdu.header, "ZNAXIS")[::-1]
    grid = _grid(hdu, shape)
    tiles = read_table(hdu, prod(grid.grid_shape))
    largest = prod(int(axis.stored.max()) for axis in grid.axes) * 8
    if largest > MAX_DECODED:
        raise UnsupportedError(f"its tiles have {largest} bytes, more than is decoded at once")
    choice, offsets, lengths = streams_of(tiles)
    pipelines, which = pipelines_of(tiles, numbers, choice)
    packing = Packing.from_attrs(numbers.packing, numbers.dtype)
    segments: list[Segment] = []
    for first, last, used, codec in _blocks(which.reshape(grid.grid_shape)):
        rows = slice(first, last)
        part = ChunkGrid((AxisGrid.varying(grid.axes[0].visible[rows]), *grid.axes[1:]))
        at, length = (column.reshape(grid.grid_shape)[rows] for column in (offsets, lengths))
        manifest = ChunkManifest.from_columns(part.grid_shape, at, length, codec=codec)
        own, *others = [pipelines[index] for index in used]
        fill = np.zeros((), numbers.dtype)[()]
        stored = StoredArray(numbers.dtype, fill, part, own, manifest, (source,), tuple(others))
        segments.append(_placed(Segment.whole(stored, packing), int(grid.axes[0].starts[first])))
    return shape, tuple(segments)


def _placed(segment: Segment, first: int) -> Segment:
    """A segment whose first row is not that of the array."""
    offset = (first, *segment.offset[1:])
    return Segment(segment.stored, segment.windows, segment.axes, offset, segment.shape, segment.packing)


def _grid(hdu: Hdu, shape: Shape) -> ChunkGrid:
    """Tiles as chunks; the last ones are stored short."""
    header, count = hdu.header, len(shape)
    edges = tuple(header.whole(f"ZTILE{axis + 1}", shape[-1] if axis == 0 else 1) for axis in range(count))[::-1]
    if not count or any(edge < 1 for edge in edges) or any(length < 1 for length in shape):
        raise UnsupportedError(f"is an image of {shape} values in tiles of {edges}")
    number = prod(-(-length // edge) for length, edge in zip(shape, edges, strict=True))
    if number > MAX_TILES:
        raise UnsupportedError(f"has {number} tiles, more than the {MAX_TILES} chunks of a manifest")
    if hdu.axes[1] != number:  # before memory is taken for as many
        raise FormatError(f"its table has {hdu.axes[1]} rows for {number} tiles")
    axes = [_axis(length, edge) for length, edge in zip(shape, edges, strict=True)]
    return ChunkGrid(tuple(axes))


def _axis(length: int, edge: int) -> AxisGrid:
    if length % edge == 0 or edge > length:
        return AxisGrid.regular(length, min(edge, length))
    visible = np.full(-(-length // edge), edge)
    visible[-1] = length % edge
    return AxisGrid.varying(visible)


def _blocks(which: AnyArray) -> list[tuple[int, int, list[int], AnyArray]]:
    """Stretches of rows of tiles that have few pipelines each: first and last row, the pipelines, and whose is which."""
    blocks: list[tuple[int, int, list[int], AnyArray]] = []
    first = 0
    used: set[int] = set()
    if len(np.unique(which)) <= MAX_PIPELINES:
        found, codec = np.unique(which, return_inverse=True)
        return [(0, len(which), found.tolist(), codec.reshape(which.shape))]
    for row in range(len(which)):
        of_row = set(which[row].ravel().tolist())
        if len(of_row) > MAX_PIPELINES:
            raise UnsupportedError(f"has {len(of_row)} scales of floats beside each other, at most {MAX_PIPELINES} are referenced")
        if len(used | of_row) > MAX_PIPELINES:
            blocks.append(_block(which, first, row))
            first, used = row, set()
        used |= of_row
    return [*blocks, _block(which, first, len(which))]


def _block(which: AnyArray, first: int, last: int) -> tuple[int, int, list[int], AnyArray]:
    found, codec = np.unique(which[first:last], return_inverse=True)
    return first, last, found.tolist(), codec.reshape(which[first:last].shape)
