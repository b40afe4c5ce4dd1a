"""Scans of alike files: what they share is one value, and each file has no more than two columns of numbers.

A hundred thousand scans then fit into memory, and a join need not look at the variables of each file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, Attrs
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import Segment, StoredArray, same_fill
from intake_virtualzarr.codecs.spec import bytes_codec
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile
from intake_virtualzarr.storage.source import Source

__all__ = ["PlainChunk", "Schema", "SeriesArrays", "described", "exact_key"]

type Offsets = npt.NDArray[np.uint64]
type Lengths = npt.NDArray[np.uint32]


def exact_key(value: Any) -> Any:
    """What tells a value from others, its type and the bits of numbers included: NaN is NaN, 0.0 is not -0.0."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.str, value.shape, tuple(map(str, value.flat)) if value.dtype.kind == "O" else value.tobytes()
    return type(value), value


@dataclass(frozen=True, eq=False)
class Schema:
    """All that is the same in alike files: everything but where their chunks lie."""

    arrays: Mapping[str, ScannedArray]
    """The arrays of one of the files, by path."""
    places: Mapping[str, slice]
    """Which part of the columns belongs to an array; those that are not named are kept inline, and the same in all files."""
    chunks: int
    """Length of the columns."""
    memo: dict[Any, Any] = field(default_factory=dict)
    """What was found out about it by others, by a key of their own."""

    @classmethod
    def of(cls, scanned: ScannedFile) -> Schema | None:
        """The schema of a file; None for one whose arrays do not all lie in it, each in one piece."""
        places: dict[str, slice] = {}
        at = 0
        for path, array in scanned.arrays.items():
            if len(array.segments) != 1:
                return None
            stored = array.segments[0].stored
            if not isinstance(stored.manifest, ChunkManifest) or len(stored.sources) != 1:
                return None
            if stored.sources[0] is scanned.source:
                if stored.manifest.source.any():
                    return None
                places[path] = slice(at, at + stored.manifest.length.size)
                at += stored.manifest.length.size
            elif stored.sources[0].content is None:
                return None
        return cls(dict(scanned.arrays), places, at)

    def columns(self, arrays: Mapping[str, ScannedArray]) -> tuple[Offsets, Lengths]:
        """Where the chunks of a file of this schema lie: first byte and encoded size, array by array in the order of the grid."""
        offset, length = np.zeros(self.chunks, np.uint64), np.zeros(self.chunks, np.uint32)
        for path, place in self.places.items():
            manifest = arrays[path].segments[0].stored.manifest.load()
            offset[place], length[place] = manifest.offset.reshape(-1), manifest.length.reshape(-1)
        return offset, length

    def same_as(self, other: Schema) -> bool:
        """Whether files of the other schema are like files of this one, down to the last bit."""
        if self is other:
            return True
        if list(self.arrays) != list(other.arrays) or self.places != other.places:
            return False
        return all(_same_array(a, b) for a, b in zip(self.arrays.values(), other.arrays.values(), strict=True))

    def once[T](self, key: object, make: Callable[[], T]) -> T:
        """What ``make`` gives, made once."""
        found = self.memo.get(key)
        if found is None:
            found = self.memo[key] = make()
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return Schema, (self.arrays, self.places, self.chunks)


def _same_array(a: ScannedArray, b: ScannedArray) -> bool:
    if (a.path, a.dims, a.dtype, a.shape) != (b.path, b.dims, b.dtype, b.shape) or not _same_attrs(a.attrs, b.attrs):
        return False
    one, other = a.segments[0], b.segments[0]
    if (one.windows, one.axes, one.offset, one.shape) != (other.windows, other.axes, other.offset, other.shape):
        return False
    if exact_key(a.fill_value) != exact_key(b.fill_value) or not _same_packing(one, other):
        return False
    return _same_stored(one.stored, other.stored)


def _same_packing(one: Segment, other: Segment) -> bool:
    return one.packing is other.packing or one.packing == other.packing


def _same_stored(a: StoredArray, b: StoredArray) -> bool:
    if (a.dtype, a.codecs, a.alternatives, a.origin) != (b.dtype, b.codecs, b.alternatives, b.origin):
        return False
    if not (a.grid is b.grid or a.grid.same_as(b.grid)) or not same_fill(a.fill_value, b.fill_value):
        return False
    one, other = a.manifest.load(), b.manifest.load()
    if (one.codec is None) != (other.codec is None) or (one.codec is not None and not np.array_equal(one.codec, other.codec)):  # type: ignore[arg-type]
        return False
    if a.sources[0].content is None:
        return True
    columns = ((one.offset, other.offset), (one.length, other.length))
    return a.sources[0] == b.sources[0] and all(np.array_equal(x, y) for x, y in columns)


