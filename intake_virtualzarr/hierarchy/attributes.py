"""Attributes in Zarr v3 metadata: JSON, with a note of the types that JSON would lose."""

from __future__ import annotations

import base64
import struct
from typing import Any

import numpy as np

from intake_virtualzarr._typing import Attrs, DType, JsonObject
from intake_virtualzarr.errors import HierarchyError

__all__ = ["ATTRIBUTE_TYPES", "STORE_RECORD", "attributes_from_json", "attributes_to_json"]


ATTRIBUTE_TYPES = "_vzarr_types"
"""Attribute that keeps the data types of other attributes: JSON has one kind of number, and a float32 ``scale_factor``
decodes other values than a float64 one."""
STORE_RECORD = "_vzarr"
"""Attribute of the root group in which a store says what generation it is; no attribute of the data."""


def attributes_to_json(attrs: Attrs, dtype: DType | None = None) -> JsonObject:
    """Attributes as JSON, with a note of the types that JSON would lose.

    ``_FillValue`` takes the form that xarray's Zarr engine reads (base64 of a float64 for floating-point arrays).
    """
    out: JsonObject = {}
    types: dict[str, str] = {}
    for name, given in attrs.items():
        value = _comparable(given, dtype) if name in ("_FillValue", "missing_value") and dtype is not None else given
        if name == "_FillValue" and dtype is not None and dtype.kind == "f" and _is_one_number(value):
            out[name] = base64.standard_b64encode(struct.pack("<d", float(np.ravel(value)[0]))).decode()
            types[name] = str(np.asarray(value).dtype)
            continue
        out[str(name)], kind = _to_json(value)
        if name == "_FillValue" and dtype is not None and dtype.kind == "f" and isinstance(out[name], str):
            kind = "str"
        if kind is not None:
            types[str(name)] = kind
    if types:
        out[ATTRIBUTE_TYPES] = types
    return out


def _comparable(fill: Any, dtype: DType) -> Any:
    """A missing-value marker as xarray compares it with real numbers: a complex one by its real part, not as a pair of two."""
    array = np.asarray(fill)
    return array.real if array.dtype.kind == "c" and dtype.kind in "iuf" else fill


def _is_one_number(value: Any) -> bool:
    return np.size(value) == 1 and np.asarray(value).dtype.kind in "iuf"


def _to_json(value: Any) -> tuple[Any, str | None]:
    if isinstance(value, str | bool) or value is None:
        return value, None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace"), None
    if isinstance(value, dict):
        return {str(k): _to_json(v)[0] for k, v in value.items()}, None
    if isinstance(value, list | tuple) and not _is_numeric(value):
        return [_to_json(v)[0] for v in value], None
    array = np.asarray(value)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype("f8")  # JSON has no more
    if array.dtype.kind in "US":
        return array.astype(str).tolist(), None
    if array.dtype.kind == "b":
        return array.tolist(), str(array.dtype) if isinstance(value, np.generic | np.ndarray) else None
    if array.dtype.kind not in "iuf":
        return _odd(array), None
    plain = isinstance(value, int | float) and not isinstance(value, np.generic)
    finite = array.dtype.kind != "f" or bool(np.isfinite(array).all())
    document = array.tolist() if finite else _nonfinite(array.tolist())
    kind = array.dtype.newbyteorder("=").str[1:]
    if array.ndim and not isinstance(value, np.ndarray):
        return document, None if finite else kind
    return document, None if plain and finite else kind


def _is_numeric(value: Any) -> bool:
    """Whether a list, or a list of equal lists, holds numbers only."""
    try:
        return np.asarray(value).dtype.kind in "iuf"
    except ValueError:
        return False


def _odd(array: np.ndarray[Any, Any]) -> Any:
    if array.dtype.kind == "c":
        return [[float(v.real), float(v.imag)] for v in array.ravel()]
    return [str(v) for v in array.ravel()] if array.ndim else str(array[()])


def _nonfinite(value: Any) -> Any:
    if isinstance(value, list):
        return [_nonfinite(v) for v in value]
    if isinstance(value, float) and not np.isfinite(value):
        return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def attributes_from_json(document: Attrs, dtype: DType | None = None) -> JsonObject:
    """Attributes with the types that they had."""
    types = document.get(ATTRIBUTE_TYPES) or {}
    out: JsonObject = {}
    for name, value in document.items():
        if name in (ATTRIBUTE_TYPES, STORE_RECORD):
            continue
        if types.get(name) == "str":
            out[name] = value
        elif name == "_FillValue" and dtype is not None and dtype.kind == "f" and isinstance(value, str):
            out[name] = _fill_attribute(value, types.get(name), dtype)
        elif name in types:
            out[name] = _typed(value, types[name])
        else:
            out[name] = value
    return out


def _fill_attribute(value: str, kind: str | None, dtype: DType) -> Any:
    if value in ("NaN", "Infinity", "-Infinity"):
        return dtype.type(float(value.lower()))
    try:
        number = struct.unpack("<d", base64.standard_b64decode(value))[0]
    except (ValueError, struct.error) as exc:
        raise HierarchyError(f"_FillValue {value!r} is not base64 of a float64") from exc
    return np.dtype(kind or dtype).type(number)


def _finite_or_not(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite_or_not(v) for v in value]
    return float(value.lower()) if isinstance(value, str) else value


def _typed(value: Any, kind: str) -> Any:
    dtype = np.dtype(kind)
    if isinstance(value, list):
        return np.array(_finite_or_not(value), dtype=dtype)
    return dtype.type(float(value.lower()) if isinstance(value, str) else value)
