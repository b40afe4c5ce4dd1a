"""Array metadata of Zarr v2, written: ``.zarray`` and ``.zattrs`` that xarray reads as it reads the files."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from intake_virtualzarr._typing import Attrs, DType, JsonObject
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.segments import same_fill
from intake_virtualzarr.codecs.numcodecs_v2 import pipeline_to_v2
from intake_virtualzarr.codecs.spec import Pipeline
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.hierarchy.attributes import ATTRIBUTE_TYPES, attributes_to_json
from intake_virtualzarr.hierarchy.zarr_v2 import DIMENSIONS

__all__ = ["array_documents_v2", "group_documents_v2"]


def group_documents_v2(attrs: Attrs) -> dict[str, JsonObject]:
    """The documents of a group, by name."""
    return {".zgroup": {"zarr_format": 2}, ".zattrs": _attributes(attrs)}


def array_documents_v2(
    dims: tuple[str, ...], dtype: DType, fill_value: Any, grid: ChunkGrid, codecs: Pipeline, attrs: Attrs, *, complete: bool
) -> dict[str, JsonObject]:
    """The documents of an array, by name.

    Version 2 has one field for the value of chunks that are not stored and for CF's ``_FillValue``, and xarray takes it for
    the latter. So it holds ``_FillValue``, and nothing where there is none: valid zeros must not be masked.

    Parameters
    ----------
    dims, dtype, fill_value, grid, codecs, attrs
        The array, in its own words.
    complete : bool
        Whether all chunks are stored, so that ``fill_value`` shows nowhere.

    Raises
    ------
    UnsupportedError
        If the chunk grid or a codec has no form in Zarr v2, or the one field would have to be two.
    """
    if grid.chunk_shape is None:
        raise UnsupportedError("chunk lengths vary, and Zarr v2 has regular chunk grids only")
    stored = pipeline_to_v2(codecs, dtype, grid.ndim)
    marker = _marker(attrs.get("_FillValue"), dtype)
    # what version 2 readers show where no chunk is: the marker, or zero
    shown = marker if marker is not None else _zero(dtype)
    if not complete and not same_fill(shown, fill_value):
        if marker is None and dtype.kind == "f" and np.isnan(fill_value):
            marker = fill_value  # NaN is missing with or without a marker
        else:
            raise UnsupportedError(
                f"some chunks are not stored and read as {fill_value}, while _FillValue is {attrs.get('_FillValue')}; Zarr v2 "
                "has one field for both (zarr_format=3 has two)"
            )
    document = {
        "zarr_format": 2,
        "shape": list(grid.shape),
        "chunks": list(grid.chunk_shape),
        "dtype": _data_type(stored.dtype),
        "fill_value": None if marker is None else _scalar(marker, stored.dtype),
        "order": stored.order,
        "filters": list(stored.filters) or None,
        "compressor": stored.compressor,
        "dimension_separator": ".",
    }
    attributes = _attributes({key: value for key, value in attrs.items() if key != "_FillValue"}, dtype)
    return {".zarray": document, ".zattrs": {**attributes, DIMENSIONS: list(dims)}}


def _attributes(attrs: Attrs, dtype: DType | None = None) -> JsonObject:
    document = attributes_to_json(attrs, dtype)
    document.pop(ATTRIBUTE_TYPES, None)
    return document


def _zero(dtype: DType) -> Any:
    return "" if dtype.kind == "O" else np.zeros((), dtype)[()]


def _marker(value: Any, dtype: DType) -> Any:
    """CF's ``_FillValue`` as a value of the data type; None if there is none, or none that an element can equal."""
    if value is None:
        return None
    if np.size(value) != 1:
        raise UnsupportedError(f"_FillValue is {value!r}, expected one value")
    one = np.ravel(np.asarray(value))[0]
    if dtype.kind == "O":
        return str(one) if isinstance(one, str) else None
    if dtype.kind == "S":
        text = bytes(one) if isinstance(one, bytes) else str(one).encode()
        return np.bytes_(text) if len(text) <= dtype.itemsize else None
    if np.asarray(one).dtype.kind not in "biufc":
        return None
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cast = np.asarray(one).astype(dtype)[()]
    # xarray compares stored float32 numbers with the marker rounded to float32
    return cast if dtype.kind == "f" or same_fill(cast, one) else None


def _data_type(dtype: DType) -> Any:
    if dtype.kind == "O":
        return "|O"
    if dtype.names is not None:
        raise UnsupportedError(f"values of {dtype} have fields, which xarray does not read from Zarr v2")
    return dtype.str


def _scalar(value: Any, dtype: DType) -> Any:
    if dtype.kind == "O":
        return value
    from zarr.dtype import parse_dtype

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return parse_dtype(dtype, zarr_format=2).to_json_scalar(value, zarr_format=2)
