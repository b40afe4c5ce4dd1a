"""What the sections of a field say of time, level, member and the like, as far as these differ from field to field.

Source: WMO-No. 306, volume I.2: code tables 4.0 to 4.5 and 4.10 of edition 2; code tables 3, 4 and 5 of edition 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from intake_virtualzarr.codecs.grib_message import signed
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.formats.grib.messages import Field

__all__ = ["LAYOUTS", "UNITS", "Layout", "Product", "layout_of", "product_of", "reference_time", "scaled"]

UNITS = {0: 60, 1: 3600, 2: 86400, 10: 3 * 3600, 11: 6 * 3600, 12: 12 * 3600, 13: 1}
"""Units of time of edition 2 that are of one length [seconds]."""
UNITS_1 = {0: 60, 1: 3600, 2: 86400, 10: 3 * 3600, 11: 6 * 3600, 12: 12 * 3600, 13: 900, 14: 1800, 254: 1}
"""The same of edition 1 [seconds]."""
MISSING = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a product definition template stand in section 4, counted from 0."""

    unit: int = 17
    """Unit of the forecast time, which follows."""
    surface: int = 22
    """Type, scale factor and value of the first surface, and of the second."""
    number: int | None = None
    """Number of the ensemble member."""
    derived: int | None = None
    """What is derived of all members."""
    percentile: int | None = None
    probability: int | None = None
    """Type of the probability, and both limits."""
    interval: int | None = None
    """End of the time interval, and what was done over it."""
    wavelength: int | None = None
    """Scale factor and value of the first wavelength."""


LAYOUTS = {
    0: Layout(),
    1: Layout(number=35),
    2: Layout(derived=34),
    5: Layout(probability=36),
    6: Layout(percentile=34),
    7: Layout(),
    8: Layout(interval=34),
    9: Layout(probability=36, interval=47),
    10: Layout(percentile=34, interval=35),
    11: Layout(number=35, interval=37),
    12: Layout(derived=34, interval=36),
    15: Layout(),
    40: Layout(19, 24),
    41: Layout(19, 24, number=37),
    42: Layout(19, 24, interval=36),
    43: Layout(19, 24, number=37, interval=39),
    48: Layout(41, 46, wavelength=25),
    49: Layout(41, 46, wavelength=25, number=59),
    60: Layout(number=35),
    61: Layout(number=35, interval=44),
}
"""By number of the template. Fields of others are described by ecCodes alone."""


@dataclass(frozen=True, slots=True)
class Product:
    """What differs between the fields of one variable."""

    time: int
    """Reference time [seconds since 1970-01-01]."""
    step: int | None
    """From the reference time to the end of the interval, or to the moment [seconds]; None: only ecCodes knows."""
    number: int | None = None
    percentile: int | None = None
    threshold: float | None = None
    wavelength: float | None = None
    """[m]"""
    kind: str = ""
    """What sets fields apart beside their parameter: ``"percentile"``, ``"probability_1"``, ``"derived_0"``."""


def scaled(raw: bytes) -> float | None:
    """A scale factor of one byte and a value of four; None if missing."""
    if len(raw) < 5 or raw[0] == 0xFF or raw[1:5] == b"\xff\xff\xff\xff":
        return None
    factor, value = signed(raw[:1]), signed(raw[1:5])
    return float(value * 10**-factor) if factor <= 0 else value / 10**factor


def layout_of(field: Field) -> Layout | None:
    """The layout of section 4 of a field of edition 2, if it is known here and the section is long enough."""
    layout = LAYOUTS.get(int.from_bytes(field.product[7:9], "big"))
    if layout is None:
        return None
    sizes = {"surface": 12, "number": 1, "derived": 1, "percentile": 1, "probability": 11, "interval": 19, "wavelength": 5}
    ends = (at + size for name, size in sizes.items() if (at := getattr(layout, name)) is not None)
    return layout if len(field.product) >= max(ends) else None


def reference_time(field: Field) -> int:
    """The reference time [seconds since 1970-01-01].

    Raises
    ------
    UnsupportedError
        If it is no date: climatologies have months without a year.
    """
    if field.edition == 2:
        raw = field.identification
        parts = (int.from_bytes(raw[12:14], "big"), *raw[14:19])
    else:
        raw = field.identification
        parts = ((raw[24] - 1) * 100 + raw[12], *raw[13:17], 0)
    return _seconds(parts)


def _seconds(parts: tuple[int, ...]) -> int:
    try:
        moment = datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError as exc:
        raise UnsupportedError(f"its time {parts} is no date") from exc
    return round(moment.timestamp())


def product_of(field: Field, step_type: str) -> Product:
    """Read what differs between the fields of a variable.

    Raises
    ------
    UnsupportedError
        If time is counted in months, or there is no date.
    """
    time = reference_time(field)
    if field.edition == 1:
        return Product(time, _step1(field.product, step_type), _number1(field.product))
    layout = layout_of(field)
    if layout is None:
        return Product(time, None)
    raw = field.product
    kind = "percentile" if layout.percentile is not None else ""
    if layout.derived is not None:
        kind = f"derived_{raw[layout.derived]}"
    threshold = None
    if layout.probability is not None:
        kind, threshold = _probability(raw[layout.probability :])
    return Product(
        time,
        _step(raw, layout),
        None if layout.number is None else raw[layout.number],
        None if layout.percentile is None else raw[layout.percentile],
        threshold,
        None if layout.wavelength is None else scaled(raw[layout.wavelength :][:5]),
        kind,
    )


def _probability(raw: bytes) -> tuple[str, float | None]:
    """The kind of a probability and its limit: the upper one of events above it, else the lower."""
    lower, upper = scaled(raw[1:6]), scaled(raw[6:11])
    chosen = upper if raw[0] in (1, 4) or lower is None else lower
    return f"probability_{raw[0]}", chosen


def _unit(number: int, units: dict[int, int]) -> int:
    if number not in units:
        raise UnsupportedError(f"its time is counted in unit {number} of the code table, which has no fixed length")
    return units[number]


def _step(raw: bytes, layout: Layout) -> int | None:
    at = layout.unit
    start = signed(raw[at + 1 : at + 5]) * _unit(raw[at], UNITS)
    if layout.interval is None:
        return start
    interval = raw[layout.interval :]
    if interval[7] != 1:
        return None
    increment, unit, length = interval[13], interval[14], int.from_bytes(interval[15:19], "big")
    if increment == 1 or length == MISSING or unit not in UNITS:
        return None
    return start + length * UNITS[unit]


def _step1(raw: bytes, step_type: str) -> int:
    first, second, indicator = raw[18], raw[19], raw[20]
    if indicator == 10:
        count = first << 8 | second
    elif step_type == "instant" or (step_type == "accum" and indicator == 0):
        count = first
    else:
        count = second
    return count * _unit(raw[17], UNITS_1) if count else 0


def _number1(raw: bytes) -> int | None:
    """The member as ECMWF's local definition 1 has it."""
    return raw[49] if _has_member(raw) else None


def _has_member(raw: bytes) -> bool:
    return len(raw) >= 51 and raw[4] == 98 and raw[40] == 1
