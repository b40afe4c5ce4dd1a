"""GDAL's metadata of an image: values that stand for nothing, scale and offset, names of bands.

Source: GDAL's documentation of its GeoTIFF driver (tags 42112 and 42113).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import numpy as np

from intake_virtualzarr._typing import DType, JsonObject
from intake_virtualzarr.formats.tiff.directories import Directory

__all__ = ["Metadata", "metadata_of"]

METADATA, NODATA = 42112, 42113
DESCRIPTION, SOFTWARE, DATE = 270, 305, 306
ODD_NAN = re.compile(r"[-+]?(1\.#(QNAN|IND|SNAN)|nan(\(.*\))?)", re.IGNORECASE)
"""How C libraries of Microsoft print what is not a number."""
LARGEST_XML = 1_000_000
"""Longer metadata are left out: nobody writes them by hand, and parsers of XML can be made to grow [characters]."""


@dataclass(frozen=True)
class Metadata:
    """Attributes of an image and of its bands."""

    nodata: Any = None
    """Value that stands for nothing, in the data type; None if there is none, or none that the type holds."""
    attrs: JsonObject = field(default_factory=dict)
    """Attributes of the variable."""


def metadata_of(directory: Directory, dtype: DType, bands: int) -> Metadata:
    """Read the metadata of an image."""
    nodata = _nodata(directory.text(NODATA), dtype)
    attrs: JsonObject = {}
    for tag, name in ((DESCRIPTION, "description"), (SOFTWARE, "software"), (DATE, "date")):
        if directory.text(tag):
            attrs[name] = directory.text(tag)
    texts, by_band = _items(directory.text(METADATA))
    attrs |= {name: text for name, text in texts.items() if name not in attrs}
    if nodata is not None:
        attrs["_FillValue"] = nodata
    attrs |= _scaling(by_band, bands)
    names = [by_band.get("description", {}).get(band, "") for band in range(bands)]
    if any(names):
        attrs["long_name"] = names[0] if bands == 1 else names
    return Metadata(nodata, attrs)


def _items(text: str | None) -> tuple[dict[str, str], dict[str, dict[int, str]]]:
    """Items of the image by name, and those with a role by role and band."""
    if not text or len(text) > LARGEST_XML or "<!" in text:  # no declarations of entities, which could grow
        return {}, {}
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return {}, {}
    texts: dict[str, str] = {}
    roles: dict[str, dict[int, str]] = {}
    for item in root.iter("Item"):
        name, band, role = item.get("name"), item.get("sample"), item.get("role")
        if role is not None and band is not None and band.isdecimal():
            roles.setdefault(role, {})[int(band)] = item.text or ""
        elif name and band is None and item.get("domain") in (None, "") and "/" not in name:
            texts[name] = item.text or ""
    return texts, roles


def _scaling(by_band: dict[str, dict[int, str]], bands: int) -> JsonObject:
    """``scale_factor`` and ``add_offset`` where all bands share them, else ``scales`` and ``offsets`` as rioxarray names them."""
    scales, offsets = _numbers(by_band.get("scale", {}), 1.0, bands), _numbers(by_band.get("offset", {}), 0.0, bands)
    if scales is None or offsets is None or (set(scales) == {1.0} and set(offsets) == {0.0}):
        return {}
    if len(set(scales)) == 1 and len(set(offsets)) == 1:
        return {"scale_factor": scales[0], "add_offset": offsets[0]}
    return {"scales": list(scales), "offsets": list(offsets)}


def _numbers(texts: dict[int, str], usual: float, bands: int) -> Sequence[float] | None:
    try:
        values = [float(texts.get(band, usual)) for band in range(bands)]
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def _nodata(text: str | None, dtype: DType) -> Any:
    if text is None or dtype.kind not in "iufc":
        return None
    text = text.strip()
    if ODD_NAN.fullmatch(text):
        text = "nan"
    try:
        if dtype.kind in "iu":
            number = int(text) if re.fullmatch(r"[-+]?\d{1,30}", text) else float(text)
            whole = int(number)
            limits = np.iinfo(dtype)
            return dtype.type(whole) if whole == number and limits.min <= whole <= limits.max else None
        with np.errstate(over="ignore"):
            return dtype.type(float(text))
    except (ValueError, OverflowError):
        return None
