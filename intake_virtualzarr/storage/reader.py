"""What the rest of the package asks of a reader: byte ranges of one file, and how the file looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.source import Source

__all__ = ["AsyncReader", "Buffer", "ByteRange", "SourceReader"]

type ByteRange = tuple[int, int]
"""First byte and number of bytes."""
type Buffer = bytes | bytearray | memoryview


class SourceReader(Protocol):
    """Byte ranges of one file. Safe to use from several threads."""

    url: str
    """Absolute URL, without credentials."""
    is_near: bool
    """Whether bytes are at hand, so that the calling thread may as well read them."""

    @property
    def access(self) -> Access:
        """The options it opens files with."""

    def describe(self) -> Source:
        """How the file looks now: size, ETag, modification time."""

    def read(self, ranges: Sequence[ByteRange], expected: Source | None = None) -> list[Buffer]:
        """Read ranges, in the order given; ``expected`` is compared with the state of the file that is seen.

        Raises
        ------
        SourceError
            If the file is absent or forbidden, answers without a range, or ends before a range does.
        SourceChangedError
            If the file is not as ``expected``.
        """

    def head(self, size: int) -> tuple[Source, Buffer]:
        """State and first bytes of the file, fewer than ``size`` if it is shorter."""

    def close(self) -> None:
        """Release the file or connection."""


@runtime_checkable
class AsyncReader(SourceReader, Protocol):
    """A reader whose requests run in the event loop of the process, many at once. Errors as those of `SourceReader`."""

    async def read_async(self, ranges: Sequence[ByteRange], expected: Source | None = None) -> list[Buffer]:
        """As `read`."""
        ...

    async def read_merged_async(
        self, ranges: Sequence[ByteRange], expected: Source | None = None
    ) -> tuple[list[ByteRange], list[Buffer]]:
        """Read ranges and what lies between near ones; what was read, and the bytes."""
        ...

    async def head_async(self, size: int) -> tuple[Source, Buffer]:
        """As `head`."""
        ...
