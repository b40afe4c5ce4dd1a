"""The items a store was made from: a file that lists them, which an update reads again, and links to a few."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import batched
from pathlib import Path

import pystac
import shapely.geometry

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.errors import StacError
from intake_virtualzarr.stac import extensions
from intake_virtualzarr.stac.extent import iso_time
from intake_virtualzarr.stac.geoparquet import can_write, from_geoparquet, to_geoparquet
from intake_virtualzarr.stac.hrefs import relative_href
from intake_virtualzarr.stac.query import bbox_geometry
from intake_virtualzarr.stac.shape import checked_document, checked_features
from intake_virtualzarr.stac.signing import strip_signature
from intake_virtualzarr.stac.source_item import SourceItem
from intake_virtualzarr.storage.atomic_write import file_fields, write_if_changed
from intake_virtualzarr.storage.parsing import parse_json
from intake_virtualzarr.storage.urls import is_local, is_url, local_path

__all__ = [
    "MAX_LINKS",
    "derived_from_links",
    "read_source_items",
    "relative_to",
    "source_item_documents",
    "write_source_items",
]

MAX_LINKS = 20
"""Up to this number of items, each gets a link, and the file that lists them is GeoJSON, which needs no library."""

BATCH = 2000
"""Items that are documents at a time."""


def relative_to(href: str, directory: str | os.PathLike[str] | None) -> str:
    """Make a local path relative to a directory, so that both can be moved; URLs stay; credentials go."""
    clean = strip_signature(href)
    return clean if is_url(clean) and not is_local(clean) else relative_href(local_path(clean), directory)


def derived_from_links(sources: Sequence[SourceItem]) -> list[pystac.Link]:
    """Link to every item, if they are few and all say where they are found; else to none."""
    items = {one.self_href: one for one in sources if one.self_href is not None}
    if len(items) > MAX_LINKS or any(one.self_href is None for one in sources if one.item_id is not None):
        return []
    return [
        pystac.Link("derived_from", strip_signature(href), media_type="application/geo+json", title=one.item_id)
        for href, one in items.items()
        if href is not None
    ]


def source_item_documents(sources: Iterable[SourceItem], directory: str | os.PathLike[str] | None = None) -> list[JsonObject]:
    """Write sources as STAC items again: what was needed of them, without credentials.

    Parameters
    ----------
    sources : iterable of SourceItem
    directory : path, optional
        Local files become relative to it.
    """
    return [_item_document(group, directory) for group in _by_item(sources)]


def _by_item(sources: Iterable[SourceItem]) -> list[list[SourceItem]]:
    """Sources of one item together, those without an item left out."""
    groups: dict[tuple[str | None, str], list[SourceItem]] = {}
    for one in sources:
        if one.item_id is not None:
            groups.setdefault((one.collection, one.item_id), []).append(one)
    return list(groups.values())


def _item_document(group: Sequence[SourceItem], directory: str | os.PathLike[str] | None) -> JsonObject:
    document = _document(group[0])
    for one in group:
        asset = document["assets"][one.asset_key or "data"] = _asset(one, directory)
        if one.updated is not None and one.updated != group[0].updated:  # the asset says it of itself
            asset["updated"] = iso_time(one.updated)
    return document


def _document(one: SourceItem) -> JsonObject:
    times = {
        "datetime": one.datetime,
        "start_datetime": one.start_datetime,
        "end_datetime": one.end_datetime,
        "updated": one.updated,
    }
    properties: JsonObject = {name: iso_time(time) for name, time in times.items() if time is not None}
    properties.setdefault("datetime", None)
    geometry = one.geometry if one.geometry is not None else bbox_geometry(one.bbox) if one.bbox else None
    document: JsonObject = {
        "type": "Feature",
        "stac_version": pystac.get_stac_version(),
        "stac_extensions": [extensions.FILE] if one.size or one.checksum else [],
        "id": one.item_id,
        "geometry": None if geometry is None else shapely.geometry.mapping(geometry),
        "properties": properties,
        "links": [],
        "assets": {},
    }
    if one.bbox is not None:
        document["bbox"] = list(one.bbox)
    if one.self_href is not None and "://" in one.self_href:  # a self link is absolute or absent
        document["links"].append({"rel": "self", "href": strip_signature(one.self_href), "type": "application/geo+json"})
    if one.collection is not None and one.collection_href is not None:  # valid together only
        document["collection"] = one.collection
        link = {"rel": "collection", "href": one.collection_href, "type": "application/json"}
        document["links"].append(link)
    return document


def _asset(one: SourceItem, directory: str | os.PathLike[str] | None) -> JsonObject:
    fields: Attrs = {
        "href": relative_to(one.href, directory),
        "type": one.media_type,
        "roles": ["data", "source"],
        "file:size": one.size,
        "file:checksum": one.checksum,
        "bands": [{"name": name} for name in one.bands] or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def write_source_items(
    sources: Sequence[SourceItem], directory: Path, stem: str = "items", *, relocatable: bool = True
) -> tuple[bool, pystac.Asset | None]:
    """Write a file that lists the source items: stac-geoparquet for many where rustac is installed, else GeoJSON.

    Parameters
    ----------
    sources : sequence of SourceItem
    directory : Path
    stem : str
        Name of the file without its suffix.
    relocatable : bool
        Name local files relative to the directory.

    Returns
    -------
    written : bool
        ``False`` if the file was up to date, or there are no items.
    asset : pystac.Asset or None
        How a collection refers to it; ``None`` if there are no items.
    """
    groups = _by_item(sources)
    if not groups:
        return False, None
    base = directory if relocatable else None
    placed = all(group[0].geometry_wkb is not None or group[0].bbox is not None for group in groups)
    parquet = len(groups) > MAX_LINKS and can_write() and placed
    name = f"{stem}.parquet" if parquet else f"{stem}.json"
    content = to_geoparquet(lambda: _batches(groups, base)) if parquet else _as_geojson(groups, base)
    written = write_if_changed(directory / name, content)
    return written, pystac.Asset(
        f"./{name}",
        title="Source items",
        media_type="application/vnd.apache.parquet" if parquet else "application/geo+json",
        roles=["metadata", "stac-items"],
        extra_fields=file_fields(content),
    )


def _batches(groups: Sequence[Sequence[SourceItem]], base: Path | None) -> Iterator[list[JsonObject]]:
    """Documents, some at a time: a hundred thousand take more than a gigabyte."""
    for batch in batched(groups, BATCH):
        yield [_item_document(group, base) for group in batch]


def _as_geojson(groups: Sequence[Sequence[SourceItem]], base: Path | None) -> bytes:
    items = (json.dumps(_item_document(group, base), separators=(",", ":"), ensure_ascii=False).encode() for group in groups)
    return b'{"type":"FeatureCollection","features":[' + b",".join(items) + b"]}\n"


def read_source_items(content: bytes, name: str) -> list[JsonObject]:
    """Read what `write_source_items` wrote.

    Parameters
    ----------
    content : bytes
    name : str
        Path or URL of the file; its suffix tells the format.

    Returns
    -------
    list of dict
        Items; hrefs of assets that are relative start from the file.

    Raises
    ------
    StacError
        If it is not a list of items, or needs a library that is not installed.
    """
    if not name.endswith(".parquet"):
        listed = parse_json(content, f"{name}: is not a list of STAC items", StacError)
        if not isinstance(listed, dict) or "features" not in listed:
            raise StacError(f"{name}: is not a list of STAC items: it has no 'features'")
        return checked_features(listed, name)
    return [checked_document(one, name) for one in from_geoparquet(content, name)]
