"""What an HDF5 file says of itself, before any convention or conversion.

Two producers fill these values: the parser of this package and `via_h5py`. All that follows (`conventions`, `convert`)
knows only them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, Attrs, Shape
from intake_virtualzarr.storage.source import Source

__all__ = [
    "Chunked",
    "Compact",
    "Contiguous",
    "External",
    "ExternalPart",
    "Mapped",
    "MappedBlock",
    "RawDataset",
    "RawFile",
    "RawFilter",
    "RawGroup",
    "Values",
]


@dataclass(frozen=True, slots=True, eq=False)
class RawFilter:
    """One filter of a pipeline. Compared by identity, so that it is a cheap key."""

    id: int
    """Number registered with The HDF Group."""
    values: tuple[int, ...] = ()
    """Client data values."""
    name: str = ""
    """Name as the file gives it, for messages."""


@dataclass(frozen=True, slots=True)
class Contiguous:
    """Values lie in one piece."""

    offset: int | None
    """First byte in the file [bytes]; None if nothing is allocated."""
    size: int
    """Bytes that are allocated [bytes]."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunked:
    """Values lie in chunks, listed as columns."""

    chunk_shape: Shape
    """Stored shape of every chunk [elements]."""
    coords: npt.NDArray[np.int64]
    """Chunk coordinates in the grid, shape (chunks, rank)."""
    offset: npt.NDArray[np.uint64]
    """First byte of each chunk in the file [bytes]."""
    size: npt.NDArray[np.uint32] | npt.NDArray[np.uint64]
    """Encoded size of each chunk [bytes]."""
    mask: npt.NDArray[np.uint32]
    """Filter mask of each chunk: bit m set means that filter m was skipped."""
    raw_edges: bool = False
    """Whether chunks that reach past the array are stored without filters."""


@dataclass(frozen=True, slots=True)
class Compact:
    """Values lie in the object header."""

    data: bytes
    """Their bytes."""


@dataclass(frozen=True, slots=True)
class ExternalPart:
    """A stretch of another file that holds raw values."""

    name: str
    """File name as the HDF5 file gives it."""
    offset: int
    """First byte in that file [bytes]."""
    size: int | None
    """Length [bytes]; None for as much as is needed."""


@dataclass(frozen=True, slots=True)
class External:
    """Values lie in other files, one stretch after the other."""

    parts: tuple[ExternalPart, ...]


@dataclass(frozen=True, slots=True)
class MappedBlock:
    """A block of a virtual dataset that another dataset supplies."""

    source: RawDataset
    """The dataset that holds the values."""
    windows: tuple[tuple[int, int, int], ...]
    """Start, count and step along each axis of the source."""
    axes: tuple[int | None, ...]
    """For each axis of the virtual dataset the axis of the source, or None."""
    offset: Shape
    """First element in the virtual dataset."""
    shape: Shape
    """Extent in the virtual dataset [elements]."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """Values lie in other datasets (an HDF5 virtual dataset)."""

    blocks: tuple[MappedBlock, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Values were read while scanning, because they cannot be stored by reference."""

    values: AnyArray
    """All values; strings as an object array of str."""
    fill: Any = None
    """The fill value; None for zero or the empty string."""


type Layout = Contiguous | Chunked | Compact | External | Mapped | Values


@dataclass(frozen=True, slots=True, eq=False)
class RawDataset:
    """One dataset."""

    path: str
    """Absolute path, by the first link that led there."""
    address: int
    """Address of the object header: its identity."""
    shape: Shape | None
    """Shape [elements]; None for a null dataspace."""
    maxshape: tuple[int | None, ...] | None
    """Largest shape, None for unlimited axes; None for a null dataspace."""
    datatype: bytes
    """Encoded datatype message."""
    layout: Layout
    """Where the values lie."""
    filters: tuple[RawFilter, ...] = ()
    """Filter pipeline in the order of writing."""
    fill: bytes | None = None
    """Fill value in the stored datatype; None for zeros."""
    attrs: Attrs = field(default_factory=dict)
    """Attributes, the internal ones included; those without a Python form left out."""
    scales: tuple[tuple[int, ...], ...] = ()
    """Addresses of the dimension scales attached to each axis."""
    source: Source | None = None
    """File that holds the values; None for the scanned file."""


@dataclass(frozen=True, slots=True, eq=False)
class RawGroup:
    """One group."""

    path: str
    """Absolute path, ``"/"`` for the root."""
    attrs: Attrs
    """Attributes, the internal ones included."""


@dataclass(frozen=True, slots=True, eq=False)
class RawFile:
    """All groups and datasets of a file."""

    groups: Mapping[str, RawGroup]
    """Groups by path, parents before children."""
    datasets: Mapping[str, RawDataset]
    """Datasets by path, in the order of the file."""
    left_out: Mapping[str, str]
    """Paths that cannot be followed or described, with the reason."""
