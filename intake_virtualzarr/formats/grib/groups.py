"""Which variables stand in one group: as many as have the same coordinates; else by type of level, and of step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from intake_virtualzarr.formats.grib.cubes import Cube

__all__ = ["grouped"]

type Coordinates = dict[str, object]


def grouped(cubes: list[Cube]) -> Mapping[str, list[Cube]]:
    """Variables by the path of their group: all in the root if one dataset can hold them.

    Else a group has the type of its levels and of its steps as path, such as ``/heightAboveGround/instant``; where variables of one
    such group differ in their levels, those follow: ``/heightAboveGround/instant/2``. What does not fit even then gets a number.
    """
    if _fit(cubes):
        return {"/": cubes}
    groups: dict[str, list[Cube]] = {}
    for path, members in _by(cubes, _path).items():
        if _fit(members):
            groups[path] = members
            continue
        levels = _by(members, _levels)
        for label, part in levels.items():
            base = f"{path}/{label}" if len(levels) > 1 else path
            for k, piece in enumerate(_pieces(part)):
                groups[base if not k else f"{base}_{k + 1}"] = piece
    return groups


def _by(cubes: Iterable[Cube], label: object) -> dict[str, list[Cube]]:
    found: dict[str, list[Cube]] = {}
    for cube in cubes:
        found.setdefault(label(cube), []).append(cube)  # type: ignore[operator]
    return found


def _path(cube: Cube) -> str:
    parts = (cube.level_name, cube.naming.step_type, cube.kind)
    return "".join(f"/{part}" for part in parts if part)


def _levels(cube: Cube) -> str:
    values = dict(cube.axes).get("level", ())
    if len(values) > 3:
        return f"{values[0]:g}_to_{values[-1]:g}_of_{len(values)}"
    return "_".join(f"{value:g}" for value in values) or "no_level"


def _coordinates(cube: Cube) -> Coordinates:
    renamed = {"level": cube.level_name}
    return {"grid": cube.grid, **{renamed.get(name, name): values for name, values in cube.axes}}


def _fit(cubes: list[Cube]) -> bool:
    """Whether one dataset holds all: their names differ, and coordinates of one name are the same."""
    if len({cube.naming.name for cube in cubes}) < len(cubes) or len({cube.kind for cube in cubes}) > 1:
        return False
    seen: Coordinates = {}
    return all(seen.setdefault(name, values) == values for cube in cubes for name, values in _coordinates(cube).items())


def _pieces(cubes: list[Cube]) -> list[list[Cube]]:
    """The fewest lists in the order of the file that each fit."""
    pieces: list[list[Cube]] = []
    for cube in cubes:
        for piece in pieces:
            if _fit([*piece, cube]):
                piece.append(cube)
                break
        else:
            pieces.append([cube])
    return pieces
