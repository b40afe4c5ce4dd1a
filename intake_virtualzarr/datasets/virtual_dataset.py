"""Undecoded datasets: virtual arrays for what is large, decoded values for what labels it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from intake_virtualzarr._typing import Attrs, DType, JsonObject
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.fill_value import is_fill
from intake_virtualzarr.arrays.segments import source_of
from intake_virtualzarr.arrays.tree import VirtualGroup, VirtualTree
from intake_virtualzarr.codecs.cf_packing import PACKING_ATTRIBUTES, is_time_units, time_units
from intake_virtualzarr.datasets.chunk_hints import chunk_hint, preferred_chunks, stored_edges
from intake_virtualzarr.datasets.file_encoding import file_encoding, source_name
from intake_virtualzarr.datasets.loadable import decoded_labels, read_labels
from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.labels import label_names, labels_in_characters

__all__ = [
    "backend_variables",
    "check_dimensions",
    "drop_bool_dtype_attr",
    "source_label",
    "undecoded_variables",
    "virtual_dataset",
    "with_consistent_attrs",
    "without_packing",
]


def source_label(dataset: xr.Dataset) -> str:
    """The file that a dataset was opened from, for messages."""
    return str(dataset.encoding.get("source", "a dataset"))


def backend_variables(tree: VirtualTree, group: VirtualGroup) -> dict[str, xr.Variable]:
    """The variables of a group, undecoded, with the encoding that xarray's engines give."""
    variables = {}
    virtual = {name: (v.dims, v.data) for name, v in group.variables.items() if isinstance(v.data, VirtualZarrArray)}
    preferred = preferred_chunks(virtual)
    source = source_name(tree.url)
    for name, variable in group.variables.items():
        encoding: JsonObject = {"source": source, "original_shape": variable.data.shape}
        data = variable.data
        if isinstance(data, VirtualZarrArray):
            hint = chunk_hint(data)
            encoding["preferred_chunks"] = preferred[name]
            edges = stored_edges(data)
            if edges is None and all(isinstance(edge, int) for edge in hint):
                encoding["chunksizes"] = hint
            encoding.update(file_encoding(data, edges, grows=not group.unlimited.isdisjoint(variable.dims)))
        encoding["dtype"] = str if data.dtype.kind == "O" else data.dtype
        attrs = dict(variable.attrs) if data.dtype.kind != "S" else _byte_fills(variable.attrs)
        variables[name] = xr.Variable(variable.dims, data, attrs, encoding, fastpath=True)
    return variables


def check_dimensions(variables: Mapping[str, xr.Variable], url: str) -> None:
    """Refuse variables that disagree about the length of a dimension: a document that was changed, or damaged.

    Raises
    ------
    FormatError
        Names the dimension and two variables.
    """
    seen: dict[Any, tuple[int, str]] = {}
    for name, variable in variables.items():
        for dim, extent in zip(variable.dims, variable.shape, strict=True):
            known, first = seen.setdefault(dim, (extent, name))
            if known != extent:
                raise FormatError(
                    f"{url}: contradicts itself: dimension {dim!r} has {known} elements in {first!r} and {extent} in {name!r}; "
                    f"if one of them is of no use, drop_variables=[{name!r}] opens the others"
                )


def undecoded_variables(tree: VirtualTree, group: VirtualGroup, dropped: frozenset[str]) -> dict[str, xr.Variable]:
    """The variables of a virtual dataset before labels are read: times know their units, and give them to their bounds."""
    variables = {n: v for n, v in backend_variables(tree, group).items() if n not in dropped}
    check_dimensions(variables, tree.url)
    _complete_bounds(variables)
    _mark_times(variables)
    return variables


def _byte_fills(attrs: Attrs) -> JsonObject:
    """Attributes of bytes whose missing-value markers are bytes, too, as xarray's engines give them: text equals no bytes."""
    out = dict(attrs)
    for name in ("_FillValue", "missing_value"):
        if isinstance(out.get(name), str):
            out[name] = np.bytes_(out[name].encode())
    return out


def virtual_dataset(
    tree: VirtualTree,
    group: VirtualGroup,
    *,
    loadable_variables: Iterable[str] | None = None,
    drop_variables: frozenset[str] = frozenset(),
    decode_times: bool = True,
) -> xr.Dataset:
    """A group with virtual arrays.

    Parameters
    ----------
    tree, group : VirtualTree, VirtualGroup
        What to open.
    loadable_variables : iterable of str, optional
        Variables whose values are read now, and decoded; default: one-dimensional coordinates, scalars, and small
        variables that hold times. Coordinates of dimensions are among them in any case.
    drop_variables : frozenset of str
        Variables to drop.
    decode_times : bool
        Whether loaded time coordinates become dates.

    Returns
    -------
    xarray.Dataset
        Attributes of virtual variables are those of the file. Variables that a ``coordinates`` attribute names are
        coordinates.
    """
    variables = undecoded_variables(tree, group, drop_variables)
    attrs = dict(group.attrs)
    coordinates = _named_coordinates(variables, attrs)
    texts = labels_in_characters(variables)
    load = label_names(variables, coordinates) if loadable_variables is None else set(loadable_variables)
    # an index of raw numbers, or of no values at all, would align the wrong labels
    load |= texts | {name for name, variable in variables.items() if variable.dims == (name,)}
    for name in variables:
        if name in load:
            known = group.variables[name].values
            variables[name] = decoded_labels(
                name, variables[name], decode_times=decode_times, characters=name in texts, known=known
            )
    encoding: JsonObject = {"source": source_name(tree.url)}
    encoding["unlimited_dims"] = set(group.unlimited)
    return _assembled(variables, coordinates, attrs, encoding)


