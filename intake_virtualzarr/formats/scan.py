"""Scanning: run a format's sans-IO parser against a reader, for one file or for many at once."""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from intake_virtualzarr.errors import FormatError, SourceError, UnsupportedError, VirtualZarrError
from intake_virtualzarr.formats.base import ArchiveFile, Format, ScannedFile
from intake_virtualzarr.formats.named_files import only_allowed
from intake_virtualzarr.formats.registry import format_named, format_of
from intake_virtualzarr.storage.event_loop import run
from intake_virtualzarr.storage.file_object import SourceFile
from intake_virtualzarr.storage.local_reader import LocalReader
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.reader import AsyncReader, Buffer, ByteRange, SourceReader
from intake_virtualzarr.storage.readers import Access, open_reader
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.thread_pool import thread_count

__all__ = ["HEAD", "scan", "scan_many"]

HEAD = 64 * 1024
"""First request of a remote scan [bytes]."""
LOCAL_HEAD = 8 * 1024
"""Bytes of a local file that tell its format."""
FILES_AT_ONCE = 128
"""Remote files scanned at once in the reading loop."""
ROUNDS = 10_000
"""A parser that asks more often than this is broken or led in circles."""


def scan(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    storage_options: Any = None,
    allow: Allow = None,
    keep_query: Iterable[str] = (),
) -> ScannedFile:
    """Find out where the values of an archive file lie, without reading them.

    Parameters
    ----------
    path : path or URL
        An archive file, local or remote.
    format : str, optional
        Name of the format; default: found by the first bytes.
    storage_options : mapping or Access, optional
        Options for opening, by URL prefix.
    allow : str or list of str, optional
        URL prefixes that a file from a network may name, beside its own place.
    keep_query : iterable of str, optional
        Names of query parameters that belong to the name of a file; all others are kept in memory only.

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
    reader = open_reader(os.fspath(path), access)
    try:
        found = run(_scan_async(reader, format)) if isinstance(reader, AsyncReader) else _scan_here(reader, format)
        return only_allowed(found, access)
    finally:
        reader.close()


def scan_many(
    paths: Sequence[str | os.PathLike[str]],
    *,
    format: str | None = None,
    storage_options: Any = None,
    progress: Callable[[int], None] | None = None,
) -> list[ScannedFile | VirtualZarrError]:
    """Scan many files at once.

    Returns
    -------
    list
        In the order of ``paths``: a `ScannedFile`, or the error of that file.
    """
    access = Access.of(storage_options)
    readers = [open_reader(os.fspath(path), access) for path in paths]
    results: Results = {}
    remote = {i: reader for i, reader in enumerate(readers) if isinstance(reader, AsyncReader)}
    near = {i: reader for i, reader in enumerate(readers) if i not in remote}
    if near:
        _scan_near(near, format, results, progress)
    if remote:
        run(_scan_remote(remote, format, results, progress))
    return [_allowed_or_error(results[i], access) for i in range(len(readers))]


type Results = dict[int, ScannedFile | VirtualZarrError]
"""What came of each file, by position."""


def _allowed_or_error(found: ScannedFile | VirtualZarrError, access: Access) -> ScannedFile | VirtualZarrError:
    try:
        return only_allowed(found, access) if isinstance(found, ScannedFile) else found
    except VirtualZarrError as exc:
        return exc


def _scan_near(
    readers: Mapping[int, SourceReader], name: str | None, results: Results, progress: Callable[[int], None] | None
) -> None:
    def one(index: int) -> int:
        try:
            results[index] = _scan_here(readers[index], name)
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
    with ThreadPoolExecutor(workers, thread_name_prefix="intake-virtualzarr-scan") as pool:
        for future in as_completed([pool.submit(one, index) for index in readers]):
            future.result()
            if progress:
                progress(1)


async def _scan_remote(
    readers: Mapping[int, AsyncReader], name: str | None, results: Results, progress: Callable[[int], None] | None
) -> None:
    gate = asyncio.Semaphore(FILES_AT_ONCE)

    async def one(index: int) -> None:
        async with gate:
            try:
                results[index] = await _scan_async(readers[index], name)
            except VirtualZarrError as exc:
                results[index] = exc
            if progress:
                progress(1)

    await asyncio.gather(*(one(index) for index in readers))


# ---------------------------------------------------------------------- drivers


class _Blocks:
    """Bytes fetched so far, by position."""

    def __init__(self, size: int, head: Buffer) -> None:
        self._size = size
        self._starts = [0]
        self._data = [memoryview(head)]

    def get(self, start: int, length: int) -> memoryview | None:
        """The bytes of a range as far as it lies in the file, or None if they are not here."""
        length = max(0, min(length, self._size - start))
        if length == 0 or start < 0:
            return memoryview(b"")
        at = bisect_right(self._starts, start) - 1
        # a short block may hide a longer one that starts earlier; few blocks overlap, so look a little further back
        for i in range(at, max(-1, at - 4), -1):
            inside = start - self._starts[i]
            if inside + length <= len(self._data[i]):
                return self._data[i][inside : inside + length]
        return None

    def clipped(self, wanted: Sequence[ByteRange]) -> list[ByteRange]:
        """The ranges that are not here yet, cut at the end of the file."""
        return [(s, min(n, self._size - s)) for s, n in wanted if self.get(s, n) is None]

    def add(self, ranges: Sequence[ByteRange], blocks: Sequence[Buffer]) -> None:
        """Keep what was fetched."""
        for (start, _), block in zip(ranges, blocks, strict=True):
            at = bisect_right(self._starts, start)
            self._starts.insert(at, start)
            self._data.insert(at, memoryview(block))


def _scan_here(reader: SourceReader, name: str | None) -> ScannedFile:
    # a local file is parsed from its own descriptor: no blocks are kept
    return _scan_local(reader, name) if isinstance(reader, LocalReader) else _scan_plain(reader, name)


def _scan_local(reader: LocalReader, name: str | None) -> ScannedFile:
    source, head = reader.head(LOCAL_HEAD)
    plugin = format_named(name) if name else format_of(reader.path, head)
    if not source.size:
        raise FormatError(f"{reader.path}: is empty")
    try:
        return _drive(plugin, source, reader)
    except (UnsupportedError, FormatError) as exc:
        with open(reader.path, "rb") as file:
            return _fallback(plugin, source, file, exc)


def _drive(plugin: Format, source: Source, reader: LocalReader) -> ScannedFile:
    parse = plugin.parse(source)
    size = source.size or 0
    try:
        wanted = next(parse)
        for _ in range(ROUNDS):
            wanted = parse.send([reader.clipped(start, length, size) for start, length in wanted])
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        parse.close()
    raise FormatError(f"{source.url}: gave no result after {ROUNDS} rounds of reading")


async def _scan_async(reader: AsyncReader, name: str | None) -> ScannedFile:
    source, head = await reader.head_async(HEAD)
    plugin = format_named(name) if name else format_of(reader.url, head)
    blocks = _Blocks(source.size or len(head), head)
    parse = plugin.parse(source)
    try:
        wanted = next(parse)
        for _ in range(ROUNDS):
            missing = blocks.clipped(wanted)
            if missing:
                merged, fetched = await reader.read_merged_async(missing, source)
                blocks.add(merged, fetched)
            wanted = parse.send(_answers(blocks, wanted, reader.url))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    except (UnsupportedError, FormatError) as exc:
        return await asyncio.to_thread(_fallback, plugin, source, SourceFile(reader, source), exc)
    finally:
        parse.close()
    raise FormatError(f"{source.url}: gave no result after {ROUNDS} rounds of reading")


def _answers(blocks: _Blocks, wanted: Sequence[ByteRange], url: str) -> list[Buffer]:
    answers: list[Buffer] = []
    for start, length in wanted:
        block = blocks.get(start, length)
        if block is None:
            raise SourceError(f"{url}: bytes {start} to {start + length} did not come")
        answers.append(block)
    return answers


def _scan_plain(reader: SourceReader, name: str | None) -> ScannedFile:
    source, head = reader.head(HEAD)
    plugin = format_named(name) if name else format_of(reader.url, head)
    blocks = _Blocks(source.size or len(head), head)
    parse = plugin.parse(source)
    try:
        wanted = next(parse)
        for _ in range(ROUNDS):
            missing = blocks.clipped(wanted)
            if missing:
                blocks.add(missing, reader.read(missing, source))
            wanted = parse.send(_answers(blocks, wanted, reader.url))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    except (UnsupportedError, FormatError) as exc:
        return _fallback(plugin, source, SourceFile(reader, source), exc)
    finally:
        parse.close()
    raise FormatError(f"{source.url}: gave no result after {ROUNDS} rounds of reading")


def _fallback(plugin: Format, source: Source, file: ArchiveFile, reason: VirtualZarrError) -> ScannedFile:
    """Ask another library. Where that fails too, the first reason counts if it was damage."""
    try:
        found = plugin.fallback(source, file, str(reason))
    except VirtualZarrError as exc:
        raise (reason if isinstance(reason, FormatError) else exc) from exc
    if found is None:
        raise reason
    return found
