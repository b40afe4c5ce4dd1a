"""Other files that a file names while it is parsed: each of them it must be allowed to name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from intake_virtualzarr.errors import SourceError, VirtualZarrError
from intake_virtualzarr.formats.parser_input import FsspecFile, ParserInput, RemoteFile, input_of, without_waiting
from intake_virtualzarr.storage.reader import AsyncReader, Buffer, ByteRange, SourceReader
from intake_virtualzarr.storage.readers import Access, open_reader

__all__ = ["OtherFailed", "OtherFiles"]

HEAD = 16 * 1024
"""First request of a remote file [bytes]; sidecars are small."""
MOST = 1000
"""Files that one file may have the parser look into."""


class OtherFailed(Exception):  # noqa: N818 - carries an error to the parser
    """Another file cannot be read."""

    def __init__(self, reason: VirtualZarrError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class OtherFiles:
    """The files that a file names while it is parsed: sidecars, and what lies outside of it.

    Parameters
    ----------
    url : str
        The file that names them.
    access : Access
        Options for opening, and what it may name.
    in_loop : bool
        Whether all this runs in the event loop, which must not wait.
    """

    def __init__(self, url: str, access: Access, in_loop: bool) -> None:
        self._url, self._access = url, access
        self._in_loop = in_loop
        self._files: dict[str, ParserInput] = {}
        self._readers: list[SourceReader] = []

    async def read(self, url: str, ranges: Sequence[ByteRange]) -> Sequence[Buffer]:
        """The bytes of ranges of another file.

        Raises
        ------
        OtherFailed
            If it may not be named, or cannot be read.
        """
        try:
            file = await self._opened(url)
            if not self._in_loop or isinstance(file, RemoteFile):
                return await file.read(ranges)
            return await asyncio.to_thread(without_waiting, file.read(ranges))
        except VirtualZarrError as exc:
            raise OtherFailed(exc) from exc

    async def _opened(self, url: str) -> ParserInput:
        found = self._files.get(url)
        if found is None:
            if len(self._files) >= MOST:
                raise SourceError(f"{url}: is one of more than {MOST} files that one file names; it is not looked at")
            reader: SourceReader = open_reader(url, self._access.asked_by(self._url))
            self._readers.append(reader)
            found = input_of(reader) if self._in_loop or not isinstance(reader, AsyncReader) else FsspecFile(reader)
            if not self._in_loop or isinstance(found, RemoteFile):
                await found.head(HEAD)
            else:
                await asyncio.to_thread(without_waiting, found.head(HEAD))
            self._files[url] = found
        return found

    def close(self) -> None:
        """Release all files."""
        for reader in self._readers:
            reader.close()
