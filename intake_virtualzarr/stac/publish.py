"""Publishing a virtual store: write or update a collection or item, and nothing where nothing changed."""

from __future__ import annotations

import os
from pathlib import Path

import pystac
import xarray as xr

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.errors import SourceError, StacError
from intake_virtualzarr.stac import extensions
from intake_virtualzarr.stac.collection import build_collection, build_item
from intake_virtualzarr.stac.links import place_of_link
from intake_virtualzarr.stac.publication import Publication
from intake_virtualzarr.stac.shape import checked_document
from intake_virtualzarr.stac.source_list import relative_to, write_source_items
from intake_virtualzarr.stac.thumbnail import make_thumbnail
from intake_virtualzarr.storage.atomic_write import file_fields, to_json, write_if_changed
from intake_virtualzarr.storage.parsing import parse_json

__all__ = ["add_child", "publish_collection", "publish_item"]

OWN_ASSETS = frozenset({"virtual", "intake", "thumbnail", "source-items"})
OWN_RELS = frozenset({"self", "root", "store", "preview", "derived_from"})
OWN_PREFIXES = ("cube:", "storage:")


def publish_collection(
    dataset: xr.Dataset,
    publication: Publication,
    directory: str | os.PathLike[str],
    *,
    thumbnail: bool = True,
) -> list[Path]:
    """Write ``collection.json``, a thumbnail, and the list of source items, or bring them up to date.

    Parameters
    ----------
    dataset : xarray.Dataset
        The store, opened decoded and lazily. Its coordinates are read, and one slice for the thumbnail.
    publication : Publication
    directory : path
        Made if it does not exist. An existing collection of the same id keeps the fields, links and assets
        that others added; what this function writes is replaced.
    thumbnail : bool
        Draw one. Grids without latitudes and longitudes have none.

    Returns
    -------
    list of Path
        The files written: empty if all were up to date.

    Raises
    ------
    StacError
        If the directory holds a collection of another id.
    """
    return _publish(build_collection(dataset, publication), dataset, publication, Path(directory), thumbnail)


def publish_item(
    dataset: xr.Dataset,
    publication: Publication,
    directory: str | os.PathLike[str],
    *,
    thumbnail: bool = True,
) -> list[Path]:
    """Write ``<id>.json`` and its companions; see `publish_collection`.

    A ``collection.json`` or ``catalog.json`` in the same directory gets a link to the item.
    """
    directory = Path(directory)
    item = build_item(dataset, publication)
    parent = next((path for name in ("collection.json", "catalog.json") if (path := directory / name).exists()), None)
    if parent is not None:
        _link_up(item, parent, publication)
    written = _publish(item, dataset, publication, directory, thumbnail)
    if parent is not None and add_child(parent, directory / f"{item.id}.json", rel="item", title=item.properties["title"]):
        written.append(parent)
    return written


def _publish(
    obj: pystac.Collection | pystac.Item,
    dataset: xr.Dataset,
    publication: Publication,
    directory: Path,
    thumbnail: bool,
) -> list[Path]:
    is_item = isinstance(obj, pystac.Item)
    relocatable = publication.relocatable and publication.base_href is None
    path = directory / (f"{obj.id}.json" if is_item else "collection.json")
    existing = _read_existing(path, obj.id)
    written = []
    old_picture = (existing or {}).get("assets", {}).get("thumbnail")
    try:
        picture = make_thumbnail(dataset) if thumbnail else None
    except SourceError:  # a source has changed or is not to be had: the picture that is there still shows what the store does
        if old_picture is None:
            raise
        picture = None
        obj.add_asset("thumbnail", pystac.Asset.from_dict(old_picture))
    if picture is not None:
        name = f"{obj.id}.png" if is_item else "thumbnail.png"
        if write_if_changed(directory / name, picture):
            written.append(directory / name)
        obj.add_asset("thumbnail", _thumbnail_asset(publication.href(f"./{name}"), picture))
    stem = f"{obj.id}-items" if is_item else "items"
    changed, asset = write_source_items(publication.source_items, directory, stem, relocatable=relocatable)
    if asset is not None:
        name = asset.href
        if changed:
            written.append(directory / name)
        asset.href = publication.href(name)
        obj.add_asset("source-items", asset)
    if any("file:size" in one.extra_fields for one in obj.assets.values()):
        obj.stac_extensions = sorted({*obj.stac_extensions, extensions.FILE})
    for link in obj.links:
        if link.rel == "derived_from":
            link.target = relative_to(str(link.target), directory if relocatable else None)
    document = _with_place(obj, path.name, publication)
    if write_if_changed(path, to_json(_merged(existing, document))):
        written.append(path)
    _remove_old_list(existing, document, directory)
    return written


def _remove_old_list(existing: Attrs | None, new: Attrs, directory: Path) -> None:
    """Remove the list of items in the other format, now that nothing refers to it."""
    old, now = ((one or {}).get("assets", {}).get("source-items", {}).get("href") for one in (existing, new))
    if old is not None and now is not None and old != now:
        (directory / str(old).rpartition("/")[2]).unlink(missing_ok=True)


def _thumbnail_asset(href: str, picture: bytes) -> pystac.Asset:
    return pystac.Asset(
        href,
        title="Thumbnail",
        media_type=pystac.MediaType.PNG,
        roles=["thumbnail"],
        extra_fields=file_fields(picture),
    )


