"""Scans that a long call has finished, kept in a directory, so that a call that was interrupted goes on where it stopped.

Each batch is one file, written in one step. What is in it counts for the files that are as they were when they were scanned,
in whatever batches they come next time.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from intake_virtualzarr._typing import FormatLike
from intake_virtualzarr._version import __version__
from intake_virtualzarr.errors import IngestError, VirtualZarrError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.labels import LabelChoice
from intake_virtualzarr.formats.named_files import allowed_or_error
from intake_virtualzarr.formats.series import SeriesArrays
from intake_virtualzarr.formats.virtualizarr_parsers import name_of_format
from intake_virtualzarr.storage.atomic_write import write_atomically
from intake_virtualzarr.storage.readers import Access, open_reader
from intake_virtualzarr.storage.source import SourceTable
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["Checkpoint"]

MAGIC = b"intake-virtualzarr scans 1\n"
LOOKS_AT_ONCE = 64
"""Files whose state is asked for at once."""


class Checkpoint:
    """Finished scans in a directory.

    Parameters
    ----------
    directory : path
        Made with the first batch. Trust it: what it holds is unpickled.
    format, labels : str, parser or None; LabelChoice or None
        How files are scanned: scans of other formats and labels are left alone.
    access : Access
        How files are opened, and what they may name now.

    Raises
    ------
    IngestError
        If there is a file of that name.
    """

    def __init__(self, directory: str | os.PathLike[str], format: FormatLike, labels: LabelChoice | None, access: Access) -> None:
        self._directory, self._access = Path(directory), access
        chosen = labels and [None if names is None else sorted(names) for names in (labels.names, labels.dropped, labels.groups)]
        self._how = hashlib.sha256(repr((__version__, name_of_format(format), chosen)).encode()).hexdigest()[:16]
        if self._directory.exists() and not self._directory.is_dir():
            raise IngestError(f"{self._directory}: is a file, expected a directory for checkpoint= (or a name that is free)")

    def found(self, paths: Sequence[str]) -> dict[int, Any]:
        """Kept scans of files that have not changed since, by position in ``paths``.

        Size and modification time or ETag are compared: one request for each remote file, all at once.

        Raises
        ------
        IngestError
            If a batch is damaged, or no batch of ours.
        """
        kept: dict[str, ScannedFile] = {}
        for place in sorted(self._directory.glob(f"{self._how}-*.scans")):
            kept |= self._read(place)
        known = [i for i, path in enumerate(paths) if absolute_url(path) in kept] if kept else []
        if not known:
            return {}
        with ThreadPoolExecutor(min(len(known), LOOKS_AT_ONCE)) as pool:
            scans = [kept[absolute_url(paths[i])] for i in known]
            same = pool.map(self._is_unchanged, [paths[i] for i in known], scans)
            # what it names may have been allowed then, and not be now
            return {i: allowed_or_error(scan, self._access) for i, scan, as_was in zip(known, scans, same, strict=True) if as_was}

    def keep(self, paths: Sequence[str], scans: Sequence[Any]) -> None:
        """Keep the scans of a batch, but for errors (these files may be scanned next time) and what was named with a secret."""
        good = {absolute_url(path): scan for path, scan in zip(paths, scans, strict=True) if _may_be_kept(scan)}
        if good:
            body = pickle.dumps(good, protocol=5)
            content = MAGIC + hashlib.sha256(body).digest() + body
            name = hashlib.sha256(repr(sorted(good)).encode()).hexdigest()[:24]
            write_atomically(self._directory / f"{self._how}-{name}.scans", content)

    def _is_unchanged(self, path: str, scan: ScannedFile) -> bool:
        try:
            reader = open_reader(path, self._access)
            try:
                scan.source.check(reader.describe())
            finally:
                reader.close()
        except VirtualZarrError:  # scanned again, it says what is wrong
            return False
        return True

    def _read(self, place: Path) -> dict[str, ScannedFile]:
        content = place.read_bytes()
        start = len(MAGIC) + 32
        body = content[start:]
        if not content.startswith(MAGIC) or content[len(MAGIC) : start] != hashlib.sha256(body).digest():
            raise IngestError(f"{place}: is damaged, or no checkpoint of ours; remove it, and its files are scanned again")
        kept: dict[str, ScannedFile] = pickle.loads(body)
        return kept


def _may_be_kept(scan: Any) -> bool:
    return isinstance(scan, ScannedFile) and not any(one.signed is not None for one in _sources(scan))


def _sources(scan: ScannedFile) -> Iterator[Any]:
    yield scan.source
    if isinstance(scan.arrays, SeriesArrays):
        return  # there is no other
    for array in scan.arrays.values():
        for segment in array.segments:
            table = segment.stored.sources
            if isinstance(table, SourceTable | tuple):
                yield from table
