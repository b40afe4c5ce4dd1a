"""GRIB, editions 1 and 2: weather and climate models. The format plug-in is `FORMAT`."""

from __future__ import annotations

from intake_virtualzarr.formats.base import ArchiveFile, Parse, ScannedFile
from intake_virtualzarr.formats.grib.file_of_fields import scanned_file
from intake_virtualzarr.formats.grib.walk import walk
from intake_virtualzarr.storage.reader import Buffer
from intake_virtualzarr.storage.source import Source

__all__ = ["FORMAT", "GRIB"]

HEADING = 512
"""Bulletins begin with a heading of the WMO, up to this length [bytes]."""


class GRIB:
    """Files of GRIB messages."""

    name = "grib"
    first_request = 16 * 1024
    endings = (".grib", ".grib1", ".grib2", ".grb", ".grb1", ".grb2", ".gb2", ".gb1")

    def sniff(self, head: Buffer) -> bool:
        """Whether a message begins with the file, or after a heading."""
        start = bytes(head[: HEADING + 8])
        at = start.find(b"GRIB")
        if at < 0 or len(start) < at + 8 or start[at + 7] not in (1, 2):
            return False
        return at == 0 or start.lstrip(b"\r\n \0\x01")[:1].isalnum() or not start[:at].strip(b"\0")

    def parse(self, source: Source) -> Parse:
        """Parse a file: the sections of each message before its values.

        Raises
        ------
        FormatError
            If a message is damaged, or the file ends before it does.
        UnsupportedError
            If no field of the file can be stored by reference.
        """
        fields = yield from walk(source)
        return scanned_file(fields, source)

    def fallback(self, source: Source, file: ArchiveFile, reason: str) -> ScannedFile | None:
        """There is no other library to ask."""
        return None


FORMAT = GRIB()
