"""Text as characters, whose dimension is often named after the length of the longest word in one file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

__all__ = ["pad_character_dimension"]


def pad_character_dimension(variables: Sequence[xr.Variable]) -> list[xr.Variable]:
    """Characters with the last dimension of the longest, shorter ones filled up with empty characters.

    Joined as they are, they would be spread over the dimensions of all files.

    Parameters
    ----------
    variables : sequence of xarray.Variable
        One variable in several files, undecoded.

    Returns
    -------
    list of xarray.Variable
        The same ones, unless they are characters that differ in nothing but the last dimension.
    """
    longest = max(variables, key=lambda variable: variable.shape[-1:])
    if not all(v.ndim and v.dtype == "S1" and v.dims[:-1] == longest.dims[:-1] for v in variables):
        return list(variables)
    return [v if v.dims == longest.dims else _filled_up(v, longest) for v in variables]


def _filled_up(variable: xr.Variable, longest: xr.Variable) -> xr.Variable:
    data: Any = variable._data
    missing = longest.shape[-1] - variable.shape[-1]
    if missing:
        data = np.pad(data, [(0, 0)] * (variable.ndim - 1) + [(0, missing)], constant_values=b"")
    return xr.Variable(longest.dims, data, variable.attrs, variable.encoding, fastpath=True)
