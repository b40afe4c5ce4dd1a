"""Fields of one variable as a cube: which member, time, step and level each of them has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.formats.grib.messages import Field
from intake_virtualzarr.formats.grib.parameters import Naming
from intake_virtualzarr.formats.grib.product import Product

__all__ = ["AXES", "Cube", "Member", "Unplaced", "cubes_of"]

AXES = ("number", "time", "step", "level", "percentile", "threshold", "wavelength")
"""In this order the axes of a variable stand, before those of its grid; one of a single value is a scalar coordinate."""
FALLING = frozenset({"isobaricInhPa", "isobaricInPa"})
"""Levels that are listed from the highest value on, as cfgrib does."""
SPARSE, SMALL = 16, 4096
"""A cube may have so many places for each field, and so many in any case."""


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One field with all that is known of it."""

    field: Field
    naming: Naming
    product: Product

    @property
    def at(self) -> tuple[float | None, ...]:
        """Its place along each of `AXES`."""
        p, number = self.product, self.product.number
        number = self.naming.number if number is None else number
        return (number, p.time, p.step, self.naming.level, p.percentile, p.threshold, p.wavelength)


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A variable that is left out."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Cube:
    """One variable."""

    naming: Naming
    kind: str
    """What sets it apart from others of its name: ``"percentile"``, ``"derived_0"``; the type of data where that is needed."""
    grid: bytes
    """The section that describes its grid."""
    axes: tuple[tuple[str, tuple[float, ...]], ...]
    """Coordinates by name of the axis, in their order; one value for a scalar."""
    members: tuple[Member, ...]
    places: AnyArray
    """Index of each member along the axes that have several values, shape (members, axes)."""

    @property
    def level_name(self) -> str:
        """Name of the coordinate of levels."""
        return self.naming.level_type if self.naming.level_type not in ("unknown", "undef") else "level"

    @property
    def long_axes(self) -> tuple[tuple[str, tuple[float, ...]], ...]:
        """Axes of several values."""
        return tuple(axis for axis in self.axes if len(axis[1]) > 1)


def cubes_of(members: Iterable[Member]) -> tuple[list[Cube], list[Unplaced]]:
    """One cube for each variable, and what is refused because several fields claim one place."""
    found: dict[tuple[object, ...], list[Member]] = {}
    for member in members:
        n = member.naming
        key = (n.name, n.param_id, n.level_type, n.step_type, member.product.kind, member.field.edition, member.field.grid)
        found.setdefault(key, []).append(member)
    cubes: list[Cube] = []
    unplaced: list[Unplaced] = []
    for several in found.values():
        for part, kind in _by_data_type(several):
            made = _cube(part, kind)
            if isinstance(made, Cube):
                cubes.append(made)
            else:
                unplaced.append(made)
    return cubes, unplaced


def _by_data_type(members: list[Member]) -> list[tuple[list[Member], str]]:
    """Members in one, or apart by their type of data (analysis, forecast) if these claim the same places."""
    kind = members[0].product.kind
    if len({member.at for member in members}) == len(members):
        return [(members, kind)]
    types: dict[str, list[Member]] = {}
    for member in members:
        types.setdefault(member.naming.data_type, []).append(member)
    if len(types) == 1:
        return [(members, kind)]
    return [(part, "_".join(filter(None, (kind, name)))) for name, part in types.items()]


def _cube(members: Sequence[Member], kind: str) -> Cube | Unplaced:
    naming = members[0].naming
    columns = list(zip(*(member.at for member in members), strict=True))
    axes: list[tuple[str, tuple[float, ...]]] = []
    for name, column in zip(AXES, columns, strict=True):
        known = {value for value in column if value is not None}
        if known and len(known) < len(set(column)):
            return Unplaced(naming.name, f"some of its {len(members)} fields say their {name}, and some do not")
        if known:
            falling = name == "level" and naming.level_type in FALLING
            axes.append((name, tuple(sorted(known, reverse=falling))))
    long = [(name, _index(values)) for name, values in axes if len(values) > 1]
    shape = [len(index) for _, index in long]
    if np.prod(shape, dtype=float) > SPARSE * len(members) + SMALL:
        names = ", ".join(f"{name} {len(index)}" for name, index in long)
        return Unplaced(naming.name, f"its {len(members)} fields are few of all combinations ({names}); open parts of the file")
    places = np.array([[index[member.at[AXES.index(name)]] for name, index in long] for member in members], np.int64)
    places = places.reshape(len(members), len(long))
    if len(np.unique(places, axis=0)) < len(members) if long else len(members) > 1:
        return Unplaced(naming.name, _twice(members))
    return Cube(naming, kind, members[0].field.grid, tuple(axes), tuple(members), places)


def _index(values: Sequence[float]) -> dict[float | None, int]:
    return {value: k for k, value in enumerate(values)}


def _twice(members: Sequence[Member]) -> str:
    seen: dict[tuple[float | None, ...], Member] = {}
    for member in members:
        other = seen.setdefault(member.at, member)
        if other is not member:
            where = ", ".join(f"{name} {value:g}" for name, value in zip(AXES, member.at, strict=True) if value is not None)
            first, second = other.field.offset, member.field.offset
            return f"the fields at bytes {first} and {second} have the same {where}; which of them is meant cannot be told"
    return "several of its fields have the same keys"
