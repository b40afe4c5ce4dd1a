"""How files are joined: one value, made by the public functions and handed down."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import xarray as xr

__all__ = [
    "CUBE",
    "FILE_POLICIES",
    "Combine",
    "CombineAttrs",
    "Compat",
    "ConcatDim",
    "EncodingMismatch",
    "FilePolicy",
    "Join",
    "JoinOptions",
    "Together",
]

type Combine = Literal["by_coords", "nested"]
type ConcatDim = str | xr.DataArray | Sequence[str | xr.DataArray | pd.Index[Any] | None] | None
type Join = Literal["outer", "inner", "left", "right", "exact", "override"]
type Compat = Literal["identical", "equals", "broadcast_equals", "no_conflicts", "override", "minimal"]
type Together = Literal["all", "minimal", "different"] | Sequence[Hashable]
"""Which variables without the dimension get it, see ``xarray.concat``."""
type CombineAttrs = Literal["drop", "identical", "no_conflicts", "drop_conflicts", "override"] | Callable[..., Any]
type FilePolicy = Literal["raise", "first", "last"]
"""What to do about files that hold the same coordinates."""

FILE_POLICIES: dict[str, FilePolicy] = {"error": "raise", "raise": "raise", "first": "first", "latest": "last", "last": "last"}
"""What a policy for versions of items means for files."""

type EncodingMismatch = Literal["decode", "raise"]


@dataclass(frozen=True, kw_only=True, eq=False)
class JoinOptions:
    """How virtual datasets are joined. The defaults are those of ``xarray.open_mfdataset``; of searches, those of `CUBE`."""

    combine: Combine | None = "by_coords"
    """Order by the values of coordinates, or as given; ``None``: by coordinates where they tell the order."""
    concat_dim: ConcatDim = None
    """Dimension(s) along which nested files are joined."""
    join: Join = "outer"
    compat: Compat = "no_conflicts"
    data_vars: Together = "all"
    coords: Together = "different"
    combine_attrs: CombineAttrs = "override"
    encoding_mismatch: EncodingMismatch = "decode"
    """Variables that files pack differently are joined as decoded values, or refused."""
    duplicates: FilePolicy = "raise"
    """With ``combine="by_coords"``, which of several files with equal coordinates to take."""


CUBE = JoinOptions(combine=None, data_vars="minimal", coords="minimal")
"""How the files of a search are joined unless told otherwise: a mask or a grid that all files repeat is stored once. xarray
repeats it for every file, and who names files as for ``xarray.open_mfdataset`` gets what that gives (`JoinOptions`). The
how-to page *Join files* tells users of both."""
