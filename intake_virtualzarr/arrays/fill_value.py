"""Values that stand where no chunk does, and segments of nothing but such a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from intake_virtualzarr._typing import DType, Shape
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import Segment, StoredArray
from intake_virtualzarr.codecs.spec import bytes_codec
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.storage.source import SourceTable

__all__ = ["as_scalar", "family", "fill_segment", "is_exact", "is_fill", "is_nan"]


def as_scalar(value: object, dtype: DType) -> Any:
    if type(value) is dtype.type and dtype.kind in "iufcb":
        return value
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if value is None:
        return "" if dtype.kind == "O" else np.zeros((), dtype)[()]
    if isinstance(value, np.ndarray | list | tuple) and dtype.names is None:
        raise UnsupportedError(f"a fill value of shape {np.shape(value)} cannot be stored by reference; only a scalar can")
    if dtype.kind == "O" and not isinstance(value, str):
        raise UnsupportedError(
            f"a virtual array of text cannot hold {value!r}, the mark for what is missing (the files cover different labels); "
            "load the variable (loadable_variables=[…]), drop it, or join with join='inner' or join='exact'"
        )
    if dtype.kind in "OV" or isinstance(value, np.void):
        return value
    with np.errstate(all="ignore"):
        return np.asarray(value).astype(dtype)[()]


def family(dtype: DType) -> str:
    """Data types that can be cast to each other: numbers, bytes of fixed length, text."""
    return dtype.kind if dtype.kind in "SV" else "text" if dtype.kind in "OU" else "number"


def is_exact(dtype: DType, to: DType) -> bool:
    """Whether a cast changes no value (NumPy calls that of 64-bit integers to float64 safe)."""
    return np.can_cast(dtype, to, "safe") and not (dtype.kind in "iu" and dtype.itemsize == 8 and to.kind in "fc")


def is_nan(value: object) -> bool:
    """Whether it is a float that is not a number."""
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def fill_segment(shape: Shape, dtype: DType, value: object, chunk_shape: Sequence[int] | None = None) -> Segment:
    """A segment that reads as one value: a stored array of which no chunk is stored."""
    grid = ChunkGrid.regular(shape, tuple(chunk_shape) if chunk_shape is not None else tuple(max(n, 1) for n in shape))
    native = dtype.newbyteorder("=") if dtype.names is None else dtype
    stored = StoredArray(
        native,
        as_scalar(value, native),
        grid,
        (bytes_codec(native),),
        ChunkManifest.empty(grid.grid_shape),
        SourceTable(()),
    )
    return Segment.whole(stored)


def is_fill(segment: Segment) -> bool:
    """Whether it is a region of one value that belongs to no file (known without reading any page)."""
    return len(segment.stored.sources) == 0 and segment.packing is None
