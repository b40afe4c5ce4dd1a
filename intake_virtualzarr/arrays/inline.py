"""Arrays in memory as virtual arrays: their bytes are a source of their own, kept inside the hierarchy when written."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from intake_virtualzarr._typing import AnyArray, DType
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import StoredArray
from intake_virtualzarr.codecs.spec import CodecSpec, bytes_codec
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.storage.source import Source, SourceTable

__all__ = ["inline_array", "inline_stored"]


def inline_stored(values: AnyArray, fill_value: object = None) -> StoredArray:
    """A stored array of one chunk that holds its own bytes.

    Raises
    ------
    UnsupportedError
        For object arrays of anything but strings, and for dates (encode them first).
    """
    native = values if values.dtype.isnative or values.dtype.names else values.astype(values.dtype.newbyteorder("="))
    if native.dtype.kind in "mM":
        raise UnsupportedError(f"an array of {native.dtype} has no bytes of its own; encode it first (CF units)")
    fill: Any
    if native.dtype.kind in "OUT":
        content, codec, fill = _strings(native), CodecSpec.of("vlen-utf8"), ""
        dtype: DType = np.dtype(object)
    else:
        content, codec, dtype = np.ascontiguousarray(native).tobytes(), bytes_codec(native.dtype), native.dtype
        fill = fill_value if fill_value is not None else np.zeros((), dtype)[()]
    grid = ChunkGrid.regular(native.shape, tuple(max(n, 1) for n in native.shape))
    if 0 in native.shape:
        return StoredArray(dtype, fill, grid, (codec,), ChunkManifest.empty(grid.grid_shape), SourceTable(()))
    url = "inline:" + hashlib.sha256(content).hexdigest()[:32]
    manifest = ChunkManifest.from_columns(grid.grid_shape, 0, len(content))
    table = SourceTable((Source(url, size=len(content), content=content),))
    return StoredArray(dtype, fill, grid, (codec,), manifest, table)


def _strings(values: AnyArray) -> bytes:
    from numcodecs import VLenUTF8

    flat = values.astype(object).ravel()
    if not all(isinstance(v, str) for v in flat):
        raise UnsupportedError("an object array can be stored by reference only if all its elements are strings")
    return bytes(VLenUTF8().encode(flat))


def inline_array(values: AnyArray, fill_value: object = None) -> VirtualZarrArray:
    """An array in memory as a virtual array."""
    return VirtualZarrArray.from_stored(inline_stored(values, fill_value))