def _with_place(obj: pystac.Collection | pystac.Item, name: str, publication: Publication) -> JsonObject:
    """Encode with hrefs as they are: pystac would resolve relative ones against the working directory."""
    if isinstance(obj, pystac.Collection):
        root = pystac.Link("root", publication.href(f"./{name}"), media_type="application/json", title=obj.title)
        obj.links = [root, *(link for link in obj.links if link.rel not in ("root", "self"))]
    if publication.base_href is not None:
        media_type = "application/json" if isinstance(obj, pystac.Collection) else "application/geo+json"
        obj.links.insert(0, pystac.Link("self", publication.href(name), media_type=media_type))
    return obj.to_dict(include_self_link=True, transform_hrefs=False)


def _read_existing(path: Path, own_id: str) -> JsonObject | None:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    document = parse_json(raw, f"{path} (move it away)", StacError)
    found = document.get("id") if isinstance(document, dict) else None
    if found != own_id:
        raise StacError(f"{path}: holds {found!r}, not {own_id!r}; publish {own_id!r} in a directory of its own")
    return document  # type: ignore[no-any-return]


def _merged(existing: Attrs | None, new: JsonObject) -> JsonObject:
    """Keep what others added to an existing document, below what is written here."""
    if existing is None:
        return new
    kept = {name: value for name, value in existing.items() if not name.startswith(OWN_PREFIXES)}
    merged = {**kept, **new}
    merged = {
        **{name: merged[name] for name in new},
        **{name: kept[name] for name in kept if name not in new},
    }
    merged["stac_extensions"] = sorted({*new["stac_extensions"], *_foreign_extensions(existing)})
    merged["links"] = _merged_links(existing.get("links") or [], new["links"])
    old_assets = {key: one for key, one in (existing.get("assets") or {}).items() if key not in OWN_ASSETS}
    merged["assets"] = {
        **new["assets"],
        **{key: one for key, one in old_assets.items() if key not in new["assets"]},
    }
    if "properties" in new:
        old = {k: v for k, v in existing.get("properties", {}).items() if not k.startswith(OWN_PREFIXES)}
        merged["properties"] = {
            **new["properties"],
            **{k: v for k, v in old.items() if k not in new["properties"]},
        }
    return merged


def _merged_links(existing: list[JsonObject], new: list[JsonObject]) -> list[JsonObject]:
    kept = [link for link in existing if link.get("rel") not in OWN_RELS]
    if "parent" in _rels(kept) and "parent" not in _rels(new):  # it was taken into a larger catalog since, whose root is not ours
        kept = [*(link for link in existing if link.get("rel") == "root"), *kept]
        new = [link for link in new if link.get("rel") != "root"]
    return [*new, *(link for link in kept if link not in new)]


def _rels(links: list[JsonObject]) -> set[object]:
    return {link.get("rel") for link in links}


def _foreign_extensions(existing: Attrs) -> list[str]:
    """Extensions that somebody else added: not an older version of one of ours."""
    own = {uri.rsplit("/", 2)[0] for name, uri in vars(extensions).items() if name.isupper()}
    return [
        uri for uri in existing.get("stac_extensions") or [] if uri.rsplit("/", 2)[0] not in own and "/virtual-zarr/" not in uri
    ]


def _link_up(item: pystac.Item, parent: Path, publication: Publication) -> None:
    document = checked_document(parse_json(parent.read_bytes(), str(parent), StacError), str(parent))
    href = publication.href(f"./{parent.name}")
    root = next((link["href"] for link in document.get("links", []) if link.get("rel") == "root"), href)
    rels = {"root": root, "parent": href}
    if document.get("type") == "Collection":
        item.collection_id = document["id"]
        rels["collection"] = href
    item.add_links([pystac.Link(rel, target, media_type="application/json") for rel, target in rels.items()])


def add_child(
    parent: str | os.PathLike[str],
    child: str | os.PathLike[str],
    *,
    rel: str = "child",
    title: str | None = None,
) -> bool:
    """Link a document from a catalog or collection on disk, in place.

    Parameters
    ----------
    parent, child : path
        Both exist or are about to.
    rel : {"child", "item"}
    title : str, optional

    Returns
    -------
    bool
        Whether the parent was written; ``False`` if it had the link.

    Raises
    ------
    StacError
        If the parent is not a catalog or collection.
    """
    path = Path(parent)
    try:
        document = parse_json(path.read_bytes(), str(path), StacError)
    except OSError as exc:
        raise StacError(f"{path}: no STAC catalog can be read there: {exc}") from exc
    if not isinstance(document, dict) or document.get("type") not in ("Catalog", "Collection"):
        raise StacError(f"{path}: is not a STAC Catalog or Collection")
    relative = os.path.relpath(child, path.parent).replace(os.sep, "/")
    href = relative if relative.startswith("../") else f"./{relative}"
    link = {
        "rel": rel,
        "href": href,
        "type": "application/json" if rel == "child" else "application/geo+json",
    }
    if title:
        link["title"] = title
    links = document.get("links", [])
    if link in links:
        return False
    kept = [one for one in links if not (one.get("rel") == rel and one.get("href") == href)]
    at = place_of_link(kept, rel, href, path.parent)
    return write_if_changed(path, to_json({**document, "links": [*kept[:at], link, *kept[at:]]}))
