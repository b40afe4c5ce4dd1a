"""References to whole files, as kerchunk makes them of Zarr stores: their lengths are asked for when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.arrays.manifest import ChunkManifest, Manifest
from intake_virtualzarr.errors import SourceError, UnsupportedError
from intake_virtualzarr.storage.readers import ReaderPool
from intake_virtualzarr.storage.source import Source

__all__ = ["WHOLE", "WholeFiles"]

WHOLE = 2**32 - 1
"""Stands for a length that is not known; no chunk is that long."""
AT_ONCE = 32
"""Files asked for at once."""


class WholeFiles:
    """A manifest in which the length `WHOLE` means all of a file.

    Parameters
    ----------
    manifest : Manifest
        References, some to whole files.
    sources : sequence of Source
        Their source table.
    readers : ReaderPool, optional
        How files are opened.
    """

    deferred = True
    """Showing an array must not ask for lengths."""

    def __init__(self, manifest: Manifest, sources: Sequence[Source], readers: ReaderPool | None = None) -> None:
        self._manifest = manifest
        self._sources = sources
        self._readers = readers or ReaderPool()
        self._sizes: dict[str, int] = {}

    def __reduce__(self) -> tuple[type[WholeFiles], tuple[Manifest, Sequence[Source], ReaderPool]]:
        return WholeFiles, (self._manifest, self._sources, self._readers)

    def with_readers(self, readers: ReaderPool) -> WholeFiles:
        """The same references, files opened in another way."""
        return WholeFiles(self._manifest, self._sources, readers)

    @property
    def shape(self) -> Shape:
        """Shape of the chunk grid."""
        return self._manifest.shape

    @property
    def nbytes(self) -> int:
        """Memory of the references [bytes]."""
        return self._manifest.nbytes

    def region(self, slices: tuple[slice, ...]) -> ChunkManifest:
        """The references of a box of chunks.

        Raises
        ------
        SourceError
            If a file of the box cannot be asked for its length, or is empty.
        """
        return self._with_lengths(self._manifest.region(slices))

    def load(self) -> ChunkManifest:
        """All references; every file is asked for its length."""
        return self._with_lengths(self._manifest.load())

    def _with_lengths(self, found: ChunkManifest) -> ChunkManifest:
        at = found.length == WHOLE
        if not at.any():
            return found
        urls = [self._sources[row].opened for row in found.source[at].tolist()]
        unknown = [url for url in dict.fromkeys(urls) if url not in self._sizes]
        if unknown:
            with ThreadPoolExecutor(min(AT_ONCE, len(unknown))) as pool:
                self._sizes.update(zip(unknown, pool.map(self._size, unknown), strict=True))
        length = found.length.copy()
        length[at] = [self._sizes[url] for url in urls]
        return ChunkManifest(found.source, found.offset, length, found.codec)

    def _size(self, url: str) -> int:
        reader = self._readers.get(url)
        url, size = reader.url, reader.describe().size
        if size is None:
            raise SourceError(f"{url}: its server does not tell how long it is")
        if size == 0:
            raise SourceError(f"{url}: is empty, so it is not a chunk")
        if size >= WHOLE:
            raise UnsupportedError(f"{url}: has {size} bytes; a chunk has at most {WHOLE - 1}")
        return size
