"""One image of a TIFF file as a stored array: tiles or strips as chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.arrays.chunk_grid import AxisGrid, ChunkGrid
from intake_virtualzarr.arrays.manifest import MAX_CHUNK, ChunkManifest
from intake_virtualzarr.arrays.segments import StoredArray
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.tiff.directories import Directory
from intake_virtualzarr.formats.tiff.pipelines import COMPRESSION, pipeline_of, samples_of
from intake_virtualzarr.storage.limits import MAX_DECODED, MAX_TILES
from intake_virtualzarr.storage.source import Source

__all__ = ["Size", "size_of", "stored_image"]

WIDTH, HEIGHT, SAMPLES_PER_PIXEL, PLANAR = 256, 257, 277, 284
STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_COUNTS = 273, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
SEPARATE = 2
MOST_SAMPLES = 65535
LARGEST_EDGE = 2**31 - 1
TOGETHER = 1024 * 1024
"""Strips without compression that lie one after the other are taken together up to this size [bytes]."""


@dataclass(frozen=True)
class Size:
    """Extent of an image."""

    bands: int
    height: int
    width: int


def size_of(directory: Directory) -> Size:
    """The extent of an image.

    Raises
    ------
    UnsupportedError
        If it has none, or one that no array has.
    """
    size = Size(directory.number(SAMPLES_PER_PIXEL, 1), directory.number(HEIGHT, 0), directory.number(WIDTH, 0))
    if not (0 < size.bands <= MOST_SAMPLES and 0 < size.height <= LARGEST_EDGE and 0 < size.width <= LARGEST_EDGE):
        raise UnsupportedError(f"has {size.height} × {size.width} cells of {size.bands} samples, which is no image")
    return size


@dataclass(frozen=True)
class _Tiling:
    """How an image is cut."""

    rows: AxisGrid
    columns: AxisGrid
    offsets: AnyArray | None
    counts: AnyArray | None


def stored_image(directory: Directory, source: Source, big_endian: bool, nodata: Any = None, *, flat: bool = False) -> StoredArray:
    """An image as an array of band, y and x.

    Parameters
    ----------
    directory : Directory
        Its tags.
    source : Source
        The file.
    big_endian : bool
        Byte order of the file.
    nodata : scalar, optional
        Value of tiles that are not stored; 0 if there is none.
    flat : bool
        Whether the array has y and x only (masks).

    Raises
    ------
    UnsupportedError
        If it has no virtual form.
    FormatError
        If tiles lie behind the end of the file.
    """
    size, samples = size_of(directory), samples_of(directory)
    is_separate = size.bands > 1 and directory.number(PLANAR, 1) == SEPARATE
    together = 1 if is_separate else size.bands
    if flat and size.bands != 1:
        raise UnsupportedError(f"is a mask of {size.bands} samples")
    tiling = _tiling(directory, size)
    planes = size.bands if is_separate else 1
    tile_width = int(tiling.columns.edge or size.width)
    row = samples.row_bytes(tile_width * together)
    offsets, counts = _places(tiling, planes, row, directory.number(COMPRESSION, 1), source)
    rows = tiling.rows
    if directory.number(COMPRESSION, 1) == 1 and tiling.columns.count == 1:
        offsets, counts, rows = _joined_strips(offsets, counts, rows, row)
    if int(rows.stored.max()) * row > MAX_DECODED:
        raise UnsupportedError(f"its tiles have {int(rows.stored.max())} rows of {row} bytes, more than is decoded at once")
    codecs = pipeline_of(directory, samples, together, tile_width, big_endian)
    grid = ChunkGrid((AxisGrid.regular(size.bands, together), rows, tiling.columns))
    if flat:
        grid, offsets, counts = ChunkGrid((rows, tiling.columns)), offsets[0], counts[0]
    manifest = ChunkManifest.from_columns(grid.grid_shape, offsets, counts)
    fill = np.zeros((), samples.dtype)[()] if nodata is None else nodata
    return StoredArray(samples.dtype, fill, grid, codecs, manifest, (source,))


def _tiling(directory: Directory, size: Size) -> _Tiling:
    if TILE_WIDTH in directory.tags:
        height, width = directory.number(TILE_HEIGHT, 0), directory.number(TILE_WIDTH)
        if not (0 < height <= LARGEST_EDGE and 0 < width <= LARGEST_EDGE):
            raise UnsupportedError(f"has tiles of {height} × {width} cells")
        offsets, counts = directory.numbers(TILE_OFFSETS), directory.numbers(TILE_COUNTS)
        if offsets is None:  # some writers use the tags of strips
            offsets, counts = directory.numbers(STRIP_OFFSETS), directory.numbers(STRIP_COUNTS)
        return _Tiling(AxisGrid.regular(size.height, height), AxisGrid.regular(size.width, width), offsets, counts)
    height = min(directory.number(ROWS_PER_STRIP, LARGEST_EDGE) or size.height, size.height)
    count = -(-size.height // height)
    offsets, counts = directory.numbers(STRIP_OFFSETS), directory.numbers(STRIP_COUNTS)
    if offsets is None or offsets.size < count:  # before memory is taken for as many
        raise UnsupportedError(f"has {count} strips, and lists {0 if offsets is None else offsets.size}")
    # the last strip is stored short, not padded
    edges = np.full(count, height)
    edges[-1] = size.height - height * (count - 1)
    rows = AxisGrid.varying(edges)
    return _Tiling(rows, AxisGrid.regular(size.width, size.width), offsets, counts)


type Column = npt.NDArray[np.uint64]


def _places(tiling: _Tiling, planes: int, row: int, compression: int, source: Source) -> tuple[Column, Column]:
    """Offset and length of each tile, by plane, row and column of tiles; zeros for those that are not stored."""
    shape = (planes, tiling.rows.count, tiling.columns.count)
    number = planes * tiling.rows.count * tiling.columns.count
    if number > MAX_TILES:
        raise UnsupportedError(f"has {number} tiles, more than the {MAX_TILES} chunks of a manifest")
    if tiling.offsets is None or tiling.offsets.dtype.kind != "u":
        raise UnsupportedError("says nowhere where its values lie")
    if tiling.offsets.size < number:
        raise FormatError(f"{source.url}: lists {tiling.offsets.size} tiles, {number} are needed: it is damaged")
    offsets = tiling.offsets[:number].astype(np.uint64).reshape(shape)
    whole = np.broadcast_to((tiling.rows.stored * row).astype(np.uint64)[:, np.newaxis], shape)
    counts = tiling.counts
    if counts is None or counts.size < number or counts.dtype.kind != "u":
        if compression != 1:
            raise UnsupportedError("is compressed, and does not say how long its tiles are")
        lengths = whole
    else:
        lengths = counts[:number].astype(np.uint64).reshape(shape)
        if compression == 1:  # a last strip may be longer than its rows
            lengths = np.minimum(lengths, whole)
    is_stored = (offsets > 0) & (lengths > 0)
    offsets, lengths = np.where(is_stored, offsets, 0).astype(np.uint64), np.where(is_stored, lengths, 0).astype(np.uint64)
    if int(lengths.max()) > MAX_CHUNK:
        raise UnsupportedError(f"has tiles of {int(lengths.max())} bytes, longer than the {MAX_CHUNK} of a reference")
    if source.size is not None and (offsets > source.size).any():
        raise FormatError(f"{source.url}: a tile lies at byte {int(offsets.max())}, the file has {source.size}: it is truncated")
    if source.size is not None and int((offsets + lengths).max()) > source.size:
        end = int((offsets + lengths).max())
        raise FormatError(f"{source.url}: a tile reaches to byte {end}, the file has {source.size}: it is truncated or damaged")
    return offsets, lengths


def _joined_strips(offsets: Column, counts: Column, rows: AxisGrid, row: int) -> tuple[Column, Column, AxisGrid]:
    """Strips that lie one after the other as fewer, longer ones."""
    strip = int(rows.stored[0]) * row
    together = min(TOGETHER // max(strip, 1), rows.count)
    if together < 2:
        return offsets, counts, rows
    exact = (rows.stored * row).astype(np.uint64)[:, np.newaxis]
    if (offsets == 0).any() or (counts != exact).any() or (offsets[:, :-1] + counts[:, :-1] != offsets[:, 1:]).any():
        return offsets, counts, rows
    firsts = np.arange(0, rows.count, together)
    joined = AxisGrid.varying(np.add.reduceat(rows.stored, firsts))
    return offsets[:, firsts], np.add.reduceat(counts, firsts, axis=1), joined
