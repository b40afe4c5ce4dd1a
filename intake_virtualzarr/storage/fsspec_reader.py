"""Everything that obstore cannot open: ftp, chained URLs such as ``simplecache::``, ``zip://``, memory, … through fsspec."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.storage.fsspec_files import open_file_system, translated
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.reader import Buffer, ByteRange
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.url_secrets import shown_cause

__all__ = ["FsspecReader"]


class FsspecReader:
    """Byte ranges of one file of any fsspec file system."""

    is_near = False

    def __init__(self, url: str, access: Access | None = None) -> None:
        self._access = access or Access()
        self.url = self._access.stored(url)
        self._url = url
        self._opened: tuple[Any, str] | None = None

    def _target(self) -> tuple[Any, str]:
        if self._opened is None:
            signed = self._access.signed(self._url if self._access.modifier is None else self.url)
            self._opened = open_file_system(self.url, self._access, signed if signed != self.url else self._url)
        return self._opened

    @property
    def access(self) -> Access:
        """The options it opens files with."""
        return self._access

    def describe(self) -> Source:
        """Size, and ETag and modification time where the file system tells them."""
        fs, path = self._target()
        try:
            info = fs.info(path)
        except Exception as exc:
            raise translated(self.url, exc) from shown_cause(exc)
        changed = info.get("LastModified") or info.get("mtime") or info.get("created")
        if isinstance(changed, int | float):
            changed = datetime.fromtimestamp(changed, UTC)
        if not isinstance(changed, datetime) or changed.tzinfo is None:
            changed = None
        etag = info.get("ETag")
        signed = self._url if self._url != self.url else None
        return Source(self.url, info.get("size"), etag if isinstance(etag, str) else None, changed, signed=signed)

    def read(self, ranges: Sequence[ByteRange], expected: Source | None = None) -> list[Buffer]:
        """Read ranges."""
        fs, path = self._target()
        if expected is not None:
            expected.check(self.describe())
        starts = [start for start, _ in ranges]
        stops = [start + length for start, length in ranges]
        try:
            blocks = fs.cat_ranges([path] * len(ranges), starts, stops, on_error="raise")
        except Exception as exc:
            raise translated(self.url, exc) from shown_cause(exc)
        for (start, length), block in zip(ranges, blocks, strict=True):
            if len(block) != length:
                raise SourceError(f"{self.url}: {length} bytes from {start} were asked for, {len(block)} came: truncated?")
        return list(blocks)

    def head(self, size: int) -> tuple[Source, Buffer]:
        """State and first bytes of the file."""
        seen = self.describe()
        length = size if seen.size is None else min(size, seen.size)
        return seen, self.read([(0, length)])[0]

    def close(self) -> None:
        """Nothing to release."""
