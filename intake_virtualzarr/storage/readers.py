"""Readers of bytes: local files, object stores and http, and fsspec for everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from intake_virtualzarr.storage.local_reader import LocalReader
from intake_virtualzarr.storage.lru import LRU
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.reader import Buffer, ByteRange
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.urls import absolute_url, is_local

if TYPE_CHECKING:
    from intake_virtualzarr.storage.fsspec_reader import FsspecReader
    from intake_virtualzarr.storage.http_reader import HttpReader
    from intake_virtualzarr.storage.obstore_reader import ObjectReader

__all__ = ["Access", "Buffer", "ByteRange", "OBJECT_SCHEMES", "WEB_SCHEMES", "ReaderPool", "open_reader"]

type AnyReader = LocalReader | HttpReader | ObjectReader | FsspecReader

WEB_SCHEMES = frozenset({"http", "https"})
OBJECT_SCHEMES = frozenset({"s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "adl"})


def open_reader(url: str, access: Access | None = None) -> AnyReader:
    """The reader of a path or URL, which may hold a signature or password.

    Local files are read by system calls, those on web servers by our own client, S3, Google Cloud Storage and Azure through
    obstore, everything else (also chained URLs) through fsspec.

    Raises
    ------
    NotAllowedError
        If a document asks for it that may not name it.
    """
    url = absolute_url(url)
    access = access or Access()
    access.check(url)
    if is_local(url):
        return LocalReader(url)
    access = access.remembering(url)
    parts = urlsplit(url)
    is_plain = "::" not in url and not parts.fragment
    if parts.scheme in WEB_SCHEMES and is_plain:
        from intake_virtualzarr.storage.http_reader import HttpReader

        return HttpReader(url, access)
    if parts.scheme in OBJECT_SCHEMES and is_plain and not parts.query:
        from intake_virtualzarr.storage.obstore_reader import ObjectReader

        return ObjectReader(url, access)
    from intake_virtualzarr.storage.fsspec_reader import FsspecReader

    return FsspecReader(url, access)


OPEN_READERS = 128
"""Readers that a pool keeps, each with a descriptor if its file is local; systems allow a process 256 or 1024 of them."""


class ReaderPool:
    """Readers by URL, the least recently used closed when there are too many."""

    def __init__(self, access: Access | None = None, limit: int = OPEN_READERS) -> None:
        self.access = access or Access()
        self._readers: LRU[str, AnyReader] = LRU(limit)

    def get(self, source: Source | str) -> AnyReader:
        """The reader of a source, or of a URL."""
        url = source if isinstance(source, str) else source.opened
        # what is dropped is not closed: another thread may be reading; its descriptor closes with the last reference
        return self._readers.get(url, lambda: open_reader(url, self.access))

    def __reduce__(self) -> tuple[type[ReaderPool], tuple[Access, int]]:
        return ReaderPool, (self.access, self._readers.limit)
