"""Labels: small variables whose values are read together with what a scan reads, so that they cost no requests of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Protocol

import numpy as np

from intake_virtualzarr._typing import AnyArray, Attrs, DType, Shape
from intake_virtualzarr.arrays.chunk_selection import AxisRequest
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.read import read_segments
from intake_virtualzarr.arrays.segments import Window
from intake_virtualzarr.codecs.cf_packing import is_encoded_time, is_time_units
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile
from intake_virtualzarr.formats.parser_input import ParserInput
from intake_virtualzarr.formats.series import PlainChunk, Schema, SeriesArrays
from intake_virtualzarr.storage.held_reader import HeldRanges
from intake_virtualzarr.storage.reader import ByteRange

__all__ = ["Described", "LabelChoice", "holds_characters", "label_names", "labels_in_characters", "with_labels"]

TIMES_LIMIT = 1024 * 1024
"""Times of several dimensions are loaded with the coordinates up to this size [bytes]."""
MOST = 16 * 1024 * 1024
"""Larger labels are read when the dataset is made, by all threads [bytes]."""


class Described(Protocol):
    """What tells whether a variable holds labels."""

    @property
    def dims(self) -> Sequence[object]:
        """Names of the dimensions."""

    @property
    def dtype(self) -> DType:
        """Data type."""

    @property
    def shape(self) -> Shape:
        """Shape [elements]."""

    @property
    def attrs(self) -> Attrs:
        """Attributes."""


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """Which labels of a file a dataset is going to need."""

    names: frozenset[str] | None = None
    """Variables whose values are read beside the coordinates of dimensions; ``None``: those that `label_names` gives."""
    dropped: frozenset[str] = frozenset()
    """Variables that are not opened."""
    groups: frozenset[str] | None = frozenset({"/"})
    """Paths of the groups that are opened; ``None``: all."""

    @classmethod
    def of(cls, names: frozenset[str] | None, dropped: frozenset[str], groups: Collection[str | None]) -> LabelChoice:
        """The labels of groups that are given as users give them: None for the root, with slashes or without."""
        return cls(names, dropped, frozenset("/" + (group or "").strip("/") for group in groups))


# ---------------------------------------------------------------------- which


def label_names[V: Described](variables: Mapping[str, V], coordinates: Collection[str]) -> set[str]:
    """Names of the variables whose values are read while a dataset is opened, unless the user names others.

    Parameters
    ----------
    variables : mapping
        Those of one group.
    coordinates : collection of str
        Names of coordinates beside those that are named as their dimension.
    """
    names = set()
    bounds = {v.attrs.get("bounds") for v in variables.values() if is_time_units(v.attrs.get("units"))}
    for name, variable in variables.items():
        ndim = len(variable.dims)
        labels = ndim == 1 and (variable.dims[0] == name or name in coordinates)
        # bounds of times and the like: dates must be joined as dates (a gap between files has no number that means "none")
        times = is_encoded_time(variable.attrs) or name in bounds
        if ndim == 0 or labels or (times and variable.dtype.kind in "iuf" and _nbytes(variable) <= TIMES_LIMIT):
            names.add(name)
    return names


def labels_in_characters[V: Described](variables: Mapping[str, V]) -> set[str]:
    """Names of the variables that label a dimension with words held as characters (``station(station, strlen)``).

    The rule for the dimension of characters is xarray's: it has no variable, and nothing but characters have it.
    """
    names = {
        n for n, v in variables.items() if len(v.dims) == 2 and v.dims[0] == n and v.dtype == "S1" and v.dims[1] not in variables
    }
    return {name for name in names if holds_characters(variables.values(), variables[name].dims[1])}


def holds_characters[V: Described](variables: Collection[V], dim: object) -> bool:
    """Whether all variables that have a dimension have it last, and are text."""
    return all(v.dtype.kind == "S" and list(v.dims).index(dim) == len(v.dims) - 1 for v in variables if dim in v.dims)


def _nbytes(variable: Described) -> int:
    return prod(variable.shape) * variable.dtype.itemsize


def _chosen(scanned: ScannedFile, choice: LabelChoice) -> list[ScannedArray]:
    groups: dict[str, dict[str, ScannedArray]] = {}
    for path, array in scanned.arrays.items():
        parent, _, name = path.rpartition("/")
        if name not in choice.dropped and (choice.groups is None or (parent or "/") in choice.groups):
            groups.setdefault(parent or "/", {})[name] = array
    return [array for path, arrays in groups.items() for array in _chosen_of(arrays, scanned.groups[path].attrs, choice)]


def _chosen_of(arrays: Mapping[str, ScannedArray], attrs: Attrs, choice: LabelChoice) -> list[ScannedArray]:
    if choice.names is None:
        texts = [one.get("coordinates") for one in (attrs, *(array.attrs for array in arrays.values()))]
        wanted = label_names(arrays, {name for text in texts if isinstance(text, str) for name in text.split()})
    else:
        wanted = set(choice.names)
    wanted |= labels_in_characters(arrays)
    return [array for name, array in arrays.items() if name in wanted or array.dims == (name,)]


# ---------------------------------------------------------------------- their values


async def with_labels(scanned: ScannedFile, choice: LabelChoice | None, file: ParserInput) -> ScannedFile:
    """A scan with the values of its labels: from bytes that the scan has read, or in one more round.

    Raises
    ------
    SourceError
        If they cannot be fetched.
    """
    if choice is not None and isinstance(scanned.arrays, SeriesArrays):
        return await _with_series_labels(scanned, scanned.arrays, choice, file)
    found = [] if choice is None else _chosen(scanned, choice)
    parts = {array: ranges for array in found if (ranges := _ranges(array, scanned)) is not None}
    wanted = [one for ranges in parts.values() for one in ranges]
    if not parts:
        return scanned
    blocks = await file.read(wanted) if wanted else []
    held = HeldRanges(dict(zip(wanted, blocks, strict=True)), scanned.source)
    values = {array.path: read for array in parts if (read := _values(array, held)) is not None}
    return replace(scanned, labels=values)


async def _with_series_labels(scanned: ScannedFile, arrays: SeriesArrays, choice: LabelChoice, file: ParserInput) -> ScannedFile:
    """As `with_labels`, by what is known of other files of the schema."""
    schema = arrays.schema
    named = tuple(str(group.attrs.get("coordinates")) for group in scanned.groups.values())
    chosen = schema.once((choice, named), lambda: tuple(_SeriesLabel.of(one, schema) for one in _chosen(scanned, choice)))
    wanted: list[ByteRange] = []
    parts: list[tuple[_SeriesLabel, list[ByteRange]]] = []
    for label in chosen:
        ranges = label.range_of(arrays) if label.place is not None else _ranges(arrays[label.path], scanned)
        if ranges is not None:
            parts.append((label, ranges))
            wanted += ranges
    if not parts:
        return scanned
    blocks = await file.read(wanted) if wanted else []
    held: HeldRanges | None = None
    values: dict[str, AnyArray] = {}
    at = 0
    for label, ranges in parts:
        raw = bytes(blocks[at]) if label.place is not None and ranges else None
        at += len(ranges)
        read = label.known(raw)
        if read is None:
            held = held or HeldRanges(dict(zip(wanted, blocks, strict=True)), scanned.source)
            read = label.keep(raw, _values(arrays[label.path], held))
        if read is not None:
            values[label.path] = read
    return ScannedFile(scanned.source, scanned.format, scanned.groups, arrays, scanned.left_out, values)


class _SeriesLabel:
    """A label of the files of a schema."""

    __slots__ = ("last", "path", "place", "plain")

    def __init__(self, path: str, place: int | None, plain: PlainChunk | None) -> None:
        self.path, self.plain = path, plain
        self.place = place
        """Where its only chunk stands in the columns."""
        self.last: tuple[bytes, AnyArray] | None = None
        """Bytes and values of the label in the last file."""

    @classmethod
    def of(cls, array: ScannedArray, schema: Schema) -> _SeriesLabel:
        place = schema.places.get(array.path)
        alone = place is not None and place.stop - place.start == 1 and _nbytes(array) <= MOST
        return cls(array.path, place.start if alone and place else None, PlainChunk.of(array) if alone else None)

    def range_of(self, arrays: SeriesArrays) -> list[ByteRange] | None:
        """Where its chunk lies; None if it is too large to be read now."""
        length = arrays.length[self.place].item()
        if length > MOST:
            return None
        return [(arrays.offset[self.place].item(), length)] if length else []

    def known(self, raw: bytes | None) -> AnyArray | None:
        """Values that are plain, or were decoded from the same bytes in the last file."""
        last = self.last
        if raw is None or (last is not None and last[0] == raw):
            return None if raw is None or last is None else last[1]
        return None if self.plain is None else self.keep(raw, self.plain.values(raw))

    def keep(self, raw: bytes | None, values: AnyArray | None) -> AnyArray | None:
        """The values, kept for the next file."""
        if raw is not None and values is not None:
            self.last = raw, values
        return values


def _ranges(array: ScannedArray, scanned: ScannedFile) -> list[ByteRange] | None:
    """Where the values of an array lie in the scanned file; None if they are many, or lie elsewhere."""
    if _nbytes(array) > MOST:
        return None
    ranges: list[ByteRange] = []
    for segment in array.segments:
        manifest, sources = segment.stored.manifest, segment.stored.sources
        if not isinstance(manifest, ChunkManifest) or len(sources) != 1 or sources[0] is not scanned.source:
            return None
        if manifest.length.size == 1:
            ranges.append((manifest.offset.item(), manifest.length.item()))
        else:
            ranges += zip(manifest.offset.ravel().tolist(), manifest.length.ravel().tolist(), strict=True)
    ranges = [one for one in ranges if one[1]]
    return ranges if sum(length for _, length in ranges) <= MOST else None


def _values(array: ScannedArray, held: HeldRanges) -> AnyArray | None:
    """All values of an array, undecoded; None if that fails: who needs them then reads them, and says what is wrong."""
    requests: list[AxisRequest] = [Window(0, extent) for extent in array.shape]
    out = np.empty(array.shape, dtype=array.dtype)
    try:
        read_segments(array.segments, requests, out, array.fill_value, held, decoded=False, name=array.path)
    except VirtualZarrError:
        return None
    return out
