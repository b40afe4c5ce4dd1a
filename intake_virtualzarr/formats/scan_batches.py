"""Scanning many files: in threads here, or in batches on a dask cluster, by one function.

A batch is scanned by one task, and (`scan_merged`) joined there, so that what travels is one manifest a batch and not one
document a file. Batches are joined as a tree. A batch that is finished is kept in ``checkpoint``, if one is given.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from intake_virtualzarr._version import __version__
from intake_virtualzarr.errors import IngestError, VirtualZarrError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.merge_scans import merge_scans, static_digests
from intake_virtualzarr.formats.scan import scan_many
from intake_virtualzarr.progress import progress_bar
from intake_virtualzarr.storage.atomic_write import write_atomically
from intake_virtualzarr.storage.readers import Access, ReaderPool
from intake_virtualzarr.storage.urls import absolute_url, is_local, local_path

__all__ = ["Merged", "scan_merged", "scan_paths"]

BATCH = 250
"""Files of one task: some 200 ms of work; with much less the scheduler takes a share of the time that is seen."""
LEAST = 20
"""Smaller batches are not worth a task of their own."""
FAN_IN = 16
"""Batches that one task joins."""
RETRIES = 2
"""How often a batch is tried again when its worker is lost."""


def scan_paths(
    paths: Sequence[str],
    *,
    format: str | None = None,
    access: Access | None = None,
    client: Any = None,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
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
    client : dask.distributed.Client, optional
        Cluster that scans; default: threads of this process.
    progress : bool, optional
        Whether to show a bar; default: on a terminal.
    checkpoint : path, optional
        Directory in which finished batches are kept. A batch of the same files, unchanged as far as can be seen without
        opening them, is not scanned again.
    """
    access = access or Access()
    with progress_bar("scanning", len(paths), progress) as advance:
        if client is None and checkpoint is None:
            return scan_many(paths, format=format, storage_options=access, progress=advance)
        batches = _batches(paths, client)
        results: list[list[Any]] = [[] for _ in batches]
        for number, found in _run(scan_batch, batches, (format, access), client, checkpoint):
            results[number] = found if isinstance(found, list) else [_lost(path, found) for path in batches[number]]
            advance(len(batches[number]))
        return [result for batch in results for result in batch]


@dataclass(frozen=True)
class Merged:
    """Scans joined along a dimension."""

    scan: ScannedFile | None
    """The join, as one scan of many sources; None if no file could be scanned."""
    files: int
    """Number of files in it."""
    failures: dict[str, str] = field(default_factory=dict)
    """Path and reason of each file that could not be scanned."""
    digests: dict[str, str] | None = None
    """Digests of the variables that are not joined."""


