"""Decoders by codec name. A decoder is made once per pipeline and called once per chunk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, Attrs, DType, Shape
from intake_virtualzarr.errors import CodecError

__all__ = [
    "ArrayDecoder",
    "Buffer",
    "BytesDecoder",
    "ChunkSpec",
    "LayoutDecoder",
    "array_decoder",
    "bytes_decoder",
    "is_layout",
    "layout_decoder",
    "register_array",
    "register_bytes",
    "register_layout",
]


@dataclass(frozen=True, slots=True)
class ChunkSpec:
    """What a decoder may need to know of the chunk."""

    dtype: DType
    """Data type of the decoded values, native byte order."""
    shape: Shape
    """Stored shape of the chunk [elements]."""
    nbytes: int
    """Size of the chunk before any bytes-to-bytes codec [bytes]."""


type Buffer = bytes | bytearray | memoryview | npt.NDArray[np.uint8]
type BytesDecoder = Callable[[Buffer, ChunkSpec], Buffer]
type LayoutDecoder = Callable[[Buffer, ChunkSpec], AnyArray]
type ArrayDecoder = tuple[Callable[[AnyArray], AnyArray], DType]
"""The function that undoes an array-to-array codec, and the data type of the encoded values, native byte order."""
type ArrayFactory = Callable[[Attrs, DType], ArrayDecoder]

_BYTES: dict[str, Callable[[Attrs], BytesDecoder]] = {}
_LAYOUT: dict[str, Callable[[Attrs], LayoutDecoder]] = {}
_ARRAY: dict[str, ArrayFactory] = {}


def register_bytes(
    name: str,
) -> Callable[[Callable[[Attrs], BytesDecoder]], Callable[[Attrs], BytesDecoder]]:
    """Register a factory ``configuration -> decoder`` of a bytes-to-bytes codec."""

    def add(factory: Callable[[Attrs], BytesDecoder]) -> Callable[[Attrs], BytesDecoder]:
        _BYTES[name] = factory
        return factory

    return add


def register_layout(
    name: str,
) -> Callable[[Callable[[Attrs], LayoutDecoder]], Callable[[Attrs], LayoutDecoder]]:
    """Register a factory ``configuration -> decoder`` of an array-to-bytes codec."""

    def add(factory: Callable[[Attrs], LayoutDecoder]) -> Callable[[Attrs], LayoutDecoder]:
        _LAYOUT[name] = factory
        return factory

    return add


def register_array(name: str) -> Callable[[ArrayFactory], ArrayFactory]:
    """Register a factory ``configuration, decoded data type -> decoder`` of an array-to-array codec that keeps the shape."""

    def add(factory: ArrayFactory) -> ArrayFactory:
        _ARRAY[name] = factory
        return factory

    return add


def array_decoder(name: str, configuration: Attrs, dtype: DType) -> ArrayDecoder | None:
    """Make the decoder of an array-to-array codec; None if no such codec has that name."""
    factory = _ARRAY.get(name)
    return None if factory is None else factory(configuration, dtype)


def bytes_decoder(name: str, configuration: Attrs) -> BytesDecoder:
    """Make the decoder of a bytes-to-bytes codec.

    Raises
    ------
    CodecError
        If no decoder has that name, or its configuration lacks something.
    """
    factory = _BYTES.get(name)
    if factory is None:
        known = ", ".join(sorted(_BYTES))
        raise CodecError(f"codec {name!r} is unknown here; known are {known}")
    try:
        return factory(configuration)
    except (LookupError, TypeError, ValueError) as exc:
        if isinstance(exc, CodecError):
            raise
        raise CodecError(f"codec {name!r}: no decoder can be made of configuration {dict(configuration)!r}: {exc!r}") from exc


def layout_decoder(name: str, configuration: Attrs) -> LayoutDecoder | None:
    """Make the decoder of an array-to-bytes codec; None if no such codec has that name."""
    factory = _LAYOUT.get(name)
    return None if factory is None else factory(configuration)


def is_layout(name: str) -> bool:
    """Whether the name is that of an array-to-bytes codec."""
    return name in _LAYOUT
