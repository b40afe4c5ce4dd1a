"""netCDF-4's conventions on top of HDF5: dimensions, hidden attributes, names.

Dimensions are named as xarray's engine ``h5netcdf`` names them with ``phony_dims="sort"``.

References
----------
netCDF-4 file format specification, "Creation Order", "Dimensions", "Coordinate variables", "Attributes".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from intake_virtualzarr._typing import Attrs, JsonObject, Shape
from intake_virtualzarr.codecs.hdf5_datatype import Datatype
from intake_virtualzarr.formats.hdf5.model import RawDataset, RawFile

__all__ = ["Dimensions", "HIDDEN", "is_bare_dimension", "name_dimensions", "parent_of", "public_attrs", "public_path", "size_of"]

HIDDEN = frozenset(
    (
        "CLASS",
        "NAME",
        "REFERENCE_LIST",
        "DIMENSION_LIST",
        "_Netcdf4Dimid",
        "_Netcdf4Coordinates",
        "_nc3_strict",
        "_NCProperties",
    )
)
"""Attributes that netCDF-4 keeps for itself."""
NON_COORDINATE = "_nc4_non_coord_"
NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable"


@dataclass(slots=True)
class Dimensions:
    """Dimensions of one group."""

    sizes: dict[str, int] = field(default_factory=dict)
    """Size by name, those without a scale included."""
    unlimited: set[str] = field(default_factory=set)
    """Names of unlimited ones."""


def public_path(path: str) -> str:
    """The path of a variable, as netCDF-4 shows it."""
    parent, _, name = path.rpartition("/")
    return f"{parent}/{name.removeprefix(NON_COORDINATE)}"


def _shown_name(path: str) -> str:
    return path.rpartition("/")[2].removeprefix(NON_COORDINATE)


def parent_of(path: str) -> str:
    """The group that holds an object."""
    return path.rpartition("/")[0] or "/"


def is_scale(dataset: RawDataset) -> bool:
    """Whether a dataset is a dimension scale."""
    return dataset.attrs.get("CLASS") == "DIMENSION_SCALE"


def is_bare_dimension(dataset: RawDataset) -> bool:
    """Whether a dataset stands for a dimension that has no variable."""
    name = dataset.attrs.get("NAME")
    return isinstance(name, str) and name.startswith(NO_VARIABLE) and is_scale(dataset)


def size_of(name: str, group: str, groups: Mapping[str, Dimensions]) -> int | None:
    """Size of a dimension as seen from a group: its own or that of the nearest group above."""
    while True:
        size = groups[group].sizes.get(name)
        if size is not None or group == "/":
            return size
        group = parent_of(group)


def public_attrs(attrs: Attrs, datatype: Datatype | None = None) -> JsonObject:
    """Attributes that users see; names of an enumeration become CF flags unless there are such attributes."""
    seen = {name: value for name, value in attrs.items() if name not in HIDDEN}
    if datatype is not None and datatype.kind == "enum" and "flag_values" not in seen and "flag_meanings" not in seen:
        base = datatype.base
        assert base is not None
        if base.size in (1, 2, 4, 8) and {m.name for m in datatype.members} != {"FALSE", "TRUE"}:
            dtype = np.dtype(f"{'i' if base.signed else 'u'}{base.size}")
            seen["flag_values"] = np.array([m.offset for m in datatype.members], dtype)
            seen["flag_meanings"] = " ".join("_".join(m.name.split()) for m in datatype.members)
    return seen


def name_dimensions(file: RawFile, shapes: Mapping[str, Shape]) -> tuple[dict[str, tuple[str, ...]], dict[str, Dimensions]]:
    """Name the dimensions of all datasets.

    Parameters
    ----------
    file : RawFile
        Groups and datasets.
    shapes : mapping
        Shape of each dataset's values by its raw path (axes of array datatypes included).

    Returns
    -------
    names : dict
        Names of the dimensions by raw path.
    dimensions : dict
        Dimensions of each group by its path.
    """
    naming = _Naming(file, shapes)
    for path, shape in shapes.items():
        naming.label(path, shape)
    naming.name_the_rest()
    return {path: tuple(n or "" for n in names) for path, names in naming.names.items()}, naming.groups


class _Naming:
    def __init__(self, file: RawFile, shapes: Mapping[str, Shape]) -> None:
        self.file, self.shapes = file, shapes
        self.names: dict[str, list[str | None]] = {}
        self.groups: dict[str, Dimensions] = {path: Dimensions() for path in file.groups}
        self.scales: dict[int, tuple[str, str]] = {}
        self.by_id: dict[int, tuple[str, str]] = {}
        for path, dataset in file.datasets.items():
            if is_scale(dataset) and dataset.shape is not None:
                self._add_scale(path, dataset)
        self.next_phony = max(self.by_id, default=-1) + 1

    def _add_scale(self, path: str, dataset: RawDataset) -> None:
        group, name = parent_of(path), _shown_name(path)
        self.scales.setdefault(dataset.address, (group, name))
        number = dataset.attrs.get("_Netcdf4Dimid")
        if isinstance(number, np.integer):
            self.by_id.setdefault(int(number), (group, name))
        shape, maxshape = dataset.shape or (), dataset.maxshape or ()
        if shape:
            self.groups[group].sizes[name] = shape[0]
            if maxshape and maxshape[0] is None:
                self.groups[group].unlimited.add(name)

    def label(self, path: str, shape: Shape) -> None:
        """Name the axes that have a scale."""
        dataset = self.file.datasets[path]
        found: list[tuple[str, str] | None] = [None] * len(shape)
        coordinates = dataset.attrs.get("_Netcdf4Coordinates")
        own = (parent_of(path), _shown_name(path)) if is_scale(dataset) else None
        if own is not None and coordinates is not None:
            numbers = [int(n) for n in np.ravel(coordinates)]
            if len(numbers) == len(shape):
                found = [self.by_id.get(n) for n in numbers]
        elif own is None:
            for axis, addresses in enumerate(dataset.scales[: len(shape)]):
                if addresses:  # the last one counts, as in netCDF-C
                    found[axis] = self.scales.get(addresses[-1])
        if own is not None and shape and found[0] is None and own not in found:
            found[0] = own
        for place, extent in zip(found, shape, strict=True):
            if place is not None and place[1] in self.groups[place[0]].unlimited:
                sizes = self.groups[place[0]].sizes
                sizes[place[1]] = max(sizes[place[1]], extent)
        self.names[path] = [None if place is None else place[1] for place in found]

    def name_the_rest(self) -> None:
        """Name axes without a scale, group by group."""
        members: dict[str, list[str]] = {}
        for path in self.names:
            if None in self.names[path]:
                members.setdefault(parent_of(path), []).append(path)
        for group in self.groups:
            if group in members:
                self._name_group(group, members[group])

    def _name_group(self, group: str, paths: list[str]) -> None:
        dims = self.groups[group]
        needed: Counter[int] = Counter()
        for path in paths:
            needed |= Counter(n for n, name in zip(self.shapes[path], self.names[path], strict=True) if name is None)
        fixed: dict[int, list[str]] = {}
        for name, size in dims.sizes.items():
            if name not in dims.unlimited:
                fixed.setdefault(size, []).append(name)
        for size, count in needed.items():
            for _ in range(len(fixed.get(size, ())), count):
                fixed.setdefault(size, []).append(self._new(dims, size))
        for path in paths:
            names = self.names[path]
            for axis, size in enumerate(self.shapes[path]):
                if names[axis] is None:
                    free = (n for n in fixed[size] if n not in names)
                    names[axis] = next(free, None) or self._extra(fixed, dims, size)

    def _new(self, dims: Dimensions, size: int) -> str:
        name = f"phony_dim_{self.next_phony}"
        self.next_phony += 1
        dims.sizes[name] = size
        return name

    def _extra(self, fixed: dict[int, list[str]], dims: Dimensions, size: int) -> str:
        fixed[size].append(self._new(dims, size))
        return fixed[size][-1]
