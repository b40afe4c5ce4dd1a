"""Where a set of sources lies: union of footprints, and the bounding box."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import shapely
import shapely.affinity
from shapely.geometry.base import BaseGeometry

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.stac.query import bbox_geometry
from intake_virtualzarr.stac.source_item import BBox, SourceItem

__all__ = ["Footprint", "bbox_of", "footprint", "split_at_antimeridian"]

MAX_VERTICES = 500
"""Above this, a union is simplified to a hundredth of a degree: it is drawn on maps, not computed with."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Geometry and bounding box, as STAC wants them."""

    geometry: Attrs
    """GeoJSON, cut at the antimeridian."""
    bbox: BBox
    """West, south, east, north [degrees]; west > east where it crosses the antimeridian."""


def footprint(sources: Iterable[SourceItem]) -> Footprint | None:
    """Join the footprints of sources.

    Returns
    -------
    Footprint or None
        ``None`` if no source has a geometry or bounding box.
    """
    # A time series has one footprint over and over.
    parts = {one.geometry_wkb or one.bbox: one for one in sources if one.geometry_wkb or one.bbox}
    if not parts:
        return None
    union = shapely.union_all([_footprint_of(one) for one in parts.values()])
    if shapely.get_num_coordinates(union) > MAX_VERTICES:
        union = shapely.make_valid(shapely.simplify(union, 0.01))
    return Footprint(shapely.geometry.mapping(union), bbox_of(union))


def _footprint_of(source: SourceItem) -> BaseGeometry:
    geometry = source.geometry
    if geometry is None or geometry.is_empty:
        assert source.bbox is not None
        return bbox_geometry(source.bbox)
    crosses = source.bbox is not None and source.bbox[0] > source.bbox[2]
    return shapely.make_valid(split_at_antimeridian(geometry, crosses=crosses))


def split_at_antimeridian(geometry: BaseGeometry, *, crosses: bool = False) -> BaseGeometry:
    """Cut a geometry at 180 degrees, so that all longitudes lie between -180 and 180.

    Parameters
    ----------
    geometry : BaseGeometry
    crosses : bool
        The geometry is known to cross (its bbox has west > east), though its longitudes jump from 170 to
        -170: read the negative ones as 190.

    References
    ----------
    RFC 7946, section 3.1.9.
    """
    west, _, east, _ = geometry.bounds
    if crosses and west >= -180 and east <= 180 and geometry.geom_type == "Polygon":
        geometry = shapely.transform(geometry, _unwrap)
        west, _, east, _ = geometry.bounds
    if west >= -180 and east <= 180:
        return geometry
    parts = []
    for turn in (-360, 0, 360):
        window = shapely.box(turn - 180, -90, turn + 180, 90)
        part = shapely.intersection(shapely.make_valid(geometry), window)
        if not part.is_empty:
            parts.append(shapely.affinity.translate(part, xoff=-turn))
    return shapely.union_all(parts)


def _unwrap(coordinates: Any) -> Any:
    turned = coordinates.copy()
    turned[turned[:, 0] < 0, 0] += 360
    return turned


def bbox_of(geometry: BaseGeometry) -> BBox:
    """Bound a geometry by the shortest arc of longitudes.

    Returns
    -------
    tuple of float
        West > east if the arc crosses the antimeridian, as GeoJSON has it.

    Examples
    --------
    >>> bbox_of(bbox_geometry([170, -10, -170, 10]))
    (170.0, -10.0, -170.0, 10.0)
    """
    west, south, east, north = geometry.bounds
    parts = shapely.get_parts(geometry)
    touches_both = west <= -180 and east >= 180
    if touches_both and len(parts) > 1:
        gap = _largest_gap([part.bounds for part in parts])
        if gap is not None:
            west, east = gap[1], gap[0]
    return float(west), float(south), float(east), float(north)


def _largest_gap(bounds: Sequence[tuple[float, float, float, float]]) -> tuple[float, float] | None:
    """Return the widest stretch of longitudes that no part covers, ``None`` if there is none."""
    gaps: list[tuple[float, float]] = []
    reached = -180.0
    for west, _, east, _ in sorted(bounds):
        if west > reached:
            gaps.append((reached, west))
        reached = max(reached, east)
    return max(gaps, key=lambda gap: gap[1] - gap[0], default=None)
