"""From a search to sources: the whole way, in order."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import shapely
from pystac_client import ItemSearch

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.errors import NotAllowedError, NothingFoundError, StacError, VirtualZarrError
from intake_virtualzarr.hierarchy.documents import naming
from intake_virtualzarr.stac.assets import AssetLike, choose_assets
from intake_virtualzarr.stac.hrefs import absolute_href
from intake_virtualzarr.stac.items import ItemDocument, ItemsLike, Skipped, iter_items
from intake_virtualzarr.stac.order import Duplicates, order_sources
from intake_virtualzarr.stac.query import Query, bbox_geometry, read_geometry
from intake_virtualzarr.stac.select_options import SelectOptions
from intake_virtualzarr.stac.signing import Modifier, sign_href, strip_signature
from intake_virtualzarr.stac.source_item import NO_PROPERTIES, BBox, SourceItem, parse_time
from intake_virtualzarr.storage.policy import Policy
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["FilterIgnoredWarning", "find_sources", "iter_sources", "queries", "selected_sources", "source_items"]

EVERYTHING = SelectOptions()
"""The source files of all items."""

KEPT_PROPERTIES = frozenset(
    {
        *("title", "license", "platform", "instruments", "constellation", "mission", "gsd"),
        *("created", "updated", "version", "variable", "processing:level", "processing:version"),
    }
)
"""Item properties that sources keep, beside those with one of `KEPT_PREFIXES`."""

KEPT_PREFIXES = ("cmip6:", "cordex6:", "ecmwf:", "forecast:", "goes:", "sar:polarizations", "sat:orbit_state", "sat:relative_orbit")


class FilterIgnoredWarning(UserWarning):
    """A server returned items that were not asked for; they were left out."""


def find_sources(
    items: ItemsLike,
    *,
    asset: AssetLike = None,
    collection_assets: bool = False,
    protocols: Sequence[str] | None = None,
    modifier: Modifier | None = None,
    datetime: str | None = None,
    bbox: Sequence[float] | None = None,
    intersects: Any = None,
    duplicates: Duplicates = "error",
) -> tuple[SourceItem, ...]:
    """Find the source files of a search, ordered by time.

    Parameters
    ----------
    items : ItemsLike
        A pystac-client search, pystac objects, dictionaries, paths or URLs of STAC documents or data
        files, or an iterable of these.
    asset : str, sequence of str, or callable, optional
        Which asset to take, see `assets.choose_assets`.
    collection_assets : bool
        Take the assets of collections themselves instead of their items.
    protocols : sequence of str, optional
        URL schemes, best first, where a file is to be had in several places.
    modifier : callable, optional
        Signs URLs at the time of reading; the signatures are kept in `SourceItem.signed_href` only.
    datetime, bbox, intersects : optional
        Keep items that match, in the notation of the STAC API. The parameters of a search are checked
        again anyhow.
    duplicates : {"error", "first", "latest"}
        What to do with several versions of one file.

    Raises
    ------
    NothingFoundError
        If no item matches.
    StacError
        If an item has no usable asset or several, or there are duplicates.

    Warns
    -----
    FilterIgnoredWarning
        If a server returned items that were not asked for.
    """
    select = SelectOptions(
        asset=asset,
        collection_assets=collection_assets,
        protocols=protocols,
        modifier=modifier,
        datetime=datetime,
        bbox=bbox,
        intersects=intersects,
        duplicates=duplicates,
    )
    return selected_sources(items, select)


def selected_sources(items: ItemsLike, select: SelectOptions, skipped: Skipped = None) -> tuple[SourceItem, ...]:
    """What `find_sources` does, with its options as one value; ``skipped`` takes up damaged items among others."""
    sources = order_sources(iter_sources(items, select, skipped), select.duplicates)
    if not sources and skipped:
        raise StacError(f"none of {len(skipped)} items can be read:\n" + "\n".join(f"  {one}" for one in skipped.values()))
    if not sources:
        text = "; ".join(query.text for query in queries(items, select) if query.text)
        raise NothingFoundError(f"no items found{f' for {text}' if text else ''}; nothing to do")
    if select.policy is not None:
        _check_allowed(sources, select.policy)
    return sources


def _check_allowed(sources: Iterable[SourceItem], policy: Policy) -> None:
    """Refuse files that documents from a network may not name, all that one document names together."""
    named: dict[str, list[str]] = {}
    for one in sources:
        if one.asked_by is not None:
            named.setdefault(one.asked_by, []).append(absolute_url(one.href))
    for document, urls in named.items():
        policy.asked_by(document).check(*urls)


def iter_sources(items: ItemsLike, select: SelectOptions = EVERYTHING, skipped: Skipped = None) -> Iterator[SourceItem]:
    """Stream source files in the order in which items come; see `find_sources`."""
    asked = queries(items, select)
    left_out, example = 0, ""
    for one in iter_items(items, collection_assets=select.collection_assets, policy=select.policy, skipped=skipped):
        try:
            found = _wanted_sources(one, select, asked)
        except VirtualZarrError as exc:
            if skipped is None or isinstance(exc, NotAllowedError):
                raise
            skipped[_label(one)] = str(exc)
            continue
        if found is None:
            left_out, example = left_out + 1, example or str((one.document or {}).get("id"))
        else:
            yield from found
    if left_out and isinstance(items, ItemSearch):
        warnings.warn(
            f"{items.url}: {left_out} items, {example!r} first, do not match {asked[0].text}; left out",
            FilterIgnoredWarning,
            stacklevel=2,
        )


def _wanted_sources(one: ItemDocument, select: SelectOptions, asked: Sequence[Query]) -> list[SourceItem] | None:
    """The sources of an item; None if it does not match."""
    with naming(_label(one), StacError):
        if one.document is not None and not all(query.matches(one.document) for query in asked):
            return None
        return source_items(
            one, asset=select.asset, protocols=select.protocols, modifier=select.modifier, keep_query=select.keep_query
        )


def _label(one: ItemDocument) -> str:
    """What to call an item in messages."""
    return f"item {one.document.get('id')!r}" if one.document is not None else str(one.href)


def queries(items: object, select: SelectOptions) -> list[Query]:
    """Collect what items are checked against: the parameters of a search, and those given beside it."""
    given = {"datetime": select.datetime, "bbox": select.bbox, "intersects": select.intersects}
    asked = [Query.from_parameters({name: value for name, value in given.items() if value is not None})]
    if isinstance(items, ItemSearch):
        asked.insert(0, Query.from_parameters(items.get_parameters()))
    return asked


def source_items(
    one: ItemDocument,
    *,
    asset: AssetLike = None,
    protocols: Sequence[str] | None = None,
    modifier: Modifier | None = None,
    keep_query: Sequence[str] = (),
) -> list[SourceItem]:
    """Turn an item into its sources: one, or as many as assets were asked for."""
    if one.document is None:
        href = _absolute(os.fspath(one.href or ""), None, "file")
        return [_with_signature(href, modifier, {"asked_by": one.asked_by}, keep_query)]
    document = one.document
    fields = {**_item_fields(document, one.href), "asked_by": one.asked_by}
    return [
        _with_signature(
            _absolute(href, one.href or fields["self_href"], f"item {document.get('id')!r}: asset {key!r}"),
            modifier,
            {**fields, **_asset_fields(key, found, fields["updated"])},
            keep_query,
        )
        for key, found, href in choose_assets(document, asset, protocols=protocols)
    ]


def _with_signature(href: str, modifier: Modifier | None, fields: Attrs, keep: Sequence[str] = ()) -> SourceItem:
    clean = strip_signature(href, keep)
    signed = sign_href(clean, modifier) if "://" in clean and modifier is not None else href
    return SourceItem(href=clean, signed_href=signed if signed != clean else None, **fields)


def _absolute(href: str, base: str | None, what: str) -> str:
    if "://" in href or "::" in href:
        return href
    if os.path.isabs(href):
        return href
    if base is None:
        if what == "file":
            return os.path.abspath(os.path.expanduser(href))
        raise StacError(f"{what} has the relative href {href!r}, and the item has no self link to start from")
    return absolute_href(href, base)


def _item_fields(document: Attrs, href: str | None) -> JsonObject:
    name = f"item {document.get('id')!r}"
    properties = document.get("properties") or {}
    start, end = _extent_times(document)
    links = document.get("links") or []
    own = next((link.get("href") for link in links if link.get("rel") == "self"), href)
    parent = next((link.get("href") for link in links if link.get("rel") == "collection"), None)
    bbox = _bbox(document)
    return {
        "item_id": str(document.get("id")),
        "collection": sys.intern(document["collection"]) if document.get("collection") else None,
        "collection_href": _public(parent, href or own),
        "datetime": parse_time(properties.get("datetime"), f"{name}: datetime"),
        "start_datetime": parse_time(properties.get("start_datetime", start), f"{name}: start_datetime"),
        "end_datetime": parse_time(properties.get("end_datetime", end), f"{name}: end_datetime"),
        "bbox": bbox,
        "geometry_wkb": _geometry_wkb(document.get("geometry"), bbox, name),
        "properties": _kept(properties),
        "updated": parse_time(properties.get("updated"), f"{name}: updated"),
        "self_href": _public(own, None),
    }


def _public(href: str | None, base: str | None) -> str | None:
    """Make an href absolute and free of credentials; ``None`` if it stays relative."""
    if not href or ("://" not in href and not os.path.isabs(href) and base is None):
        return None
    return sys.intern(strip_signature(_absolute(href, base, "link")))


def _extent_times(document: Attrs) -> tuple[str | None, str | None]:
    if document.get("type") != "Collection":
        return None, None
    intervals = document.get("extent", {}).get("temporal", {}).get("interval") or [[None, None]]
    return intervals[0][0], intervals[0][1]


def _bbox(document: Attrs) -> BBox | None:
    bbox = document.get("bbox")
    if document.get("type") == "Collection":
        bbox = (document.get("extent", {}).get("spatial", {}).get("bbox") or [None])[0]
    if not bbox:
        return None
    half = len(bbox) // 2
    return float(bbox[0]), float(bbox[1]), float(bbox[half]), float(bbox[half + 1])


def _geometry_wkb(geometry: Any, bbox: BBox | None, name: str) -> bytes | None:
    if not geometry:
        return None
    shape = read_geometry(geometry, name)
    if bbox is not None and bbox[0] <= bbox[2] and shape.equals(bbox_geometry(bbox)):
        return None
    return bytes(shapely.to_wkb(shape))


def _kept(properties: Attrs) -> Attrs:
    kept = {
        sys.intern(name): sys.intern(value) if isinstance(value, str) and len(value) < 40 else value
        for name, value in properties.items()
        if name in KEPT_PROPERTIES or name.startswith(KEPT_PREFIXES)
    }
    variables = properties.get("cube:variables")
    if isinstance(variables, Mapping):
        kept["cube:variables"] = tuple(variables)
    return kept or NO_PROPERTIES


def _group(asset: Attrs) -> str | None:
    """The group that readers of the asset are told to open (STAC extension xarray-assets)."""
    keywords = asset.get("xarray:open_kwargs")
    group = keywords.get("group") if isinstance(keywords, Mapping) else None
    return sys.intern(group) if isinstance(group, str) else None


def _bands(asset: Attrs) -> tuple[str, ...]:
    """Names of the bands of an asset: ``bands`` of STAC 1.1, or ``eo:bands``."""
    listed = asset.get("bands") or asset.get("eo:bands")
    names = [one.get("name") for one in listed if isinstance(one, Mapping)] if isinstance(listed, list | tuple) else []
    told = [sys.intern(name) for name in names if isinstance(name, str) and name and "/" not in name]
    return tuple(told) if len(told) == len(names) == len(set(told)) else ()


def _asset_fields(key: str, asset: Attrs, updated: Any) -> JsonObject:
    size = asset.get("file:size")
    return {
        "asset_key": sys.intern(key),
        "media_type": sys.intern(asset["type"]) if isinstance(asset.get("type"), str) else None,
        "size": int(size) if isinstance(size, int | float) else None,
        "group": _group(asset),
        "bands": _bands(asset),
        "checksum": asset.get("file:checksum"),
        "updated": parse_time(asset.get("updated"), f"asset {key!r}: updated") or updated,
    }