def _assembled(variables: dict[str, xr.Variable], coordinates: set[str], attrs: JsonObject, encoding: JsonObject) -> xr.Dataset:
    """The dataset of variables that nobody else has, with an index for each dimension coordinate.

    ``xr.Dataset(variables)`` gives the same and takes three times as long, a third of opening a small file: it copies every
    variable, and looks for conflicts between several datasets, of which there is one.
    """
    coord_names: set[Any] = {name for name, variable in variables.items() if name in coordinates or name in variable.dims}
    indexes: dict[Any, xr.Index] = {}
    for name, variable in variables.items():
        if variable.dims == (name,):
            index = _index_of(name, read_labels(name, variable))
            indexes[name] = index
            variables[name] = index.create_variables({name: variable})[name]
    known: dict[Any, Any] = dict(variables)
    return xr.Dataset._construct_direct(known, coord_names, attrs=attrs, indexes=indexes, encoding=encoding)


def _index_of(name: str, labels: xr.Variable) -> xr.indexes.PandasIndex:
    """The default index of a dimension coordinate, without the copies of ``PandasIndex.from_variables``."""
    values = labels._data
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufM" and values.dtype != np.float16:
        return xr.indexes.PandasIndex(pd.Index(values, name=name), name, values.dtype, fastpath=True)
    return xr.indexes.PandasIndex.from_variables({name: labels}, options={})


def _complete_bounds(variables: Mapping[str, xr.Variable]) -> None:
    """Let the bounds of times say their unit and calendar themselves.

    CF 7.1 lets them inherit both. Files of a series often count from different dates; joined bounds then have no one to
    inherit from.
    """
    for variable in variables.values():
        bounds = variables.get(str(variable.attrs.get("bounds")))
        if bounds is None or not is_time_units(variable.attrs.get("units")):
            continue
        for name in ("units", "calendar"):
            if name in variable.attrs:
                bounds.attrs.setdefault(name, variable.attrs[name])


def _mark_times(variables: dict[str, xr.Variable]) -> None:
    """Let virtual times know what they count, so that no join puts them beside numbers that count from another date."""
    for name, variable in variables.items():
        counted = time_units(variable.attrs)
        if counted is not None and isinstance(variable._data, VirtualZarrArray):
            data = variable._data.replace(time_units=counted)
            variables[name] = xr.Variable(variable.dims, data, variable.attrs, variable.encoding, fastpath=True)


def _named_coordinates(variables: Mapping[str, xr.Variable], attrs: JsonObject) -> set[str]:
    """Names in ``coordinates`` attributes that are there; the attribute moves to the encoding, as xarray does it."""
    names: set[str] = set()
    for variable in variables.values():
        if isinstance(variable.attrs.get("coordinates"), str):
            text = variable.encoding["coordinates"] = variable.attrs.pop("coordinates")
            names.update(text.split())
    if isinstance(attrs.get("coordinates"), str):
        names.update(attrs.pop("coordinates").split())
    return names.intersection(variables)


def without_packing(attrs: Attrs) -> JsonObject:
    """Attributes without those that say how stored numbers become values (and ranges in stored numbers)."""
    dropped = {*PACKING_ATTRIBUTES, "valid_range", "valid_min", "valid_max", "actual_range"}
    return {name: value for name, value in attrs.items() if name not in dropped}


def drop_bool_dtype_attr(attrs: Attrs, dtype: DType) -> JsonObject:
    """Attributes without the mark of booleans where numbers have gaps: xarray would take NaN for true."""
    return {name: value for name, value in attrs.items() if name != "dtype" or value != "bool" or dtype.kind in "iub"}


def _with_units(attrs: JsonObject, counted: str | None) -> JsonObject:
    """Attributes of times that say what they count: a join with ``combine_attrs="drop"`` leaves numbers without a unit."""
    if counted is None or "units" in attrs:
        return attrs
    units, _, calendar = counted.removesuffix(" calendar").partition(", ")
    return {**attrs, "units": units, **({"calendar": calendar} if calendar else {"dtype": "timedelta64[ns]"})}


def with_consistent_attrs(array: VirtualZarrArray, attrs: Attrs) -> tuple[VirtualZarrArray, JsonObject]:
    """An array with attributes that hold for all of it: raw as it is, or else decoded, and without those of its packing.

    Raw numbers need one packing, in its own data type (a join with gaps casts packed integers), and attributes that tell
    of it: some of xarray's calls drop all attributes.
    """
    attrs = _with_units(drop_bool_dtype_attr(attrs, array.dtype), array.time_units)
    described = any(name in attrs for name in PACKING_ATTRIBUTES)
    members = source_of(array.segments)
    # a concatenation in a store says what its members are without opening them
    if members is not None and members.dtype == array.dtype and (described or members.packing is None):
        return array, dict(attrs)
    stored = [s for s in array.segments if not is_fill(s)]
    if not stored and np.asarray(attrs.get("scale_factor")).dtype.kind in "iu":
        # gaps and nothing else: xarray would decode them into the type of the factor, which has no NaN
        attrs = {**attrs, "scale_factor": np.float64(attrs["scale_factor"])}
    packed = any(s.packing is not None for s in stored)
    if (described or not packed) and not array.mixed and not array.decoded and all(s.stored.dtype == array.dtype for s in stored):
        return array, dict(attrs)
    return array.decode(), without_packing(attrs) if packed else dict(attrs)
