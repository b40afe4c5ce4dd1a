"""From a dataset and a publication to a pystac collection or item; nothing is written here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import pystac
import shapely.geometry
import xarray as xr

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import StacError
from intake_virtualzarr.stac import extensions
from intake_virtualzarr.stac.datacube import cube_dimensions, cube_variables
from intake_virtualzarr.stac.description import dataset_title, describe_publication
from intake_virtualzarr.stac.extent import dataset_bbox, dataset_interval
from intake_virtualzarr.stac.footprint import footprint
from intake_virtualzarr.stac.inherit import source_link
from intake_virtualzarr.stac.publication import Publication
from intake_virtualzarr.stac.query import bbox_geometry
from intake_virtualzarr.stac.source_item import BBox
from intake_virtualzarr.stac.source_list import derived_from_links
from stac_ext import VirtualZarrExtension

__all__ = ["build_collection", "build_item", "publication_bbox", "publication_interval", "virtual_asset"]

type Interval = tuple[dt.datetime | None, dt.datetime | None]

WORLD: BBox = (-180.0, -90.0, 180.0, 90.0)


def publication_bbox(dataset: xr.Dataset, publication: Publication) -> BBox | None:
    """Return the bounding box of the coordinates; without geographic ones, that of the source items."""
    bbox = dataset_bbox(dataset)
    if bbox is not None:
        return bbox
    found = footprint(publication.source_items)
    return None if found is None else found.bbox


def publication_interval(dataset: xr.Dataset, publication: Publication) -> Interval:
    """Return first and last time of the coordinates, which win over the source items' times."""
    interval = dataset_interval(dataset)
    if interval is not None:
        return interval
    items = publication.source_items
    starts = [time for one in items if (time := one.start_datetime or one.datetime) is not None]
    ends = [time for one in items if (time := one.end_datetime or one.datetime) is not None]
    return min(starts, default=None), max(ends, default=None)


def virtual_asset(publication: Publication) -> pystac.Asset:
    """Describe the store as an asset: fields of the extensions vzarr, zarr, file and storage."""
    fields: JsonObject = {"file:size": publication.manifest_size}
    if publication.manifest_format == "vzarr":
        fields["zarr:zarr_format"] = 3
        fields["zarr:node_type"] = "group"
        fields["zarr:consolidated"] = publication.consolidated
    if publication.storage_refs:
        fields["storage:refs"] = list(publication.storage_refs)
    asset = pystac.Asset(
        publication.href(publication.store_href),
        title="Virtual Zarr store",
        description=f"References to chunks in {_count(publication.source_count, 'source file')}.",
        media_type=publication.media_type,
        roles=["data", "virtual", "references"],
        extra_fields={name: value for name, value in fields.items() if value is not None},
    )
    VirtualZarrExtension.ext(asset).apply(
        publication.manifest_format,
        manifest_version=publication.manifest_version,
        group=publication.group,
        concat_dims=publication.concat_dims,
        chunk_count=publication.chunk_count,
        source_count=publication.source_count,
        sources=publication.sources or None,
        fingerprint=publication.fingerprint,
    )
    return asset


def _count(number: int | None, what: str) -> str:
    return f"{what}s" if number is None else f"{number} {what}{'' if number == 1 else 's'}"


def build_collection(dataset: xr.Dataset, publication: Publication) -> pystac.Collection:
    """Build a collection with the store as its asset.

    Parameters
    ----------
    dataset : xarray.Dataset
        Decoded and lazy; only its coordinates are read.
    publication : Publication

    Returns
    -------
    pystac.Collection
        Without links to root and self: those belong to whoever saves it.
    """
    first, last = publication_interval(dataset, publication)
    bbox = publication_bbox(dataset, publication)
    collection = pystac.Collection(
        id=publication.id,
        title=_title(dataset, publication),
        description=describe_publication(dataset, publication),
        extent=pystac.Extent(pystac.SpatialExtent([list(bbox or WORLD)]), pystac.TemporalExtent([[first, last]])),
        license=publication.license,
        keywords=list(publication.keywords) or None,
        providers=[pystac.Provider.from_dict(dict(one)) for one in publication.providers] or None,
    )
    asset = virtual_asset(publication)
    if publication.software:
        asset.extra_fields["processing:software"] = dict(publication.software)
    collection.extra_fields |= _cube(dataset) | _storage(publication)
    _complete(collection, asset, publication)
    return collection


