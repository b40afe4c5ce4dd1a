"""Groups of virtual variables: what archives, our stores, kerchunk references and Icechunk repositories all open to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy.typing as npt

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.segments import Segment
from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile
from intake_virtualzarr.storage.readers import ReaderPool

__all__ = ["VirtualGroup", "VirtualTree", "VirtualVariable", "tree_of_scan"]


@dataclass(frozen=True, eq=False)
class VirtualVariable:
    """One variable of a group: undecoded."""

    dims: tuple[str, ...]
    """Names of the dimensions."""
    data: VirtualZarrArray | npt.NDArray[Any]
    """Values, virtual or (what is kept whole in a store) in memory."""
    attrs: Mapping[str, Any]
    """Attributes."""


@dataclass(frozen=True, eq=False)
class VirtualGroup:
    """One group."""

    path: str
    """Absolute path, ``"/"`` for the root."""
    attrs: Mapping[str, Any]
    """Attributes."""
    variables: Mapping[str, VirtualVariable]
    """Variables by name."""
    unlimited: frozenset[str] = frozenset()
    """Names of its unlimited dimensions (not of those of groups above), as xarray's engines give them."""


@dataclass(frozen=True, eq=False)
class VirtualTree:
    """All groups of a source, and what was left out."""

    url: str
    """Where it comes from, for messages and ``encoding["source"]``."""
    groups: Mapping[str, VirtualGroup]
    """By absolute path, parents before children."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """What has no virtual form: path and reason."""

    def group(self, path: str | None) -> VirtualGroup:
        """One group.

        Raises
        ------
        FormatError
            If there is none of that path.
        """
        absolute = "/" + (path or "").strip("/")
        try:
            return self.groups[absolute]
        except KeyError:
            known = ", ".join(self.groups)
            raise FormatError(f"{self.url}: has no group {absolute!r}; there are {known}") from None


def tree_of_scan(scanned: ScannedFile, readers: ReaderPool | None = None) -> VirtualTree:
    """The groups of a scanned archive file."""
    members: dict[str, dict[str, VirtualVariable]] = {path: {} for path in scanned.groups}
    for path, array in scanned.arrays.items():
        parent, _, name = path.rpartition("/")
        members[parent or "/"][name] = _variable(array, readers)
    groups = {path: VirtualGroup(path, group.attrs, members[path], group.unlimited) for path, group in scanned.groups.items()}
    return VirtualTree(scanned.source.url, groups, scanned.left_out)


def _variable(array: ScannedArray, readers: ReaderPool | None) -> VirtualVariable:
    # one segment of the array's own extent can neither overlap another nor stand out
    one = len(array.segments) == 1 and array.segments[0].shape == array.shape and not any(array.segments[0].offset)
    segments = array.segments if readers is None else tuple(_with_readers(one, readers) for one in array.segments)
    data = VirtualZarrArray(array.shape, array.dtype, array.fill_value, segments, readers=readers, check=not one)
    return VirtualVariable(tuple(array.dims), data, array.attrs)


def _with_readers(segment: Segment, readers: ReaderPool) -> Segment:
    """The segment, with readers for a manifest that asks files itself."""
    bind = getattr(segment.stored.manifest, "with_readers", None)
    return segment if bind is None else replace(segment, stored=replace(segment.stored, manifest=bind(readers)))


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
