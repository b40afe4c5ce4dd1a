"""What a scanned file names: other files, each of which it must be allowed to name."""

from __future__ import annotations

from dataclasses import replace

from intake_virtualzarr.arrays.segments import Segment
from intake_virtualzarr.errors import NotAllowedError, VirtualZarrError
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile
from intake_virtualzarr.formats.series import SeriesArrays
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.source import Source, SourceTable

__all__ = ["allowed_or_error", "only_allowed"]

DOCUMENTS = frozenset({"kerchunk", "icechunk"})
"""Formats that do nothing but name other files: without one of them, they are not opened."""


def only_allowed(scanned: ScannedFile, access: Access) -> ScannedFile:
    """The scan without arrays that lie in files which it may not name.

    Raises
    ------
    NotAllowedError
        If references do so, or no array is left.
    """
    if isinstance(scanned.arrays, SeriesArrays):
        return scanned  # all lie in the file itself, or in the scan
    asked = access.asked_by(scanned.source.url)
    arrays: dict[str, ScannedArray] = {}
    refused: dict[str, NotAllowedError] = {}
    for path, array in scanned.arrays.items():
        try:
            arrays[path] = _checked(array, scanned.source, asked)
        except NotAllowedError as exc:
            refused[path] = exc
    if refused and (scanned.format in DOCUMENTS or not arrays):
        raise next(iter(refused.values()))
    if not refused and all(arrays[path] is array for path, array in scanned.arrays.items()):
        return scanned
    return replace(scanned, arrays=arrays, left_out={**scanned.left_out, **{path: str(exc) for path, exc in refused.items()}})


def allowed_or_error(found: ScannedFile | VirtualZarrError, access: Access) -> ScannedFile | VirtualZarrError:
    """As `only_allowed`; an error is returned, one that is given too."""
    try:
        return only_allowed(found, access) if isinstance(found, ScannedFile) else found
    except VirtualZarrError as exc:
        return exc


def _checked(array: ScannedArray, file: Source, asked: Access) -> ScannedArray:
    segments = tuple(_segment(one, file, asked) for one in array.segments)
    same = all(new is old for new, old in zip(segments, array.segments, strict=True))
    return array if same else replace(array, segments=segments)


def _segment(segment: Segment, file: Source, asked: Access) -> Segment:
    table = segment.stored.sources
    rows = table.rows if isinstance(table, SourceTable) else table
    if not isinstance(rows, tuple):  # read later, and checked then
        return segment
    others = [one for one in rows if one is not file and one.content is None]
    if not others:
        return segment
    asked.check(*(one.opened for one in others if one.url != file.url))
    if not asked.keep_query or not any(one.signed for one in others):
        return segment
    kept = tuple(replace(one, url=asked.stored(one.opened)) if one.signed else one for one in rows)
    return replace(segment, stored=replace(segment.stored, sources=SourceTable(kept)))
