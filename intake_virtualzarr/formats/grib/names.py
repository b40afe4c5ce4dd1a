"""What the field of a message is called: by ecCodes, from a message without values, or by the table of common parameters.

Names, units and levels are those that cfgrib gives. ecCodes is asked once for all fields that differ in time, step, member and
pressure only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from intake_virtualzarr.codecs.grib_library import eccodes, no_eccodes
from intake_virtualzarr.codecs.grib_message import stub1, stub2
from intake_virtualzarr.formats.grib.messages import Field
from intake_virtualzarr.formats.grib.parameters import Naming, common_name
from intake_virtualzarr.formats.grib.product import Layout, layout_of, scaled

__all__ = ["field_keys", "naming_of"]

UNKNOWN = frozenset({"unknown", "undef", "~", "", None})
ISOBARIC, HYBRID, NONE = 100, 105, 255


def naming_of(field: Field) -> Naming | None:
    """The naming of a field; None if nothing here knows it, because ecCodes is not installed."""
    stripped = _stripped(field)
    found = _asked(stripped)
    if found is None:
        return None
    if field.edition == 2 and (layout := layout_of(field)) is not None:
        return _with_level(found, field.product, layout)
    if field.edition == 1 and field.product[9] in (100, 109):
        return replace(found, level=float(int.from_bytes(field.product[10:12], "big")))
    return found


@dataclass(frozen=True, slots=True)
class _Signature:
    """Sections without what does not matter for names."""

    edition: int
    discipline: int
    identification: bytes
    local: bytes
    grid: bytes
    product: bytes


SOME_DATE = bytes([7, 208, 1, 1, 0, 0, 0])


def _stripped(field: Field) -> _Signature:
    if field.edition == 1:
        raw = bytearray(field.product)
        raw[12:17], raw[24] = bytes([100, 1, 1, 0, 0]), 20
        raw[18] = 1 if raw[18] else 0
        raw[19] = raw[18] if raw[20] in (0, 1, 10) else 2
        if raw[9] in (100, 109):
            raw[10:12] = b"\0\1"
        if len(raw) >= 51 and raw[4] == 98 and raw[40] == 1 and raw[49]:
            raw[49] = 1
        return _Signature(1, 0, b"", b"", field.grid, bytes(raw))
    ident = field.identification[:12] + SOME_DATE + field.identification[19:]
    raw = bytearray(field.product)
    layout = layout_of(field)
    if layout is not None:
        raw[layout.unit + 1 : layout.unit + 5] = bytes(4)
        if layout.number is not None:
            raw[layout.number] = 1
        if layout.interval is not None:
            raw[layout.interval : layout.interval + 7] = SOME_DATE
        if _level_is_free(field.product, layout):
            raw[layout.surface + 1 : layout.surface + 6] = b"\0\0\0\x27\x10"
    return _Signature(2, field.discipline, ident, field.local, field.grid, bytes(raw))


def _level_is_free(raw: bytes, layout: Layout) -> bool:
    """Whether no name depends on the level: so it is in all of ecCodes' tables for single pressure and hybrid levels."""
    at = layout.surface
    return raw[at] in (ISOBARIC, HYBRID) and raw[at + 6] == NONE and scaled(raw[at + 1 : at + 6]) is not None


def _with_level(found: Naming, raw: bytes, layout: Layout) -> Naming:
    if not _level_is_free(raw, layout):
        return found
    value = scaled(raw[layout.surface + 1 :][:5])
    assert value is not None
    if raw[layout.surface] == HYBRID:
        return replace(found, level=value)
    # ecCodes cuts 1.5 hPa to 1; below one hPa it gives Pa
    return replace(found, level_type="isobaricInPa", level=value) if value < 100 else replace(found, level=value / 100)


def _stub_of(signature: _Signature) -> bytes:
    """A message without values."""
    if signature.edition == 1:
        return stub1(signature.product, signature.grid)
    sections = {1: signature.identification, 2: signature.local, 3: signature.grid, 4: signature.product}
    return stub2(signature.discipline, sections)


@lru_cache(maxsize=16384)
def _asked(signature: _Signature) -> Naming | None:
    if no_eccodes():
        known = common_name(signature.edition, signature.discipline, signature.identification, signature.product)
        return None if known is None else _with_member(known, signature)
    ec = eccodes("naming a field of GRIB")
    handle = _handle(ec, _stub_of(signature))
    if handle is None:
        return None
    try:
        level = _get(ec, handle, "level", float)  # before the type of the level, which it may change
        param, centre = _get(ec, handle, "paramId"), _get(ec, handle, "centre")
        names = _names(ec, handle, signature, param, centre)
        return replace(
            names,
            level=level,
            level_type=str(_get(ec, handle, "typeOfLevel") or "unknown"),
            step_type=str(_get(ec, handle, "stepType") or "unknown"),
            data_type=str(_get(ec, handle, "dataType") or ""),
            number=_get(ec, handle, "number"),
            sub_centre=_get(ec, handle, "subCentre") or 0,
        )
    finally:
        ec.codes_release(handle)


_NAMES: dict[tuple[Any, ...], Naming] = {}
"""Names by edition, centre and ``paramId``, which ecCodes gives much faster than the names."""


def _names(ec: Any, handle: Any, signature: _Signature, param: int, centre: str) -> Naming:
    key = (signature.edition, centre, param) if param else (signature,)
    if key not in _NAMES:
        keys = ("shortName", "cfVarName", "name", "units", "cfName", "centreDescription")
        short, cf, long, units, standard, description = (str(_get(ec, handle, name) or "unknown") for name in keys)
        name = next((one for one in (cf, short) if one not in UNKNOWN), _made_name(signature))
        if len(_NAMES) > 65536:
            _NAMES.clear()
        _NAMES[key] = Naming(name, short, long, units, standard, param or 0, "", None, "", "", None, centre, description, 0)
    return _NAMES[key]


def _made_name(signature: _Signature) -> str:
    """A name of the numbers of a parameter that has no name: cfgrib calls all of these alike."""
    raw = signature.product
    if signature.edition == 1:
        return f"param_{raw[3]}_{raw[8]}"
    return f"param_{signature.discipline}_{raw[9]}_{raw[10]}"


def _with_member(known: Naming, signature: _Signature) -> Naming:
    raw = signature.product
    member = signature.edition == 1 and len(raw) >= 51 and raw[4] == 98 and raw[40] == 1
    return replace(known, number=raw[49]) if member else known


def _handle(ec: Any, message: bytes) -> Any:
    try:
        return ec.codes_new_from_message(message)
    except ec.CodesInternalError:
        return None


def _get(ec: Any, handle: Any, key: str, kind: type | None = None) -> Any:
    try:
        return ec.codes_get(handle, key, kind) if kind else ec.codes_get(handle, key)
    except ec.CodesInternalError:
        return None


def field_keys(field: Field, keys: tuple[str, ...]) -> tuple[int | None, ...]:
    """Whole numbers that ecCodes knows of a field; None for each that it does not, or if it is not installed."""
    if no_eccodes():
        return (None,) * len(keys)
    ec = eccodes("describing a field of GRIB")
    sections = {1: field.identification, 2: field.local, 3: field.grid, 4: field.product}
    message = stub1(field.product, field.grid) if field.edition == 1 else stub2(field.discipline, sections)
    handle = _handle(ec, message)
    if handle is None:
        return (None,) * len(keys)
    try:
        return tuple(_get(ec, handle, key, int) for key in keys)
    finally:
        ec.codes_release(handle)
