"""Array metadata of Zarr v2: ``.zarray`` and ``.zattrs``."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from intake_virtualzarr._typing import Attrs, DType
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.codecs.numcodecs_v2 import pipeline_of_v2
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.hierarchy.array_metadata import ArrayMetadata, ChunkKeys, checked_shape, positional
from intake_virtualzarr.storage.parsing import DAMAGE

__all__ = ["DIMENSIONS", "metadata_of_v2"]

DIMENSIONS = "_ARRAY_DIMENSIONS"
KINDS = "biufcSUOMm"


def metadata_of_v2(name: str, document: Attrs, attributes: Attrs) -> ArrayMetadata:
    """Read the metadata of one array.

    The fill value becomes ``_FillValue``, as in xarray's Zarr engine: version 2 has one field for both, and xarray and
    kerchunk write ``_FillValue`` there.

    Raises
    ------
    UnsupportedError
        If its data type or a codec has no counterpart here.
    """
    if document.get("zarr_format") != 2:
        raise UnsupportedError(f"zarr_format is {document.get('zarr_format')!r}, expected 2")
    dtype = _data_type(document["dtype"])
    native = dtype.newbyteorder("=") if dtype.kind not in "OS" else dtype
    shape, chunks = checked_shape(document["shape"]), checked_shape(document["chunks"])
    if len(chunks) != len(shape):
        raise UnsupportedError(f"chunks {chunks} for shape {shape}")
    grid = ChunkGrid.regular(shape, tuple(1 if n == 0 and c == 0 else c for n, c in zip(shape, chunks, strict=True)))
    order = document.get("order", "C")
    if order not in ("C", "F"):
        raise UnsupportedError(f"order is {order!r}, expected 'C' or 'F'")
    codecs = pipeline_of_v2(document.get("filters"), document.get("compressor"), dtype, order, len(shape))
    attrs = {key: value for key, value in attributes.items() if key != DIMENSIONS}
    fill = _fill_value(document.get("fill_value"), dtype)
    if fill is not None:
        attrs["_FillValue"] = fill
    dims = attributes.get(DIMENSIONS)
    return ArrayMetadata(
        tuple(map(str, dims)) if dims is not None else positional(name, len(shape)),
        native,
        fill if fill is not None else _zero(native),
        grid,
        codecs,
        attrs,
        ChunkKeys("", document.get("dimension_separator", "."), "0"),
    )


def _data_type(text: Any) -> DType:
    if not isinstance(text, str):
        raise UnsupportedError(f"data type {text!r} is structured, which has no form here")
    try:
        dtype = np.dtype(text)
    except (TypeError, ValueError) as exc:
        raise UnsupportedError(f"data type {text!r} is unknown") from exc
    if dtype.kind not in KINDS:
        raise UnsupportedError(f"data type {text!r} has no form here")
    return dtype


def _zero(dtype: DType) -> Any:
    return "" if dtype.kind == "O" else np.zeros((), dtype)[()]


def _fill_value(document: Any, dtype: DType) -> Any:
    """The fill value in the data type of the array; None if there is none."""
    if document is None:
        return None
    if dtype.kind == "O":
        return document if isinstance(document, str) else ""
    from zarr.dtype import parse_dtype

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = parse_dtype(dtype, zarr_format=2).from_json_scalar(document, zarr_format=2)
    except DAMAGE as exc:
        raise UnsupportedError(f"fill_value {document!r} does not fit data type {dtype}") from exc
    return np.asarray(value).astype(dtype.newbyteorder("=") if dtype.kind != "S" else dtype)[()]
