"""Checking again on the client what a server was asked for: some ignore filters."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import shapely
import shapely.geometry
from shapely.geometry.base import BaseGeometry

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.errors import StacError
from intake_virtualzarr.stac.source_item import parse_time

__all__ = ["Query", "bbox_geometry", "read_geometry"]

type Interval = tuple[dt.datetime | None, dt.datetime | None]


@dataclass(frozen=True, slots=True)
class Query:
    """The part of a search that can be checked on items."""

    interval: Interval | None = None
    """First and last time, ``None`` for an open end; UTC."""
    geometry: BaseGeometry | None = None
    """What items must intersect [degrees]."""
    ids: frozenset[str] | None = None
    """Identifiers of items."""
    collections: frozenset[str] | None = None
    """Identifiers of collections."""
    text: str = field(default="", compare=False)
    """The parameters, for messages."""

    @classmethod
    def from_parameters(cls, parameters: Attrs) -> Query:
        """Read the parameters of a STAC API search (``datetime``, ``bbox``, ``intersects``, ``ids``, …)."""
        shown = {name: value for name, value in parameters.items() if name not in ("limit", "token")}
        return cls(
            interval=_interval(parameters.get("datetime")),
            geometry=_geometry(parameters.get("bbox"), parameters.get("intersects")),
            ids=_names(parameters.get("ids")),
            collections=_names(parameters.get("collections")),
            text=", ".join(f"{name}={value!r}" for name, value in shown.items()),
        )

    def matches(self, document: Attrs) -> bool:
        """Tell whether an item is what was asked for; what an item does not say is not a reason to drop it."""
        if self.ids is not None and document.get("id") not in self.ids:
            return False
        if self.collections is not None and document.get("collection", None) not in (*self.collections, None):
            return False
        return self._matches_time(document) and self._matches_place(document)

    def _matches_time(self, document: Attrs) -> bool:
        if self.interval is None:
            return True
        first, last = self.interval
        properties = document.get("properties") or {}
        nominal, start, end = (
            parse_time(properties.get(name), f"item {document.get('id')!r}: {name}")
            for name in ("datetime", "start_datetime", "end_datetime")
        )
        start, end = start or nominal, end or nominal or start
        if start is None or end is None:
            return True
        # Servers differ on items with both: some test the nominal time, others the interval; either is a
        # match.
        return (last is None or start <= last) and (first is None or end >= first)

    def _matches_place(self, document: Attrs) -> bool:
        if self.geometry is None:
            return True
        geometry, bbox = document.get("geometry"), document.get("bbox")
        # A geometry that is not cut at the antimeridian covers the wrong side of the globe; the bbox tells.
        if bbox and (not geometry or bbox[0] > bbox[len(bbox) // 2]):
            return bool(bbox_geometry(bbox).intersects(self.geometry))
        if geometry:
            return bool(read_geometry(geometry, f"item {document.get('id')!r}").intersects(self.geometry))
        return True


def read_geometry(geojson: Any, what: str) -> BaseGeometry:
    """Read a GeoJSON geometry.

    Raises
    ------
    StacError
        If it is none.
    """
    try:
        return shapely.make_valid(shapely.geometry.shape(geojson))
    except (shapely.errors.ShapelyError, AttributeError, KeyError, TypeError, ValueError, IndexError) as exc:
        raise StacError(f"{what}: its geometry is not GeoJSON: {exc}") from exc


def bbox_geometry(bbox: Sequence[float]) -> BaseGeometry:
    """Turn a bounding box of 4 or 6 numbers into a polygon, or two where it crosses the antimeridian.

    Examples
    --------
    >>> bbox_geometry([170, -10, -170, 10]).bounds
    (-180.0, -10.0, 180.0, 10.0)
    """
    values = [float(value) for value in bbox]
    if len(values) not in (4, 6):
        raise StacError(f"bbox {list(bbox)!r} has {len(values)} numbers; expected 4 or 6")
    half = len(values) // 2
    west, south, east, north = values[0], values[1], values[half], values[half + 1]
    # The antimeridian has two longitudes; take the one on the side of the box.
    if west > east == -180.0:
        east = 180.0
    if 180.0 == west > east:
        west = -180.0
    if west <= east and (west == east or south == north):  # a box without area is no valid polygon
        corners = sorted({(west, south), (east, north)})
        return shapely.Point(corners[0]) if len(corners) == 1 else shapely.LineString(corners)
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.union(shapely.box(west, south, 180.0, north), shapely.box(-180.0, south, east, north))


def _interval(text: object) -> Interval | None:
    """Read a STAC interval; a day, month or year stands for all its moments, as in pystac-client."""
    if text is None:
        return None
    first, slash, last = str(text).partition("/")
    start = None if first in ("", "..") else _moments(first)[0]
    end = last if slash else first
    return start, None if end in ("", "..") else _moments(end)[1]


def _moments(text: str) -> tuple[dt.datetime | None, dt.datetime | None]:
    date = re.fullmatch(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?", text)
    if date is None:
        time = parse_time(text, "datetime")
        return time, time
    year, month, day = int(date[1]), int(date[2] or 1), int(date[3] or 1)
    try:
        start = dt.datetime(year, month, day, tzinfo=dt.UTC)
    except ValueError as exc:
        raise StacError(f"datetime {text!r}: {exc}; expected YYYY, YYYY-MM, YYYY-MM-DD, a moment, or an interval of two") from exc
    if date[3]:
        after = start + dt.timedelta(days=1)
    elif date[2]:
        after = start.replace(year=year + month // 12, month=month % 12 + 1)
    else:
        after = start.replace(year=year + 1)
    return start, after - dt.timedelta(microseconds=1)


def _geometry(bbox: Any, intersects: Any) -> BaseGeometry | None:
    if intersects is not None:
        geojson = json.loads(intersects) if isinstance(intersects, str) else intersects
        return shapely.geometry.shape(geojson.get("geometry", geojson) if isinstance(geojson, dict) else geojson)
    if bbox is None:
        return None
    return bbox_geometry([float(one) for one in bbox.split(",")] if isinstance(bbox, str) else bbox)


def _names(names: Iterable[str] | str | None) -> frozenset[str] | None:
    if names is None:
        return None
    return frozenset(names.split(",") if isinstance(names, str) else names)
