"""Data types and fill values in Zarr v3 metadata."""

from __future__ import annotations

import base64
import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from intake_virtualzarr._typing import DType, JsonObject
from intake_virtualzarr.errors import HierarchyError, UnsupportedError
from intake_virtualzarr.storage.limits import MAX_FIELDS, MAX_NESTING
from intake_virtualzarr.storage.parsing import DAMAGE

__all__ = [
    "data_type_from_json",
    "data_type_to_json",
    "fill_value_from_json",
    "fill_value_to_json",
]


SIMPLE = {
    np.dtype(name): name
    for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
}
"""Types that are named here, without zarr-python: importing it imports fsspec, which reading a store must not need."""
SIMPLE_NAMES = {name: dtype for dtype, name in SIMPLE.items()}
NOT_FINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


@lru_cache(maxsize=256)
def _zarr_type(dtype: DType) -> Any:
    from zarr.dtype import VariableLengthUTF8, parse_dtype

    if dtype.kind == "O":
        return VariableLengthUTF8()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return parse_dtype(dtype, zarr_format=3)


def data_type_to_json(dtype: DType) -> Any:
    """The ``data_type`` of Zarr v3 metadata.

    Raises
    ------
    UnsupportedError
        If Zarr has no such type.
    """
    simple = SIMPLE.get(dtype.newbyteorder("=")) if dtype.kind in "biuf" else None
    if simple is not None:
        return simple
    if dtype.kind == "O":
        return "string"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _zarr_type(dtype).to_json(zarr_format=3)
    except (ValueError, TypeError) as exc:
        raise UnsupportedError(f"values of {dtype}, which Zarr v3 has no data type for") from exc


def data_type_from_json(document: Any) -> DType:
    """The NumPy data type of a ``data_type``; strings become Python objects.

    Raises
    ------
    HierarchyError
        If it is unknown.
    """
    if document == "string":
        return np.dtype(object)
    if isinstance(document, str) and document in SIMPLE_NAMES:
        return SIMPLE_NAMES[document]
    if not isinstance(document, str | dict):
        raise HierarchyError(f"data_type {document!r} is unknown")
    if isinstance(document, dict):
        _check_fields(document)
    from zarr.dtype import parse_dtype

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            native = parse_dtype(document, zarr_format=3).to_native_dtype()
    except DAMAGE as exc:
        raise HierarchyError(f"data_type {document!r} is unknown") from exc
    return np.dtype(object) if native.kind == "T" else native


def _check_fields(document: JsonObject) -> None:
    """Raise if a structured type has more fields, or fields within fields, than NumPy and zarr-python can take."""
    level: list[Any] = [document]
    total = 0
    for _ in range(MAX_NESTING):
        inner = [one for outer in level for one in _fields(outer)]
        total += len(inner)
        if total > MAX_FIELDS:
            raise HierarchyError(f"data_type has more than {MAX_FIELDS} fields")
        level = inner
        if not level:
            return
    raise HierarchyError(f"data_type has fields nested deeper than {MAX_NESTING}")


def _fields(document: Any) -> list[Any]:
    """The data types of the fields of a structured type; none of another."""
    configuration = document.get("configuration") if isinstance(document, dict) else None
    fields = configuration.get("fields") if isinstance(configuration, dict) else None
    if not isinstance(fields, list):
        return []
    return [one[1] if isinstance(one, list) and len(one) > 1 else one for one in fields]


def fill_value_to_json(value: Any, dtype: DType) -> Any:
    """The ``fill_value`` of Zarr v3 metadata."""
    if dtype.kind == "O":
        return value if isinstance(value, str) else ""
    if dtype.kind == "S":
        return base64.standard_b64encode(bytes(value)).decode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _zarr_type(dtype).to_json_scalar(value, zarr_format=3)


def fill_value_from_json(document: Any, dtype: DType) -> Any:
    """The fill value of an array.

    Raises
    ------
    HierarchyError
        If it does not fit the data type.
    """
    if dtype.kind == "O":
        return document if isinstance(document, str) else ""
    if dtype.kind == "S":
        try:
            return np.bytes_(base64.standard_b64decode(document))
        except (ValueError, TypeError) as exc:
            raise HierarchyError(f"fill_value {document!r} is no base64") from exc
    if dtype.kind == "f" and isinstance(document, str) and document in NOT_FINITE:
        return dtype.type(NOT_FINITE[document])
    try:
        if _is_number(document, dtype):
            return dtype.type(document)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _zarr_type(dtype).from_json_scalar(document, zarr_format=3)
    except DAMAGE as exc:
        raise HierarchyError(f"fill_value {document!r} does not fit data type {dtype}") from exc


def _is_number(document: Any, dtype: DType) -> bool:
    """Whether a fill value is a JSON number (or truth value) that the type holds."""
    if dtype.kind == "b":
        return isinstance(document, bool)
    if isinstance(document, bool) or not isinstance(document, int | float):
        return False
    if dtype.kind == "f":
        return True
    info = np.iinfo(dtype) if dtype.kind in "iu" else None
    return info is not None and isinstance(document, int) and info.min <= document <= info.max
