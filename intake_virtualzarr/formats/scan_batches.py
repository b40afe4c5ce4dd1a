"""Scanning many files: in threads here, or in batches on a dask cluster or by an executor, by one function.

A batch that is finished is kept in ``checkpoint``, if one is given.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from intake_virtualzarr._version import __version__
from intake_virtualzarr.errors import IngestError, VirtualZarrError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.labels import LabelChoice
from intake_virtualzarr.formats.named_files import allowed_or_error
from intake_virtualzarr.formats.scan import scan_many
from intake_virtualzarr.formats.shared_values import SharedValues
from intake_virtualzarr.formats.workers import Executor, Workers
from intake_virtualzarr.progress import progress_bar
from intake_virtualzarr.storage.atomic_write import write_atomically
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.source import SourceTable
from intake_virtualzarr.storage.urls import absolute_url, is_local, local_path

__all__ = ["scan_paths"]

type Arguments = tuple[str | None, Access, LabelChoice | None]
"""Format, options and labels of `scan_batch`."""

BATCH = 250
"""Files of one task: some 200 ms of work; with much less the scheduler takes a share of the time that is seen."""
LEAST = 20
"""Smaller batches are not worth a task of their own."""


def scan_paths(
    paths: Sequence[str],
    *,
    format: str | None = None,
    access: Access | None = None,
    client: Any = None,
    executor: Executor | None = None,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    labels: LabelChoice | None = None,
) -> list[ScannedFile | VirtualZarrError]:
    """Scan files; results in the order of ``paths``, an error in place of a file that cannot be scanned.

    Parameters
    ----------
    paths : sequence of str
        Files.
    format : str, optional
        Name of the format; default: detected automatically.
    access : Access, optional
        Options for opening.
    client, executor : dask.distributed.Client, Executor; optional
        What scans; default: threads of this process.
    progress : bool, optional
        Whether to show a bar; default: on a terminal.
    checkpoint : path, optional
        Directory in which finished batches are kept. A batch of the same files, unchanged as far as can be seen without
        opening them, is not scanned again.
    labels : LabelChoice, optional
        Small variables whose values are read with the scan; default: none.
    """
    access = access or Access()
    with progress_bar("scanning", len(paths), progress) as advance:
        workers = Workers(client, executor)
        if not workers.are_elsewhere and checkpoint is None:
            return scan_many(paths, format=format, storage_options=access, progress=advance, labels=labels)
        batches = _batches(paths, workers.count)
        results: list[list[Any]] = [[] for _ in batches]
        shared = SharedValues()
        for number, found in _run(batches, (format, access, labels), workers, checkpoint):
            scans = found if isinstance(found, list) else [_lost(path, found) for path in batches[number]]
            results[number] = [shared.scan(scan) if isinstance(scan, ScannedFile) else scan for scan in scans]
            advance(len(batches[number]))
        return [result for batch in results for result in batch]


# ---------------------------------------------------------------------- what a worker runs


def scan_batch(paths: Sequence[str], format: str | None, access: Access, labels: LabelChoice | None) -> list[Any]:
    """Scan a batch; what its files repeat is one object, so that it is sent once."""
    return list(scan_many(paths, format=format, storage_options=access, labels=labels))


def _lost(path: str, error: Any) -> VirtualZarrError:
    return IngestError(f"{path}: its batch was not scanned: {type(error).__name__}: {error}")


# ---------------------------------------------------------------------- batches


def _batches(paths: Sequence[str], workers: int) -> list[list[str]]:
    """Batches of nearly equal size, at least two a worker where they are not too small."""
    size = max(LEAST, min(BATCH, -(-len(paths) // (2 * workers))))
    return [list(paths[i : i + size]) for i in range(0, len(paths), size)]


def _run(
    batches: Sequence[list[str]], arguments: Arguments, workers: Workers, checkpoint: str | os.PathLike[str] | None
) -> Iterator[tuple[int, Any]]:
    """Scans of batches as they come, by number; an exception in place of those of a batch whose task failed."""
    todo = []
    for number, batch in enumerate(batches):
        kept = None if checkpoint is None else _kept(_place(checkpoint, batch, arguments))
        if kept is None:
            todo.append(number)
        else:  # what it names may have been allowed then, and not be now
            yield number, [allowed_or_error(scan, arguments[1]) for scan in kept]
    for number, found in workers.run(scan_batch, {number: (batches[number], *arguments) for number in todo}):
        if checkpoint is not None and _complete(found):
            _keep(_place(checkpoint, batches[number], arguments), found)
        yield number, found


def _place(checkpoint: str | os.PathLike[str], batch: list[str], arguments: Arguments) -> Path:
    """The file of a batch: its name tells what was scanned, how, and the state of local files."""
    seen = [_state(absolute_url(path)) for path in batch]
    format, _, labels = arguments
    chosen = labels and [None if names is None else sorted(names) for names in (labels.names, labels.dropped, labels.groups)]
    text = repr((__version__, batch, seen, format, chosen))
    return Path(checkpoint) / f"{hashlib.sha256(text.encode()).hexdigest()}.pickle"


def _state(url: str) -> tuple[int, int] | None:
    try:
        status = os.stat(local_path(url)) if is_local(url) else None
    except OSError:
        return None
    return None if status is None else (status.st_size, status.st_mtime_ns)


def _complete(found: Any) -> bool:
    """Whether all files of a batch were scanned (others may succeed next time), and none was named with a secret."""
    return isinstance(found, list) and all(isinstance(scan, ScannedFile) and not _has_secret(scan) for scan in found)


def _has_secret(scan: ScannedFile) -> bool:
    tables = (segment.stored.sources for array in scan.arrays.values() for segment in array.segments)
    rows = (table.rows if isinstance(table, SourceTable) else table for table in tables)
    return scan.source.signed is not None or any(one.signed is not None for row in rows if isinstance(row, tuple) for one in row)


def _kept(path: Path) -> Any:
    try:
        return pickle.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except Exception:  # cut short by a crash: scanned again
        return None


def _keep(path: Path, found: Any) -> None:
    write_atomically(path, pickle.dumps(found, protocol=5))
