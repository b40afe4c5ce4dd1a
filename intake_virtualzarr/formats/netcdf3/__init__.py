"""netCDF-3: the classic, 64-bit offset and 64-bit data (CDF-5) formats. The format plug-in is `FORMAT`."""

from __future__ import annotations

from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.base import ArchiveFile, Parse, ScannedFile
from intake_virtualzarr.formats.netcdf3.header import TooShort, read_header
from intake_virtualzarr.formats.netcdf3.variables import scanned_file
from intake_virtualzarr.storage.reader import Buffer
from intake_virtualzarr.storage.source import Source

__all__ = ["FORMAT", "LARGEST", "NetCDF3"]

FIRST = 32 * 1024
"""First guess of the length of a header [bytes]; at least fourfold with every further try."""
LARGEST = 256 * 1024 * 1024
"""A header that is longer is taken for damage [bytes]."""


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
        head, wanted = b"", FIRST
        while True:
            length = min(wanted, LARGEST, wanted if source.size is None else source.size) - len(head)
            (more,) = yield [(len(head), length)]
            head += bytes(more)
            try:
                header = read_header(head, source.url)
                break
            except TooShort as exc:
                # where the next length is damaged this stops at once, before anything is fetched for it
                size = len(head) if len(more) < length else source.size
                if size is not None and exc.end > size:
                    raise FormatError(f"{source.url}: the header goes on to byte {exc.end}, the file has {size}") from exc
                if exc.end > LARGEST:
                    raise FormatError(f"{source.url}: the header goes on to byte {exc.end}, at most {LARGEST} are read") from exc
                wanted = max(exc.end, 4 * len(head))
        return scanned_file(header, source)

    def fallback(self, source: Source, file: ArchiveFile, reason: str) -> ScannedFile | None:
        """There is no other library to ask."""
        return None


FORMAT = NetCDF3()
