"""A picture of the chunk grid of an array: which file each part comes from, and where nothing is stored. Inline SVG, no script."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.arrays.chunk_grid import AxisGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import Segment, Segments, Window

__all__ = ["HUES", "chunk_map"]

COLUMNS, ROWS = 64, 24
"""Cells of the picture, at most."""
CELL = 6
"""Edge of a cell [px]."""
HUES = tuple(f"hsl({(205 + 47 * k) % 360} 55% 55%)" for k in range(12))
"""Colours of files, used again and again where there are more."""
SEGMENTS = 2000
"""Segments that are drawn, at most; of more, evenly spaced ones."""

type Cells = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Axis:
    """Cells along one axis of the array."""

    number: int | None
    """Axis of the array; None for a picture of one row."""
    edges: npt.NDArray[np.int64]
    """Elements at which cells begin, and the end."""

    @classmethod
    def of(cls, number: int | None, extent: int, most: int) -> _Axis:
        count = max(1, min(most, extent))
        return cls(number, np.linspace(0, extent, count + 1).round().astype(np.int64))

    @property
    def cells(self) -> int:
        return len(self.edges) - 1


def chunk_map(shape: Shape, chunks: Sequence[tuple[int, ...]], segments: Segments) -> str:
    """Draw the two axes with the most chunks. Reads nothing.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array [elements].
    chunks : tuple of tuple of int
        Chunk edges of each axis [elements].
    segments : Segments
        What the array is made of.

    Returns
    -------
    str
        SVG of at most `COLUMNS` by `ROWS` cells, coloured by file, paler where fewer chunks are stored and empty where none is.
        Of arrays whose references are not read yet, the members. Empty for arrays without elements.
    """
    if 0 in shape:
        return ""
    vertical, horizontal = _shown_axes(shape, chunks)
    height, width = vertical.cells, horizontal.cells
    stored, files = np.zeros((height, width)), np.zeros((height, width), np.int64)
    if isinstance(segments, tuple):
        known: dict[str, int] = {}
        for segment in _spaced(segments):
            _draw_segment(segment, vertical, horizontal, stored, files, known)
    else:
        _draw_members(segments.axis, segments.edges, vertical, horizontal, stored, files)
    return _svg(stored, files, "" if vertical.number is None else str(shape[vertical.number]), _extent(shape, horizontal))


def _extent(shape: Shape, axis: _Axis) -> str:
    return "1" if axis.number is None else str(shape[axis.number])


def _shown_axes(shape: Shape, chunks: Sequence[tuple[int, ...]]) -> tuple[_Axis, _Axis]:
    """The axes that are drawn downwards and to the right: in their order, those with the most chunks."""
    if not shape:
        return _Axis.of(None, 1, 1), _Axis.of(None, 1, 1)
    most = sorted(range(len(shape)), key=lambda axis: (-len(chunks[axis]), axis))[:2]
    if len(most) == 1:
        return _Axis.of(None, 1, 1), _Axis.of(most[0], shape[most[0]], COLUMNS)
    first, second = sorted(most)
    if len(chunks[first]) > len(chunks[second]):  # a long series runs to the right
        return _Axis.of(second, shape[second], _rows(chunks[second])), _Axis.of(first, shape[first], COLUMNS)
    return _Axis.of(first, shape[first], _rows(chunks[first])), _Axis.of(second, shape[second], COLUMNS)


def _rows(edges: Sequence[int]) -> int:
    """Few chunks make a flat picture."""
    return min(ROWS, max(8, 2 * len(edges)))


def _spaced(segments: Sequence[Segment]) -> Sequence[Segment]:
    return segments[:: -(-len(segments) // SEGMENTS)] if len(segments) > SEGMENTS else segments


def _draw_members(
    axis: int, edges: npt.NDArray[np.int64], vertical: _Axis, horizontal: _Axis, stored: Cells, files: npt.NDArray[np.int64]
) -> None:
    """Members of a concatenation, each in the next colour, without opening any."""
    stored[...] = 1
    for cells, turned in ((vertical, True), (horizontal, False)):
        if cells.number == axis:
            member = np.searchsorted(edges, (cells.edges[:-1] + cells.edges[1:]) // 2, side="right") - 1
            files[...] = member[:, None] if turned else member[None, :]


def _draw_segment(
    segment: Segment, vertical: _Axis, horizontal: _Axis, stored: Cells, files: npt.NDArray[np.int64], known: dict[str, int]
) -> None:
    rows, columns = _covered(segment, vertical), _covered(segment, horizontal)
    if rows is None or columns is None:
        return
    box = (slice(rows.first, rows.stop), slice(columns.first, columns.stop))
    manifest = segment.stored.manifest
    if not isinstance(manifest, ChunkManifest):  # in pages that nothing has asked for yet
        stored[box] = 1
        return
    there, numbers = _flat(manifest, rows.stored_axis, columns.stored_axis)
    total = there.shape[2]
    share = _sums(there.sum(axis=2), rows, columns) / (total * np.outer(rows.counts, columns.counts))
    shown = numbers[np.ix_(rows.middle, columns.middle)]
    named = np.unique(shown[shown >= 0])
    places = {int(n): known.setdefault(segment.stored.sources[int(n)].url, len(known)) for n in named[:COLUMNS]}
    colours = np.vectorize(lambda n: places.get(int(n), 0), otypes=[np.int64])(shown)
    files[box] = np.where(share > 0, colours, files[box])
    stored[box] = np.maximum(stored[box], share)


@dataclass(frozen=True)
class _Covered:
    """The cells along one axis that a segment covers, and its chunks in each."""

    first: int
    stop: int
    stored_axis: int | None
    low: npt.NDArray[np.int64]
    """First chunk in each cell."""
    high: npt.NDArray[np.int64]
    """One past the last chunk in each cell."""

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        return self.high - self.low

    @property
    def middle(self) -> npt.NDArray[np.int64]:
        return (self.low + self.high - 1) // 2


def _covered(segment: Segment, axis: _Axis) -> _Covered | None:
    if axis.number is None:
        return _Covered(0, 1, None, np.zeros(1, np.int64), np.ones(1, np.int64))
    begin, stop = segment.offset[axis.number], segment.stop[axis.number]
    first = int(np.searchsorted(axis.edges, begin, side="right")) - 1
    last = int(np.searchsorted(axis.edges, stop, side="left"))
    if stop <= begin or last <= first:
        return None
    stored_axis = segment.axes[axis.number]
    if stored_axis is None:
        cells = last - first
        return _Covered(first, last, None, np.zeros(cells, np.int64), np.ones(cells, np.int64))
    edges = np.clip(axis.edges[first : last + 1], begin, stop) - begin
    low, high = _chunks_between(edges, segment.windows[stored_axis], segment.stored.grid.axes[stored_axis])
    return _Covered(first, last, stored_axis, low, high)


def _chunks_between(
    edges: npt.NDArray[np.int64], window: Window, axis: AxisGrid
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The chunks of a stored axis in each cell of a segment, first and one past the last."""
    ends = np.stack([window.start + window.step * edges[:-1], window.start + window.step * np.maximum(edges[1:] - 1, edges[:-1])])
    chunk = np.searchsorted(axis.starts, np.clip(ends, 0, axis.extent - 1), side="right") - 1
    return chunk.min(axis=0), chunk.max(axis=0) + 1


