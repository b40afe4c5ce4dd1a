"""Chunk manifest: where each encoded chunk lies, as NumPy columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, Shape
from intake_virtualzarr.errors import ManifestError

__all__ = ["ChunkManifest", "ChunkRef", "MAX_CHUNK", "MAX_PIPELINES", "Manifest", "concatenate_manifests"]

MAX_CHUNK = 2**32 - 1
MAX_PIPELINES = 256
"""Codec pipelines of one manifest: a chunk names its own in a byte."""


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """Where one encoded chunk lies."""

    source: int
    """Row of the source table."""
    offset: int
    """First byte of the chunk, counted from the start of the file [bytes]."""
    length: int
    """Encoded size, after compression [bytes]; at least 1."""
    codec: int = 0
    """0 for the array's codec pipeline, k for its alternative k - 1."""


@runtime_checkable
class Manifest(Protocol):
    """What an array asks of its manifest; one in memory and one read page by page fulfil it."""

    @property
    def shape(self) -> Shape:
        """Shape of the chunk grid."""

    @property
    def nbytes(self) -> int:
        """Memory of the references that are held [bytes]."""

    @property
    def deferred(self) -> bool:
        """Whether references are read, or files asked, when they are first touched: showing an array must not do that."""

    def region(self, slices: tuple[slice, ...]) -> ChunkManifest:
        """The references of a box of chunks; the box has steps of 1 (or negative 1 after reversal) only."""

    def load(self) -> ChunkManifest:
        """All references, in memory."""


@dataclass(frozen=True, eq=False)
class ChunkManifest:
    """References of all chunks of a grid, 16 bytes each (17 with codec alternatives).

    All columns have the shape of the chunk grid. ``length`` 0 means that the chunk is not stored: it reads as fill value.
    """

    source: npt.NDArray[np.uint32]
    """Row of the source table."""
    offset: npt.NDArray[np.uint64]
    """First byte of the chunk in its file [bytes]."""
    length: npt.NDArray[np.uint32]
    """Encoded size [bytes]; 0 for a chunk that is not stored."""
    codec: npt.NDArray[np.uint8] | None = None
    """Codec pipeline: 0 for the array's own, k for alternative k - 1; None if all are 0."""

    def __post_init__(self) -> None:
        for name, dtype in (("source", np.uint32), ("offset", np.uint64), ("length", np.uint32), ("codec", np.uint8)):
            column = getattr(self, name)
            if column is None:
                continue
            if column.dtype != dtype:
                raise ManifestError(f"manifest column {name!r} has dtype {column.dtype}, expected {np.dtype(dtype)}")
            if column.shape != self.length.shape:
                raise ManifestError(f"manifest column {name!r} has shape {column.shape}, 'length' has {self.length.shape}")

    @classmethod
    def empty(cls, grid_shape: Sequence[int]) -> ChunkManifest:
        """A manifest that lists no chunk. Takes no memory: the columns are broadcast from one zero."""
        shape = tuple(grid_shape)
        return cls(
            np.broadcast_to(np.uint32(0), shape),
            np.broadcast_to(np.uint64(0), shape),
            np.broadcast_to(np.uint32(0), shape),
        )

    @classmethod
    def from_columns(
        cls,
        grid_shape: Sequence[int],
        offset: npt.ArrayLike,
        length: npt.ArrayLike,
        source: npt.ArrayLike = 0,
        codec: npt.ArrayLike | None = None,
    ) -> ChunkManifest:
        """Build from anything that broadcasts to the grid.

        Raises
        ------
        ManifestError
            If an offset or length is negative or a length is 4 GiB or more.
        """
        shape = tuple(grid_shape)
        lengths = np.asarray(length)
        if lengths.size and int(lengths.max()) > MAX_CHUNK:
            raise ManifestError(f"a chunk of {int(lengths.max())} encoded bytes is longer than {MAX_CHUNK}")
        for name, column in (("offset", offset), ("length", length), ("source", source)):
            values = np.asarray(column)
            if values.size and values.dtype.kind != "u" and int(values.min()) < 0:
                raise ManifestError(f"manifest column {name!r} holds {int(values.min())}")
        return cls(
            _column(source, np.uint32, shape),
            _column(offset, np.uint64, shape),
            _column(length, np.uint32, shape),
            None if codec is None or not np.any(codec) else _column(codec, np.uint8, shape),
        )

    @property
    def shape(self) -> Shape:
        """Shape of the chunk grid."""
        return self.length.shape

    @property
    def deferred(self) -> bool:
        """Never: all references are here."""
        return False

    @property
    def count(self) -> int:
        """Number of chunks that are stored."""
        return int(np.count_nonzero(self.length))

    @property
    def nbytes(self) -> int:
        """Memory of the columns [bytes]."""
        return sum(c.nbytes for c in (self.source, self.offset, self.length, self.codec) if c is not None)

    def get(self, coords: Sequence[int]) -> ChunkRef | None:
        """The reference of one chunk, or None if it is not stored.

        Raises
        ------
        ManifestError
            If the coordinates lie outside the grid.
        """
        at = tuple(coords)
        if len(at) != len(self.shape) or any(not 0 <= i < n for i, n in zip(at, self.shape, strict=True)):
            raise ManifestError(f"chunk {at} lies outside chunk grid {self.shape}")
        length = int(self.length[at])
        if length == 0:
            return None
        codec = 0 if self.codec is None else int(self.codec[at])
        return ChunkRef(int(self.source[at]), int(self.offset[at]), length, codec)

    def region(self, slices: tuple[slice, ...]) -> ChunkManifest:
        """The references of a box of chunks, without a copy."""
        return ChunkManifest(
            self.source[slices],
            self.offset[slices],
            self.length[slices],
            None if self.codec is None else self.codec[slices],
        )

    def load(self) -> ChunkManifest:
        """Itself: it is in memory."""
        return self


