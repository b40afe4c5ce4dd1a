"""The members of a virtual concatenation, opened when they are touched."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, overload
from urllib.parse import unquote

import numpy as np

from intake_virtualzarr._typing import Attrs, DType, JsonObject, Shape
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.concatenate import filled
from intake_virtualzarr.arrays.segments import Segment, SegmentSource, Window, covers, same_fill
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.codecs.spec import pipeline_from_json
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.checks import Check, checks_from_text
from intake_virtualzarr.hierarchy.chunk_grid_json import grid_from_json
from intake_virtualzarr.hierarchy.data_types import data_type_from_json
from intake_virtualzarr.hierarchy.documents import is_virtual, naming
from intake_virtualzarr.hierarchy.generation import generation_of
from intake_virtualzarr.hierarchy.source_table import resolve
from intake_virtualzarr.storage.key_value import Keys
from intake_virtualzarr.storage.limits import MAX_MEMBERS, MAX_NESTING
from intake_virtualzarr.storage.parsing import as_list, as_whole
from intake_virtualzarr.storage.urls import quoted

__all__ = ["MemberSegments", "check_of_member", "packing_from_json", "selected_shape"]


class MemberArrays(Protocol):
    """The hierarchy that a concatenation lies in, as far as its members need it."""

    keys: Keys
    """Its key-value store."""
    documents: dict[str, JsonObject]
    """Metadata by path, as far as they are known."""

    def key_of(self, url: str) -> str | None:
        """The path of an array of this hierarchy, None for one that lies elsewhere."""

    def document(self, path: str, check: Check | None = None) -> JsonObject:
        """The metadata of an array, which holds what the check says."""

    def read_documents(self, wanted: Sequence[tuple[str, Check | None]]) -> None:
        """Fetch the metadata of several arrays at once."""

    def array(
        self, path: str, document: Attrs | None = None, *, in_place: bool = False, above: tuple[str, ...] = ()
    ) -> VirtualZarrArray:
        """A virtual array."""

    def holding(self, paths: Collection[str]) -> MemberArrays:
        """The same hierarchy, of which these documents are known."""

    def elsewhere(self, url: str) -> tuple[MemberArrays, str]:
        """The hierarchy of an array that is named by an absolute URL, and its path there."""


class MemberSegments(Sequence[Segment], SegmentSource):
    """The segments of a concatenation; a member's documents are fetched when it is first touched.

    Attributes
    ----------
    grid : ChunkGrid
        The chunk grid that the array shows.
    codecs : tuple of CodecSpec
        The codec pipeline that the array names.
    dtype : numpy.dtype
        Data type of the array.
    packing : Packing or None
        CF packing that the attributes of the array name.
    """

    def __init__(
        self,
        hierarchy: MemberArrays,
        path: str,
        document: Attrs,
        configuration: Attrs,
        shape: Shape,
        dtype: DType,
        fill: Any,
        packing: Packing | None,
        above: tuple[str, ...] = (),
    ) -> None:
        label = f"{hierarchy.keys.url}/{path}"
        self.packing = packing
        self._hierarchy = hierarchy
        self._path = path
        self._document, self._configuration = document, configuration
        self._label = label
        self._url = f"{hierarchy.keys.url}/{quoted(path)}/"
        self._above = (*above, unquote(self._url.rstrip("/")))
        self._shape = shape
        self.dtype = dtype
        self._fill = fill
        self.axis = int(configuration["axis"])
        self._members: list[JsonObject] = as_list(configuration["members"], f"{label}: members", HierarchyError, MAX_MEMBERS)
        if len(above) >= MAX_NESTING:
            raise HierarchyError(f"{label}: concatenations are nested deeper than {MAX_NESTING}")
        self.uniform = bool(configuration.get("uniform")) and not any(
            key in member for member in self._members for key in ("select", "axes", "decode")
        )
        self.grid: ChunkGrid = grid_from_json(document["chunk_grid"], shape, None, label)
        self.codecs = pipeline_from_json(document["codecs"])
        # a member in shards is seen by the chunks within them
        self._sharded = any(codec.name == "sharding_indexed" for codec in self.codecs)
        if not 0 <= self.axis < len(shape):
            raise HierarchyError(f"{label}: concatenation axis {self.axis} for an array of {len(shape)} axes")
        lengths = [as_whole(member["length"], f"{label}: length of a member", HierarchyError) for member in self._members]
        self.edges = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        if int(self.edges[-1]) != shape[self.axis]:
            raise HierarchyError(
                f"{label}: members sum to {int(self.edges[-1])} along axis {self.axis}, the array has {shape[self.axis]}"
            )
        self._opened: dict[int, tuple[Segment, ...]] = {}
        self._all: tuple[Segment, ...] | None = None

    def __reduce__(self) -> Any:
        """The document and where it lies: neither other arrays of the hierarchy nor what was opened so far."""
        named = [member["array"] for member in self._members if isinstance(member.get("array"), str)]
        paths = {self._hierarchy.key_of(resolve(self._url, url)) for url in named}
        hierarchy = self._hierarchy.holding([path for path in paths if path is not None and not _is_private(path)])
        given = (self._document, self._configuration, self._shape, self.dtype, self._fill, self.packing, self._above[:-1])
        return MemberSegments, (hierarchy, self._path, *given)

    # ------------------------------------------------------------------ the sequence

    def _everything(self) -> tuple[Segment, ...]:
        if self._all is None:
            self._prefetch(range(len(self._members)))
            self._all = tuple(s for i in range(len(self._members)) for s in self.member(i))
        return self._all

    def __len__(self) -> int:
        return len(self._everything())

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._everything())

    @overload
    def __getitem__(self, index: int) -> Segment: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Segment, ...]: ...

    def __getitem__(self, index: int | slice) -> Segment | tuple[Segment, ...]:
        return self._everything()[index]

    def within(self, low: int, high: int) -> tuple[Segment, ...]:
        """The segments of the members that overlap ``[low, high)`` along the axis."""
        if high <= low:
            return ()
        first = int(np.searchsorted(self.edges, low, side="right")) - 1
        last = int(np.searchsorted(self.edges, high, side="left"))
        self._prefetch(range(first, last))
        return tuple(s for i in range(first, last) for s in self.member(i))

    # ------------------------------------------------------------------ members

    def _prefetch(self, numbers: range) -> None:
        """Fetch the documents of many members of this hierarchy at once."""
        wanted: list[tuple[str, Check | None]] = []
        for number in numbers:
            member = self._members[number]
            if number in self._opened or not isinstance(member.get("array"), str):
                continue
            path = self._hierarchy.key_of(resolve(self._url, member["array"]))
            if path is not None and path not in self._hierarchy.documents:
                wanted.append((path, check_of_member(member)))
        if len(wanted) > 1:
            self._hierarchy.read_documents(wanted)

    def member(self, number: int) -> tuple[Segment, ...]:
        """The segments of one member, in place."""
        found = self._opened.get(number)
        if found is None:
            with naming(f"{self._label}: member {number}"):
                found = self._opened[number] = tuple(self._open(number))
        return found

    def _open(self, number: int) -> list[Segment]:
        member = self._members[number]
        start, length = int(self.edges[number]), int(member["length"])
        if length == 0 or "array" not in member:
            return []
        array = self._array(member, number)
        if not array.decoded:
            array = array.replace(segments=tuple(replace(s, packing=None) for s in array.segments))
        self._check(member, array, number, length)
        segments = list(array.segments)
        if not covers(array.shape, segments):
            segments = list(filled(array).segments)
        if "select" in member:
            array = array.replace(segments=tuple(segments))
            for axis, (begin, stop, step) in enumerate(member["select"]):
                array = array.select(axis, [Window(begin, len(range(begin, stop, step)), step)])
            segments = list(array.segments)
        if "decode" in member:
            if any(s.packing is not None for s in segments):
                raise HierarchyError(f"{self._label}: member {number} is decoded twice")
            if self.packing is not None:
                raise HierarchyError(f"{self._label}: has packing attributes and a decoded member {number}")
            packing = packing_from_json(member["decode"])
            segments = [replace(s, packing=packing) for s in segments]
        elif self.packing is not None:
            segments = [replace(s, packing=self.packing) for s in segments]
        if "axes" in member:
            segments = [_rearranged(s, member["axes"], self._shape, self.axis, length) for s in segments]
        return [s.shifted(self.axis, start) for s in segments]

    def _array(self, member: Attrs, number: int) -> VirtualZarrArray:
        named = member["array"]
        if not isinstance(named, str):
            document = named["zarr.json"]
            if not is_virtual(document):
                raise HierarchyError(f"{self._label}: member {number} is an ordinary array in place, expected a virtual one")
            array = self._hierarchy.array(self._path, document, in_place=True, above=self._above)
        else:
            absolute = resolve(self._url, named)
            if unquote(absolute.rstrip("/")) in self._above:
                raise HierarchyError(f"{self._label}: member {number} is {absolute}: the array is a member of itself")
            path = self._hierarchy.key_of(absolute)
            holder = self._hierarchy
            if path is None:
                holder, path = self._hierarchy.elsewhere(absolute)
            document = holder.document(path, check_of_member(member))
            array = holder.array(path, document, above=self._above)
        if self.uniform:
            self._keeps_promise(document, array, number)
        return array

    def _keeps_promise(self, document: Attrs, array: VirtualZarrArray, number: int) -> None:
        """Raise if a member is not what ``uniform`` says of all."""
        problems = []
        if pipeline_from_json(document["codecs"]) != self.codecs:
            problems.append(f"codecs are {document['codecs']!r}")
        if array.dtype != self.dtype:
            problems.append(f"data_type is {document['data_type']!r}")
        if not same_fill(array.fill_value, self._fill):
            problems.append(f"fill_value is {document['fill_value']!r}")
        for segment in array.segments:
            if segment.stored.alternatives:
                problems.append("it has codec_alternatives")
            if not segment.stored.grid.is_whole:
                problems.append("its chunks are seen in part")
            if not (problems or self._sharded or self._in_place(segment, int(self.edges[number]))):
                problems.append("its chunks are not at positions of the array's chunks")
        if problems:
            raise HierarchyError(
                f"{self._label}: promises uniform members, but of member {number} {'; '.join(problems)}; "
                "the member was changed after this array was written"
            )

    def _in_place(self, segment: Segment, start: int) -> bool:
        """Whether every chunk of a segment, counted from the member's start, is a chunk of this array's grid."""
        for axis, (own, theirs) in enumerate(zip(self.grid.axes, segment.stored.grid.axes, strict=True)):
            first = start + segment.offset[axis] if axis == self.axis else 0
            if own.edge is not None and own.edge == theirs.edge:
                if first % own.edge or (theirs.extent % own.edge and first + theirs.extent != own.extent):
                    return False
                continue
            at = int(np.searchsorted(own.starts, first))
            chunks = slice(at, at + theirs.count)
            if not (
                (at < own.count and own.starts[at] == first)
                and np.array_equal(own.visible[chunks], theirs.visible)
                and np.array_equal(own.stored[chunks], theirs.stored)
            ):
                return False
        return True

    def _check(self, member: Attrs, array: VirtualZarrArray, number: int, length: int) -> None:
        shape = array.shape
        if "select" in member:
            shape = selected_shape(member["select"], shape, f"{self._label}: member {number}")
        wanted = (*self._shape[: self.axis], length, *self._shape[self.axis + 1 :])
        axes = member.get("axes", list(range(len(shape))))
        named = [axis for axis in axes if axis is not None]
        if len(set(named)) != len(named) or not all(0 <= axis < len(shape) for axis in named):
            raise HierarchyError(f"{self._label}: member {number} of {len(shape)} axes is shown with axes {axes}")
        seen = tuple(n if axis is None else shape[axis] for axis, n in zip(axes, wanted, strict=False))
        if len(axes) != len(wanted) or seen != wanted:
            raise HierarchyError(f"{self._label}: member {number} has shape {seen}, expected {wanted}")
        if any(n != 1 for axis, n in enumerate(shape) if axis not in named):
            raise HierarchyError(f"{self._label}: member {number} drops an axis of several elements (axes {axes} of {shape})")
        if array.dtype != self.dtype and "decode" not in member:
            raise HierarchyError(
                f"{self._label}: member {number} has data type {array.dtype}, the array {self.dtype}; expected 'decode'"
            )


def _is_private(path: str) -> bool:
    """Whether an array belongs to a generation: its document can be had again, unchanged."""
    return generation_of(path) is not None


def selected_shape(select: Sequence[Any], shape: Shape, label: str) -> Shape:
    """What ``select`` leaves of a member's shape.

    Raises
    ------
    HierarchyError
        If it names other axes, or elements that are not there.
    """
    if len(select) != len(shape):
        raise HierarchyError(f"{label} selects on {len(select)} axes of {len(shape)}")
    for (begin, stop, step), extent in zip(select, shape, strict=True):
        chosen = range(begin, stop, step)
        if len(chosen) and not (min(chosen[0], chosen[-1]) >= 0 and max(chosen[0], chosen[-1]) < extent):
            raise HierarchyError(f"{label} selects [{begin}, {stop}, {step}] of an axis of {extent}")
    return tuple(len(range(*entry)) for entry in select)


def check_of_member(member: Attrs) -> Check | None:
    """What the document of a member holds; None if the member does not say."""
    if "check" not in member:
        return None
    checks = checks_from_text(member["check"])
    if len(checks) != 1:
        raise HierarchyError(f"a member has a check of {len(checks)} objects, expected one")
    return checks[0]


def _rearranged(segment: Segment, axes: Sequence[int | None], shape: Shape, along: int, length: int) -> Segment:
    """Axes of a member as axes of the array."""
    stored_axes: list[int | None] = []
    offset: list[int] = []
    extent: list[int] = []
    for axis, member_axis in enumerate(axes):
        if member_axis is None:
            stored_axes.append(None)
            offset.append(0)
            extent.append(length if axis == along else shape[axis])
        else:
            stored_axes.append(segment.axes[member_axis])
            offset.append(segment.offset[member_axis])
            extent.append(segment.shape[member_axis])
    return Segment(segment.stored, segment.windows, tuple(stored_axes), tuple(offset), tuple(extent), segment.packing)


def packing_from_json(document: Attrs) -> Packing:
    """Read the ``decode`` entry of a member."""
    mask = tuple(_number(value) for value in document.get("mask", []))
    return Packing(
        data_type_from_json(document["dtype"]),
        document.get("unsigned"),
        tuple(v for v in mask if v == v),
        _factor(document.get("scale_factor")),
        _factor(document.get("add_offset")),
    )


def _factor(value: Any) -> float | None:
    return None if value is None else _number(value)


def _number(value: Any) -> int | float:
    if isinstance(value, str):
        return float(value.lower()) if value in ("NaN", "Infinity", "-Infinity") else int(value)
    return value  # type: ignore[no-any-return]
