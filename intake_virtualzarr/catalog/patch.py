"""Late and reprocessed files: they are put into a published store without scanning the others again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.source_positions import uses_sources
from intake_virtualzarr.datasets.combine import join_datasets
from intake_virtualzarr.datasets.join_options import JoinOptions
from intake_virtualzarr.datasets.renewed_sources import with_sources
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.storage.source import Source

__all__ = ["patched"]


def patched(
    store: xr.Dataset, arriving: Sequence[xr.Dataset], gone: Mapping[str, Source | None], dim: str, joining: JoinOptions
) -> xr.Dataset | None:
    """Replace and insert labels along one dimension.

    Parameters
    ----------
    store : xarray.Dataset
        Virtual, with an index along ``dim``.
    arriving : sequence of xarray.Dataset
        Virtual datasets of late and reprocessed files.
    gone : mapping of str to Source
        Files whose recorded state holds no more, by URL, and what they are now: none of their old chunks may stay.
    dim : str
        Dimension along which files were joined.
    joining : JoinOptions
        How variables without that dimension are compared.

    Returns
    -------
    xarray.Dataset or None
        Virtual, in order of the labels. ``None`` where the store has to be made anew from all files: the labels are not
        sorted or lie between one another, variables differ, or a file that is gone holds what all files share.
    """
    index = store.indexes.get(dim)
    fits = index is not None and all(dim in one.indexes and _same_variables(one, store) for one in arriving)
    if index is None or not fits or not index.is_unique:
        return None
    rising, falling = index.is_monotonic_increasing, index.is_monotonic_decreasing and len(index) > 1
    # labels tell at once; what follows looks through all manifests
    if not (rising or falling) or _shared_from(store, dim, gone):
        return None
    keep = ~_from_files(store, dim, gone)
    for one in arriving:
        keep &= ~np.isin(np.asarray(index), np.asarray(one.indexes[dim]))
    store = with_sources(store, {url: one for url, one in gone.items() if one is not None})
    pieces = [store.isel({dim: run}) for run in _runs(keep, index, arriving, dim, falling=falling)]
    ordered = sorted([*pieces, *arriving], key=lambda one: one.indexes[dim][0], reverse=falling)
    ordered = [one for one in ordered if one.sizes[dim]]
    if not ordered or not _in_order([one.indexes[dim] for one in ordered], falling=falling):
        return None
    how = replace(joining, combine="nested", concat_dim=dim)
    try:
        joined = join_datasets(ordered, how)
    except VirtualZarrError:
        return None
    joined.attrs = dict(store.attrs)
    joined.encoding["concat_dims"] = [dim]
    return joined


def _same_variables(one: xr.Dataset, store: xr.Dataset) -> bool:
    return set(one.variables) == set(store.variables) and all(
        one.variables[name].dims == store.variables[name].dims for name in one.variables
    )


def _arrays(store: xr.Dataset) -> list[tuple[tuple[str, ...], VirtualZarrArray]]:
    """Dimensions and data of the virtual variables."""
    return [(tuple(map(str, one.dims)), one.data) for one in store.variables.values() if isinstance(one.data, VirtualZarrArray)]


def _shared_from(store: xr.Dataset, dim: str, gone: Collection[str]) -> bool:
    """Whether a variable that all files share was taken from a file that is gone."""
    return any(uses_sources(data, None, gone).any() for dims, data in _arrays(store) if dim not in dims)


def _from_files(store: xr.Dataset, dim: str, gone: Collection[str]) -> npt.NDArray[np.bool_]:
    """Labels that have a chunk in a file that is gone."""
    found = np.zeros(store.sizes[dim], dtype=bool)
    for dims, data in _arrays(store):
        if dim in dims:
            found |= uses_sources(data, dims.index(dim), gone)
    return found


def _runs(keep: npt.NDArray[np.bool_], index: pd.Index, arriving: Sequence[xr.Dataset], dim: str, *, falling: bool) -> list[slice]:
    """Stretches of labels that stay together: cut where some are dropped, and where a file goes between."""
    cuts = {0, len(keep), *(np.flatnonzero(np.diff(keep.astype(np.int8))) + 1).tolist()}
    for one in arriving:
        first = one.indexes[dim].max() if falling else one.indexes[dim].min()
        cuts.add(int((index > first).sum() if falling else (index < first).sum()))
    edges = sorted(cuts)
    return [slice(a, b) for a, b in pairwise(edges) if keep[a:b].all() and b > a]


def _in_order(indexes: Sequence[pd.Index], *, falling: bool) -> bool:
    joined = indexes[0].append(list(indexes[1:]))
    return bool(joined.is_unique and (joined.is_monotonic_decreasing if falling else joined.is_monotonic_increasing))
