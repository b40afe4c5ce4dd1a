"""Where the bytes come from that a parser asks for: a local file, one behind fsspec, one in an object store."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from intake_virtualzarr.errors import FormatError, SourceError, VirtualZarrError
from intake_virtualzarr.formats.base import ArchiveFile, Format, ScannedFile
from intake_virtualzarr.formats.no_collection import no_collection
from intake_virtualzarr.storage.file_object import SourceFile
from intake_virtualzarr.storage.local_reader import LocalReader
from intake_virtualzarr.storage.reader import AsyncReader, Buffer, ByteRange, SourceReader
from intake_virtualzarr.storage.source import Source

__all__ = ["FsspecFile", "LocalFile", "ParserInput", "RemoteFile", "input_of", "without_waiting"]

LOCAL_HEAD = 64 * 1024
"""Bytes of a local file that are read first: all of a small one, so that it takes one system call."""


class ParserInput(Protocol):
    """One file, as the loop reads it."""

    label: str
    """Path or URL, for messages."""

    async def head(self, size: int) -> tuple[Source, Buffer]:
        """State and first bytes of the file: ``size`` of them, if it is far away."""

    async def read(self, wanted: Sequence[ByteRange]) -> Sequence[Buffer]:
        """The bytes of ranges, as far as these lie in the file."""

    async def fallback(self, plugin: Format, reason: VirtualZarrError) -> ScannedFile:
        """What another library makes of the file."""


def without_waiting[T](scan: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits: what is near is parsed in the calling thread."""
    try:
        scan.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    scan.close()
    raise RuntimeError("a scan of a near file waited")


def input_of(reader: SourceReader) -> ParserInput:
    """How the loop reads from a reader."""
    if isinstance(reader, LocalReader):  # first, for to look whether a class has all methods takes longer
        return LocalFile(reader)
    return RemoteFile(reader) if isinstance(reader, AsyncReader) else FsspecFile(reader)


# ---------------------------------------------------------------------- where bytes come from


class LocalFile:
    """A local file, parsed from its own descriptor: nothing but its first bytes is kept."""

    def __init__(self, reader: LocalReader) -> None:
        self.label = reader.path
        self._reader = reader

    async def head(self, size: int) -> tuple[Source, Buffer]:
        source, head = self._reader.head(LOCAL_HEAD)
        self._source, self._size, self._head = source, source.size or 0, head
        return source, head

    async def read(self, wanted: Sequence[ByteRange]) -> Sequence[Buffer]:
        return [self._one(start, length) for start, length in wanted]

    def _one(self, start: int, length: int) -> Buffer:
        stop = min(start + length, self._size)
        if start < 0 or stop > len(self._head):
            return self._reader.clipped(start, length, self._size)
        return self._head if start == 0 and stop == len(self._head) else self._head[start:stop]

    async def fallback(self, plugin: Format, reason: VirtualZarrError) -> ScannedFile:
        with open(self._reader.path, "rb") as file:
            return _fallback(plugin, self._source, file, reason)


class FsspecFile:
    """A file behind fsspec: what was fetched is kept."""

    def __init__(self, reader: SourceReader) -> None:
        self.label = reader.url
        self._reader = reader

    async def head(self, size: int) -> tuple[Source, Buffer]:
        source, head = self._reader.head(size)
        self._source, self._blocks = source, Blocks(source.size or len(head), head)
        return source, head

    async def read(self, wanted: Sequence[ByteRange]) -> Sequence[Buffer]:
        missing = self._blocks.clipped(wanted)
        if missing:
            self._blocks.add(missing, self._reader.read(missing, self._source))
        return self._blocks.answers(wanted, self._reader.url)

    async def fallback(self, plugin: Format, reason: VirtualZarrError) -> ScannedFile:
        with no_collection():
            return _fallback(plugin, self._source, SourceFile(self._reader, self._source), reason)


class RemoteFile:
    """A file in an object store or behind http, read in the event loop: what was fetched is kept."""

    def __init__(self, reader: AsyncReader) -> None:
        self.label = reader.url
        self._reader = reader

    async def head(self, size: int) -> tuple[Source, Buffer]:
        source, head = await self._reader.head_async(size)
        self._source, self._blocks = source, Blocks(source.size or len(head), head)
        return source, head

    async def read(self, wanted: Sequence[ByteRange]) -> Sequence[Buffer]:
        missing = self._blocks.clipped(wanted)
        if missing:
            self._blocks.add(*await self._reader.read_merged_async(missing, self._source))
        return self._blocks.answers(wanted, self._reader.url)

    async def fallback(self, plugin: Format, reason: VirtualZarrError) -> ScannedFile:
        # entered here, in the thread that fetches the bytes: it is at no collection then
        with no_collection():
            return await asyncio.to_thread(_fallback, plugin, self._source, SourceFile(self._reader, self._source), reason)


class Blocks:
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

    def answers(self, wanted: Sequence[ByteRange], url: str) -> list[Buffer]:
        """The bytes of ranges.

        Raises
        ------
        SourceError
            If some were asked for and did not come.
        """
        answers: list[Buffer] = []
        for start, length in wanted:
            block = self.get(start, length)
            if block is None:
                raise SourceError(f"{url}: bytes {start} to {start + length} did not come")
            answers.append(block)
        return answers


def _fallback(plugin: Format, source: Source, file: ArchiveFile, reason: VirtualZarrError) -> ScannedFile:
    """Ask another library. Where that fails too, the first reason counts if it was damage."""
    try:
        found = plugin.fallback(source, file, str(reason))
    except VirtualZarrError as exc:
        raise (reason if isinstance(reason, FormatError) else exc) from exc
    if found is None:
        raise reason
    return found
