"""From the fields of a file to its groups and variables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.codecs.grib_library import EXTRA
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile, ScannedGroup
from intake_virtualzarr.formats.grib.cubes import Cube, Member, cubes_of
from intake_virtualzarr.formats.grib.groups import grouped
from intake_virtualzarr.formats.grib.messages import Field
from intake_virtualzarr.formats.grib.names import field_keys, naming_of
from intake_virtualzarr.formats.grib.parameters import Naming
from intake_virtualzarr.formats.grib.product import UNITS, product_of
from intake_virtualzarr.formats.grib.stored_cubes import coordinates_of, data_variable, grid_coordinates, shape_of
from intake_virtualzarr.storage.source import Source

__all__ = ["scanned_file"]

UNITS_OF_ECCODES = {**UNITS, 14: 900, 15: 1800}
"""Units of steps as ecCodes gives them [seconds]."""


def scanned_file(fields: Iterable[Field], source: Source) -> ScannedFile:
    """The scan of a file; what cannot be named or placed is left out with its reason.

    Raises
    ------
    FormatError
        If nothing is left, and why.
    """
    left = _LeftOut()
    members: list[Member] = []
    for field in fields:
        try:
            members.append(_member(field))
        except UnsupportedError as exc:
            left.add(_codes(field), str(exc))
    cubes, unplaced = cubes_of(members)
    for one in unplaced:
        left.add(one.name, one.reason)
    placed = _with_grids(cubes, source, left)
    groups: dict[str, ScannedGroup] = {"/": ScannedGroup("/", _attrs(members))}
    arrays: dict[str, ScannedArray] = {}
    for path, variables in grouped(list(placed)).items():
        _add_parents(path, groups)
        for cube in variables:
            arrays |= _placed(path, cube, placed[cube], arrays)
    if not arrays:
        name, reason = next(iter(left.reasons.items()))
        raise UnsupportedError(f"{source.url}: no field of it can be stored by reference; {name}: {reason}")
    return ScannedFile(source, "grib", groups, arrays, left.reasons)


class _LeftOut:
    """Reasons by path; what is left out for several reasons has several paths."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def add(self, name: str, reason: str) -> None:
        if reason in self.reasons.values() and f"/{name}" in self.reasons:
            return
        paths = (f"/{name}" if not k else f"/{name}_{k + 1}" for k in count())
        path = next(path for path in paths if self.reasons.get(path, reason) == reason)
        self.reasons[path] = reason


def _member(field: Field) -> Member:
    naming = naming_of(field)
    if naming is None:
        raise UnsupportedError(f"is none of the parameters that are named here without ecCodes: {EXTRA}")
    product = product_of(field, naming.step_type)
    if product.step is None:
        product = replace(product, step=_step(field))
    return Member(field, naming, product)


def _step(field: Field) -> int:
    step, unit = field_keys(field, ("endStep", "stepUnits"))
    if step is None or unit not in UNITS_OF_ECCODES:
        raise UnsupportedError(f"its step follows from rules that ecCodes knows, if anyone: {EXTRA}")
    return step * UNITS_OF_ECCODES[unit]


def _codes(field: Field) -> str:
    if field.edition == 1:
        return f"param_{field.product[3]}_{field.product[8]}"
    return f"param_{field.discipline}_{field.product[9]}_{field.product[10]}" if len(field.product) > 10 else "param"


type _Coordinates = dict[str, ScannedArray]
type _Made = tuple[ScannedArray, _Coordinates]


def _with_grids(cubes: Iterable[Cube], source: Source, left: _LeftOut) -> dict[Cube, _Made]:
    """Variables and their coordinates, without paths."""
    placed: dict[Cube, _Made] = {}
    for cube in cubes:
        try:
            grid = shape_of(cube.members[0].field)
            coordinates = coordinates_of(cube)
            try:
                coordinates |= grid_coordinates(cube.members[0].field, grid, source)
            except UnsupportedError as exc:  # values are there all the same
                for name in ("latitude", "longitude"):
                    left.add(name, f"of {cube.naming.name}: {exc}")
            names = " ".join(name for name, array in coordinates.items() if array.dims != (name,))
            placed[cube] = (data_variable("", cube, grid, source, names), coordinates)
        except UnsupportedError as exc:
            left.add(cube.naming.name, str(exc))
    return placed


def _add_parents(path: str, groups: dict[str, ScannedGroup]) -> None:
    parts = path.strip("/").split("/") if path != "/" else []
    for depth in range(1, len(parts) + 1):
        parent = "/" + "/".join(parts[:depth])
        groups.setdefault(parent, ScannedGroup(parent, {}))


def _placed(path: str, cube: Cube, made: _Made, arrays: dict[str, ScannedArray]) -> dict[str, ScannedArray]:
    variable, coordinates = made
    base = path.rstrip("/")
    own = {f"{base}/{name}": array for name, array in coordinates.items()}
    if cube.naming.name in coordinates:
        raise FormatError(f"a variable has the name of its coordinate {cube.naming.name!r}")
    new = {at: replace(array, path=at) for at, array in own.items() if at not in arrays}
    at = f"{base}/{cube.naming.name}"
    return {**new, at: replace(variable, path=at)}


def _attrs(members: Iterable[Member]) -> JsonObject:
    """Attributes of the file: the centre and edition, if there is one."""
    attrs: JsonObject = {"Conventions": "CF-1.7"}
    namings: list[Naming] = [member.naming for member in members]
    editions = {member.field.edition for member in members}
    if len(editions) == 1:
        attrs["GRIB_edition"] = editions.pop()
    if len({naming.centre for naming in namings}) == 1:
        attrs |= {"GRIB_centre": namings[0].centre, "institution": namings[0].centre_name}
    return attrs