def _column(values: npt.ArrayLike, dtype: npt.DTypeLike, shape: Shape) -> AnyArray:
    column = np.asarray(values).astype(dtype, copy=False)
    if column.shape != shape:
        if column.size == int(np.prod(shape, dtype=np.int64)) and column.ndim != 0:
            column = column.reshape(shape)
        else:
            column = np.broadcast_to(column, shape)
    return column


def concatenate_manifests(
    manifests: Sequence[ChunkManifest],
    axis: int,
    mappings: Sequence[Sequence[int]],
    codecs: Sequence[Sequence[int]],
) -> ChunkManifest:
    """Join manifests along one axis of the grid.

    Parameters
    ----------
    manifests : sequence of ChunkManifest
        At least one.
    axis : int
        Axis of the grid.
    mappings : sequence of sequence of int
        For each manifest the row of the common source table of each of its own rows.
    codecs : sequence of sequence of int
        For each manifest the new number of each of its codec pipelines.
    """
    offset = np.concatenate([m.offset for m in manifests], axis=axis)
    length = np.concatenate([m.length for m in manifests], axis=axis)
    rows = np.concatenate([m.source for m in manifests], axis=axis)
    extents = [m.length.shape[axis] for m in manifests]
    missing = length == 0
    gaps = bool(missing.any())
    if gaps:  # the row of a chunk that is not stored means nothing and may lie outside the table
        rows[missing] = 0
    source = _renumbered(rows, mappings, extents, axis, missing)
    coded = any(m.codec is not None for m in manifests) or any(number[0] for number in codecs)
    codec = None
    if coded:
        of_none = np.uint8(0)
        before = np.concatenate([np.broadcast_to(of_none if m.codec is None else m.codec, m.shape) for m in manifests], axis)
        wide = _renumbered(before, codecs, extents, axis, missing)
        if wide.size and int(wide.max()) >= MAX_PIPELINES:
            raise ManifestError(f"one manifest for chunks of {int(wide.max()) + 1} codec pipelines, at most {MAX_PIPELINES} fit")
        codec = wide.astype(np.uint8)
    if gaps:
        source[missing] = 0
        if codec is not None:
            codec[missing] = 0
    return ChunkManifest(source, offset, length, codec if codec is not None and codec.any() else None)


def _renumbered(
    numbers: AnyArray,
    mappings: Sequence[Sequence[int]],
    extents: Sequence[int],
    axis: int,
    missing: npt.NDArray[np.bool_],
) -> npt.NDArray[np.uint32]:
    """New numbers for those of joined parts: of part k, ``extents[k]`` long along the axis, by ``mappings[k]``."""
    sizes = np.fromiter(map(len, mappings), np.int64, len(mappings))
    along = (-1,) + (1,) * (numbers.ndim - 1 - axis)
    limit = np.repeat(sizes, extents).reshape(along)
    wrong = numbers >= limit
    if wrong.any() and (wrong := wrong & ~missing).any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        rows = int(np.broadcast_to(limit, numbers.shape)[at])
        raise ManifestError(f"manifest names source {int(numbers[at])}, the table has {rows} rows")
    new = np.fromiter(chain.from_iterable(mappings), np.uint32, int(sizes.sum()))
    first = np.cumsum(sizes) - sizes
    if (sizes == 1).all():  # one file each, as most are: no look-up
        return np.array(np.broadcast_to(np.repeat(new, extents).reshape(along), numbers.shape))
    if not new.size:
        return np.zeros(numbers.shape, np.uint32)
    return new[np.where(missing, 0, numbers + np.repeat(first, extents).reshape(along))]
