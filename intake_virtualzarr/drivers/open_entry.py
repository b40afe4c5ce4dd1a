"""The one function behind both drivers: open a store, decoded and lazy, and select from it."""

from __future__ import annotations

import ast
import contextlib
import datetime as dt
import difflib
import inspect
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.datasets.chunk_hints import preferred_chunks
from intake_virtualzarr.datasets.paths import is_pattern
from intake_virtualzarr.drivers.storage_options import access_rules
from intake_virtualzarr.errors import ArgumentError, CatalogError
from intake_virtualzarr.storage.policy import Allow

__all__ = ["ARGUMENTS", "check_arguments", "open_entry", "plain_url"]


def open_entry(
    urlpath: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    variables: str | Iterable[str] | None = None,
    time: Any = None,
    sel: Attrs | None = None,
    isel: Attrs | None = None,
    group: str | None = None,
    chunks: Any = None,
    drop_variables: str | Iterable[str] | None = None,
    mask_and_scale: bool | None = None,
    decode_times: bool | None = None,
    format: str | None = None,
    on_unsupported: str = "skip",
    storage_options: Any = None,
    allow: Allow = None,
) -> Any:
    """Open a virtual store, archive file, kerchunk references or Icechunk repository for an Intake entry.

    Parameters
    ----------
    urlpath : path or URL, or list of these
        What to open; several files, or a pattern (``*``) of them, are joined by their coordinates.
    variables : str or list of str, optional
        Data variables to keep; coordinates stay.
    time : str, list or mapping, optional
        Times to keep; the dimension stays: ``"2024"``, ``"2024-01"`` or a date (all of that span), ``"2024-01/2024-03"``
        (an interval, ends included, ``..`` for an open one), or as a value of ``sel``.
    sel : mapping, optional
        Labels by dimension: one label (the dimension goes), a list of labels, or ``{"start": …, "stop": …, "step": …}``,
        whose ends are included whichever way the coordinate runs.
    isel : mapping, optional
        Positions by dimension, after ``sel``; in the same forms.
    group : str, optional
        Path of the group in the store.
    chunks : int, mapping or "auto", optional
        dask chunks, as for `xarray.open_dataset`; ``None`` (here) opens without dask.
    drop_variables : str or list of str, optional
        Variables to drop unread.
    mask_and_scale, decode_times : bool, optional
        As for `xarray.open_dataset`.
    format : str, optional
        Name of the format; default: detected automatically.
    on_unsupported : {"skip", "raise"}
        What to do about variables that cannot be stored by reference.
    storage_options : mapping, optional
        Options for opening, by URL prefix; without prefixes, see `options.access_rules`.
    allow : str or list of str, optional
        URL prefixes and paths that a store from a network may name, beside its own place.

    Returns
    -------
    xarray.Dataset
        Decoded and lazy.

    Raises
    ------
    CatalogError
        If a variable or dimension is not there, or nothing is left of one.
    """
    import xarray as xr

    variables, time, sel, isel, chunks, drop_variables = map(
        parse_list_literal, (variables, time, sel, isel, chunks, drop_variables)
    )
    decoders: JsonObject = {"mask_and_scale": mask_and_scale, "decode_times": decode_times}
    decoders = {name: _switch(name, value) for name, value in decoders.items()}
    urls = [plain_url(os.fspath(one)) for one in ([urlpath] if isinstance(urlpath, str | os.PathLike) else urlpath)]
    url = urls[0] if urls else ""
    opening: JsonObject = {
        "group": group,
        "drop_variables": [drop_variables] if isinstance(drop_variables, str) else drop_variables,
        "storage_options": access_rules(storage_options, url),
        "allow": parse_list_literal(allow),
        "format": format,
        "on_unsupported": on_unsupported,
    }
    decoding = {name: value for name, value in decoders.items() if value is not None}
    if len(urls) != 1 or is_pattern(url):
        dataset = _joined(urls, opening, decoding, _chunks(chunks))
    else:
        dataset = xr.open_dataset(url, engine="virtualzarr", chunks=_chunks(chunks), **opening, **decoding)
    dataset = _with_variables(dataset, url, variables)
    if time is not None:
        dataset = _select(dataset, url, _time_dimension(dataset, url), _interval(time), f"time={time!r}")
    for dim, value in (sel or {}).items():
        dataset = _select(dataset, url, dim, value, f"sel={{{dim!r}: {value!r}}}")
    for dim, value in (isel or {}).items():
        _check_dimension(dataset, url, dim, "isel")
        dataset = _not_empty(dataset, dataset.isel({dim: _positions(value)}), url, dim, f"isel={{{dim!r}: {value!r}}}")
    return dataset


