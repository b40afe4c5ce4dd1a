"""A source as a seekable binary file, for libraries that want one."""

from __future__ import annotations

import io

from intake_virtualzarr.storage.lru import LRU
from intake_virtualzarr.storage.reader import SourceReader
from intake_virtualzarr.storage.readers import open_reader
from intake_virtualzarr.storage.source import Source

__all__ = ["SourceFile"]

BLOCK = 256 * 1024
KEPT = 64
"""Blocks that are kept."""


class SourceFile(io.RawIOBase):
    """Reads in blocks and keeps the latest ones."""

    def __init__(self, reader: SourceReader, source: Source) -> None:
        self._reader = reader
        self._source = source
        self._size = source.size or 0
        self._at = 0
        self._blocks: LRU[int, bytes] = LRU(KEPT)

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Position [bytes]."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: object) -> int:
        """Fill a buffer from the position on."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        done = 0
        while done < len(view) and self._at < self._size:
            number, inside = divmod(self._at, BLOCK)
            piece = self._block(number)[inside : inside + len(view) - done]
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        return done

    def _block(self, number: int) -> bytes:
        return self._blocks.get(number, lambda: self._read_block(number * BLOCK))

    def _read_block(self, start: int) -> bytes:
        return bytes(self._reader.read([(start, min(BLOCK, self._size - start))], self._source)[0])

    def another(self, url: str) -> SourceFile:
        """Another file that this one names, opened with the same options."""
        reader = open_reader(url, self._reader.access.asked_by(self._reader.url))
        return SourceFile(reader, reader.describe())

    @property
    def source(self) -> Source:
        """The state of the file."""
        return self._source
