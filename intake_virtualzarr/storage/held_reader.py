"""Byte ranges of one file that were fetched before, behind the interface of a reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.reader import Buffer, ByteRange
from intake_virtualzarr.storage.readers import ReaderPool
from intake_virtualzarr.storage.source import Source

__all__ = ["HeldRanges"]


class HeldReader:
    """Gives the ranges that are here, whole; no others."""

    is_near = True
    access = Access()
    """It opens nothing."""

    def __init__(self, blocks: Mapping[ByteRange, Buffer], source: Source) -> None:
        self.url = source.url
        self._blocks, self._source = blocks, source

    def describe(self) -> Source:
        """The file, as it was when the ranges were fetched."""
        return self._source

    def read(self, ranges: Sequence[ByteRange], expected: Source | None = None) -> list[Buffer]:
        """The bytes of ranges."""
        blocks = [self._blocks.get(one, b"") for one in ranges]
        for (start, length), block in zip(ranges, blocks, strict=True):
            if len(block) != length:
                raise SourceError(f"{self.url}: {length} bytes from {start} were asked for, {len(block)} came: truncated?")
        return blocks

    def head(self, size: int) -> tuple[Source, Buffer]:
        """Not to be had: ranges that were fetched need not begin a file."""
        raise SourceError(f"{self.url}: its first bytes are not held")

    def close(self) -> None:
        """Nothing to release."""


class HeldRanges(ReaderPool):
    """A pool of one reader, of ranges that were fetched before."""

    def __init__(self, blocks: Mapping[ByteRange, Buffer], source: Source) -> None:
        super().__init__(limit=1)
        self._reader = HeldReader(blocks, source)

    def get(self, source: Source | str) -> HeldReader:  # type: ignore[override]
        """The reader, whatever is asked for."""
        return self._reader
