"""Text in joins that references cannot tell: with gaps, for which no byte stands, or held in different ways."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.datasets.loadable import decoded_labels
from intake_virtualzarr.datasets.virtual_dataset import source_label
from intake_virtualzarr.errors import JoinError

__all__ = ["load_all_text", "load_joined_text", "with_marked_gaps"]

LIMIT = 64 * 1024 * 1024
"""Text of one variable that is read, all files together [bytes]."""
GAPS = ("", "<NA>")
"""Stand for what is missing in text that is written: the first that is no word in it (then with stars behind)."""
MARKERS = ("_FillValue", "missing_value")


def load_joined_text(datasets: Sequence[xr.Dataset], *, join: str, along: Sequence[Hashable] | None) -> list[xr.Dataset]:
    """Datasets in which text is in memory wherever their join leaves gaps in it, or files hold it in different ways.

    It becomes what it becomes in plain xarray: objects with NaN, or the longer words.

    Parameters
    ----------
    datasets : sequence of xarray.Dataset
        Virtual datasets, one per file.
    join : {"outer", "inner", "left", "right", "exact", "override"}
        What becomes of labels that not all files have.
    along : sequence of hashable, optional
        Dimensions of a nested join; None for one by coordinates.

    Raises
    ------
    JoinError
        If it is too much to be read. Names the variable, a file and the ways out.
    """
    out = list(datasets)
    names = _names_of_text(out)
    if not names or len(out) < 2:
        return out
    gaps = _dims_with_gaps(out, along) if join in ("outer", "left", "right") else set()
    for name in names:
        holders = [ds.variables[name] for ds in out if name in ds.variables]
        absent = along is not None and len(holders) < len(out)
        if absent or _unlike(holders) or any(not gaps.isdisjoint(v.dims) for v in holders):
            out = _all_loaded(out, name)
    return out


def load_all_text(datasets: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """Datasets in which all text is in memory. Errors as `load_joined_text`."""
    out = list(datasets)
    for name in _names_of_text(out):
        out = _all_loaded(out, name)
    return out


def _names_of_text(datasets: Sequence[xr.Dataset]) -> list[Hashable]:
    """Names of variables that are text in a file, and not in memory."""
    return list(dict.fromkeys(n for ds in datasets for n, v in ds.variables.items() if _is_text(v)))


def _is_text(variable: xr.Variable) -> bool:
    return isinstance(variable._data, VirtualZarrArray) and variable.dtype.kind in "SOUT"


def _unlike(variables: Sequence[xr.Variable]) -> bool:
    """Whether files hold text of other dimensions (that of the characters aside), or as something else than characters."""
    characters = [v.dtype == "S1" and v.ndim > 0 for v in variables]
    if any(characters) != all(characters):
        return True
    return len({v.dims[:-1] if one else v.dims for v, one in zip(variables, characters, strict=True)}) > 1


def _all_loaded(datasets: Sequence[xr.Dataset], name: Hashable) -> list[xr.Dataset]:
    """Datasets with one variable in memory."""
    _check_size(name, datasets, [ds.variables[name] for ds in datasets if name in ds.variables])
    return [_loaded(ds, name) for ds in datasets]


def _loaded(dataset: xr.Dataset, name: Hashable) -> xr.Dataset:
    if name not in dataset.variables or not _is_text(dataset.variables[name]):
        return dataset
    words = decoded_labels(str(name), dataset.variables[name], decode_times=False, characters=True)
    # dropped first, for its dimension of characters
    bare = dataset.drop_vars([name])
    return bare.assign_coords({name: words}) if name in dataset.coords else bare.assign({name: words})


def _check_size(name: Hashable, datasets: Sequence[xr.Dataset], variables: Sequence[xr.Variable]) -> None:
    size = sum(v.nbytes for v in variables)
    if size > LIMIT:
        raise JoinError(
            f"{source_label(datasets[0])} and {len(datasets) - 1} more: {name}: text with gaps (files cover different labels, or "
            f"not all hold it) or held in different ways must be read, and {size} bytes are more than {LIMIT}; leave it out with "
            f"drop_variables=[{name!r}], or join with join='inner' or join='exact'"
        )


def _dims_with_gaps(datasets: Sequence[xr.Dataset], along: Sequence[Hashable] | None) -> set[Hashable]:
    """Dimensions along which datasets are aligned, and not all have the same labels."""
    dims = {dim for ds in datasets for dim in ds.xindexes if dim in ds.dims}
    if along is not None:
        return {dim for dim in dims.difference(along) if len(_labels(datasets, dim)) > 1}
    groups: dict[frozenset[Hashable], list[xr.Dataset]] = {}
    for ds in datasets:
        groups.setdefault(frozenset(ds.data_vars), []).append(ds)
    return {dim for dim in dims if _overlap(_labels(datasets, dim)) or (len(groups) > 1 and _differ(groups.values(), dim))}


def _labels(datasets: Iterable[xr.Dataset], dim: Hashable) -> list[pd.Index]:
    """Different labels of a dimension."""
    indexes = (ds.indexes[dim] for ds in datasets if dim in ds.indexes)
    return list({tuple(index): index for index in indexes}.values())


def _overlap(labels: Sequence[pd.Index]) -> bool:
    """Whether parts share labels, and so do not follow each other."""
    return len(labels) > 1 and not labels[0].append(list(labels[1:])).is_unique


def _differ(groups: Iterable[Sequence[xr.Dataset]], dim: Hashable) -> bool:
    """Whether files of other variables have other labels."""
    return len({frozenset(label for index in _labels(group, dim) for label in index) for group in groups}) > 1


def with_marked_gaps(variable: xr.Variable) -> xr.Variable:
    """Text with gaps as text with a marker of missing values, which no word in it is; what else it holds stays as it is.

    xarray writes a gap as empty text, which is a word like others.
    """
    if variable.dtype.kind != "O":
        return variable
    values = np.asarray(variable)
    gaps = pd.isnull(values)
    words = values[~gaps]
    kinds = {type(word) for word in words}
    if kinds not in ({str}, {bytes}):
        return variable
    (kind,) = kinds
    used = set(words)
    given = variable.encoding.get("_FillValue", variable.attrs.get("_FillValue"))
    plain = {key: value for key, value in variable.encoding.items() if key not in MARKERS}
    attrs = {key: value for key, value in variable.attrs.items() if key not in MARKERS}
    marked = given if type(given) is kind and given not in used else None
    if gaps.any():
        names = itertools.chain(GAPS, (GAPS[-1] + "*" * count for count in itertools.count(1)))
        free = next(one for name in names if (one := name if kind is str else name.encode()) not in used)
        marked = free if marked is None else marked
        values = np.where(gaps, marked, values)
    if marked is not None:
        attrs["_FillValue"] = marked
    # words of bytes have a length in Zarr, texts have not
    return xr.Variable(variable.dims, values if kind is str else values.astype("S"), attrs, plain)
