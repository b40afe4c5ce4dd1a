"""Numbers in memory that are written as their user asks for: ``scale_factor``, ``add_offset``, ``_FillValue`` and ``dtype``."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import xarray as xr

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.codecs.cf_packing import PACKING_ATTRIBUTES
from intake_virtualzarr.errors import UnsupportedError

__all__ = ["encoded_as_asked", "has_own_encoding"]

ASKED = (*PACKING_ATTRIBUTES, "dtype")
"""Keys of an encoding that change numbers."""


def has_own_encoding(variable: xr.Variable) -> bool:
    """Whether an encoding of numbers is the user's own: one that came with a file names the file."""
    return variable.dtype.kind in "iuf" and "source" not in variable.encoding and any(key in variable.encoding for key in ASKED)


def encoded_as_asked(name: str, variable: xr.Variable) -> xr.Variable:
    """Numbers packed by their encoding.

    Raises
    ------
    UnsupportedError
        If they do not come back to half a step, or gaps do not come back as gaps.
    """
    plain = variable.copy(deep=False)
    plain.encoding = {key: variable.encoding[key] for key in ASKED if key in variable.encoding}
    values = np.asarray(variable)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            encoded = xr.conventions.encode_cf_variable(plain, name=name)
            encoded = xr.Variable(encoded.dims, np.asarray(encoded), encoded.attrs)
            back = np.asarray(xr.conventions.decode_cf_variable(name, encoded))
        except (ValueError, TypeError, OverflowError) as exc:
            raise UnsupportedError(f"{name}: cannot be written as its encoding {plain.encoding} asks: {exc}") from exc
        wrong = _unlike(values, back, _step(plain))
    if wrong.any():
        raise UnsupportedError(
            f"{name}: {values[wrong].ravel()[0]!r} comes back as {back[wrong].ravel()[0]!r} from its encoding {plain.encoding}; "
            "choose a data type that holds all values and a _FillValue for gaps, or drop the encoding"
        )
    return encoded


def _step(variable: xr.Variable) -> float | None:
    """How far apart two numbers of the encoding are; None if they are floats."""
    dtype = np.dtype(variable.encoding.get("dtype", variable.dtype))
    if dtype.kind == "f":
        return None
    return abs(float(variable.encoding.get("scale_factor", 1)))


def _unlike(values: AnyArray, back: AnyArray, step: float | None) -> AnyArray:
    gaps = pd.isnull(values)
    near = np.abs(back - values) <= 0.5001 * step if step is not None else np.isclose(back, values, rtol=1e-2, atol=0)
    return np.asarray(np.where(gaps, ~pd.isnull(back), ~(near | (back == values))))
