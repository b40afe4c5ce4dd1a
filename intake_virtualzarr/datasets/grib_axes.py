"""Axes for what tells files of GRIB apart: the steps, times and members of a forecast often come as a file each.

In the file such a coordinate has one value and no axis. Where files are joined by coordinates, it becomes an axis of length one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import xarray as xr

from intake_virtualzarr.formats.grib.cubes import AXES

__all__ = ["with_axes"]

DEPENDENT = {"valid_time": ("time", "step")}
"""Coordinates that follow from others, and from which."""


def with_axes(datasets: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """Datasets of GRIB with axes for the coordinates in which those of the same variables differ; all others as they are."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, dataset in enumerate(datasets):
        if dataset.data_vars and all("GRIB_typeOfLevel" in one.attrs for one in dataset.data_vars.values()):
            groups.setdefault(tuple(sorted(map(str, dataset.data_vars))), []).append(number)
    found = list(datasets)
    for members in groups.values():
        names = _differing([datasets[number] for number in members])
        for number in members:
            found[number] = _expanded(datasets[number], names)
    return found


def _names(dataset: xr.Dataset) -> list[str]:
    """What may be axes of a dataset, in their order."""
    levels = dict.fromkeys(str(one.attrs["GRIB_typeOfLevel"]) for one in dataset.data_vars.values())
    return [name for axis in AXES for name in (("level", *levels) if axis == "level" else (axis,))]


def _differing(datasets: Sequence[xr.Dataset]) -> list[str]:
    """Coordinates that all datasets have and that differ between them, where they are no axis."""
    first = datasets[0]
    shared = [name for name in _names(first) if all(name in one.coords and one[name].ndim <= 1 for one in datasets)]
    scalar = [name for name in shared if any(one[name].ndim == 0 for one in datasets)]
    return [name for name in scalar if any(not _same(one, first, name) for one in datasets[1:])]


def _same(one: xr.Dataset, other: xr.Dataset, name: str) -> bool:
    return np.array_equal(np.asarray(one[name].variable), np.asarray(other[name].variable))


def _expanded(dataset: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """A dataset in which scalar coordinates are axes of the variables, and all axes those of what follows from them."""
    new = [name for name in names if dataset[name].ndim == 0]
    out = dataset.assign_coords({name: dataset[name].variable.set_dims({name: 1}) for name in new})  # type: ignore[no-untyped-call]
    order = _names(dataset)
    for name in dataset.data_vars if new else ():
        out[name] = _along(dataset.variables[name], new, order)
    for name, axes in DEPENDENT.items():
        if name in dataset.coords:
            out[name] = _along(dataset.variables[name], [axis for axis in axes if axis in out.dims], order)
    out.encoding = dict(dataset.encoding)
    return out


def _along(variable: xr.Variable, new: Sequence[str], order: Sequence[str]) -> xr.Variable:
    """A variable with further axes, each in its place before those of the grid."""
    leading: list[Hashable] = sorted({*new, *(dim for dim in variable.dims if dim in order)}, key=lambda dim: order.index(str(dim)))
    dims = [*leading, *(dim for dim in variable.dims if dim not in leading)]
    sizes = dict(zip(variable.dims, variable.shape, strict=True))
    return variable.set_dims({dim: sizes.get(dim, 1) for dim in dims})  # type: ignore[no-untyped-call, no-any-return]