def build_item(dataset: xr.Dataset, publication: Publication) -> pystac.Item:
    """Build an item with the store as its asset; see `build_collection`.

    Raises
    ------
    StacError
        If neither the dataset nor the source items have a time: an item needs one.
    """
    first, last = publication_interval(dataset, publication)
    if first is None or last is None:
        raise StacError(
            f"{publication.id}: an item needs a time, but the dataset has no time coordinate and the source "
            "items have no datetime; publish a collection"
        )
    bbox = publication_bbox(dataset, publication)
    properties: JsonObject = {
        "title": _title(dataset, publication),
        "description": describe_publication(dataset, publication),
        "license": publication.license,
        "providers": [dict(one) for one in publication.providers] or None,
        "keywords": list(publication.keywords) or None,
        "processing:software": dict(publication.software) or None,
        **_cube(dataset),
        **_storage(publication),
    }
    item = pystac.Item(
        id=publication.id,
        geometry=None if bbox is None else shapely.geometry.mapping(bbox_geometry(bbox)),
        bbox=None if bbox is None else list(bbox),
        datetime=first if first == last else None,
        start_datetime=None if first == last else first,
        end_datetime=None if first == last else last,
        properties={name: value for name, value in properties.items() if value is not None},
    )
    _complete(item, virtual_asset(publication), publication)
    return item


def _title(dataset: xr.Dataset, publication: Publication) -> str:
    return publication.title or dataset_title(dataset) or publication.id


def _cube(dataset: xr.Dataset) -> JsonObject:
    return {"cube:dimensions": cube_dimensions(dataset), "cube:variables": cube_variables(dataset)}


def _storage(publication: Publication) -> JsonObject:
    schemes = {name: dict(one) for name, one in publication.storage_schemes.items()}
    return {"storage:schemes": schemes} if schemes else {}


def _complete(obj: pystac.Collection | pystac.Item, asset: pystac.Asset, publication: Publication) -> None:
    """Add the asset, its extensions, and the links for people and browsers."""
    obj.add_asset("virtual", asset)
    VirtualZarrExtension.ext(asset, add_if_missing=True)
    if publication.catalog_href is not None:
        obj.add_asset(
            "intake",
            pystac.Asset(
                publication.href(publication.catalog_href),
                title="Intake catalog",
                media_type="application/yaml",
                roles=["metadata"],
            ),
        )
    obj.stac_extensions = sorted({*obj.stac_extensions, *_extensions(asset, publication)})
    obj.add_links(_links(publication))
    if publication.source_collection is not None:
        obj.add_link(source_link(publication.source_collection))
    obj.add_links(derived_from_links(publication.source_items))


def _extensions(asset: pystac.Asset, publication: Publication) -> Iterable[str]:
    yield extensions.DATACUBE
    if publication.software:
        yield extensions.PROCESSING
    if publication.storage_schemes:
        yield extensions.STORAGE
    if publication.manifest_size is not None:
        yield extensions.FILE
    if any(name.startswith("zarr:") for name in asset.extra_fields):
        yield extensions.ZARR


def _links(publication: Publication) -> list[pystac.Link]:
    store = publication.href(publication.store_href)
    links = [pystac.Link("store", store, media_type=publication.media_type, title="Virtual Zarr store")]
    if publication.preview_href is not None:
        preview = publication.href(publication.preview_href)
        links.append(pystac.Link("preview", preview, media_type="text/html", title="Preview virtual data"))
    return links
