"""Images compressed by tiles: rows of a table as chunks.

Source: FITS standard 4.0 (2018), section 10.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, Shape
from intake_virtualzarr.arrays.chunk_grid import AxisGrid, ChunkGrid
from intake_virtualzarr.arrays.manifest import MAX_CHUNK, ChunkManifest
from intake_virtualzarr.arrays.segments import Segment, StoredArray
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.codecs.spec import CodecSpec, Pipeline, bytes_codec
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.fits.hdus import Hdu, axes_of
from intake_virtualzarr.formats.fits.scaling import Numbers, numbers_of
from intake_virtualzarr.storage.limits import MAX_DECODED, MAX_TILES
from intake_virtualzarr.storage.source import Source

__all__ = ["compressed_segments", "numbers_of_compressed"]

FORM = re.compile(r"(\d{0,9})([LXBIJKAEDCMPQ])(.*)")
WIDTHS = {"L": 1, "B": 1, "A": 1, "I": 2, "J": 4, "K": 8, "E": 4, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}
"""Size of an element by its letter [bytes]; bits (X) are counted apart."""
TYPES = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
PLACES = {"P": ">i4", "Q": ">i8"}
STREAMS = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA")
"""Columns in which a tile may lie."""
DITHERS = {"NO_DITHER": 0, "NONE": 0, "SUBTRACTIVE_DITHER_1": 1, "SUBTRACTIVE_DITHER_2": 2}
MOST_PIPELINES = 256
MOST_QUANTIZED = 2**14
"""Tiles of floats that have a scale each: as many codec pipelines."""


@dataclass(frozen=True)
class _Column:
    """A column of the table."""

    start: int
    width: int
    letter: str
    element: str
    """Letter of what lies in the heap."""


@dataclass(frozen=True, eq=False)
class _Tiles:
    """The table of a compressed image."""

    hdu: Hdu
    rows: npt.NDArray[np.uint8] = field(repr=False)
    columns: Mapping[str, _Column]

    def numbers(self, name: str) -> AnyArray:
        """A column of single numbers, or the keyword of that name for all rows."""
        column = self.columns.get(name)
        if column is None:
            return np.full(len(self.rows), self.hdu.header.real(name, 0.0))
        if column.letter not in TYPES or column.width != WIDTHS[column.letter]:
            raise UnsupportedError(f"its column {name} does not hold single numbers")
        return self._raw(column).view(TYPES[column.letter])[:, 0]

    def has(self, name: str) -> bool:
        """Whether there is such a column or keyword."""
        return name in self.columns or name in self.hdu.header.values

    def places(self, name: str) -> tuple[AnyArray, AnyArray]:
        """Offset from the heap and length of the streams of a column [bytes]."""
        column = self.columns[name]
        if column.letter not in PLACES or column.width != WIDTHS[column.letter]:
            raise UnsupportedError(f"its column {name} does not lie in the heap")
        both = self._raw(column).view(PLACES[column.letter]).astype(np.int64)
        counts, offsets = both[:, 0], both[:, 1]
        if (both < 0).any() or (both > 2**60).any():
            raise FormatError(f"column {name} says that a tile lies at byte {offsets.min()} of {counts.min()} to {counts.max()}")
        return offsets, counts * WIDTHS.get(column.element, 1)

    def _raw(self, column: _Column) -> AnyArray:
        return np.ascontiguousarray(self.rows[:, column.start : column.start + column.width])


def numbers_of_compressed(hdu: Hdu) -> Numbers:
    """What the numbers of a compressed image mean."""
    blank = "ZBLANK" if "ZBLANK" in hdu.header.values else "BLANK"
    return numbers_of(hdu.header, hdu.header.whole("ZBITPIX"), blank)


def compressed_segments(hdu: Hdu, source: Source) -> tuple[Shape, tuple[Segment, ...]]:
    """Shape of a compressed image, and where its values lie.

    Raises
    ------
    UnsupportedError
        If it has no virtual form.
    FormatError
        If the table contradicts itself, or tiles lie outside of the part.
    """
    numbers = numbers_of_compressed(hdu)
    shape = axes_of(hdu.header, "ZNAXIS")[::-1]
    grid = _grid(hdu, shape)
    tiles = _table(hdu, prod(grid.grid_shape))
    largest = prod(int(axis.stored.max()) for axis in grid.axes) * 8
    if largest > MAX_DECODED:
        raise UnsupportedError(f"its tiles have {largest} bytes, more than is decoded at once")
    choice, offsets, lengths = _streams(tiles, source)
    pipelines, which = _pipelines(tiles, numbers, choice)
    packing = Packing.from_attrs(numbers.packing, numbers.dtype)
    segments: list[Segment] = []
    for first, last, used, codec in _blocks(which.reshape(grid.grid_shape)):
        rows = slice(first, last)
        part = ChunkGrid((AxisGrid.varying(grid.axes[0].visible[rows]), *grid.axes[1:]))
        of_part = [column.reshape(grid.grid_shape)[rows] for column in (offsets, lengths)]
        manifest = ChunkManifest.from_columns(part.grid_shape, *of_part, codec=codec)
        own, *others = [pipelines[index] for index in used]
        fill = np.zeros((), numbers.dtype)[()]
        stored = StoredArray(numbers.dtype, fill, part, own, manifest, (source,), tuple(others))
        segments.append(_placed(Segment.whole(stored, packing), int(grid.axes[0].starts[first])))
    return shape, tuple(segments)


def _placed(segment: Segment, first: int) -> Segment:
    """A segment whose first row is not that of the array."""
    offset = (first, *segment.offset[1:])
    return Segment(segment.stored, segment.windows, segment.axes, offset, segment.shape, segment.packing)


# ---------------------------------------------------------------------- the table


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


def _table(hdu: Hdu, number: int) -> _Tiles:
    columns: dict[str, _Column] = {}
    at = 0
    for index in range(1, hdu.header.whole("TFIELDS") + 1):
        form = FORM.fullmatch(hdu.header.text(f"TFORM{index}"))
        if form is None or index > 999:
            raise FormatError(f"keyword TFORM{index} is {hdu.header.values.get(f'TFORM{index}')!r}")
        count, letter = int(form[1] or 1), form[2]
        width = -(-count // 8) if letter == "X" else count * WIDTHS[letter]
        columns[hdu.header.text(f"TTYPE{index}")] = _Column(at, width, letter, form[3][:1])
        at += width
    width = hdu.axes[0]
    if at != width:
        raise FormatError(f"columns have {at} bytes, rows {width}")
    if "COMPRESSED_DATA" not in columns:
        raise FormatError("its table has no column COMPRESSED_DATA")
    if "NULL_PIXEL_MASK" in columns:
        raise UnsupportedError("it keeps missing values in masks beside its tiles (NULL_PIXEL_MASK)")
    if len(hdu.table) < width * number:
        raise FormatError(f"its table has {len(hdu.table)} bytes, expected {width * number}: the file is truncated")
    rows = np.frombuffer(hdu.table, np.uint8)[: width * number].reshape(number, width)
    return _Tiles(hdu, rows, columns)


def _streams(tiles: _Tiles, source: Source) -> tuple[AnyArray, AnyArray, AnyArray]:
    """For each tile the column in which it lies, its offset in the file, and its length."""
    hdu = tiles.hdu
    number = len(tiles.rows)
    choice, offsets, lengths = np.zeros(number, np.int64), np.zeros(number, np.int64), np.zeros(number, np.int64)
    for index, name in enumerate(STREAMS):
        if name in tiles.columns:
            at, length = tiles.places(name)
            use = (lengths == 0) & (length > 0)
            choice, offsets, lengths = np.where(use, index, choice), np.where(use, at, offsets), np.where(use, length, lengths)
    if not lengths.all():
        raise FormatError(f"{int((lengths == 0).sum())} of its tiles have no bytes")
    heap = hdu.header.whole("THEAP", hdu.axes[0] * hdu.axes[1])
    if heap < 0 or int((offsets + lengths).max()) + heap > hdu.size:
        raise FormatError(f"a tile reaches to byte {int((offsets + lengths).max()) + heap} of a part that has {hdu.size}")
    if int(lengths.max()) > MAX_CHUNK:
        raise UnsupportedError(f"has tiles of {int(lengths.max())} bytes, longer than the {MAX_CHUNK} of a reference")
    return choice, (offsets + hdu.start + heap).astype(np.uint64), lengths.astype(np.uint64)


# ---------------------------------------------------------------------- codecs


def _pipelines(tiles: _Tiles, numbers: Numbers, choice: AnyArray) -> tuple[list[Pipeline], AnyArray]:
    """The codec pipelines, and for each tile which of them is its own."""
    header = tiles.hdu.header
    is_quantized = numbers.stored.kind == "f" and (tiles.has("ZSCALE") or not _is_gzip(_compression(tiles.hdu)))
    if not is_quantized:
        if "ZBLANK" in tiles.columns:
            raise UnsupportedError("each of its tiles has a value of its own for what is missing (column ZBLANK)")
        used, which = np.unique(choice, return_inverse=True)
        return [(*numbers.codecs, *_stream_codecs(tiles.hdu, numbers, int(one), False)) for one in used], which.reshape(-1)
    method = DITHERS.get(header.text("ZQUANTIZ", "NO_DITHER").upper())
    if method is None:
        raise UnsupportedError(f"its floats are quantized by {header.text('ZQUANTIZ')!r}, which is unknown")
    rows = _quantization(tiles, choice, method)
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    if len(distinct) > MOST_QUANTIZED:
        raise UnsupportedError(f"has {len(distinct)} tiles of floats with a scale each; at most {MOST_QUANTIZED} are referenced")
    return [_quantized_pipeline(tiles, numbers, method, row) for row in distinct.tolist()], which.reshape(-1)


def _quantization(tiles: _Tiles, choice: AnyArray, method: int) -> npt.NDArray[np.float64]:
    """Column, scale, zero point, missing value and place in the random sequence of each tile."""
    number = len(tiles.rows)
    columns = [choice.astype(np.float64)]
    for name, usual in (("ZSCALE", 1.0), ("ZZERO", 0.0)):
        columns.append(tiles.numbers(name).astype(np.float64) if tiles.has(name) else np.full(number, usual))
    columns.append(tiles.numbers("ZBLANK").astype(np.float64) if tiles.has("ZBLANK") else np.zeros(number))
    seed = tiles.hdu.header.whole("ZDITHER0", 0)
    # tiles and seeds are counted from 1
    columns.append((np.arange(number) + seed - 1.0) % 10_000 if method else np.zeros(number))
    rows = np.stack(columns, axis=1)
    rows[choice != 0, 1:] = 0  # kept as floats
    if not np.isfinite(rows).all():
        raise FormatError("a tile has a scale or zero point that is no number")
    return rows


def _quantized_pipeline(tiles: _Tiles, numbers: Numbers, method: int, row: list[float]) -> Pipeline:
    choice, scale, zero, blank, place = row
    codecs = _stream_codecs(tiles.hdu, numbers, int(choice), choice == 0)
    if choice:
        return codecs
    configuration: dict[str, Any] = {"scale": scale, "zero": zero}
    if tiles.has("ZBLANK"):
        configuration["blank"] = int(blank)
    if method:
        configuration["tile"] = int(place)
    if method == 2:
        configuration["zeros"] = True
    return (CodecSpec.of("fits.quantized", **configuration), *codecs)


def _stream_codecs(hdu: Hdu, numbers: Numbers, choice: int, is_quantized: bool) -> Pipeline:
    """Codecs of a stream of one column."""
    dtype = np.dtype(">i4") if is_quantized else numbers.stored.newbyteorder(">")
    plain, unzip = bytes_codec(dtype), CodecSpec.of("gzip", level=5)
    if choice:
        return (plain,) if STREAMS[choice] == "UNCOMPRESSED_DATA" else (plain, unzip)
    name = _compression(hdu)
    if name == "GZIP_1":
        return plain, unzip
    if name == "GZIP_2":
        return plain, CodecSpec.of("numcodecs.shuffle", elementsize=dtype.itemsize), unzip
    if name == "NOCOMPRESS":
        return (plain,)
    settings = _settings(hdu)
    if name in ("RICE_1", "RICE_ONE"):
        return (CodecSpec.of("fits.rice", bytes=int(settings.get("BYTEPIX", 4)), block=int(settings.get("BLOCKSIZE", 32))),)
    if name == "HCOMPRESS_1":
        return (CodecSpec.of("fits.hcompress", smooth=int(settings.get("SMOOTH", 0))),)
    if name == "PLIO_1":
        return (CodecSpec.of("fits.plio"),)
    raise UnsupportedError(f"its tiles are compressed by {name!r}, which no codec here undoes")


def _compression(hdu: Hdu) -> str:
    return hdu.header.text("ZCMPTYPE").upper()


def _is_gzip(name: str) -> bool:
    return name.startswith("GZIP") or name == "NOCOMPRESS"


def _settings(hdu: Hdu) -> dict[str, float]:
    """Parameters of the compression by name."""
    settings: dict[str, float] = {}
    index = 1
    while f"ZNAME{index}" in hdu.header.values and index < 1000:
        value = hdu.header.values.get(f"ZVAL{index}")
        if isinstance(value, int | float):
            settings.setdefault(hdu.header.text(f"ZNAME{index}").upper(), value)
        index += 1
    return settings


def _blocks(which: AnyArray) -> list[tuple[int, int, list[int], AnyArray]]:
    """Stretches of rows of tiles that have few pipelines each: first and last row, the pipelines, and whose is which."""
    blocks: list[tuple[int, int, list[int], AnyArray]] = []
    first = 0
    used: set[int] = set()
    if len(np.unique(which)) <= MOST_PIPELINES:
        found, codec = np.unique(which, return_inverse=True)
        return [(0, len(which), found.tolist(), codec.reshape(which.shape))]
    for row in range(len(which)):
        of_row = set(which[row].ravel().tolist())
        if len(of_row) > MOST_PIPELINES:
            raise UnsupportedError(f"has {len(of_row)} tiles of floats with a scale each beside each other, at most {MOST_PIPELINES}")
        if len(used | of_row) > MOST_PIPELINES:
            blocks.append(_block(which, first, row))
            first, used = row, set()
        used |= of_row
    return [*blocks, _block(which, first, len(which))]


def _block(which: AnyArray, first: int, last: int) -> tuple[int, int, list[int], AnyArray]:
    found, codec = np.unique(which[first:last], return_inverse=True)
    return first, last, found.tolist(), codec.reshape(which[first:last].shape)
