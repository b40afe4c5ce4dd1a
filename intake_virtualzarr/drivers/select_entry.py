"""What an entry selects of a dataset: variables, times, labels and positions, as a catalog writes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.drivers.template_values import WHOLE
from intake_virtualzarr.errors import ArgumentError, CatalogError

__all__ = ["selected"]


def selected(
    dataset: Any, url: str, variables: str | Iterable[str] | None, time: Any, sel: Attrs | None, isel: Attrs | None
) -> Any:
    """The part of a dataset that an entry asks for, see `open_entry.open_entry`.

    Raises
    ------
    CatalogError
        If a variable or dimension is not there, or nothing is left of one.
    """
    dataset = _with_variables(dataset, url, variables)
    if time is not None:
        dataset = _select(dataset, url, _time_dimension(dataset, url), _interval(time), f"time={time!r}")
    for dim, value in (sel or {}).items():
        dataset = _select(dataset, url, dim, value, f"sel={{{dim!r}: {value!r}}}")
    for dim, value in (isel or {}).items():
        _check_dimension(dataset, url, dim, "isel")
        dataset = _not_empty(dataset, dataset.isel({dim: _positions(value)}), url, dim, f"isel={{{dim!r}: {value!r}}}")
    return dataset


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
