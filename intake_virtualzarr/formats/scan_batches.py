"""Scanning many files: in threads here, or in batches on a dask cluster or by an executor, by one function.

A batch that is finished is kept in ``checkpoint``, if one is given.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from intake_virtualzarr._typing import FormatLike
from intake_virtualzarr.errors import IngestError, VirtualZarrError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.checkpoint import Checkpoint
from intake_virtualzarr.formats.labels import LabelChoice
from intake_virtualzarr.formats.packed_scans import pack, unpack
from intake_virtualzarr.formats.scan import scan_many
from intake_virtualzarr.formats.shared_values import SharedValues
from intake_virtualzarr.formats.workers import Executor, Workers
from intake_virtualzarr.progress import progress_bar
from intake_virtualzarr.storage.readers import Access

__all__ = ["scan_paths"]

BATCH = 500
"""Files of one task: some 200 ms of work; with much less the scheduler takes a share of the time that is seen."""
LEAST = 20
"""Smaller batches are not worth a task of their own."""


def scan_paths(
    paths: Sequence[str],
    *,
    format: FormatLike = None,
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
    format : str or parser, optional
        Name of the format, or a parser of VirtualiZarr; default: detected automatically.
    access : Access, optional
        Options for opening.
    client, executor : dask.distributed.Client, Executor; optional
        What scans; default: threads of this process.
    progress : bool, optional
        Whether to show a bar; default: on a terminal.
    checkpoint : path, optional
        Directory in which the scans of finished batches are kept; files that have not changed since are not scanned again.
    labels : LabelChoice, optional
        Small variables whose values are read with the scan; default: none.
    """
    access = access or Access()
    with progress_bar("scanning", len(paths), progress) as advance:
        workers = Workers(client, executor)
        if not workers.are_elsewhere and checkpoint is None:
            return scan_many(paths, format=format, storage_options=access, progress=advance, labels=labels)
        store = None if checkpoint is None else Checkpoint(checkpoint, format, labels, access)
        results: dict[int, Any] = {} if store is None else store.found(paths)
        advance(len(results))
        batches = _batches([i for i in range(len(paths)) if i not in results], workers.count)
        shared = SharedValues()
        calls = {n: ([paths[i] for i in batch], format, access, labels) for n, batch in enumerate(batches)}
        for number, found in workers.run(scan_batch, calls):
            of_batch = calls[number][0]
            scans = list(unpack(found)) if isinstance(found, list) else [_lost(path, found) for path in of_batch]
            if store is not None:
                store.keep(of_batch, scans)
            for i, scan in zip(batches[number], scans, strict=True):
                results[i] = shared.scan(scan) if isinstance(scan, ScannedFile) else scan
            advance(len(of_batch))
        return [results[i] for i in range(len(paths))]


# ---------------------------------------------------------------------- what a worker runs


def scan_batch(paths: Sequence[str], format: FormatLike, access: Access, labels: LabelChoice | None) -> list[Any]:
    """Scan a batch; what its files repeat is sent once, and what differs as columns."""
    return pack(scan_many(paths, format=format, storage_options=access, labels=labels))


def _lost(path: str, error: Any) -> VirtualZarrError:
    return IngestError(f"{path}: its batch was not scanned: {type(error).__name__}: {error}")


# ---------------------------------------------------------------------- batches


def _batches(numbers: Sequence[int], workers: int) -> list[Sequence[int]]:
    """Batches of nearly equal size, at least two a worker where they are not too small."""
    size = max(LEAST, min(BATCH, -(-len(numbers) // (2 * workers))))
    return [numbers[i : i + size] for i in range(0, len(numbers), size)]
