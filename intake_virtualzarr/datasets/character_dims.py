"""Text as characters: words as labels of a dimension, and dimensions named after the longest word in one file."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from intake_virtualzarr.formats.labels import holds_characters

__all__ = ["equal_character_dims", "pad_character_dimension"]


def equal_character_dims(datasets: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """Datasets in which a dimension of characters has the length of the longest, shorter ones filled up with empty characters.

    Parameters
    ----------
    datasets : sequence of xarray.Dataset
        Undecoded. Dimensions that have labels, or anything but characters, stay as they are.
    """
    lengths: dict[Hashable, set[int]] = {}
    for dataset in datasets:
        for dim in {v.dims[-1] for v in dataset.variables.values() if v.ndim and v.dtype == "S1"}:
            lengths.setdefault(dim, set()).add(dataset.sizes[dim])
    out = list(datasets)
    for dim, found in lengths.items():
        holders = [i for i, dataset in enumerate(out) if dim in dataset.dims]
        if len(found) == 1 or not all(_only_characters(out[i], dim) for i in holders):
            continue
        for i in holders:
            out[i] = _lengthened(out[i], dim, max(found))
    return out


def _only_characters(dataset: xr.Dataset, dim: Hashable) -> bool:
    return dim not in dataset.variables and holds_characters(dataset.variables.values(), dim)


def _lengthened(dataset: xr.Dataset, dim: Hashable, length: int) -> xr.Dataset:
    missing = length - dataset.sizes[dim]
    if not missing:
        return dataset
    changed = {name: _padded(v, v.dims, missing) for name, v in dataset.variables.items() if dim in v.dims}
    coords = {name: changed.pop(name) for name in dataset.coords if name in changed}
    bare = dataset.drop_vars([*changed, *coords])
    return bare.assign(changed).assign_coords(coords)


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
    return _padded(variable, longest.dims, longest.shape[-1] - variable.shape[-1])


def _padded(variable: xr.Variable, dims: tuple[Hashable, ...], missing: int) -> xr.Variable:
    data: Any = variable._data
    if missing:
        data = np.pad(data, [(0, 0)] * (variable.ndim - 1) + [(0, missing)], constant_values=b"")
    return xr.Variable(dims, data, variable.attrs, variable.encoding, fastpath=True)
