"""Attribute values as netCDF4-python gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from intake_virtualzarr._typing import AnyArray, Shape
from intake_virtualzarr.codecs.hdf5_datatype import Datatype
from intake_virtualzarr.codecs.hdf5_elements import convert, storage_of
from intake_virtualzarr.errors import UnsupportedError

__all__ = ["attribute_reader", "attribute_value", "decode_text", "fixed_text", "texts_value"]


def decode_text(raw: bytes) -> str:
    """Text of an attribute: UTF-8, else Latin-1 (many files of Europe's 1990s say "deg°" so)."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def fixed_text(raw: bytes, padding: str) -> str:
    """Text of a fixed-length string: what stands before the padding."""
    if padding == "spacepad":
        raw = raw.rstrip(b" ")
    elif padding == "nullpad":
        raw = raw.rstrip(b"\0")
    else:
        raw = raw.partition(b"\0")[0]
    return decode_text(raw)


def texts_value(texts: Sequence[str], shape: Shape) -> Any:
    """Strings of an attribute: one as ``str``, several as a list, none as ``""``."""
    if len(texts) == 1:
        return texts[0]
    return list(texts) if texts else ""


@lru_cache(maxsize=1024)
def attribute_reader(datatype: Datatype, shape: Shape | None) -> Callable[[bytes], Any]:
    """A function from stored bytes to the value of an attribute: files have few kinds of attributes, but many of them."""
    if datatype.kind == "string" and shape == ():
        padding = datatype.padding
        return lambda raw: fixed_text(raw, padding)
    if datatype.kind in ("integer", "float") and shape is not None and all(n == 1 for n in shape):
        storage = storage_of(datatype)
        if storage.codec.name == "bytes":
            stored = storage.dtype.newbyteorder(">" if datatype.big else "<")
            if stored.isnative:
                return lambda raw: np.frombuffer(raw, stored)[0]
            return lambda raw: np.frombuffer(raw, stored).astype(storage.dtype)[0]
    return lambda raw: attribute_value(datatype, shape, raw)


def attribute_value(datatype: Datatype, shape: Shape | None, raw: bytes) -> Any:
    """Value of an attribute without variable-length parts.

    Parameters
    ----------
    datatype : Datatype
        Stored datatype.
    shape : tuple of int or None
        Shape of the dataspace; None for a null dataspace.
    raw : bytes
        The stored bytes.

    Returns
    -------
    object
        A NumPy scalar of the stored type for one element, an array for more, ``str`` or a list of it for strings.

    Raises
    ------
    UnsupportedError
        If there is no Python form: references, opaque bytes, floats that NumPy lacks.
    """
    kind = datatype.kind
    if kind == "string":
        if shape is None:
            return ""
        size = datatype.size
        if len(raw) == size:
            return fixed_text(raw, datatype.padding)
        return texts_value([fixed_text(raw[i : i + size], datatype.padding) for i in range(0, len(raw), size)], shape)
    if kind == "opaque":
        raise UnsupportedError("opaque bytes")
    inner: Shape = ()
    while datatype.kind == "array":
        assert datatype.base is not None
        inner, datatype = inner + datatype.dims, datatype.base
    values = _values(datatype, raw)
    if shape is None:
        return values[:0]
    if datatype.kind == "string":
        return texts_value([decode_text(v) for v in values.tolist()], shape)
    if values.size == 1:
        return values[0]
    return values.reshape(shape + inner)


def _values(datatype: Datatype, raw: bytes) -> AnyArray:
    return convert(datatype, np.frombuffer(raw, np.uint8).reshape(-1, datatype.size))