ARGUMENTS = tuple(inspect.signature(open_entry).parameters)
"""Names of the arguments that an entry takes."""


def check_arguments(arguments: Attrs, driver: str = "virtualzarr") -> None:
    """Refuse unknown arguments, with the nearest known one.

    Raises
    ------
    ArgumentError
        Names the argument, and what is known.
    """
    for name in arguments:
        if name not in ARGUMENTS:
            near = difflib.get_close_matches(name, ARGUMENTS, 1)
            hint = f"did you mean {near[0]!r}? " if near else f"to select along a dimension, use sel={{{name!r}: …}}; "
            raise ArgumentError(f"driver {driver!r} has no argument {name!r}; {hint}Known are {', '.join(ARGUMENTS)}")


def plain_url(url: str) -> str:
    """Take out the doubled slashes that ``{{ CATALOG_DIR }}/…`` leaves behind.

    Examples
    --------
    >>> plain_url("/data//sst.vzarr"), plain_url("https://host/a//./b.vzarr")
    ('/data/sst.vzarr', 'https://host/a/b.vzarr')
    """
    if "::" in url:
        return url
    scheme, mark, rest = url.rpartition("://")
    slash = "/" if rest.startswith("/") and (not mark or scheme == "file") else ""
    return f"{scheme}{mark}{slash}{re.sub(r'/(\.?/)+', '/', rest).removeprefix('/')}"


def parse_list_literal(value: Any) -> Any:
    """Make lists of texts that are lists: so a catalog's parameters arrive that are put into its templates.

    Examples
    --------
    >>> parse_list_literal("['sst', 'ice']"), parse_list_literal({"lat": "[1, 2]"}), parse_list_literal("sst")
    (['sst', 'ice'], {'lat': [1, 2]}, 'sst')
    """
    if isinstance(value, Mapping):
        return {key: parse_list_literal(one) for key, one in value.items()}
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        with contextlib.suppress(ValueError, SyntaxError):
            return ast.literal_eval(value)
    return value


def _switch(name: str, value: Any) -> bool | None:
    """Read a truth value, which a template makes a text of."""
    if isinstance(value, str):
        known = {"true": True, "false": False, "none": None}
        if value.strip().lower() not in known:
            raise ArgumentError(f"{name} is {value!r}, expected true or false")
        return known[value.strip().lower()]
    return value  # type: ignore[no-any-return]


def _joined(urls: Sequence[str], opening: JsonObject, decoding: JsonObject, chunks: Any) -> Any:
    """Several files as one dataset, in the chunks of the files where ``chunks`` says no others."""
    if not all(decoding.values()):
        raise CatalogError(
            f"{urls[0]}, …: several files are joined by their decoded values; leave mask_and_scale and decode_times out"
        )
    from intake_virtualzarr.datasets.open_mfdataset import open_virtual_mfdataset  # xarray: not before a dataset is opened

    virtual = open_virtual_mfdataset(list(urls), progress=False, **opening)
    dataset = virtual.vzarr.decode()
    if chunks is None:
        return dataset
    if chunks != {}:
        return dataset.chunk(chunks)
    arrays = {str(name): (v.dims, v._data) for name, v in virtual.variables.items() if isinstance(v._data, VirtualZarrArray)}
    for name, edges in preferred_chunks(arrays).items():
        if name in dataset.data_vars or dataset[name].dims != (name,):
            dataset[name] = dataset[name].chunk(edges)
    return dataset


