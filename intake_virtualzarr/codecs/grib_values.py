"""The codecs of GRIB: ``grib`` for values, ``grib.latitude`` and ``grib.longitude`` for the points of a grid. Extra ``grib``.

A chunk of values is a whole message; of several fields in it ``field`` names the one. A chunk of coordinates is the section that
describes the grid, of edition 1 with what stands before it. Values come in rows from the first one stored, each from its first
column on, whatever the scanning mode; what a bitmap leaves out is NaN.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from intake_virtualzarr._typing import AnyArray, Attrs
from intake_virtualzarr.codecs.bounded import most_bytes
from intake_virtualzarr.codecs.grib_checks import check_message
from intake_virtualzarr.codecs.grib_gaussian import reduced_points
from intake_virtualzarr.codecs.grib_grid import ALTERNATING, COLUMNS_FIRST, GridShape, grid_shape1, grid_shape2
from intake_virtualzarr.codecs.grib_library import eccodes, gribberish
from intake_virtualzarr.codecs.grib_message import message2, sections_of, signed, stub1, stub2
from intake_virtualzarr.codecs.grib_packing import OWN, unpacked1, unpacked2
from intake_virtualzarr.codecs.registry import Buffer, ChunkSpec, LayoutDecoder, register_layout
from intake_virtualzarr.errors import CodecError, UnsupportedError

__all__: list[str] = []

SENTINEL = -1.0e100
"""Stands for missing values in what ecCodes gives: its own default is a number like others."""
BIT_FOR_BIT = {0, 2, 3, 40, 41}
"""Templates of packing that gribberish decodes into the very numbers of ecCodes."""


@register_layout("grib")
def _grib(configuration: Attrs) -> LayoutDecoder:
    place = configuration.get("field")

    def decode(data: Buffer, chunk: ChunkSpec) -> AnyArray:
        most_bytes(chunk)
        message = bytes(data)
        if len(message) < 20 or message[:4] != b"GRIB":
            raise CodecError(f"bytes that begin with {message[:8]!r} are no GRIB message")
        try:
            if message[7] == 1:
                grid, values = _edition1(message, chunk)
            else:
                grid, values = _edition2(message, None if place is None else int(place), chunk)
        except UnsupportedError as exc:
            raise CodecError(f"GRIB message: {exc}") from exc
        return _in_rows(values, grid).astype(chunk.dtype).reshape(chunk.shape)

    return decode


def _edition1(message: bytes, chunk: ChunkSpec) -> tuple[GridShape, AnyArray]:
    at = 8 + int.from_bytes(message[8:11], "big")
    flags = message[15]
    grid = grid_shape1(message[at : at + _size(message, at)] if flags & 0x80 else b"")
    _check_count(grid.points, chunk)
    at += _size(message, at) if flags & 0x80 else 0
    bitmap = message[at : at + _size(message, at)] if flags & 0x40 else b""
    at += len(bitmap)
    values = unpacked1((bitmap, message[at:-4], message[at + 3 : at + 4]), signed(message[34:36]), grid.points)
    return grid, _by_eccodes(message, grid.points) if values is None else values


def _size(message: bytes, at: int) -> int:
    return int.from_bytes(message[at : at + 3], "big")


def _edition2(message: bytes, place: int | None, chunk: ChunkSpec) -> tuple[GridShape, AnyArray]:
    sections = sections_of(message, place)
    grid = grid_shape2(sections[3])
    _check_count(grid.points, chunk)
    check_message(sections, grid.points)
    template = int.from_bytes(sections[5][9:11], "big")
    values = None
    if template in BIT_FOR_BIT:
        values = _by_gribberish(message2(message[6], sections), grid.points)
    if values is None and template in OWN:
        values = unpacked2(sections, grid.points)
    return grid, _by_eccodes(message2(message[6], sections), grid.points) if values is None else values


def _check_count(points: int, chunk: ChunkSpec) -> None:
    if points != prod(chunk.shape):
        raise CodecError(f"GRIB message has {points} values, expected {chunk.shape}")


def _in_rows(values: AnyArray, grid: GridShape) -> AnyArray:
    """Values with columns as the last axis, each line from its first point on."""
    if grid.rows is None or grid.columns is None:
        return values
    across = grid.scanning & COLUMNS_FIRST
    lines = values.reshape((grid.columns, grid.rows) if across else (grid.rows, grid.columns))
    if grid.scanning & ALTERNATING:
        lines = lines.copy()
        lines[1::2] = lines[1::2, ::-1].copy()
    return lines.T if across else lines


# ---------------------------------------------------------------- libraries


def _by_gribberish(message: bytes, points: int) -> AnyArray | None:
    """Values as gribberish decodes them; None if it is not installed, or cannot."""
    library = gribberish()
    if library is None:
        return None
    try:
        values: AnyArray = np.asarray(library.parse_grib_array(message, 0, False, False), np.float64).reshape(-1)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a panic of Rust is no Exception
        return None
    return values if values.size == points else None


def _opened(ec: Any, message: bytes) -> Any:
    try:
        return ec.codes_new_from_message(message)
    except ec.CodesInternalError as exc:
        raise CodecError(f"GRIB message of {len(message)} bytes is damaged ({exc})") from exc


def _by_eccodes(message: bytes, points: int) -> AnyArray:
    ec = eccodes("reading this GRIB message")
    handle = _opened(ec, message)
    try:
        ec.codes_set(handle, "missingValue", SENTINEL)
        if ec.codes_get_size(handle, "values") != points:
            raise CodecError(f"GRIB message has {ec.codes_get_size(handle, 'values')} values, its grid {points} points")
        values: AnyArray = ec.codes_get_double_array(handle, "values")
    except ec.CodesInternalError as exc:
        raise CodecError(f"GRIB message cannot be decoded ({exc})") from exc
    finally:
        ec.codes_release(handle)
    values[values == SENTINEL] = np.nan
    return values


# ---------------------------------------------------------------- coordinates


SOME_PRODUCT = b"\0\0\0\x22\x04" + bytes(29)
SOME_CENTRE = b"\0\0\0\x15\x01" + bytes([0, 98, 0, 0, 2, 0, 1, 7, 208, 1, 1, 0, 0, 0, 0, 0])


def _coordinate(key: str) -> LayoutDecoder:
    def decode(data: Buffer, chunk: ChunkSpec) -> AnyArray:
        most_bytes(chunk)
        raw = bytes(data)
        try:
            if raw[:4] == b"GRIB":
                size = int.from_bytes(raw[8:11], "big")
                product, section = raw[8 : 8 + size], raw[8 + size :]
                grid, stub = grid_shape1(section), stub1(product, section)
            else:
                grid, stub = grid_shape2(raw), stub2(0, {1: SOME_CENTRE, 3: raw, 4: SOME_PRODUCT})
            if grid.lines:
                latitudes, longitudes = reduced_points(grid)
                _check_count(grid.points, chunk)
                return (latitudes if key == "latitudes" else longitudes).astype(chunk.dtype).reshape(chunk.shape)
        except (UnsupportedError, IndexError) as exc:
            raise CodecError(f"description of a GRIB grid: {exc}") from exc
        _check_count(grid.points, chunk)
        return _points(stub, key, grid.points).astype(chunk.dtype).reshape(chunk.shape)

    return decode


def _points(stub: bytes, key: str, points: int) -> AnyArray:
    ec = eccodes(f"computing {key} of a GRIB grid")
    handle = _opened(ec, stub)
    try:
        values: AnyArray = ec.codes_get_double_array(handle, key)
    except ec.CodesInternalError as exc:
        raise CodecError(f"{key} of a GRIB grid cannot be computed ({exc})") from exc
    finally:
        ec.codes_release(handle)
    if values.size != points:
        raise CodecError(f"GRIB grid has {values.size} {key}, expected {points}")
    return values


@register_layout("grib.latitude")
def _latitude(_configuration: Attrs) -> LayoutDecoder:
    return _coordinate("latitudes")


@register_layout("grib.longitude")
def _longitude(_configuration: Attrs) -> LayoutDecoder:
    return _coordinate("longitudes")
