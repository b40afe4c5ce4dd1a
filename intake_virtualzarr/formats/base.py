"""The protocol of a format plug-in, and what a scan gives."""

from __future__ import annotations

import io
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol, runtime_checkable

from intake_virtualzarr._typing import AnyArray, Attrs, DType, Shape
from intake_virtualzarr.arrays.segments import Segment
from intake_virtualzarr.formats.scan_html import scan_html
from intake_virtualzarr.storage.reader import Buffer, ByteRange
from intake_virtualzarr.storage.source import Source

__all__ = ["ArchiveFile", "Format", "OtherRange", "Parse", "ScannedArray", "ScannedFile", "ScannedGroup", "Wanted"]


@dataclass(frozen=True, eq=False, slots=True)
class ScannedArray:
    """One variable of a file."""

    path: str
    """Absolute path in the file, e.g. ``"/group/sst"``."""
    dims: tuple[str, ...]
    """Names of the dimensions, as xarray's netCDF engines give them."""
    dtype: DType
    """Data type of the values, native byte order."""
    shape: Shape
    """Shape [elements]."""
    fill_value: Any
    """Value of what no segment covers."""
    segments: tuple[Segment, ...]
    """Where the values lie."""
    attrs: Attrs
    """Attributes as netCDF4-python gives them, internal ones left out."""

    @property
    def references(self) -> int:
        """Number of stored chunks."""
        return sum(segment.stored.manifest.load().count for segment in self.segments)


@dataclass(frozen=True, eq=False, slots=True)
class ScannedGroup:
    """One group of a file."""

    path: str
    """Absolute path, ``"/"`` for the root."""
    attrs: Attrs
    """Attributes as netCDF4-python gives them, internal ones left out."""
    dims: Mapping[str, int] = field(default_factory=dict)
    """Dimensions defined in this group and their sizes."""
    unlimited: frozenset[str] = frozenset()
    """Names of the unlimited dimensions among them."""


@dataclass(frozen=True, eq=False)
class ScannedFile:
    """What a scan found in one file."""

    source: Source
    """The file, as it was when scanned."""
    format: str
    """Name of the format, e.g. ``"hdf5"``."""
    groups: Mapping[str, ScannedGroup]
    """Groups by path, the root included, parents before children."""
    arrays: Mapping[str, ScannedArray]
    """Variables by path, in the order of the file."""
    left_out: Mapping[str, str]
    """What cannot be stored by reference: path and reason."""
    labels: Mapping[str, AnyArray] = field(default_factory=dict)
    """Values of small variables, by path, undecoded, where they were read beside the metadata."""

    @property
    def references(self) -> int:
        """Number of stored chunks of all variables."""
        return sum(array.references for array in self.arrays.values())

    def _repr_html_(self) -> str:
        return scan_html(self)


type OtherRange = tuple[str, ByteRange]
"""A range of another file, by its URL: a sidecar, raw values that lie outside."""
type Wanted = Sequence[ByteRange | OtherRange]
"""What a parser asks for at once; all of it is fetched in one round, so ask for much."""
type Parse = Generator[Wanted, Sequence[Buffer], ScannedFile]
"""A sans-IO parser: yields the ranges it needs next, is sent their bytes in the same order, returns the scan.

A range that leaves the file is answered with the bytes that exist (possibly none). Where another file cannot be read, or may not be
named by this one (``allow=``), that error is raised at the ``yield``: a parser that can do without the file catches `SourceError`.
"""


type ArchiveFile = BinaryIO | io.RawIOBase
"""A seekable binary file."""


@runtime_checkable
class Format(Protocol):
    """A format plug-in."""

    name: str
    """Short name, e.g. ``"hdf5"``."""
    # and, if it wishes so:
    # first_request: int    first request of a remote file [bytes]; 64 KiB if not given
    # endings: tuple[str, ...]    ends of names by which that size is chosen before the format is known, e.g. (".tif",)

    def sniff(self, head: Buffer) -> bool:
        """Whether the first bytes of a file (at least 8 KiB, or all of it) are of this format."""

    def parse(self, source: Source) -> Parse:
        """Start to parse a file; does no I/O itself."""

    def fallback(self, source: Source, file: ArchiveFile, reason: str) -> ScannedFile | None:
        """Scan through another library what `parse` declined; ``file`` is a seekable binary file object.

        None if the format has no other library.
        """
