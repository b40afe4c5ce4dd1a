"""Plain Zarr stores of version 2 and 3: in directories and buckets, and (as a format of files) in zip files."""

from __future__ import annotations

from intake_virtualzarr.formats.base import ArchiveFile, Parse, ScannedFile
from intake_virtualzarr.formats.zarr.find_store import NAME
from intake_virtualzarr.formats.zarr.zip_store import scanned_zip
from intake_virtualzarr.storage.reader import Buffer
from intake_virtualzarr.storage.source import Source

__all__ = ["FORMAT"]

STARTS = (b"PK\3\4", b"PK\5\6")
"""How zip files begin, also empty ones."""


class ZippedZarr:
    """The format plug-in: a store in a zip file. Stores in directories are no files; `find_store` scans them."""

    name = NAME

    def sniff(self, head: Buffer) -> bool:
        """Whether it is a zip file; what is in it is found out by `parse`."""
        return bytes(head[:4]) in STARTS

    def parse(self, source: Source) -> Parse:
        """Start to parse a file."""
        return scanned_zip(source, self.name)

    def fallback(self, source: Source, file: ArchiveFile, reason: str) -> ScannedFile | None:
        """There is no other library to ask."""
        return None


FORMAT = ZippedZarr()
