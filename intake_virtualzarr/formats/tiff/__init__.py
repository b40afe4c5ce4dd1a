"""TIFF, BigTIFF and Cloud Optimized GeoTIFF: the format plug-in `FORMAT`."""

from __future__ import annotations

from intake_virtualzarr.formats.base import ArchiveFile, Parse, ScannedFile
from intake_virtualzarr.formats.tiff.directories import read_directories
from intake_virtualzarr.formats.tiff.scanned import scanned_file
from intake_virtualzarr.storage.reader import Buffer
from intake_virtualzarr.storage.source import Source

__all__ = ["FORMAT", "Tiff"]


class Tiff:
    """TIFF files."""

    name = "tiff"
    endings = (".tif", ".tiff", ".gtiff", ".cog")
    first_request = 32 * 1024
    """The directories of a COG stand at its beginning; with the places of some thousand tiles they take less [bytes]."""

    def sniff(self, head: Buffer) -> bool:
        """Whether the file begins with a byte order and TIFF's or BigTIFF's number."""
        return bytes(head[:4]) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

    def parse(self, source: Source) -> Parse:
        """Parse a file: its directories say all.

        Raises
        ------
        FormatError
            If they are damaged, or the file ends before its tiles do.
        """
        found = yield from read_directories(source.url, source.size)
        return scanned_file(found, source)

    def fallback(self, source: Source, file: ArchiveFile, reason: str) -> ScannedFile | None:
        """There is no other library to ask."""
        return None


FORMAT = Tiff()
