"""STAC items for the demo's files: for an API, and as a static catalog."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.cli.demo_files import DAYS, FIRST_DAY

__all__ = ["COLLECTION", "write_stac"]

COLLECTION = "sst-daily"
BBOX = [-180.0, -90.0, 180.0, 90.0]
RING = [[-180.0, -90.0], [180.0, -90.0], [180.0, 90.0], [-180.0, 90.0], [-180.0, -90.0]]


def write_stac(paths: list[Path], directory: Path) -> tuple[Path, Path]:
    """Write a collection and its items.

    Parameters
    ----------
    paths : list of Path
        The files, one for each day.
    directory : Path
        Where to: ``collection.json`` with links to items for static use, ``items.json`` with all items for an API.

    Returns
    -------
    collection, items : Path
    """
    directory.mkdir(parents=True, exist_ok=True)
    items = [_item(day, path) for day, path in enumerate(paths)]
    for item in items:
        _write(directory / f"{item['id']}.json", item)
    links = [{"rel": "item", "href": f"./{item['id']}.json", "type": "application/geo+json"} for item in items]
    collection = _write(directory / "collection.json", _collection(links))
    _write(directory / "api-collection.json", _collection([]))
    feature_collection = {"type": "FeatureCollection", "features": [{**item, "links": []} for item in items]}
    return collection, _write(directory / "items.json", feature_collection)


def _write(path: Path, document: JsonObject) -> Path:
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path


def _moment(day: int, hour: int) -> str:
    return f"{FIRST_DAY + dt.timedelta(day)}T{hour:02}:00:00Z"


def _collection(links: list[JsonObject]) -> JsonObject:
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": COLLECTION,
        "title": "Synthetic daily sea surface temperature",
        "description": "Thirty files made by the demo of intake-virtualzarr.",
        "license": "CC0-1.0",
        "extent": {
            "spatial": {"bbox": [BBOX]},
            "temporal": {"interval": [[_moment(0, 0), _moment(DAYS, 0)]]},
        },
        "links": links,
    }


def _item(day: int, path: Path) -> JsonObject:
    asset = {
        "href": path.absolute().as_uri(),
        "type": "application/x-netcdf",
        "roles": ["data"],
        "file:size": path.stat().st_size,
    }
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": ["https://stac-extensions.github.io/file/v2.1.0/schema.json"],
        "id": path.stem,
        "collection": COLLECTION,
        "bbox": BBOX,
        "geometry": {"type": "Polygon", "coordinates": [RING]},
        "properties": {"datetime": _moment(day, 12)},
        "links": [{"rel": "collection", "href": "./collection.json", "type": "application/json"}],
        "assets": {"data": asset},
    }