def _chunks(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {dim: _chunks(one) for dim, one in value.items()}
    return int(value) if isinstance(value, str) and WHOLE.fullmatch(value) else value


WHOLE = re.compile(r"\s*-?\d+\s*")


def _with_variables(dataset: Any, url: str, variables: str | Iterable[str] | None) -> Any:
    if variables is None:
        return dataset
    names = [variables] if isinstance(variables, str) else list(variables)
    missing = [name for name in names if name not in dataset.variables]
    if missing:
        known = ", ".join(map(str, dataset.data_vars))
        raise CatalogError(f"{url}: has no variable {missing[0]!r}; there are {known or 'none'}")
    return dataset[names]


def _time_dimension(dataset: Any, url: str) -> str:
    from intake_virtualzarr.datasets.cf_axes import find_axis

    if "time" in dataset.dims:
        return "time"
    axis = find_axis(dataset, "t")
    if axis is None or axis.dims != (axis.name,):
        raise CatalogError(f"{url}: has no time dimension to select from; its dimensions are {_names(dataset.dims)}")
    return str(axis.name)


def _interval(value: Any) -> Any:
    """Turn ``"start/stop"``, and a year, month or day, into a range; anything else is returned as it is."""
    if type(value) is dt.date:  # what YAML makes of 2024-01-31
        value = value.isoformat()
    if not isinstance(value, str):
        return value
    start, slash, stop = value.partition("/")
    if not slash:  # xarray takes a day for a moment where the coordinate is daily, and for a span elsewhere
        return {"start": value, "stop": value}
    return {"start": None if start in ("", "..") else start, "stop": None if stop in ("", "..") else stop}


def _select(dataset: Any, url: str, dim: str, value: Any, shown: str) -> Any:
    _check_dimension(dataset, url, dim, "sel")
    if dim not in dataset.indexes:
        raise CatalogError(f"{url}: {dim!r} has no coordinate to select by; use isel={{{dim!r}: …}}")
    index = dataset.indexes[dim]
    label = _label(value)
    if isinstance(value, Mapping):
        start, stop, step = (_label(one) for one in _bounds(value, shown))
        if index.is_monotonic_decreasing and len(index) > 1 and start is not None and stop is not None and start < stop:
            start, stop = stop, start
        label = slice(start, stop, step)
    try:
        selected = dataset.sel({dim: list(label) if isinstance(label, tuple) else label})
    except KeyError as exc:
        raise CatalogError(f"{url}: {shown} is not there; {_range(dataset, dim)}") from exc
    except (TypeError, ValueError) as exc:
        raise CatalogError(f"{url}: {shown} cannot be selected: {exc}; {_range(dataset, dim)}") from exc
    return _not_empty(dataset, selected, url, dim, shown)


def _label(value: Any) -> Any:
    """Turn a date, which YAML makes of ``2024-01-31``, into text again: it means the whole day."""
    return value.isoformat() if type(value) is dt.date else value


def _positions(value: Any) -> Any:
    if isinstance(value, Mapping):
        return slice(*(None if one is None else _position(one) for one in _bounds(value, "isel")))
    return [_position(one) for one in value] if isinstance(value, list | tuple) else _position(value)


def _position(value: Any) -> Any:
    if isinstance(value, str) and WHOLE.fullmatch(value):
        return int(value)
    if isinstance(value, str | bool | float):
        raise ArgumentError(f"isel: {value!r} is not a position; to select by labels use sel")
    return value  # a number, or what xarray takes: a slice, an array


def _bounds(value: Attrs, shown: str) -> tuple[Any, Any, Any]:
    unknown = set(value) - {"start", "stop", "step"}
    if unknown:
        raise ArgumentError(f"{shown}: a range has 'start', 'stop' and 'step', not {sorted(unknown)[0]!r}")
    return value.get("start"), value.get("stop"), value.get("step")


def _check_dimension(dataset: Any, url: str, dim: str, what: str) -> None:
    if dim not in dataset.dims:
        raise CatalogError(f"{url}: {what} names {dim!r}, and the dimensions are {_names(dataset.dims)}")


def _not_empty(dataset: Any, selected: Any, url: str, dim: str, shown: str) -> Any:
    if dataset.sizes[dim] and selected.sizes.get(dim, 1) == 0:
        raise CatalogError(f"{url}: {shown} selects nothing; {_range(dataset, dim)}")
    return selected


def _range(dataset: Any, dim: str) -> str:
    if dim not in dataset.indexes or not dataset.sizes[dim]:
        return f"{dim!r} has {dataset.sizes[dim]} positions"
    index = dataset.indexes[dim]
    return f"{dim!r} runs from {index[0]} to {index[-1]}"


def _names(names: Iterable[Any]) -> str:
    return ", ".join(map(str, names)) or "none"
