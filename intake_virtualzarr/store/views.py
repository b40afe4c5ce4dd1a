"""Views: what shows a virtual array as chunks under plain Zarr metadata.

A view is chosen for each array: the first registered one that accepts it. *Passthrough* serves stored bytes untouched,
*decoded* reads values, crops and assembles them, and serves them uncompressed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from intake_virtualzarr._typing import Attrs, DType, JsonObject, Shape
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_cache import ChunkCache
from intake_virtualzarr.arrays.chunk_grid import AxisGrid, ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest, ChunkRef
from intake_virtualzarr.arrays.segments import Segment, SegmentSource, StoredArray, Window, same_fill, source_of
from intake_virtualzarr.codecs.spec import Pipeline, bytes_codec, pipeline_to_json
from intake_virtualzarr.hierarchy.attributes import ATTRIBUTE_TYPES, attributes_to_json
from intake_virtualzarr.hierarchy.chunk_grid_json import grid_to_json
from intake_virtualzarr.hierarchy.data_types import data_type_to_json, fill_value_to_json
from intake_virtualzarr.storage.source import Source

__all__ = [
    "Decoded",
    "Passthrough",
    "ArrayView",
    "Stored",
    "ViewSettings",
    "known_codecs",
    "plain_document",
    "present",
    "register_view",
    "registered_views",
]


@dataclass(frozen=True, slots=True)
class Stored:
    """Stored bytes of one chunk: where they are."""

    source: Source
    ref: ChunkRef


class ArrayView(Protocol):
    """One array, as plain Zarr."""

    name: str
    """Name in the registry."""
    grid: ChunkGrid
    """The chunk grid that is shown."""
    codecs: Pipeline
    """The codec pipeline that is shown."""

    def chunk(self, coords: Shape) -> Stored | bytes | None:
        """One chunk: where its bytes lie, or the bytes, or None if it is not stored."""

    def stored_chunks(self) -> Iterator[Shape]:
        """Coordinates of the chunks that are stored, in C order."""


class Passthrough:
    """Stored bytes untouched: every chunk is whole and all have one codec pipeline."""

    name = "passthrough"

    def __init__(self, array: VirtualZarrArray, stored: StoredArray) -> None:
        self.grid = stored.grid
        self.codecs = stored.codecs
        self._stored = stored

    @classmethod
    def accept(cls, array: VirtualZarrArray, settings: ViewSettings) -> Passthrough | None:
        """For an array that is the whole of one stored array."""
        if not isinstance(array.segments, tuple) or len(array.segments) != 1:
            return None
        (segment,) = array.segments
        stored = segment.stored
        if not segment.is_whole or segment.shape != array.shape or stored.dtype != array.dtype:
            return None
        if (array.decoded and segment.packing is not None) or stored.alternatives or not stored.grid.is_whole:
            return None
        if not same_fill(stored.fill_value, array.fill_value) or not _plain(stored.grid, stored.codecs, settings):
            return None
        return cls(array, stored)

    def chunk(self, coords: Shape) -> Stored | None:
        """Where the bytes of a chunk lie."""
        stored = self._stored
        ref = stored.manifest.region(tuple(slice(c, c + 1) for c in coords)).get((0,) * len(coords))
        return None if ref is None else Stored(stored.sources[ref.source], ref)

    def stored_chunks(self) -> Iterator[Shape]:
        """Coordinates of the chunks that the manifest lists."""
        yield from _listed(self._stored.manifest.load())


class UniformConcatenation:
    """Stored bytes of the members of a concatenation that promises uniform members."""

    name = "virtual-concatenation"

    def __init__(self, members: SegmentSource) -> None:
        self.grid = members.grid
        self.codecs = members.codecs
        self._members = members

    @classmethod
    def accept(cls, array: VirtualZarrArray, settings: ViewSettings) -> UniformConcatenation | None:
        """For a concatenation with ``uniform: true``."""
        members = source_of(array.segments)
        if members is None or not members.uniform or not _plain(members.grid, members.codecs, settings):
            return None
        if any(codec.name == "sharding_indexed" for codec in members.codecs):
            return None  # members are seen by the chunks within shards
        return cls(members)

    def chunk(self, coords: Shape) -> Stored | None:
        """Where the bytes of a chunk lie: the member by position, then the chunk in it."""
        axis = self._members.axis
        start = int(self.grid.axes[axis].starts[coords[axis]])
        found = self._members.within(start, start + 1)
        if not found:
            return None
        segment = found[0]
        stored = segment.stored
        inner = list(coords)
        inner[axis] = stored.grid.axes[axis].chunk_of(start - segment.offset[axis])
        ref = stored.manifest.region(tuple(slice(c, c + 1) for c in inner)).get((0,) * len(inner))
        return None if ref is None else Stored(stored.sources[ref.source], ref)

    def stored_chunks(self) -> Iterator[Shape]:
        """Coordinates of the chunks that the members' manifests list."""
        axis = self._members.axis
        found = []
        for segment in self._members:
            first = self.grid.axes[axis].chunk_of(segment.offset[axis])
            found += [(*c[:axis], c[axis] + first, *c[axis + 1 :]) for c in _listed(segment.stored.manifest.load())]
        yield from sorted(found)


