"""What readers over the network have in common: ranges are merged, and all requests are under way at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.storage.coalesce import merge_ranges, split_merged
from intake_virtualzarr.storage.event_loop import gather, run
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.patience import Patience, patience_of
from intake_virtualzarr.storage.reader import AsyncReader, Buffer, ByteRange
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.url_secrets import redact

__all__ = ["RangedReader"]


class RangedReader(AsyncReader):
    """Byte ranges of one remote file."""

    is_near = False

    def __init__(self, url: str, access: Access | None = None) -> None:
        self._access = access or Access()
        self.url = self._access.stored(url)
        self._opened = url
        self._signed = url if url != self.url else None

    @property
    def access(self) -> Access:
        """The options it opens files with."""
        return self._access

    @property
    def patience(self) -> Patience:
        """How long its server is waited for."""
        return patience_of(self._access.options(self.url))

    def signed(self) -> str:
        """The URL that is asked for: with its signature, as it came or as the modifier of the access gives it now."""
        signed = self._access.signed(self._opened if self._access.modifier is None else self.url)
        return signed if signed != self.url else self._opened

    @abstractmethod
    async def describe_async(self) -> Source:
        """How the file looks now."""

    @abstractmethod
    async def get(self, start: int, length: int, expected: Source | None, *, may_be_short: bool = False) -> tuple[Source, Buffer]:
        """One range, and the state of the file that was seen with it."""

    def describe(self) -> Source:
        """State of the file, by one HEAD request."""
        return run(self.describe_async())

    def read(self, ranges: Sequence[ByteRange], expected: Source | None = None) -> list[Buffer]:
        """Read ranges; near ones by one request, all requests at once."""
        return run(self.read_async(ranges, expected))

    async def read_async(self, ranges: Sequence[ByteRange], expected: Source | None = None) -> list[Buffer]:
        """As `read`."""
        merged, places = merge_ranges(ranges)
        return split_merged(ranges, places, await self._read_blocks(merged, expected))

    async def read_merged_async(
        self, ranges: Sequence[ByteRange], expected: Source | None = None
    ) -> tuple[list[ByteRange], list[Buffer]]:
        """Read ranges and what lies between near ones; what was read, and the bytes."""
        merged, _ = merge_ranges(ranges)
        return merged, await self._read_blocks(merged, expected)

    async def _read_blocks(self, merged: list[ByteRange], expected: Source | None) -> list[Buffer]:
        found = await gather([self.get(start, length, expected) for start, length in merged])
        return [block for _, block in found]

    def head(self, size: int) -> tuple[Source, Buffer]:
        """State and first bytes of the file, by one request."""
        return run(self.head_async(size))

    async def head_async(self, size: int) -> tuple[Source, Buffer]:
        """As `head`."""
        return await self.get(0, size, None, may_be_short=True)

    def check_length(self, start: int, length: int, block: Buffer, seen: Source) -> None:
        """Refuse a range that came short."""
        if len(block) != length:
            raise SourceError(
                f"{self.url}: {length} bytes from {start} were asked for, {len(block)} came; the object has {seen.size}: truncated?"
            )

    def not_found(self) -> SourceError:
        """The error of a file that is not there."""
        return SourceError(f"{self.url}: not found (404)")

    def denied(self) -> SourceError:
        """The error of a file that may not be read."""
        prefix = self._access.prefix(self.url)
        where = f"the options given for {prefix!r}" if prefix is not None else "options for this URL's prefix"
        return SourceError(f"{self.url}: access denied (401 or 403); check {where} (storage_options={{prefix: …}})")

    def whole(self) -> SourceError:
        """The error of a server that knows no ranges."""
        return SourceError(
            f"{self.url}: the server answers a range request with the whole file (200); serve it from one that supports byte ranges"
        )

    def other(self, text: str) -> SourceError:
        """Any other error."""
        return SourceError(f"{self.url}: {redact(text)}")

    def close(self) -> None:
        """Nothing to release: connections are shared."""
