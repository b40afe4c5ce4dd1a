"""Virtual arrays that no file stands behind, for benchmarks of references alone."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import StoredArray
from intake_virtualzarr.codecs.spec import CodecSpec, bytes_codec
from intake_virtualzarr.storage.source import Source, SourceTable


def arrays(files: int, chunks: int, base: str = "https://example.org/data") -> list[VirtualZarrArray]:
    """One array a file, one step of ``chunks`` chunks each; encoded sizes vary as those of measured fields do."""
    rng = np.random.default_rng(0)
    dtype = np.dtype("i2")
    codecs = (
        bytes_codec(dtype),
        CodecSpec.of("numcodecs.shuffle", elementsize=2),
        CodecSpec.of("numcodecs.zlib", level=4),
    )
    grid = ChunkGrid.regular((1, chunks * 10), (1, 10))
    when = datetime(2024, 1, 1, tzinfo=UTC)
    out = []
    for number in range(files):
        lengths = rng.normal(25_000, 600, (1, chunks)).astype("u4")
        offsets = (4096 + np.cumsum(lengths, axis=1) - lengths).astype("u8")
        source = Source(f"{base}/{number:06}.nc", 10**8, f'"{number:x}"', when)
        manifest = ChunkManifest.from_columns((1, chunks), offsets, lengths)
        out.append(VirtualZarrArray.from_stored(StoredArray(dtype, np.int16(0), grid, codecs, manifest, SourceTable((source,)))))
    return out


def kept(array: VirtualZarrArray) -> int:
    """Memory of the manifest columns of an array that is one segment [bytes]."""
    return int(array.segments[0].stored.manifest.load().nbytes)