def _flat(manifest: ChunkManifest, row: int | None, column: int | None) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """What is stored, by row, column and all other axes; and a source for each row and column, -1 where nothing is stored."""
    there = manifest.length > 0
    front = [axis for axis in (row, column) if axis is not None]
    order = (*front, *(axis for axis in range(there.ndim) if axis not in front))
    shape = (1 if row is None else there.shape[row], 1 if column is None else there.shape[column], -1)
    flat = there.transpose(order).reshape(shape)
    numbers = np.where(there, manifest.source.astype(np.int64), -1).transpose(order).reshape(shape)
    return flat, numbers.max(axis=2, initial=-1)


def _sums(counts: npt.NDArray[np.int64], rows: _Covered, columns: _Covered) -> Cells:
    """Sums of boxes, by a table of sums."""
    table = np.zeros((counts.shape[0] + 1, counts.shape[1] + 1))
    table[1:, 1:] = counts.cumsum(axis=0).cumsum(axis=1)

    def corner(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> Cells:
        return table[np.ix_(a, b)]

    return (
        corner(rows.high, columns.high)
        - corner(rows.low, columns.high)
        - corner(rows.high, columns.low)
        + corner(rows.low, columns.low)
    )


def _svg(stored: Cells, files: npt.NDArray[np.int64], down: str, right: str) -> str:
    height, width = stored.shape
    across, tall = CELL, CELL if height > 1 else 2 * CELL
    levels = np.where(stored <= 0, 0, np.clip(np.ceil(stored * 3), 1, 3)).astype(int)
    paths: dict[tuple[int, int], list[str]] = defaultdict(list)
    for y in range(height):
        x = 0
        while x < width:
            key = (int(files[y, x]) % len(HUES), int(levels[y, x]))
            end = x + 1
            while end < width and (int(files[y, end]) % len(HUES), int(levels[y, end])) == key:
                end += 1
            if key[1]:
                paths[key].append(f"M{x} {y}h{end - x}v1h{x - end}z")
            x = end
    drawn = "".join(f"<path d='{''.join(d)}' fill='{HUES[hue]}' opacity='{level / 3:.2g}'/>" for (hue, level), d in paths.items())
    w, h = width * across, height * tall
    text = "font-size='11' font-family='sans-serif' fill='currentColor'"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{w + 60}' height='{h + 18}' role='img' aria-label='chunks by file'>"
        f"<rect width='{w}' height='{h}' fill='currentColor' opacity='.08'/>"
        f"<g transform='scale({across} {tall})' shape-rendering='crispEdges'>{drawn}</g>"
        f"<rect width='{w}' height='{h}' fill='none' stroke='currentColor' stroke-opacity='.4'/>"
        f"<text x='{w / 2:g}' y='{h + 13}' text-anchor='middle' {text}>{right}</text>"
        f"<text x='{w + 5}' y='{h / 2 + 4:g}' {text}>{down}</text></svg>"
    )
