"""Scans as workers send them: the files of a schema as a few columns, not as thousands of small objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.formats.base import ScannedFile, ScannedGroup
from intake_virtualzarr.formats.series import Schema, SeriesArrays
from intake_virtualzarr.storage.source import Source

__all__ = ["pack", "unpack"]


@dataclass(frozen=True, eq=False)
class _Alike:
    """Files that share a schema, one after the other."""

    schema: Schema
    groups: tuple[Mapping[str, ScannedGroup], ...]
    """Of each file; most share them."""
    format: str
    sources: tuple[tuple[Any, ...], ...]
    """Columns of what tells the files: URL, size, ETag, time, digest, URL with secrets."""
    offset: AnyArray
    length: AnyArray
    labels: tuple[str, ...]
    """Paths of the labels."""
    shared: Mapping[str, AnyArray]
    """Values of those that are the same in all files."""
    own: Mapping[str, AnyArray | Sequence[AnyArray]]
    """Values of the others, file by file."""


def pack(scans: Sequence[Any]) -> list[Any]:
    """Scans, alike ones in a row as one; whatever is no scan stays as it is."""
    packed: list[Any] = []
    row: list[ScannedFile] = []
    for scan in scans:
        if row and not _fits(row[0], scan):
            packed.append(_packed(row))
            row = []
        if isinstance(scan, ScannedFile) and isinstance(scan.arrays, SeriesArrays):
            row.append(scan)
        else:
            packed.append(scan)
    return [*packed, _packed(row)] if row else packed


def unpack(packed: Sequence[Any]) -> Iterator[Any]:
    """What was packed, in its order."""
    for one in packed:
        if isinstance(one, _Alike):
            yield from _unpacked(one)
        else:
            yield one


def _fits(first: ScannedFile, scan: Any) -> bool:
    if not isinstance(scan, ScannedFile) or not isinstance(scan.arrays, SeriesArrays):
        return False
    assert isinstance(first.arrays, SeriesArrays)
    alike = scan.arrays.schema is first.arrays.schema and scan.format == first.format and not scan.left_out
    return alike and list(scan.labels) == list(first.labels)


def _packed(row: Sequence[ScannedFile]) -> _Alike | ScannedFile:
    first = row[0]
    if len(row) == 1 or first.left_out:
        return first
    arrays = [one.arrays for one in row if isinstance(one.arrays, SeriesArrays)]
    told = [(s.url, s.size, s.etag, s.last_modified, s.sha256, s.signed) for s in (one.source for one in row)]
    shared: dict[str, AnyArray] = {}
    own: dict[str, AnyArray | Sequence[AnyArray]] = {}
    for path, values in first.labels.items():
        every = [one.labels[path] for one in row]
        if all(one is values for one in every):
            shared[path] = values
        else:
            alike = values.dtype.kind != "O" and all(one.dtype == values.dtype and one.shape == values.shape for one in every)
            own[path] = np.stack(every) if alike else every
    return _Alike(
        arrays[0].schema,
        tuple(one.groups for one in row),
        first.format,
        tuple(zip(*told, strict=True)),
        np.stack([one.offset for one in arrays]),
        np.stack([one.length for one in arrays]),
        tuple(first.labels),
        shared,
        own,
    )


def _unpacked(alike: _Alike) -> Iterator[ScannedFile]:
    for number, (url, size, etag, modified, sha256, signed) in enumerate(zip(*alike.sources, strict=True)):
        source = Source(url, size, etag, modified, sha256, signed=signed)
        arrays = SeriesArrays(alike.schema, source, alike.offset[number], alike.length[number])
        labels = {path: alike.shared[path] if path in alike.shared else _row(alike.own[path], number) for path in alike.labels}
        yield ScannedFile(source, alike.format, alike.groups[number], arrays, {}, labels)


def _row(values: AnyArray | Sequence[AnyArray], number: int) -> AnyArray:
    """The values of one file, an array even if there is one value."""
    row: AnyArray = values[number, ...] if isinstance(values, np.ndarray) else values[number]
    return row
