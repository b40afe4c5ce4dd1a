"""GRIB messages made by ecCodes, and what ecCodes itself reads of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

ROWS, COLUMNS = 7, 9
SENTINEL = -1e100


def field(ec, values=None, sample="regular_ll_sfc_grib2", **keys) -> bytes:
    """One message: a grid of 7 x 9 points, and keys of ecCodes in their order."""
    handle = ec.codes_grib_new_from_samples(sample)
    grid = {"Ni": COLUMNS, "Nj": ROWS, "latitudeOfFirstGridPointInDegrees": 60, "longitudeOfFirstGridPointInDegrees": 0}
    grid |= {"latitudeOfLastGridPointInDegrees": 54, "longitudeOfLastGridPointInDegrees": 16}
    grid |= {"iDirectionIncrementInDegrees": 2, "jDirectionIncrementInDegrees": 1, "dataDate": 20240105, "dataTime": 600}
    bitmap = values is not None and np.isnan(values).any()
    for key, value in {**grid, "missingValue": SENTINEL, "bitmapPresent": int(bitmap), **keys}.items():
        ec.codes_set(handle, key, value)
    content = some_values() if values is None else np.nan_to_num(values, nan=SENTINEL)
    ec.codes_set_values(handle, np.asarray(content, float).ravel())
    message = ec.codes_get_message(handle)
    ec.codes_release(handle)
    return message


def some_values(seed: int = 0) -> np.ndarray:
    """Smooth numbers with some noise."""
    noise = np.random.default_rng(seed).normal(size=(ROWS, COLUMNS))
    return 280 + seed + np.add.outer(np.arange(ROWS), np.arange(COLUMNS)) / 2 + noise


def fields_of(ec, path: Path) -> list[np.ndarray]:
    """Values of all fields as ecCodes gives them, in rows from the first column on, NaN where a bitmap has none."""
    found = []
    ec.codes_grib_multi_support_on()
    with path.open("rb") as file:
        while (handle := ec.codes_grib_new_from_file(file)) is not None:
            ec.codes_set(handle, "missingValue", SENTINEL)
            values = ec.codes_get_values(handle)
            values[values == SENTINEL] = np.nan
            found.append(_in_rows(ec, handle, values).astype(np.float32).ravel())
            ec.codes_release(handle)
    return found


def _in_rows(ec, handle, values):
    numbers = {}
    for key in ("Nx", "Ny", "alternativeRowScanning", "jPointsAreConsecutive"):
        try:
            numbers[key] = ec.codes_get(handle, key)
        except ec.CodesInternalError:
            numbers[key] = 0
    columns, rows = numbers["Nx"] or 0, numbers["Ny"] or 0
    if columns * rows != values.size:
        return values
    across = numbers["jPointsAreConsecutive"]
    lines = values.reshape((columns, rows) if across else (rows, columns)).copy()
    if numbers["alternativeRowScanning"]:
        lines[1::2] = lines[1::2, ::-1].copy()
    return lines.T if across else lines
