"""HDF5 and netCDF-4: the format plug-in `FORMAT`."""

from __future__ import annotations

from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.base import ArchiveFile, Parse, ScannedFile
from intake_virtualzarr.formats.hdf5.parser import Traces, first_range, parse_file
from intake_virtualzarr.formats.hdf5.stored_arrays import scanned_file
from intake_virtualzarr.formats.hdf5.twins import Parsed, Twins
from intake_virtualzarr.storage.reader import Buffer
from intake_virtualzarr.storage.source import Source

__all__ = ["FORMAT", "Hdf5", "TWINS"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"


TWINS = Twins()
"""What the files have in common that were parsed lately."""


class Hdf5:
    """HDF5 files, netCDF-4 files among them."""

    name = "hdf5"

    def sniff(self, head: Buffer) -> bool:
        """Whether a superblock starts at byte 0, 512, 1024, 2048 … of the first bytes."""
        at = 0
        while at + 8 <= len(head):
            if bytes(head[at : at + 8]) == SIGNATURE:
                return True
            at = max(512, at * 2)
        return False

    def parse(self, source: Source) -> Parse:
        """Parse a file.

        Raises
        ------
        UnsupportedError
            If the file holds something that only `fallback` can describe.
        FormatError
            If the file is damaged.
        """
        (block,) = yield (first_range(source.size),)
        found = TWINS.find(block, source)
        if found is not None:
            return found
        traces = Traces() if TWINS.wants() else None
        raw = yield from parse_file(source.url, source.size, block, traces)
        scanned = scanned_file(raw, source, decline=True)
        if traces is not None and traces.state is not None:
            TWINS.keep(Parsed(block, raw, scanned, traces))
        return scanned

    def fallback(self, source: Source, file: ArchiveFile, reason: str) -> ScannedFile | None:
        """Scan through h5py."""
        from intake_virtualzarr.formats.hdf5.h5py_reader import read_with_h5py

        try:
            return scanned_file(read_with_h5py(source.url, file), source)
        except VirtualZarrError as exc:
            exc.add_note(f"(tried HDF5's own library because: {reason})")
            raise


FORMAT = Hdf5()
