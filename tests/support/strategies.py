"""Hypothesis strategies: chunk grids, stored arrays, indexing keys."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from support import helpers

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import AxisGrid

CODECS = (helpers.RAW, helpers.BIG, helpers.ZLIB, helpers.SHUFFLE_ZLIB)
DTYPES = ("i1", "i2", "i4", "u2", "f4", "f8")
NUMBERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")


@st.composite
def axis_grids(draw: Any, extent: int | None = None, largest: int = 8) -> AxisGrid:
    """One axis: regular, or with chunks of any size of which some store more than they show."""
    if extent is None:
        extent = draw(st.integers(0, largest))
    if draw(st.booleans()):
        return AxisGrid.regular(extent, draw(st.integers(1, max(extent, 1) + 2)))
    visible = []
    while sum(visible) < extent:
        visible.append(draw(st.integers(1, extent - sum(visible))))
    stored = [edge + draw(st.sampled_from([0, 0, 1, 3])) for edge in visible]
    return AxisGrid.varying(visible, stored)


def numbers(dtype: np.dtype[Any], shape: tuple[int, ...], first: int = 1) -> np.ndarray:
    """Distinct values, some of which no smaller data type holds."""
    count = int(np.prod(shape))
    values = np.arange(first, first + count)
    if dtype.itemsize > 1:
        values = values * 301 % 30011
    if dtype.kind == "f":
        values = values / 4
    return values.astype(dtype).reshape(shape)


class Factory:
    """Makes stored arrays, each in a file of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.count = 0

    def __repr__(self) -> str:
        return "Factory()"

    def path(self) -> Path:
        self.count += 1
        return self.directory / f"{self.count}.bin"


@st.composite
def stored_arrays(draw: Any, factory: Factory, shape: tuple[int, ...] | None = None, dtype: str | None = None) -> Any:
    """A stored array and its values."""
    kind = np.dtype(dtype or draw(st.sampled_from(DTYPES)))
    if shape is None:
        shape = tuple(draw(st.lists(st.integers(0, 6) if draw(st.booleans()) else st.integers(1, 6), max_size=3)))
    axes = [draw(axis_grids(n)) for n in shape]
    every = list(product(*(range(axis.count) for axis in axes)))
    missing = draw(st.lists(st.sampled_from(every), max_size=2)) if every else []
    fill: Any = draw(st.sampled_from([0, 7]))
    if kind.kind == "f" and draw(st.booleans()):
        fill = np.nan
    codec = draw(st.sampled_from(CODECS))
    other = draw(st.sampled_from([None, None, *(c for c in CODECS if c != codec)]))
    values = numbers(kind, shape, draw(st.integers(1, 90)))
    return helpers.store_array(factory.path(), values, axes, fill_value=fill, missing=missing, codec=codec, other_codec=other)


@st.composite
def virtual_arrays(draw: Any, factory: Factory, **kwargs: Any) -> tuple[VirtualZarrArray, np.ndarray]:
    """A virtual array and its values."""
    stored, values = draw(stored_arrays(factory, **kwargs))
    return helpers.virtual(stored), values


@st.composite
def slices(draw: Any, extent: int) -> slice:
    """Any slice."""
    bound = st.one_of(st.none(), st.integers(-extent - 1, extent + 1))
    return slice(draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, 3, -1, -2])))


@st.composite
def keys(draw: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """A key of slices, integers, new axes, an ellipsis, and at most one list or mask."""
    parts: list[Any] = []
    listed = draw(st.sampled_from([None, *range(len(shape))]))
    for axis, extent in enumerate(shape):
        if axis == listed and extent:
            if draw(st.booleans()):
                parts.append(np.array(draw(st.lists(st.integers(-extent, extent - 1), max_size=6)), dtype=np.int64))
            else:
                parts.append(np.array(draw(st.lists(st.booleans(), min_size=extent, max_size=extent)), dtype=bool))
        elif extent and draw(st.sampled_from([True, False, False])):
            parts.append(draw(st.integers(-extent, extent - 1)))
        else:
            parts.append(draw(slices(extent)))
    if parts and draw(st.booleans()):  # leading or trailing axes may be left to an ellipsis
        cut = draw(st.integers(0, len(parts)))
        parts = [Ellipsis, *parts[cut:]] if draw(st.booleans()) else [*parts[:cut], Ellipsis]
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    return tuple(parts)


def scalars(kind: str) -> st.SearchStrategy[Any]:
    """NumPy scalars of one type of numbers, its extremes included."""
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        return st.floats(width=8 * dtype.itemsize).map(dtype.type)
    info = np.iinfo(dtype)
    return st.integers(int(info.min), int(info.max)).map(dtype.type)
