"""Parts of values, as zarr-python asks for them."""

from __future__ import annotations

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, SuffixByteRequest

__all__ = ["cut"]


def cut(value: bytes, part: ByteRequest | None) -> bytes:
    """The part of a value that a request names; all of it without one.

    Raises
    ------
    ValueError
        For a request of another kind, as zarr-python's own stores do.
    """
    if part is None:
        return value
    if isinstance(part, RangeByteRequest):
        return value[part.start : part.end]
    if isinstance(part, OffsetByteRequest):
        return value[part.offset :]
    if isinstance(part, SuffixByteRequest):
        return value[-part.suffix :] if part.suffix else b""
    raise ValueError(f"Unexpected byte_range, got {part}.")