def _same_attrs(one: Attrs, other: Attrs) -> bool:
    if one is other:
        return True
    return list(one) == list(other) and all(_same_value(value, other[name]) for name, value in one.items())


def _same_value(one: Any, other: Any) -> bool:
    return one is other or bool(exact_key(one) == exact_key(other))


class SeriesArrays(Mapping[str, ScannedArray]):
    """The arrays of one file of a schema, made when somebody looks at them."""

    __slots__ = ("_made", "length", "offset", "schema", "source")

    def __init__(self, schema: Schema, source: Source, offset: Offsets, length: Lengths) -> None:
        self.schema, self.source = schema, source
        self.offset, self.length = offset, length
        self._made: dict[str, ScannedArray] | None = None

    def __getitem__(self, path: str) -> ScannedArray:
        return self._all()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.schema.arrays)

    def __len__(self) -> int:
        return len(self.schema.arrays)

    def _all(self) -> dict[str, ScannedArray]:
        if self._made is None:
            sources = (self.source,)
            places = self.schema.places
            self._made = {
                path: array if path not in places else self._array(array, places[path], sources)
                for path, array in self.schema.arrays.items()
            }
        return self._made

    def _array(self, model: ScannedArray, place: slice, sources: tuple[Source, ...]) -> ScannedArray:
        segment = model.segments[0]
        stored = segment.stored
        known = stored.manifest.load()
        manifest = ChunkManifest(
            known.source, self.offset[place].reshape(known.shape), self.length[place].reshape(known.shape), known.codec
        )
        # what was checked for the model holds for all files of its schema
        placed = object.__new__(StoredArray)
        placed.__dict__.update(stored.__dict__, manifest=manifest, sources=sources)
        shown = object.__new__(Segment)
        shown.__dict__.update(segment.__dict__, stored=placed)
        return ScannedArray(model.path, model.dims, model.dtype, model.shape, model.fill_value, (shown,), model.attrs)

    def with_schema(self, schema: Schema) -> SeriesArrays:
        """The same, of a schema that is the same."""
        return SeriesArrays(schema, self.source, self.offset, self.length)

    def __reduce__(self) -> tuple[Any, ...]:
        return SeriesArrays, (self.schema, self.source, self.offset, self.length)


def described(scanned: ScannedFile) -> Mapping[str, ScannedArray]:
    """The arrays of a file, or of another of its schema: for whoever asks for anything but where chunks lie, of many files."""
    arrays = scanned.arrays
    return arrays.schema.arrays if isinstance(arrays, SeriesArrays) else arrays


class PlainChunk:
    """An array whose only chunk holds plain numbers: its values are the bytes of the file, perhaps not all of them."""

    __slots__ = ("dtype", "edges", "inside")

    def __init__(self, array: ScannedArray) -> None:
        axes = array.segments[0].stored.grid.axes
        self.dtype = array.dtype
        self.edges = tuple(int(axis.edge or 0) for axis in axes)
        self.inside = None if self.edges == array.shape else tuple(slice(0, extent) for extent in array.shape)

    @classmethod
    def of(cls, array: ScannedArray) -> PlainChunk | None:
        """What decodes an array; None for any that is not so plain."""
        segment = array.segments[0]
        stored = segment.stored
        plain = stored.codecs == (bytes_codec(array.dtype),) and not stored.alternatives and array.dtype.kind in "iuf"
        if not plain or not array.dtype.isnative or stored.dtype != array.dtype or stored.manifest.load().length.size != 1:
            return None
        whole = segment.is_whole and not any(segment.offset) and segment.shape == array.shape
        return cls(array) if whole and all(axis.edge for axis in stored.grid.axes) else None

    def values(self, raw: bytes) -> AnyArray | None:
        """The values; None if there are too few bytes."""
        if len(raw) != int(np.prod(self.edges, dtype=np.int64)) * self.dtype.itemsize:
            return None
        values: AnyArray = np.frombuffer(raw, self.dtype).reshape(self.edges)
        return (values if self.inside is None else values[self.inside]).copy()
