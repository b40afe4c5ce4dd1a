"""Variable-length strings inside compounds and arrays: shown with strings as long as the longest, which NumPy and Zarr have.

The bytes are those that h5py gives for the members; only how they are kept differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from math import prod

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.codecs.hdf5_datatype import Datatype, Member

__all__ = ["MAX_BYTES", "fixed_lengths", "fixed_members", "holds_texts", "text_count", "text_places", "text_sizes"]

MAX_BYTES = 16 * 1024 * 1024
"""Size of the strings of a dataset if all were as long as the longest [bytes]."""


@lru_cache(maxsize=1024)
def holds_texts(datatype: Datatype) -> bool:
    """Whether elements hold variable-length strings among their members, and nothing else that points elsewhere."""
    return datatype.kind in ("compound", "array") and bool(text_count(datatype)) and not _points(datatype)


def _below(datatype: Datatype) -> list[Datatype]:
    members = [m.type for m in datatype.members if m.type is not None]
    return members if datatype.base is None else [datatype.base, *members]


def _points(datatype: Datatype) -> bool:
    if datatype.kind == "vlen-string":
        return False
    return datatype.kind in ("vlen", "reference") or any(_points(below) for below in _below(datatype))


def text_count(datatype: Datatype) -> int:
    """Number of variable-length strings in an element."""
    if datatype.kind == "vlen-string":
        return 1
    if datatype.kind not in ("compound", "array"):
        return 0
    return prod(datatype.dims) * sum(text_count(below) for below in _below(datatype))


def text_sizes(datatype: Datatype) -> set[int]:
    """Stored sizes of the variable-length strings in an element; a sound file has one [bytes]."""
    if datatype.kind == "vlen-string":
        return {datatype.size}
    if datatype.kind not in ("compound", "array"):
        return set()
    return {size for below in _below(datatype) for size in text_sizes(below)}


def text_places(datatype: Datatype, at: int = 0) -> list[int]:
    """First byte in an element of each variable-length string, in the order of `fixed_lengths`."""
    if datatype.kind == "vlen-string":
        return [at]
    if datatype.kind == "compound":
        return [p for m in datatype.members if m.type is not None for p in text_places(m.type, at + m.offset)]
    if datatype.kind == "array" and datatype.base is not None:
        inside = text_places(datatype.base)
        size = datatype.base.size
        return [at + i * size + p for i in range(prod(datatype.dims)) for p in inside] if inside else []
    return []


def fixed_lengths(
    datatype: Datatype, raw: npt.NDArray[np.uint8], text_of: Callable[[bytes], bytes]
) -> tuple[Datatype, npt.NDArray[np.uint8]]:
    """Replace variable-length strings by strings of fixed length.

    Parameters
    ----------
    datatype : Datatype
        Of the elements.
    raw : numpy.ndarray of uint8, shape (n, size)
        The stored elements.
    text_of : callable
        From a stored reference to the bytes of a string.

    Returns
    -------
    datatype, raw
        The same elements in a datatype of their own, without padding between members.
    """
    if datatype.kind == "vlen-string":
        texts = [text_of(reference.tobytes()) for reference in raw]
        size = max(map(len, texts), default=0) or 1
        fixed = Datatype("string", size, padding="nullpad", utf8=datatype.utf8)
        return fixed, np.array(texts, f"S{size}").view(np.uint8).reshape(len(raw), size)
    if datatype.kind == "array" and datatype.base is not None and text_count(datatype.base):
        count = prod(datatype.dims)
        base, inner = fixed_lengths(datatype.base, raw.reshape(len(raw) * count, datatype.base.size), text_of)
        return replace(datatype, size=base.size * count, base=base), inner.reshape(len(raw), base.size * count)
    if datatype.kind != "compound" or not text_count(datatype):
        return datatype, raw
    members: list[Member] = []
    parts: list[npt.NDArray[np.uint8]] = []
    at = 0
    for member in datatype.members:
        assert member.type is not None
        kept = np.ascontiguousarray(raw[:, member.offset : member.offset + member.type.size])
        below, part = fixed_lengths(member.type, kept, text_of)
        members.append(Member(member.name, at, below))
        parts.append(part)
        at += below.size
    return replace(datatype, size=at, members=tuple(members)), np.concatenate(parts, axis=1)


def fixed_members(values: AnyArray) -> AnyArray:
    """The same for values that h5py has read: members that hold ``bytes`` objects become strings of fixed length."""
    if values.dtype.names is None:
        if not values.dtype.hasobject:
            return values
        texts = [v if isinstance(v, bytes) else str(v or "").encode() for v in values.reshape(-1).tolist()]
        size = max(map(len, texts), default=0) or 1
        if size * len(texts) > MAX_BYTES:
            raise ValueError(f"{len(texts)} strings of {size} bytes")
        return np.array(texts, f"S{size}").reshape(values.shape)
    fields = {name: fixed_members(values[name]) for name in values.dtype.names}
    rank = values.ndim
    out = np.empty(values.shape, [(name, field.dtype, field.shape[rank:]) for name, field in fields.items()])
    for name, field in fields.items():
        out[name] = field
    return out