def scan_merged(
    paths: Sequence[str],
    dim: str,
    *,
    compare: bool = True,
    format: str | None = None,
    access: Access | None = None,
    client: Any = None,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Merged:
    """Scan files and join them along a dimension, in the order given. Parameters as `scan_paths`.

    Parameters
    ----------
    dim : str
        Every variable that has it is joined.
    compare : bool
        Whether the values of other variables must be equal in all files; else those of the first are taken.

    Raises
    ------
    EncodingMismatchError
        If files differ in more than what lies along the dimension.
    """
    access = access or Access()
    with progress_bar("scanning", len(paths), progress) as advance:
        batches = _batches(paths, client)
        merged: list[Any] = [None] * len(batches)
        if client is not None and checkpoint is None:
            futures = [
                client.submit(merge_batch, batch, dim, compare, format, access, pure=False, retries=RETRIES) for batch in batches
            ]
            return _tree_on_cluster(client, futures, batches, dim, advance)
        for number, found in _run(merge_batch, batches, (dim, compare, format, access), client, checkpoint):
            merged[number] = found if isinstance(found, Merged) else _all_lost(batches[number], found)
            advance(len(batches[number]))
        return _tree(merged, dim)


# ---------------------------------------------------------------------- what a worker runs


def scan_batch(paths: Sequence[str], format: str | None, access: Access) -> list[Any]:
    """Scan a batch; equal attributes become one object, so that they are sent once."""
    known: dict[bytes, Any] = {}

    def once(value: Any) -> Any:
        return known.setdefault(pickle.dumps(value), value)

    def interned(scan: Any) -> Any:
        if not isinstance(scan, ScannedFile):
            return scan
        return replace(
            scan,
            groups={once(path): replace(g, attrs=once(dict(g.attrs))) for path, g in scan.groups.items()},
            arrays={
                once(path): replace(a, path=once(path), dims=once(a.dims), attrs=once(dict(a.attrs)))
                for path, a in scan.arrays.items()
            },
        )

    return [interned(scan) for scan in scan_many(paths, format=format, storage_options=access)]


def merge_batch(paths: Sequence[str], dim: str, compare: bool, format: str | None, access: Access) -> Merged:
    """Scan a batch and join it."""
    scans = scan_many(paths, format=format, storage_options=access)
    good = [scan for scan in scans if isinstance(scan, ScannedFile)]
    failures = {path: str(scan) for path, scan in zip(paths, scans, strict=True) if not isinstance(scan, ScannedFile)}
    if not good:
        return Merged(None, 0, failures)
    digests = None
    if compare:
        readers = ReaderPool(access)
        digests = [static_digests(scan, dim, readers) for scan in good]
    joined = merge_scans(good, dim, digests)
    return Merged(joined, len(good), failures, None if digests is None else digests[0])


def merge_merged(parts: Sequence[Merged], dim: str) -> Merged:
    """Join batches."""
    failures = {path: reason for part in parts for path, reason in part.failures.items()}
    good = [part for part in parts if part.scan is not None]
    if not good:
        return Merged(None, 0, failures)
    digests = [part.digests for part in good if part.digests is not None]
    joined = merge_scans([part.scan for part in good if part.scan is not None], dim, digests if len(digests) == len(good) else None)
    return Merged(joined, sum(part.files for part in good), failures, good[0].digests)


def _tree(parts: Sequence[Merged], dim: str) -> Merged:
    level = list(parts)
    while len(level) > 1:
        level = [merge_merged(level[i : i + FAN_IN], dim) for i in range(0, len(level), FAN_IN)]
    return level[0] if level else Merged(None, 0)


def _tree_on_cluster(
    client: Any, futures: Sequence[Any], batches: Sequence[list[str]], dim: str, advance: Callable[[int], None]
) -> Merged:
    """Join on the workers as batches finish; a batch whose worker was lost for good counts as failed files."""
    distributed = _distributed()
    places = {future: number for number, future in enumerate(futures)}
    level: list[Any] = list(futures)
    for future in distributed.as_completed(futures):
        number = places[future]
        if future.status == "error":
            error = future.exception()
            if isinstance(error, VirtualZarrError):
                client.cancel(list(futures))
                raise error
            level[number] = client.scatter(_all_lost(batches[number], error))
        advance(len(batches[number]))
    while len(level) > 1:
        groups = [level[i : i + FAN_IN] for i in range(0, len(level), FAN_IN)]
        level = [client.submit(merge_merged, group, dim, pure=False, retries=RETRIES) for group in groups]
        distributed.wait(level)
    found: Merged = level[0].result() if level else Merged(None, 0)
    return found


def _all_lost(paths: Sequence[str], error: BaseException | None) -> Merged:
    if isinstance(error, VirtualZarrError):
        raise error
    return Merged(None, 0, {path: str(_lost(path, error)) for path in paths})


def _lost(path: str, error: Any) -> VirtualZarrError:
    return IngestError(f"{path}: its batch was not scanned: {type(error).__name__}: {error}")


# ---------------------------------------------------------------------- batches


def _batches(paths: Sequence[str], client: Any) -> list[list[str]]:
    """Batches of nearly equal size, at least two a worker where they are not too small."""
    workers = 1 if client is None else max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
    size = max(LEAST, min(BATCH, -(-len(paths) // (2 * workers))))
    return [list(paths[i : i + size]) for i in range(0, len(paths), size)]


def _run(
    function: Callable[..., Any],
    batches: Sequence[list[str]],
    arguments: tuple[Any, ...],
    client: Any,
    checkpoint: str | os.PathLike[str] | None,
) -> Iterator[tuple[int, Any]]:
    """Results of batches as they come; an exception in place of one whose task failed."""
    todo = []
    for number, batch in enumerate(batches):
        kept = None if checkpoint is None else _kept(_place(checkpoint, function, batch, arguments))
        if kept is None:
            todo.append(number)
        else:
            yield number, kept
    for number, found in _computed(function, batches, todo, arguments, client):
        if checkpoint is not None and _complete(found):
            _keep(_place(checkpoint, function, batches[number], arguments), found)
        yield number, found


def _computed(
    function: Callable[..., Any], batches: Sequence[list[str]], todo: Sequence[int], arguments: Any, client: Any
) -> Iterator[tuple[int, Any]]:
    if client is None:
        for number in todo:
            try:
                yield number, function(batches[number], *arguments)
            except VirtualZarrError as exc:
                yield number, exc
        return
    futures = {client.submit(function, batches[n], *arguments, pure=False, retries=RETRIES): n for n in todo}
    for future in _distributed().as_completed(futures):
        yield futures[future], future.exception() if future.status == "error" else future.result()


def _distributed() -> Any:
    import distributed

    return distributed


def _place(checkpoint: str | os.PathLike[str], function: Callable[..., Any], batch: list[str], arguments: Any) -> Path:
    """The file of a batch: its name tells what was scanned, how, and the state of local files."""
    seen = [_state(absolute_url(path)) for path in batch]
    plain = [a for a in arguments if not isinstance(a, Access)]
    text = repr((__version__, function.__name__, batch, seen, plain))
    return Path(checkpoint) / f"{hashlib.sha256(text.encode()).hexdigest()}.pickle"


def _state(url: str) -> tuple[int, int] | None:
    try:
        status = os.stat(local_path(url)) if is_local(url) else None
    except OSError:
        return None
    return None if status is None else (status.st_size, status.st_mtime_ns)


def _complete(found: Any) -> bool:
    """Whether all files of a batch were scanned: others may succeed next time."""
    if isinstance(found, Merged):
        return not found.failures
    return isinstance(found, list) and all(isinstance(scan, ScannedFile) for scan in found)


def _kept(path: Path) -> Any:
    try:
        return pickle.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except Exception:  # cut short by a crash: scanned again
        return None


def _keep(path: Path, found: Any) -> None:
    write_atomically(path, pickle.dumps(found, protocol=5))
