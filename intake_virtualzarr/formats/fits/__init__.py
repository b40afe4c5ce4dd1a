"""FITS images, plain and compressed by tiles: the format plug-in `FORMAT`."""

from __future__ import annotations

from intake_virtualzarr.formats.base import ArchiveFile, Parse, ScannedFile
from intake_virtualzarr.formats.fits.hdus import read_hdus
from intake_virtualzarr.formats.fits.image_variables import scanned_file
from intake_virtualzarr.storage.reader import Buffer
from intake_virtualzarr.storage.source import Source

__all__ = ["FORMAT", "Fits"]


class Fits:
    """FITS files."""

    name = "fits"

    def sniff(self, head: Buffer) -> bool:
        """Whether the file begins with the card that all FITS files begin with."""
        return bytes(head[:9]) == b"SIMPLE  ="

    def parse(self, source: Source) -> Parse:
        """Parse a file: its headers, and the tables of compressed images, say all.

        Raises
        ------
        FormatError
            If they are damaged, or the file ends before its values do.
        """
        found = yield from read_hdus(source.url, source.size)
        return scanned_file(found, source)

    def fallback(self, source: Source, file: ArchiveFile, reason: str) -> ScannedFile | None:
        """There is no other library to ask."""
        return None


FORMAT = Fits()
