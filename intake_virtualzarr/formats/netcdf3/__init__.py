"""netCDF-3: the classic, 64-bit offset and 64-bit data (CDF-5) formats. The format plug-in is `FORMAT`."""

from __future__ import annotations

from typing import Any

from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.base import Parse, ScannedFile
from intake_virtualzarr.formats.netcdf3.arrays import scanned_file
from intake_virtualzarr.formats.netcdf3.header import TooShort, read_header
from intake_virtualzarr.readers.base import Buffer
from intake_virtualzarr.sources import Source

__all__ = ["FORMAT", "NetCDF3"]

FIRST = 32 * 1024
"""First guess of the length of a header [bytes]; doubled until the header ends."""
LARGEST = 256 * 1024 * 1024
"""A header that is longer is damaged [bytes]."""


class NetCDF3:
    """netCDF-3 files."""

    name = "netcdf3"

    def sniff(self, head: Buffer) -> bool:
        """Whether the file begins with ``CDF`` and a known version."""
        return bytes(head[:3]) == b"CDF" and len(head) > 3 and head[3] in (1, 2, 5)

    def parse(self, source: Source) -> Parse:
        """Parse a file: its header says all.

        Raises
        ------
        FormatError
            If the header is damaged, or the file ends before its values do.
        """
        size = source.size or 0
        length = min(FIRST, size) if size else FIRST
        while True:
            (head,) = yield [(0, length)]
            try:
                header = read_header(bytes(head), source.url)
                break
            except TooShort as exc:
                if length >= size or length >= LARGEST:
                    raise FormatError(f"{source.url}: the header goes on past byte {length}, where the file ends: {exc}") from exc
                length = min(length * 4, size, LARGEST)
        return scanned_file(header, source)

    def fallback(self, source: Source, file: Any, reason: str) -> ScannedFile | None:
        """There is no other library to ask."""
        return None


FORMAT = NetCDF3()
