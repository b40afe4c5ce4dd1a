"""CF packing of one variable: what turns stored numbers into values, in xarray's precision.

The rules and the order of steps are those of CF conventions 8.1 and 2.5.1, the choice of floating-point type is that of
``xarray.coding.variables`` so that arrays decoded here hold the same bits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, Attrs, DType
from intake_virtualzarr.errors import UnsupportedError

__all__ = ["PACKING_ATTRIBUTES", "Packing", "calendar_name", "is_duration", "is_encoded_time", "is_time_units", "time_units"]

PACKING_ATTRIBUTES = ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned")
"""Attributes that say how stored numbers become values."""


def is_time_units(units: object) -> bool:
    """Whether a ``units`` attribute is that of a time coordinate (``"days since 2000-01-01"``)."""
    return isinstance(units, str) and " since " in units


def is_duration(attrs: Attrs) -> bool:
    """Whether numbers are durations: xarray writes the data type to decode them into beside their ``units``."""
    return str(attrs.get("dtype", "")).startswith("timedelta64") and isinstance(attrs.get("units"), str)


CALENDARS = {
    **dict.fromkeys(("gregorian", "proleptic_gregorian"), "standard"),
    "365_day": "noleap",
    "366_day": "all_leap",
}
"""Names under which calendars are known (CF 4.4.1), and those that share all dates since 1582 with others."""


def calendar_name(name: str) -> str:
    """One name for calendars of several names."""
    return CALENDARS.get(name.lower(), name.lower())


PLAIN_DATE = re.compile(r"(\w+) +since +(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d)(?:\.0+)?)? *Z?", re.ASCII)


def is_encoded_time(attrs: Attrs) -> bool:
    """Whether numbers count time: from a date, or as durations."""
    return is_time_units(attrs.get("units")) or is_duration(attrs)


def time_units(attrs: Attrs) -> str | None:
    """What numbers count if they are times or durations: units (in one spelling for plain ones) and calendar; else None."""
    units = attrs.get("units")
    if not isinstance(units, str) or not is_encoded_time(attrs):
        return None
    plain = PLAIN_DATE.fullmatch(units)
    text = f"{plain[1]} since {plain[2]} {plain[3] or '00:00:00'}" if plain else units
    return f"{text}, {calendar_name(str(attrs.get('calendar', 'standard')))} calendar" if is_time_units(units) else text


@dataclass(frozen=True, slots=True)
class Packing:
    """How stored values become values: reinterpret, mask, cast, scale, shift."""

    dtype: DType
    """Data type in which the arithmetic is done, and of the result."""
    unsigned: bool | None = None
    """True: signed integers are read as unsigned; False: unsigned as signed; None: neither."""
    mask: tuple[int | float, ...] = ()
    """Stored values (after ``unsigned``) that mean "missing"."""
    scale_factor: float | None = None
    """Factor, or None for no multiplication."""
    add_offset: float | None = None
    """Added after the factor, or None for no addition."""
    odd: str | None = None
    """Why stored values cannot be decoded here (a factor that is text, or has two elements); they are never taken for values."""

    @classmethod
    def from_attrs(cls, attrs: Attrs, dtype: DType) -> Packing | None:
        """Read the packing attributes of a numeric variable.

        Parameters
        ----------
        attrs : mapping
            Attributes of the variable.
        dtype : numpy.dtype
            Stored data type.

        Returns
        -------
        Packing or None
            None if stored values are the values: no packing attribute, or a data type that has no packing.
        """
        if not any(name in attrs for name in PACKING_ATTRIBUTES):
            return None
        odd = _oddness(attrs, dtype)
        if odd is not None:
            return cls(dtype, odd=odd)
        if dtype.kind not in "iuf":
            return None
        unsigned = _unsigned(attrs.get("_Unsigned"), dtype)
        raw = dtype
        if unsigned is not None:
            raw = np.dtype(f"{'u' if unsigned else 'i'}{dtype.itemsize}")
        markers = _markers(attrs, dtype, raw)
        mask = tuple(dict.fromkeys(n for n in (_as_stored(marker, raw) for marker in markers) if n is not None))
        scale, offset = _number(attrs.get("scale_factor")), _number(attrs.get("add_offset"))
        if scale is not None or offset is not None:
            # a float variable whose only marker is NaN keeps its type: xarray takes it for one that the mask has cast
            nan_only = dtype.kind == "f" and not markers and ("_FillValue" in attrs or "missing_value" in attrs)
            result = raw if nan_only else _packed_dtype(raw, scale, offset)
        elif markers:
            result = _masked_dtype(raw)  # also for a marker that is text: it hits nothing, and xarray makes place for NaN
        else:
            result = raw
        if unsigned is None and not markers and scale is None and offset is None:
            return None
        return cls(
            np.dtype(result),
            unsigned,
            mask,
            None if scale is None else float(scale),
            None if offset is None else float(offset),
        )

    def decode(self, stored: AnyArray) -> AnyArray:
        """Decode stored values; the result is a new array."""
        out = np.empty(stored.shape, dtype=self.dtype)
        self.decode_into(stored, out)
        return out

    def decode_into(self, stored: AnyArray, out: AnyArray) -> None:
        """Decode stored values into an array of this packing's data type and the same shape.

        Raises
        ------
        UnsupportedError
            If the packing is odd.
        """
        if self.odd is not None:
            raise UnsupportedError(f"stored numbers cannot be decoded: {self.odd}")
        values = stored
        if self.unsigned is not None and values.dtype.kind in "iu":
            values = values.view(f"{'u' if self.unsigned else 'i'}{values.dtype.itemsize}")
        missing: npt.NDArray[np.bool_] | None = None
        for number in self.mask:
            hit = values == values.dtype.type(number)
            missing = hit if missing is None else missing | hit
        np.copyto(out, values, casting="unsafe")
        if missing is not None:
            np.copyto(out, np.nan, where=missing, casting="unsafe")
        if self.scale_factor is not None:
            np.multiply(out, self._operand(self.scale_factor), out=out, casting="same_kind")
        if self.add_offset is not None:
            np.add(out, self._operand(self.add_offset), out=out, casting="same_kind")

    def _operand(self, number: float) -> Any:
        """The number in the working precision; one that would lose digits there stays float64 (NumPy rounds the result)."""
        rounded = self.dtype.type(number)
        return rounded if float(rounded) == number else np.float64(number)


def _oddness(attrs: Attrs, dtype: DType) -> str | None:
    """What in the attributes has no meaning for stored values of a type; None if they can be decoded."""
    for name in ("scale_factor", "add_offset"):
        value = attrs.get(name)
        if value is not None and _number(value) is None:
            return f"{name} is {value!r}, expected one real number"
    if dtype.kind in "iuf":
        return None
    given = [name for name in ("scale_factor", "add_offset") if attrs.get(name) is not None]
    given += [name for name in ("_FillValue", "missing_value") if _listed(attrs.get(name))]
    return f"{given[0]} is {attrs[given[0]]!r} beside values of type {dtype}" if given else None


def _number(value: object) -> np.generic | None:
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.size != 1:
        return None
    number: np.generic = array.reshape(-1)[0]
    return number


def _unsigned(attr: object, dtype: DType) -> bool | None:
    # xarray: "true" on signed integers reads them as unsigned, "false" on unsigned ones as signed (OPeNDAP); else no effect.
    text = str(attr)
    if dtype.kind == "i" and text == "true":
        return True
    if dtype.kind == "u" and text == "false":
        return False
    return None


def _markers(attrs: Attrs, dtype: DType, raw: DType) -> list[Any]:
    """Missing-value markers; NaN does not count (xarray drops it: NaN is missing without a marker).

    ``_FillValue`` is given in the stored data type and follows ``_Unsigned``; ``missing_value`` is compared as it is given.
    """
    fills, others = (_listed(attrs.get(name)) for name in ("_FillValue", "missing_value"))
    if raw == dtype:
        return [*fills, *others]
    return [*(_reinterpreted(v, dtype, raw) for v in fills), *(v for v in others if v not in fills)]


def _listed(value: Any) -> list[Any]:
    values = [] if value is None else list(np.ravel(np.asarray(value)))
    return [v for v in values if np.asarray(v).dtype.kind not in "fc" or not np.isnan(v)]


def _reinterpreted(value: Any, dtype: DType, raw: DType) -> Any:
    if np.asarray(value).dtype.kind not in "iuf" or not np.isfinite(value):
        return value
    whole, info = int(value), np.iinfo(dtype)
    if whole != value or not info.min <= whole <= info.max:
        return value
    return int(np.array(whole, dtype).view(raw))


def _as_stored(value: Any, raw: DType) -> int | float | None:
    """A missing-value marker as a number of the data type ``raw``; None if no stored value can equal it."""
    if np.asarray(value).dtype.kind == "c":  # NumPy compares numbers with complex ones
        value = value.real if value.imag == 0 else np.inf
    if np.asarray(value).dtype.kind not in "iuf":
        return None
    if raw.kind == "f":
        number = float(value)
        # NumPy and xarray compare float32 values with a float64 marker in float64
        with np.errstate(over="ignore"):
            return number if float(raw.type(number)) == number else None
    if not np.isfinite(value) or int(value) != value:
        return None
    whole, info = int(value), np.iinfo(raw)
    return whole if info.min <= whole <= info.max else None


def _packed_dtype(raw: DType, scale: np.generic | None, offset: np.generic | None) -> DType:
    """The choice of ``xarray.coding.variables._choose_float_dtype`` with scale_factor or add_offset present.

    Except that a scale factor that is an integer gives float64: xarray decodes into its type, which may hold neither NaN nor
    the values (those of int32 with an int16 factor wrap around).
    """
    if scale is not None and offset is not None and scale.dtype == offset.dtype and scale.dtype in ("f4", "f8"):
        if raw.itemsize == 4 and raw.kind in "iu":
            return np.dtype("f8")
        return scale.dtype
    if offset is not None:
        return np.dtype("f8")
    assert scale is not None
    return scale.dtype if scale.dtype.kind == "f" else np.dtype("f8")


def _masked_dtype(raw: DType) -> DType:
    """The choice of ``xarray.core.dtypes.maybe_promote``: small integers fit float32 exactly."""
    if raw.kind == "f":
        return raw
    return np.dtype("f4" if raw.itemsize <= 2 else "f8")
