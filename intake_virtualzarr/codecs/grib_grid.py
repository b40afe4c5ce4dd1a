"""How the values of a message of GRIB lie on its grid: rows and columns, and the order of both.

Source: WMO-No. 306, volume I.2: code table 3.1 and flag table 3.4 of edition 2; code table 6 and flag table 8 of edition 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from intake_virtualzarr.errors import UnsupportedError

__all__ = ["ALTERNATING", "COLUMNS_FIRST", "I_NEGATIVE", "J_POSITIVE", "MOST_POINTS", "GridShape", "grid_shape1", "grid_shape2"]

MOST_POINTS = 2**30
"""Points of one grid; the densest models have less than a tenth."""
MOST_LINE = 2**20
"""Rows, and columns, of one grid."""
I_NEGATIVE, J_POSITIVE, COLUMNS_FIRST, ALTERNATING, STAGGERED = 128, 64, 32, 16, 15
"""Bits of the scanning mode."""
MISSING, MISSING_1 = 0xFFFFFFFF, 0xFFFF

SCANNING_2 = {0: 71, 1: 71, 10: 59, 20: 64, 30: 64, 31: 64, 40: 71, 41: 71, 140: 63}
KINDS_2 = {
    0: "regular_ll",
    1: "rotated_ll",
    10: "mercator",
    20: "polar_stereographic",
    30: "lambert",
    31: "albers",
    40: "regular_gg",
    41: "rotated_gg",
    140: "lambert_azimuthal_equal_area",
    50: "sh",
    51: "rotated_sh",
    52: "stretched_sh",
    53: "stretched_rotated_sh",
    101: "unstructured_grid",
}
KINDS_1 = {
    0: "regular_ll",
    1: "mercator",
    3: "lambert",
    4: "regular_gg",
    5: "polar_stereographic",
    10: "rotated_ll",
    14: "rotated_gg",
    50: "sh",
}
"""Grids as ecCodes calls them, by number of the template."""


@dataclass(frozen=True, slots=True)
class GridShape:
    """The shape of a grid, and the order of its points."""

    kind: str
    """ecCodes' ``gridType``."""
    rows: int | None
    """None where points are one list: reduced and unstructured grids."""
    columns: int | None
    points: int
    scanning: int
    """Flags of the scanning mode."""
    lines: tuple[int, ...] = ()
    """Points of each row of a reduced grid."""
    parallels: int = 0
    """Parallels between a pole and the equator of a reduced Gaussian grid."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values, rows first."""
        return (self.points,) if self.rows is None or self.columns is None else (self.rows, self.columns)


def grid_shape2(section: bytes) -> GridShape:
    """The shape of the grid of section 3 of edition 2.

    Raises
    ------
    UnsupportedError
        If the grid is of no kind that is known, or larger than any.
    """
    template = int.from_bytes(section[12:14], "big")
    kind = _known(template, KINDS_2, "template 3.")
    points = int.from_bytes(section[6:10], "big")
    if section[5] not in (0, 255) or kind == "unstructured_grid":
        return _checked(GridShape(kind, None, None, points, 0))
    at = SCANNING_2[template]
    if len(section) <= at:
        raise UnsupportedError(f"its {kind} grid is described in {len(section)} bytes, which is too short")
    columns, rows = int.from_bytes(section[30:34], "big"), int.from_bytes(section[34:38], "big")
    if columns == MISSING:
        lines = _lines(section[at + 1 :], rows, section[10])
        parallels = int.from_bytes(section[67:71], "big")
        return _checked(GridShape(kind.replace("regular", "reduced"), None, None, points, section[at], lines, parallels))
    return _checked(GridShape(kind, rows, columns, points, section[at]))


def grid_shape1(section: bytes) -> GridShape:
    """The shape of the grid of section 2 of edition 1. Errors as those of `grid_shape2`."""
    if not section:
        raise UnsupportedError("it names a grid of a catalogue instead of describing one")
    kind = _known(section[5], KINDS_1, "type ")
    if len(section) < 28:
        raise UnsupportedError(f"its {kind} grid is described in {len(section)} bytes, which is too short")
    columns, rows = int.from_bytes(section[6:8], "big"), int.from_bytes(section[8:10], "big")
    if columns == MISSING_1:
        start = section[4] - 1 + 4 * section[3]
        lines = _lines(section[start:], rows, 2)
        parallels = int.from_bytes(section[25:27], "big")
        return _checked(GridShape(kind.replace("regular", "reduced"), None, None, sum(lines), section[27], lines, parallels))
    return _checked(GridShape(kind, rows, columns, rows * columns, section[27]))


def _lines(raw: bytes, rows: int, size: int) -> tuple[int, ...]:
    """Points of each row of a reduced grid."""
    listed = raw[: rows * size]
    if not size or len(listed) < rows * size:
        raise UnsupportedError("its list of points in each row is cut short")
    return tuple(int.from_bytes(listed[k : k + size], "big") for k in range(0, len(listed), size))


def _known(number: int, kinds: dict[int, str], what: str) -> str:
    if number not in kinds:
        raise UnsupportedError(f"its grid is of {what}{number}, which is not known here")
    if kinds[number].endswith("sh"):
        raise UnsupportedError("it holds coefficients of spherical harmonics, not values on a grid")
    return kinds[number]


def _checked(grid: GridShape) -> GridShape:
    lines = max(grid.rows or 0, grid.columns or 0)
    if not 0 < grid.points <= MOST_POINTS or lines > MOST_LINE:
        raise UnsupportedError(f"its grid has the shape {grid.shape}; at most {MOST_LINE} in a line and {MOST_POINTS} are read")
    if grid.rows is not None and grid.rows * (grid.columns or 0) != grid.points:
        raise UnsupportedError(f"its grid has {grid.points} points, but the shape {grid.shape}")
    if grid.scanning & STAGGERED:
        raise UnsupportedError("its rows are shifted against each other (scanning mode)")
    if grid.rows is None and grid.scanning & (ALTERNATING | COLUMNS_FIRST):
        raise UnsupportedError(f"its {grid.kind} grid has the scanning mode {grid.scanning}")
    return grid
