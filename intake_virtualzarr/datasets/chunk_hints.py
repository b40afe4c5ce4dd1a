"""Chunk edges that arrays advise xarray and dask to take."""

from __future__ import annotations

from typing import Any

from intake_virtualzarr.arrays.array import VirtualZarrArray

__all__ = ["chunk_hint", "stored_edges"]


def chunk_hint(array: VirtualZarrArray) -> tuple[Any, ...]:
    """Chunk edges per axis in xarray's form: one number where they are regular, else a tuple."""
    quick = _regular_hint(array)
    if quick is not None:
        return quick
    hint: list[Any] = []
    for edges in array.chunks:
        first = edges[0]
        regular = all(edge == first for edge in edges[:-1]) and edges[-1] <= first
        hint.append(max(first, 1) if regular else edges)
    return tuple(hint)


def _regular_hint(array: VirtualZarrArray) -> tuple[int, ...] | None:
    """The hint of an array that shows one stored array, as files' variables do; None if that is not regular.

    Behind the stored values there may be fill: the rest of an unlimited dimension.
    """
    segments = array.segments
    if type(segments) is not tuple or len(segments) != 1 or any(segments[0].offset) or not segments[0].is_whole:
        return None
    hint: list[int] = []
    for axis, extent in zip(segments[0].stored.grid.axes, array.shape, strict=True):
        edge, rest = axis.edge, extent - axis.extent
        if edge is None or (rest and (not axis.extent or axis.extent % edge or rest > edge)):
            return None
        hint.append(max(min(edge, axis.extent), 1))
    return tuple(hint)


def stored_edges(array: VirtualZarrArray) -> tuple[int, ...] | None:
    """Chunk edges as a file stores them, which may be longer than the array; None for any but a file's own array."""
    segments = array.segments
    if type(segments) is not tuple or len(segments) != 1 or any(segments[0].offset) or not segments[0].is_whole:
        return None
    edges = tuple(axis.edge for axis in segments[0].stored.grid.axes)
    return None if None in edges else edges  # type: ignore[return-value]
