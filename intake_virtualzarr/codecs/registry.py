"""Decoders by codec name. A decoder is made once per pipeline and called once per chunk.

Modules register decoders when they are imported. Those of HDF5 are imported with the pipeline; others when an array first names
one of their codecs: our own by the table `LATER`, those of other packages by the entry point group `GROUP`, in which an entry has
the name of a codec and points to the module that registers it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, Attrs, DType, Shape
from intake_virtualzarr.errors import CodecError, MissingExtraError

__all__ = [
    "ArrayDecoder",
    "Buffer",
    "BytesDecoder",
    "ChunkSpec",
    "GROUP",
    "LATER",
    "LayoutDecoder",
    "array_decoder",
    "bytes_decoder",
    "is_known",
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

GROUP = "intake_virtualzarr.codecs"
"""Entry point group of modules that register decoders."""
LATER = {
    "fits.": "intake_virtualzarr.codecs.fits_tiles",
    "grib": "intake_virtualzarr.codecs.grib_values",
    **dict.fromkeys(("tiff.", "imagecodecs_"), "intake_virtualzarr.codecs.tiff_layouts"),
}
"""Modules of this package that are imported when a codec is first named, by the beginning of its name."""

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


def is_known(name: str) -> bool:
    """Whether a decoder has that name, once the module that registers it is imported."""
    return name in _BYTES or name in _LAYOUT or name in _ARRAY


@cache
def _imported(name: str) -> None:
    """Import what registers a codec, if anything does.

    Raises
    ------
    MissingExtraError
        If the module needs a package that is not installed.
    CodecError
        If the module of another package registers no such codec.
    """
    if is_known(name):
        return
    for beginning, module in LATER.items():
        if name.startswith(beginning):
            import_module(module)
    for entry in entry_points(group=GROUP, name=name):
        try:
            entry.load()
        except ImportError as exc:
            raise MissingExtraError(f"codec {name!r}: its plug-in {entry.value!r} cannot be imported: {exc}") from exc
        if not is_known(name):
            raise CodecError(f"codec {name!r}: its plug-in {entry.value!r} registers no decoder of that name")


def array_decoder(name: str, configuration: Attrs, dtype: DType) -> ArrayDecoder | None:
    """Make the decoder of an array-to-array codec; None if no such codec has that name."""
    _imported(name)
    factory = _ARRAY.get(name)
    return None if factory is None else factory(configuration, dtype)


def bytes_decoder(name: str, configuration: Attrs) -> BytesDecoder:
    """Make the decoder of a bytes-to-bytes codec.

    Raises
    ------
    CodecError
        If no decoder has that name, or its configuration lacks something.
    """
    _imported(name)
    factory = _BYTES.get(name)
    if factory is None:
        known = ", ".join(sorted(_BYTES))
        raise CodecError(
            f"codec {name!r} is unknown here; known are {known}. Others come with packages that have an entry point {name!r} "
            f"in the group {GROUP!r}"
        )
    try:
        return factory(configuration)
    except (LookupError, TypeError, ValueError) as exc:
        if isinstance(exc, CodecError):
            raise
        raise CodecError(f"codec {name!r}: no decoder can be made of configuration {dict(configuration)!r}: {exc!r}") from exc


def layout_decoder(name: str, configuration: Attrs) -> LayoutDecoder | None:
    """Make the decoder of an array-to-bytes codec; None if no such codec has that name."""
    _imported(name)
    factory = _LAYOUT.get(name)
    return None if factory is None else factory(configuration)


def is_layout(name: str) -> bool:
    """Whether the name is that of an array-to-bytes codec."""
    _imported(name)
    return name in _LAYOUT
