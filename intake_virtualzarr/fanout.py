"""Scanning many files: in threads here, or in batches on a dask cluster, by one function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.progress import progress_bar
from intake_virtualzarr.readers import Access
from intake_virtualzarr.scanning import scan_many

__all__ = ["scan_paths"]

BATCH = 50
"""Files of one task: a task should hold some 50 ms of work, or the scheduler is the bottleneck."""


def scan_paths(
    paths: Sequence[str],
    *,
    format: str | None = None,  # noqa: A002
    access: Access | None = None,
    client: Any = None,
    progress: bool | None = None,
) -> list[ScannedFile | VirtualZarrError]:
    """Scan files; results in the order of ``paths``, an error in place of a file that cannot be scanned."""
    access = access or Access()
    with progress_bar("scanning", len(paths), progress) as advance:
        if client is None:
            return scan_many(paths, format=format, storage_options=access, progress=advance)
        return _on_cluster(paths, format, access, client, advance)


def scan_batch(paths: Sequence[str], format: str | None, access: Access) -> list[Any]:  # noqa: A002
    """The task that a worker runs."""
    return list(scan_many(paths, format=format, storage_options=access))


def _on_cluster(paths: Sequence[str], format: str | None, access: Access, client: Any, advance: Any) -> list[Any]:  # noqa: A002
    from distributed import as_completed

    workers = max(1, len(client.scheduler_info()["workers"]))
    size = max(1, min(BATCH, -(-len(paths) // (2 * workers))))
    batches = [list(paths[i : i + size]) for i in range(0, len(paths), size)]
    futures = {client.submit(scan_batch, batch, format, access, pure=False): i for i, batch in enumerate(batches)}
    results: list[list[Any]] = [[] for _ in batches]
    for future, found in as_completed(futures, with_results=True):
        results[futures[future]] = found
        advance(len(found))
    return [result for batch in results for result in batch]
