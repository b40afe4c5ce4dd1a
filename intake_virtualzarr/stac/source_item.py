"""`SourceItem`: one source file with what its STAC item says about it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import shapely
from shapely.geometry.base import BaseGeometry

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.errors import StacError

__all__ = ["BBox", "NO_PROPERTIES", "SourceItem", "parse_time"]

type BBox = tuple[float, float, float, float]

NO_PROPERTIES: Attrs = {}
"""Shared by all sources without properties; a plain dictionary, so that sources can be pickled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceItem:
    """A source file, and where and when it is according to its item."""

    href: str
    """Absolute path or URL of the file, without credentials: what may be stored."""
    signed_href: str | None = field(default=None, repr=False, compare=False)
    """The URL to read with just now, if a modifier signed it; never stored."""
    asked_by: str | None = field(default=None, repr=False, compare=False)
    """URL of the document that names the file, if it came over a network."""
    item_id: str | None = None
    """Identifier of the item; ``None`` for a file that was named directly."""
    collection: str | None = None
    """Identifier of the item's collection."""
    collection_href: str | None = None
    """Where the collection is found."""
    asset_key: str | None = None
    """Key of the asset in the item."""
    datetime: dt.datetime | None = None
    """Nominal time, UTC."""
    start_datetime: dt.datetime | None = None
    """First time, UTC."""
    end_datetime: dt.datetime | None = None
    """Last time, UTC."""
    bbox: BBox | None = None
    """West, south, east, north [degrees]; west > east across the antimeridian."""
    geometry_wkb: bytes | None = field(default=None, repr=False)
    """Footprint as well-known binary: a tenth of the size of GeoJSON in memory."""
    properties: Attrs = field(default_factory=lambda: NO_PROPERTIES, hash=False)
    """The item properties that are kept (see `assets.KEPT_PROPERTIES`)."""
    media_type: str | None = None
    """Media type of the asset, as given."""
    size: int | None = None
    """``file:size`` [bytes]."""
    bands: tuple[str, ...] = ()
    """Names of the bands of the asset (``bands``, ``eo:bands``), if all have one and no two the same."""
    group: str | None = None
    """Group in the file, as the asset's ``xarray:open_kwargs`` name it."""
    checksum: str | None = None
    """``file:checksum``, a multihash in hexadecimal."""
    updated: dt.datetime | None = None
    """When the asset, or else the item, was last changed, UTC."""
    self_href: str | None = None
    """Where the item itself is found."""

    def __post_init__(self) -> None:
        if not self.href:
            raise StacError(f"item {self.item_id!r}: asset {self.asset_key!r} has an empty href")
        if self.bbox is not None and self.bbox[1] > self.bbox[3]:
            raise StacError(f"item {self.item_id!r}: bbox {self.bbox} has its south above its north")

    @property
    def time(self) -> dt.datetime | None:
        """Return the time to order by: ``datetime``, else ``start_datetime``."""
        return self.datetime or self.start_datetime

    @property
    def geometry(self) -> BaseGeometry | None:
        """Return the footprint."""
        return None if self.geometry_wkb is None else shapely.from_wkb(self.geometry_wkb)

    @property
    def label(self) -> str:
        """Return what to call it in a message: the item id, else the href."""
        return self.item_id or self.href


def parse_time(text: object, what: str) -> dt.datetime | None:
    """Read an RFC 3339 time.

    Parameters
    ----------
    text : str or None
    what : str
        What it is the time of, for the message.

    Returns
    -------
    datetime.datetime or None
        In UTC; a time without offset is taken as UTC.

    Raises
    ------
    StacError
        If the text is not a time.

    Examples
    --------
    >>> parse_time("2024-01-31T13:00:00+01:00", "a").isoformat()
    '2024-01-31T12:00:00+00:00'
    """
    if text is None:
        return None
    try:
        time = dt.datetime.fromisoformat(str(text))
    except ValueError:
        raise StacError(f"{what}: {text!r} is not an RFC 3339 time such as '2024-01-31T12:00:00Z'") from None
    return time.replace(tzinfo=dt.UTC) if time.tzinfo is None else time.astimezone(dt.UTC)
