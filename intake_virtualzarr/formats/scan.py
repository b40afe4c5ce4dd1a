"""Scanning: run a format's sans-IO parser against a reader, for one file or for many at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from intake_virtualzarr._typing import Attrs, FormatLike, ParserOfVirtualiZarr
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.labels import LabelChoice, with_labels
from intake_virtualzarr.formats.named_files import allowed_or_error, only_allowed
from intake_virtualzarr.formats.parser_input import ParserInput, input_of, without_waiting
from intake_virtualzarr.formats.parser_loop import parse_file
from intake_virtualzarr.formats.shared_values import SharedValues
from intake_virtualzarr.formats.virtualizarr_parsers import scanned_by_parser
from intake_virtualzarr.storage.directory_urls import is_directory
from intake_virtualzarr.storage.event_loop import run
from intake_virtualzarr.storage.local_reader import LocalReader
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.reader import AsyncReader, SourceReader
from intake_virtualzarr.storage.readers import Access, open_reader
from intake_virtualzarr.storage.thread_pool import thread_count
from intake_virtualzarr.storage.urls import is_local, is_url, local_path

__all__ = ["scan", "scan_many"]

FILES_AT_ONCE = 128
"""Remote files scanned at once in the reading loop."""
STORES_AT_ONCE = 16
"""Zarr stores scanned at once."""
FILES_OF_A_TASK = 16
"""Local files that a thread scans before it asks for more."""


def scan(
    path: str | os.PathLike[str],
    *,
    format: FormatLike = None,
    storage_options: Access | Attrs | None = None,
    allow: Allow = None,
    keep_query: Iterable[str] = (),
    labels: LabelChoice | None = None,
) -> ScannedFile:
    """Find out where the values of an archive file lie, without reading them.

    Parameters
    ----------
    path : path or URL
        An archive file, or a Zarr store, local or remote.
    format : str or parser, optional
        Name of the format, or a parser of VirtualiZarr; default: found by the first bytes.
    storage_options : mapping or Access, optional
        Options for opening, by URL prefix.
    allow : str or list of str, optional
        URL prefixes that a file from a network may name, beside its own place.
    keep_query : iterable of str, optional
        Names of query parameters that belong to the name of a file; all others are kept in memory only.
    labels : LabelChoice, optional
        Small variables whose values are read now; default: none.

    Returns
    -------
    ScannedFile
        ``arrays`` (by path), ``references`` (number of stored chunks), ``left_out`` (path and reason of what has no virtual
        form), ``source``.

    Raises
    ------
    SourceError
        If the file cannot be read.
    FormatError
        If it is of no known format, or damaged.
    """
    access = Access.of(storage_options, allow=allow, keep_query=keep_query)
    if callable(format):
        return only_allowed(scanned_by_parser(format, path, access), access)
    store = _scanned_store(path, format, access)
    if store is not None:
        return store
    reader = open_reader(os.fspath(path), access)
    try:
        parsed = scanned_input(input_of(reader), format, access, labels)
        return only_allowed(run(parsed) if isinstance(reader, AsyncReader) else without_waiting(parsed), access)
    finally:
        reader.close()


async def scanned_input(file: ParserInput, format: str | None, access: Access, labels: LabelChoice | None) -> ScannedFile:
    """Scan what the loop reads, and read the values of labels with it. Errors as those of `scan`."""
    return await with_labels(await parse_file(file, format, access), labels, file)


def scan_many(
    paths: Sequence[str | os.PathLike[str]],
    *,
    format: FormatLike = None,
    storage_options: Access | Attrs | None = None,
    progress: Callable[[int], None] | None = None,
    labels: LabelChoice | None = None,
) -> list[ScannedFile | VirtualZarrError]:
    """Scan many files at once; ``labels`` says which values are read with them.

    Returns
    -------
    list
        In the order of ``paths``: a `ScannedFile`, or the error of that file.
    """
    access = Access.of(storage_options)
    if callable(format):
        found = _scan_by_parser(paths, format, access, progress)
        return [allowed_or_error(one, access) for one in found]
    results: Results = _scan_stores(paths, format, access, progress)
    readers = {i: open_reader(os.fspath(path), access) for i, path in enumerate(paths) if i not in results}
    far = {i: reader for i, reader in readers.items() if not isinstance(reader, LocalReader)}
    remote = {i: reader for i, reader in far.items() if isinstance(reader, AsyncReader)}
    near = {i: reader for i, reader in readers.items() if i not in remote}
    shared = SharedValues()

    async def parse(reader: SourceReader) -> ScannedFile:
        return shared.scan(await scanned_input(input_of(reader), format, access, labels))

    if near:
        _scan_near(near, parse, results, progress)
    if remote:
        run(_scan_remote(remote, parse, results, progress))
    return [allowed_or_error(results[i], access) for i in range(len(paths))]


type Results = dict[int, ScannedFile | VirtualZarrError]
"""What came of each file, by position."""
type Parsing = Callable[[SourceReader], Coroutine[Any, Any, ScannedFile]]
"""How one file is scanned."""


def _scanned_store(path: str | os.PathLike[str], format: str | None, access: Access) -> ScannedFile | None:
    """The scan of a plain Zarr store; None for a file, and for all other stores."""
    text = os.fspath(path)
    if format not in (None, "zarr") or not (is_directory(text) or (format == "zarr" and is_url(text))):
        return None
    from intake_virtualzarr.formats.zarr.find_store import scanned_directory

    return scanned_directory(local_path(text) if is_local(text) else text, access, sure=format == "zarr")


def _scan_stores(
    paths: Sequence[str | os.PathLike[str]], format: str | None, access: Access, progress: Callable[[int], None] | None
) -> Results:
    """Scans of the paths that are plain Zarr stores, several at once, by position."""
    results: Results = {}
    chosen = [i for i, path in enumerate(paths) if format in (None, "zarr") and is_directory(os.fspath(path))]
    if not chosen:
        return results

    def one(index: int) -> ScannedFile | VirtualZarrError | None:
        try:
            return _scanned_store(paths[index], format, access)
        except VirtualZarrError as exc:
            return exc

    with ThreadPoolExecutor(min(len(chosen), STORES_AT_ONCE), thread_name_prefix="intake-virtualzarr-scan") as pool:
        for index, found in zip(chosen, pool.map(one, chosen), strict=True):
            if found is not None:
                results[index] = found
                if progress:
                    progress(1)
    return results


def _scan_by_parser(
    paths: Sequence[str | os.PathLike[str]], parser: ParserOfVirtualiZarr, access: Access, progress: Callable[[int], None] | None
) -> list[ScannedFile | VirtualZarrError]:
    """Scans by a parser of VirtualiZarr, several at once."""
    shared = SharedValues()

    def one(path: str | os.PathLike[str]) -> ScannedFile | VirtualZarrError:
        try:
            return shared.scan(scanned_by_parser(parser, path, access))
        except VirtualZarrError as exc:
            return exc
        finally:
            if progress:
                progress(1)

    with ThreadPoolExecutor(max(thread_count(), 2), thread_name_prefix="intake-virtualzarr-scan") as pool:
        return list(pool.map(one, paths))


def _scan_near(
    readers: Mapping[int, SourceReader], parse: Parsing, results: Results, progress: Callable[[int], None] | None
) -> None:
    def one(index: int) -> int:
        try:
            results[index] = without_waiting(parse(readers[index]))
        except VirtualZarrError as exc:
            results[index] = exc
        finally:
            readers[index].close()
        return index

    workers = min(len(readers), max(thread_count(), 2))
    if workers == 1:
        for index in readers:
            one(index)
            if progress:
                progress(1)
        return
    indexes = list(readers)
    size = max(1, min(FILES_OF_A_TASK, len(indexes) // (2 * workers)))

    def some(start: int) -> int:
        return len([one(index) for index in indexes[start : start + size]])

    with ThreadPoolExecutor(workers, thread_name_prefix="intake-virtualzarr-scan") as pool:
        for future in as_completed([pool.submit(some, start) for start in range(0, len(indexes), size)]):
            done = future.result()
            if progress:
                progress(done)


async def _scan_remote(
    readers: Mapping[int, AsyncReader], parse: Parsing, results: Results, progress: Callable[[int], None] | None
) -> None:
    gate = asyncio.Semaphore(FILES_AT_ONCE)

    async def one(index: int) -> None:
        async with gate:
            try:
                results[index] = await parse(readers[index])
            except VirtualZarrError as exc:
                results[index] = exc
            if progress:
                progress(1)

    await asyncio.gather(*(one(index) for index in readers))