def _listed(manifest: ChunkManifest) -> list[Shape]:
    """Coordinates of the chunks of a manifest that are stored, in C order."""
    if not manifest.shape:
        return [()] * manifest.count
    return list(map(tuple, np.argwhere(manifest.length > 0).tolist()))


class Decoded:
    """Values read, cropped and assembled; served as little-endian bytes."""

    name = "decoded"

    def __init__(self, array: VirtualZarrArray, settings: ViewSettings, path: str) -> None:
        self._array = array
        self._cache = settings.cache
        self._path = path
        self.grid = _view_grid(array, settings)
        self.codecs: Pipeline = (bytes_codec(_little(array.dtype)),)

    def chunk(self, coords: Shape) -> bytes | None:
        """The bytes of a chunk, padded to its full shape where the grid is regular; None if all of it is fill."""
        array = self._array
        box = self.grid.box(coords)
        if not self._is_stored(box):
            return None
        values = array.read([Window(b.start, b.stop - b.start) for b in box], self._path, self._cache)
        shape = self.grid.stored_shape(coords)
        if values.shape != shape:
            whole = np.full(shape, array.fill_value, dtype=array.dtype)
            whole[tuple(slice(0, n) for n in values.shape)] = values
            values = whole
        if array.dtype.kind == "O":
            from numcodecs import VLenUTF8

            return bytes(VLenUTF8().encode(values.ravel()))
        return values.astype(_little(array.dtype), copy=False).tobytes()

    def stored_chunks(self) -> Iterator[Shape]:
        """Coordinates of the chunks that hold a stored one, or another value than the fill value."""
        for coords in np.ndindex(self.grid.grid_shape):
            if self._is_stored(self.grid.box(coords)):
                yield coords

    def _is_stored(self, box: Sequence[slice]) -> bool:
        array = self._array
        requests = [Window(b.start, b.stop - b.start) for b in box]
        return any(_shows(segment, box, array) for segment in array.touched(requests))


def _shows(segment: Segment, box: Sequence[slice], array: VirtualZarrArray) -> bool:
    """Whether a box shows more of a segment than the fill value of the array."""
    inside = [slice(max(b.start - o, 0), min(b.stop - o, n)) for b, o, n in zip(box, segment.offset, segment.shape, strict=True)]
    if any(part.start >= part.stop for part in inside):
        return False
    stored = segment.stored
    if (array.decoded and segment.packing is not None) or not same_fill(stored.fill_value, array.fill_value):
        return True
    spans = []
    for axis, (window, grid) in enumerate(zip(segment.windows, stored.grid.axes, strict=True)):
        shown = window
        if axis in segment.axes:
            part = inside[segment.axes.index(axis)]
            shown = window.sub(part.start, part.stop - part.start)
        spans.append(slice(*grid.span(*shown.bounds())))
    return stored.manifest.region(tuple(spans)).count > 0


