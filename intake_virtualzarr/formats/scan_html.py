"""HTML of a scanned file: its variables, and which of its bytes belong to which."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Protocol

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import DType, Shape
from intake_virtualzarr.arrays.chunk_map import HUES
from intake_virtualzarr.arrays.repr_html import columns_html, size_text
from intake_virtualzarr.arrays.segments import Segment
from intake_virtualzarr.storage.source import Source

__all__ = ["scan_html"]

CELLS, WIDTH, HEIGHT = 240, 480, 24
"""Cells of the map of bytes, and its size [px]."""
LINES = 60
"""Variables that are listed."""


class ScannedVariable(Protocol):
    """What is shown of a variable."""

    @property
    def dims(self) -> tuple[str, ...]: ...
    @property
    def dtype(self) -> DType: ...
    @property
    def shape(self) -> Shape: ...
    @property
    def segments(self) -> tuple[Segment, ...]: ...
    @property
    def references(self) -> int: ...


class Scanned(Protocol):
    """What is shown of a file."""

    @property
    def source(self) -> Source: ...
    @property
    def format(self) -> str: ...
    @property
    def arrays(self) -> Mapping[str, ScannedVariable]: ...
    @property
    def left_out(self) -> Mapping[str, str]: ...


def scan_html(scanned: Scanned) -> str:
    """Describe what a scan found.

    Parameters
    ----------
    scanned : Scanned

    Returns
    -------
    str
        A table of variables, what was left out and why, and a map of the file's bytes coloured by variable.
    """
    size = scanned.source.size
    arrays = list(scanned.arrays.items())
    stored = {path: _stored(array) for path, array in arrays}
    rows: list[tuple[object, ...]] = [
        (path, _sizes(array), str(array.dtype), array.references, size_text(stored[path])) for path, array in arrays[:LINES]
    ]
    if len(arrays) > LINES:
        rows.append((f"… and {len(arrays) - LINES} more", "", "", "", ""))
    rows += [(path, f"left out: {reason}", "", "", "") for path, reason in list(scanned.left_out.items())[:LINES]]
    where = "" if size is None else f", {size_text(size)}"
    table = columns_html(
        f"{scanned.source.url} ({scanned.format}{where})", ("variable", "dimensions", "data type", "chunks", "stored"), rows
    )
    return table + ("" if not size else byte_map(scanned, size))


def _sizes(array: ScannedVariable) -> str:
    return ", ".join(f"{dim}: {n}" for dim, n in zip(array.dims, array.shape, strict=True)) or "scalar"


def _stored(array: ScannedVariable) -> int:
    return sum(int(segment.stored.manifest.load().length.sum(dtype=np.int64)) for segment in array.segments)


def byte_map(scanned: Scanned, size: int) -> str:
    """Draw a file from its first byte to its last; each cell has the colour of the variable that most of its bytes belong to."""
    share = np.zeros((len(scanned.arrays), CELLS))
    for number, array in enumerate(scanned.arrays.values()):
        for segment in array.segments:
            manifest = segment.stored.manifest.load()
            there = (manifest.length > 0) & (manifest.source == 0)
            share[number] += _spread(manifest.offset[there], manifest.length[there], size)
    drawn = "".join(
        f"<rect x='{cell * WIDTH // CELLS}' width='{WIDTH // CELLS}' height='{HEIGHT}' fill='{HUES[int(best) % len(HUES)]}'/>"
        for cell, best in enumerate(share.argmax(axis=0) if len(share) else ())
        if share[int(best), cell] > 0
    )
    names = "".join(
        f"<tspan fill='{HUES[number % len(HUES)]}'>■</tspan> {_short(path)}  "
        for number, path in enumerate(list(scanned.arrays)[:6])
    )
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT + 18}' role='img' aria-label='bytes by variable'>"
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='currentColor' opacity='.08'/>{drawn}"
        f"<text y='{HEIGHT + 13}' font-size='11' font-family='sans-serif' fill='currentColor' xml:space='preserve'>{names}</text>"
        "</svg>"
    )


def _spread(offsets: npt.NDArray[np.uint64], lengths: npt.NDArray[np.uint32], size: int) -> npt.NDArray[np.float64]:
    """Bytes of ranges in each cell of the file."""
    cuts = np.linspace(0, size, CELLS + 1)
    order = np.argsort(offsets)
    starts, ends = offsets[order].astype(float), (offsets[order] + lengths[order]).astype(float)
    total = np.concatenate([[0.0], np.cumsum(ends - starts)])
    before = np.searchsorted(starts, cuts, side="right")
    inside = np.where(before > 0, np.maximum(ends[np.maximum(before - 1, 0)] - cuts, 0) if len(ends) else 0.0, 0.0)
    return np.maximum(np.diff(total[before] - inside), 0)


def _short(path: str) -> str:
    return escape(path if len(path) <= 24 else f"…{path[-23:]}")
