"""Zarr metadata of one array, whichever version it was written in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Attrs, DType, Shape
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.codecs.pipeline import compile_pipeline
from intake_virtualzarr.codecs.spec import Pipeline
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.storage.limits import MAX_AXES, MAX_EXTENT, MAX_GRID

__all__ = ["ArrayMetadata", "ChunkKeys", "checked_shape", "positional"]


@dataclass(frozen=True, slots=True)
class ChunkKeys:
    """How keys below an array name its chunks."""

    prefix: str
    """What stands before the coordinates: empty, or ``"c/"``."""
    separator: str
    """Between coordinates."""
    scalar: str
    """Key of the chunk of an array without axes."""

    def coords(self, keys: Sequence[str], ndim: int) -> npt.NDArray[np.int64]:
        """Chunk coordinates of keys, one row each.

        Raises
        ------
        UnsupportedError
            If a key has another form: its chunk would read as fill value.
        """
        if ndim == 0:
            odd = next((key for key in keys if key != self.scalar), None)
            if odd is not None:
                raise UnsupportedError(f"key {odd!r} names no chunk; expected {self.scalar!r}")
            return np.zeros((len(keys), 0), np.int64)
        start, mark = len(self.prefix), self.separator
        # all keys at once: a million of them in the time that checks of each would take for a tenth
        text = mark.join(key[start:] for key in keys)
        numbers = "(?:0|[1-9][0-9]*)"
        if keys and (
            not re.fullmatch(f"{numbers}(?:{re.escape(mark)}{numbers})*", text)
            or any(key.count(mark, start) != ndim - 1 or not key.startswith(self.prefix) for key in keys)
        ):
            self._refuse_odd(keys, ndim)
        return np.fromiter(map(int, text.split(mark) if keys else ()), np.int64).reshape(len(keys), ndim)

    def _refuse_odd(self, keys: Sequence[str], ndim: int) -> None:
        for key in keys:
            parts = key.removeprefix(self.prefix).split(self.separator)
            if len(parts) != ndim or not key.startswith(self.prefix) or not all(_is_number(part) for part in parts):
                form = self.prefix + self.separator.join("0" * ndim)
                raise UnsupportedError(f"key {key!r} names no chunk; keys have the form {form!r}")


def _is_number(text: str) -> bool:
    return text.isdecimal() and text.isascii() and (text == "0" or text[0] != "0")


@dataclass(frozen=True, eq=False)
class ArrayMetadata:
    """What the metadata of an array says."""

    dims: tuple[str, ...]
    """Names of the dimensions."""
    dtype: DType
    """Data type of the values, native byte order."""
    fill_value: Any
    """Value of chunks that are not stored."""
    grid: ChunkGrid
    """Chunk grid."""
    codecs: Pipeline
    """Codec pipeline."""
    attrs: Attrs
    """Attributes, as xarray's Zarr engine gives them."""
    keys: ChunkKeys
    """How chunks are named."""

    def __post_init__(self) -> None:
        if len(self.dims) != len(self.shape) or not all(isinstance(name, str) for name in self.dims):
            raise UnsupportedError(f"dimensions {self.dims!r} for {len(self.shape)} axes")
        if len(set(zip(self.dims, self.shape, strict=True))) != len(set(self.dims)):
            raise UnsupportedError(f"dimensions {self.dims!r} are one, but the shape is {self.shape}")
        if any(axis.edge is not None and axis.edge > MAX_EXTENT for axis in self.grid.axes):
            raise UnsupportedError(f"chunks of shape {self.grid.chunk_shape} are longer than an axis can be")
        if len(self.shape) > MAX_AXES:
            raise UnsupportedError(f"has {len(self.shape)} axes; at most {MAX_AXES} are read")
        if prod(self.grid.grid_shape) > MAX_GRID:
            raise UnsupportedError(f"has a chunk grid of shape {self.grid.grid_shape}; at most {MAX_GRID} chunks are read")
        compile_pipeline(self.codecs, self.dtype)

    @property
    def shape(self) -> Shape:
        """Shape [elements]."""
        return self.grid.shape


def checked_shape(document: Any) -> Shape:
    """The shape in a document.

    Raises
    ------
    UnsupportedError
        If an extent cannot be.
    """
    if not isinstance(document, list) or not all(type(n) is int and 0 <= n <= MAX_EXTENT for n in document):
        raise UnsupportedError(f"shape is {document!r}, expected a list of sizes")
    return tuple(document)


def positional(name: str, ndim: int) -> tuple[str, ...]:
    """Names of dimensions that have none."""
    return tuple(f"{name}_dim_{axis}" for axis in range(ndim))