@dataclass(frozen=True)
class ViewSettings:
    """How arrays are to be shown."""

    rectilinear: bool
    """Whether the reader understands rectilinear chunk grids."""
    cache: ChunkCache
    """Decoded chunks."""
    known: frozenset[str]
    """Names of codecs that the reader knows."""


type Factory = Callable[[VirtualZarrArray, ViewSettings], ArrayView | None]

_REGISTRY: dict[str, Factory] = {
    "chunk-manifest": Passthrough.accept,
    "virtual-concatenation": UniformConcatenation.accept,
}


def known_codecs() -> frozenset[str]:
    """Names of the codecs that zarr-python knows."""
    import zarr

    # codecs that other packages register (entry points) count as known, ours that need conversion do not
    return frozenset(zarr.config.get("codecs", {})) | {"transpose"}


def register_view(name: str, factory: Factory) -> None:
    """Add a view: a function of an array and settings that returns one, or None if the array is not for it."""
    _REGISTRY[name] = factory


def registered_views() -> Mapping[str, Factory]:
    """Registered views by name, in the order in which they are asked."""
    return dict(_REGISTRY)


def present(array: VirtualZarrArray, settings: ViewSettings, path: str) -> ArrayView:
    """The view of an array: the first that accepts it, else `Decoded`."""
    for factory in _REGISTRY.values():
        found = factory(array, settings)
        if found is not None:
            return found
    return Decoded(array, settings, path)


def plain_document(array: VirtualZarrArray, dims: tuple[str, ...], attrs: Attrs, view: ArrayView) -> JsonObject:
    """Plain Zarr v3 metadata of an array."""
    attributes = attributes_to_json(attrs, array.dtype)
    attributes.pop(ATTRIBUTE_TYPES, None)
    if not _fill_is_readable(attributes.get("_FillValue"), array.dtype):
        fill = attributes.pop("_FillValue", None)
        if isinstance(fill, str) and array.dtype.kind == "O":  # xarray's Zarr engine masks text by `missing_value`
            attributes.setdefault("missing_value", fill)
    if array.dtype.kind == "u" and str(attributes.get("_Unsigned")) == "false" and isinstance(attributes.get("_FillValue"), int):
        # xarray casts the number to the signed type, and a Python integer of JSON must fit there
        attributes["_FillValue"] = _as_signed(attributes["_FillValue"], array.dtype)
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(array.shape),
        "data_type": data_type_to_json(_little(array.dtype)),
        "chunk_grid": grid_to_json(view.grid),
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill_value_to_json(array.fill_value, array.dtype),
        "codecs": pipeline_to_json(view.codecs),
        "attributes": attributes,
        "dimension_names": list(dims),
    }


def _as_signed(value: int, dtype: DType) -> int:
    top = 1 << (8 * dtype.itemsize)
    return value - top if top // 2 <= value < top else value


def _fill_is_readable(fill: Any, dtype: DType) -> bool:
    """Whether xarray's Zarr engine opens an array with this ``_FillValue``; others make it refuse the whole group."""
    if dtype.kind in "iu":
        return isinstance(fill, int | float)
    return isinstance(fill, str) if dtype.kind == "f" else dtype.kind == "b"


def _little(dtype: DType) -> DType:
    return dtype.newbyteorder("<") if dtype.kind not in "OSV" else dtype


def _plain(grid: ChunkGrid, codecs: Pipeline, settings: ViewSettings) -> bool:
    if not all(codec.name in settings.known for codec in codecs):
        return False
    return grid.is_regular or (settings.rectilinear and all(axis.count for axis in grid.axes))


def _view_grid(array: VirtualZarrArray, settings: ViewSettings) -> ChunkGrid:
    axes = []
    for edges in array.chunks:
        visible = np.asarray(edges, dtype=np.int64)
        visible = visible[visible > 0]
        axis = AxisGrid.varying(visible) if visible.size else AxisGrid.regular(0, 1)
        if not axis.is_regular and not settings.rectilinear:
            values, counts = np.unique(visible, return_counts=True)
            axis = AxisGrid.regular(axis.extent, int(values[np.argmax(counts * values)]))
        axes.append(axis)
    return ChunkGrid(tuple(axes))
