"""Local files through ``os.pread``."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from intake_virtualzarr.errors import SourceChangedError, SourceError
from intake_virtualzarr.storage.coalesce import merge_ranges, split_merged
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.reader import Buffer, ByteRange
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.urls import local_path

__all__ = ["LocalReader", "modification_time"]

LOCAL_GAP = 4096
"""A system call costs about as much as copying this many bytes from the page cache."""


TRIES = 4
"""How often a file is read again that was replaced while it was read."""


class LocalReader:
    """Byte ranges of a local file. The file is opened at the first read."""

    is_near = True
    access = Access()
    """A path is all that it takes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.path = local_path(url)
        self._lock = threading.Lock()
        self._fd = -1
        self._inode = (-1, -1)

    def describe(self) -> Source:
        """Size and modification time (microseconds)."""
        return self._source(self._stat())

    def _source(self, status: os.stat_result) -> Source:
        return Source(self.url, size=status.st_size, last_modified=modification_time(status))

    def _stat(self) -> os.stat_result:
        try:
            status = os.stat(self.path)
        except ValueError as exc:  # a NUL
            raise SourceError(f"{self.path!r}: cannot be the name of a file: {exc}") from exc
        except OSError as exc:
            raise _translated(self.path, exc) from exc
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f"{self.path}: is not a file")
        return status

    def read(self, ranges: Sequence[ByteRange], expected: Source | None = None) -> list[Buffer]:
        """Read ranges; near ones with one system call.

        ``expected`` is compared with the file's state just before reading, which must be the state after it, too: a file that
        is replaced in between would give the bytes of another.
        """
        for _ in range(TRIES):
            status = self._stat()
            if expected is not None:
                expected.check(self._source(status))
            fd = self._open(status)
            try:
                blocks = self._read(fd, ranges, status.st_size)
                if _state(os.fstat(fd)) == _state(status):
                    return blocks
            except OSError:
                if _state(self._stat()) == _state(status):
                    raise
            self.close()
        raise SourceChangedError(f"{self.path}: changes while it is read; read it again when it is written")

    def _read(self, fd: int, ranges: Sequence[ByteRange], size: int) -> list[Buffer]:
        if len(ranges) == 1:
            return [self._pread(fd, *ranges[0], size)]
        merged, places = merge_ranges(ranges, gap=LOCAL_GAP)
        return split_merged(ranges, places, [self._pread(fd, start, length, size) for start, length in merged])

    def head(self, size: int) -> tuple[Source, Buffer]:
        """State and first bytes of the file (fewer than ``size`` if it is shorter)."""
        status = self._stat()
        return self._source(status), self._pread(self._open(status), 0, min(size, status.st_size), status.st_size)

    def clipped(self, start: int, length: int, size: int) -> bytes:
        """The bytes of a range as far as it lies in the file of ``size`` bytes, which `head` has opened."""
        length = min(length, size - start)
        return self._pread(self._fd, start, length, size) if start >= 0 and length > 0 else b""

    def _open(self, status: os.stat_result) -> int:
        with self._lock:
            inode = (status.st_dev, status.st_ino)
            if self._fd >= 0 and self._inode != inode:
                os.close(self._fd)
                self._fd = -1
            if self._fd < 0:
                try:
                    self._fd = os.open(self.path, os.O_RDONLY)
                except OSError as exc:
                    raise _translated(self.path, exc) from exc
                self._inode = inode
            return self._fd

    def _pread(self, fd: int, start: int, length: int, size: int) -> bytes:
        try:
            block = os.pread(fd, length, start)
            while len(block) < length:  # a signal or a limit of 2 GiB may cut one call short
                more = os.pread(fd, length - len(block), start + len(block))
                if not more:
                    raise SourceError(
                        f"{self.path}: bytes {start} to {start + length} were asked for, the file has {size}: truncated?"
                    )
                block += more
        except OSError as exc:
            if isinstance(exc, SourceError):
                raise
            raise _translated(self.path, exc) from exc
        return block

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            os.close(self._fd)


def modification_time(status: os.stat_result) -> datetime:
    """When a file was last written, in whole microseconds."""
    microseconds = status.st_mtime_ns // 1000
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)


def _state(status: os.stat_result) -> tuple[int, int, int, int]:
    """What changes where a file is replaced or written."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _translated(path: str, exc: OSError) -> SourceError:
    if isinstance(exc, FileNotFoundError | NotADirectoryError):
        return SourceError(f"{path}: no such file")
    if isinstance(exc, PermissionError):
        return SourceError(f"{path}: not allowed to read it")
    return SourceError(f"{path}: {exc.strerror or exc}")
