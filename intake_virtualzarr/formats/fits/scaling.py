"""What stored numbers mean: BITPIX, BZERO, BSCALE and BLANK as a data type, codecs, and attributes of CF packing.

Source: FITS standard 4.0 (2018), section 4.4.2.5 (BSCALE, BZERO, BLANK) and table 11 (unsigned integers).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from intake_virtualzarr._typing import DType, JsonObject
from intake_virtualzarr.codecs.spec import CodecSpec, Pipeline
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.fits.cards import Header, Value

__all__ = ["Numbers", "numbers_of"]

STORED = {8: "u1", 16: "i2", 32: "i4", 64: "i8", -32: "f4", -64: "f8"}
SHIFTED = {(8, -128.0): "i1", (16, 2.0**15): "u2", (32, 2.0**31): "u4", (64, 2.0**63): "u8"}
"""Data types that FITS lacks, kept with a shift by half of their range."""


@dataclass(frozen=True)
class Numbers:
    """The numbers of an image."""

    dtype: DType
    """Data type of the decoded values."""
    stored: DType
    """Data type of the stored values, native byte order."""
    packing: JsonObject
    """``scale_factor``, ``add_offset`` and ``_FillValue``, as far as they are needed."""

    @property
    def codecs(self) -> Pipeline:
        """What makes the data type from the stored one."""
        return () if self.dtype == self.stored else (CodecSpec.of("fits.unsigned"),)


def numbers_of(header: Header, bitpix: int, blank_name: str = "BLANK") -> Numbers:
    """The numbers of an image with so many bits.

    Raises
    ------
    UnsupportedError
        If they are scaled by something that is no number.
    """
    if bitpix not in STORED:
        raise UnsupportedError(f"values of BITPIX {bitpix} are unknown")
    stored = np.dtype(STORED[bitpix])
    try:
        scale, zero = header.real("BSCALE", 1.0), header.real("BZERO", 0.0)
    except FormatError as exc:
        raise UnsupportedError(str(exc)) from None
    if scale == 0:
        raise UnsupportedError("its values are multiplied by 0 (BSCALE)")
    shifted = SHIFTED.get((bitpix, zero)) if scale == 1 else None
    dtype = stored if shifted is None else np.dtype(shifted)
    packing: JsonObject = {}
    if shifted is None and (scale, zero) != (1, 0):
        packing = {"scale_factor": scale, "add_offset": zero}
    blank = _blank(header.values.get(blank_name), stored)
    if blank is not None:
        packing["_FillValue"] = dtype.type(blank + (0 if shifted is None else int(zero)))
    return Numbers(dtype, stored, packing)


def _blank(value: Value | None, stored: DType) -> int | None:
    """The stored number that stands for nothing; None if there is none, or none that the type holds."""
    if stored.kind == "f" or isinstance(value, bool) or not isinstance(value, int):
        return None
    limits = np.iinfo(stored)
    return value if limits.min <= value <= limits.max else None
