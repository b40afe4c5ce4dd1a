"""A stream of items from whatever users have at hand: a search, items, catalogs, files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pystac
from pystac.utils import make_absolute_href
from pystac_client import Client, CollectionClient, ConformanceClasses, ItemSearch
from pystac_client.stac_api_io import StacApiIO

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.datasets.paths import expand_paths, is_pattern
from intake_virtualzarr.errors import NotAllowedError, StacError, VirtualZarrError
from intake_virtualzarr.stac.client import patient_copy, patient_io, search
from intake_virtualzarr.stac.documents import is_lines, is_stac_href, read_document, read_lines
from intake_virtualzarr.stac.pages import iter_pages
from intake_virtualzarr.stac.shape import checked_document, checked_features
from intake_virtualzarr.stac.signing import Modifier, strip_signature
from intake_virtualzarr.storage.places import is_network
from intake_virtualzarr.storage.policy import Policy
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["ItemDocument", "ItemsLike", "Skipped", "iter_items"]

type ItemsLike = (
    ItemSearch | pystac.ItemCollection | pystac.Catalog | pystac.Item | Attrs | str | os.PathLike[str] | Iterable["ItemsLike"]
)
"""What items can be taken from."""


type Skipped = dict[str, str] | None
"""Damaged documents by name, and what is wrong with them; None if they are errors."""


@dataclass(frozen=True, slots=True)
class ItemDocument:
    """An item as JSON, or a data file that was named directly."""

    document: JsonObject | None
    """The item (or a collection that has data assets of its own); ``None`` for a data file."""
    href: str | None = None
    """Where the document was read, which relative hrefs start from; or the data file."""
    asked_by: str | None = None
    """URL of the document that names these files, if it came over a network as far as can be told."""


def iter_items(
    source: ItemsLike,
    *,
    collection_assets: bool = False,
    stac_io: StacApiIO | None = None,
    policy: Policy | None = None,
    skipped: Skipped = None,
) -> Iterator[ItemDocument]:
    """Stream items; nothing is held but the page at hand.

    Parameters
    ----------
    source : ItemsLike
        A pystac-client search; a pystac item, item collection, collection or catalog; one of these as a
        dictionary; a path or URL of one of these (also newline-delimited); a path or URL of a data file,
        which is passed through, or a pattern (``*``) of such paths; or an iterable of any of these.
    collection_assets : bool
        Take collections themselves, for the assets that they have, instead of their items. Without it, only a
        collection without items is taken so.
    stac_io : StacApiIO, optional
        Reads documents over http; by default one that retries.
    policy : Policy, optional
        Which documents other documents may link to.
    skipped : dict, optional
        Takes up documents among several that are damaged, and why; default: the first one is an error.

    Raises
    ------
    StacError
        If something is of none of these kinds, or a document cannot be read.
    """
    policy = policy or Policy()
    io = stac_io if stac_io is not None else patient_io(policy=policy)
    if collection_assets and (own := _own_assets(source, io)) is not None:
        yield own
    elif isinstance(source, ItemSearch):
        yield from _from_search(source, policy)
    elif isinstance(source, pystac.Item | pystac.ItemCollection | pystac.Catalog):
        yield from _from_pystac(source, policy)
    elif isinstance(source, Mapping):
        yield from _from_document(dict(source), None, io, (), policy, skipped)
    elif isinstance(source, str | os.PathLike) and is_pattern(os.fspath(source)):
        for url in expand_paths(source, Access()):
            yield from _or_skipped(_from_href(url, io, (), policy, skipped), url, skipped)
    elif isinstance(source, str | os.PathLike):
        yield from _from_href(os.fspath(source), io, (), policy, skipped)
    elif isinstance(source, Iterable):
        for number, one in enumerate(source):
            found = iter_items(one, collection_assets=collection_assets, stac_io=io, policy=policy, skipped=skipped)
            yield from _or_skipped(found, _name(one, number), skipped)
    else:
        raise StacError(
            f"items cannot be taken from a {type(source).__name__}; expected a pystac-client search, "
            "pystac objects, dictionaries, or paths"
        )


def _or_skipped(found: Iterator[ItemDocument], label: str, skipped: Skipped) -> Iterator[ItemDocument]:
    """The items of one document among several; if it is damaged and such ones are skipped, what was read of it.

    One that names what is not allowed is no damage: somebody has to decide.
    """
    try:
        yield from found
    except VirtualZarrError as exc:
        if skipped is None or isinstance(exc, NotAllowedError):
            raise
        skipped[label] = str(exc)


def _name(one: object, number: int) -> str:
    if isinstance(one, str | os.PathLike):
        return strip_signature(os.fspath(one))
    name = one.get("id") if isinstance(one, Mapping) else getattr(one, "id", None)
    return f"item {name!r}" if isinstance(name, str) else f"item {number}"


def _own_assets(source: ItemsLike, io: StacApiIO) -> ItemDocument | None:
    """Return a collection as if it were an item; ``None`` for anything else."""
    if isinstance(source, pystac.Collection):
        return ItemDocument(source.to_dict(transform_hrefs=False), source.get_self_href(), _origin(source))
    if isinstance(source, str | os.PathLike):
        href = os.fspath(source)
        if not is_stac_href(href) or is_lines(href):
            return None
        document = read_document(href, io)
        return ItemDocument(document, href, href) if document.get("type") == "Collection" else None
    if isinstance(source, Mapping) and source.get("type") == "Collection":
        return ItemDocument(dict(source), asked_by=claimed_origin(source))
    return None


def _from_search(found: ItemSearch, policy: Policy) -> Iterator[ItemDocument]:
    count, wanted = 0, found._max_items
    for page in iter_pages(patient_copy(found._stac_io, policy), found.url, found.method, found.get_parameters(), policy=policy):
        _modify(found.modifier, page)
        for document in checked_features(page, found.url):
            if wanted is not None and count >= wanted:
                return
            count += 1
            yield ItemDocument(document, asked_by=found.url)


def _modify(modifier: Modifier | None, page: JsonObject) -> None:
    if modifier is not None and page.get("features"):
        modifier(page)


def _from_pystac(source: pystac.Item | pystac.ItemCollection | pystac.Catalog, policy: Policy) -> Iterator[ItemDocument]:
    if isinstance(source, pystac.Item):
        yield _from_item(source)
    elif isinstance(source, pystac.ItemCollection):
        yield from map(_from_item, source)
    elif (whole := _search_of(source)) is not None:
        yield from _from_search(whole, policy)
    else:
        found = False
        for item in source.get_items() if isinstance(source, CollectionClient) else source.get_items(recursive=True):
            found = True
            yield _from_item(item)
        if not found and isinstance(source, pystac.Collection) and source.assets:
            yield ItemDocument(source.to_dict(transform_hrefs=False), source.get_self_href(), _origin(source))


def _search_of(source: pystac.Catalog) -> ItemSearch | None:
    """The search for all items of an API or of one of its collections; ``None`` if there is none."""
    client = source.get_root() if isinstance(source, CollectionClient) else source
    if not isinstance(client, Client) or not client.conforms_to(ConformanceClasses.ITEM_SEARCH):
        return None
    return search(client, collections=[source.id]) if isinstance(source, CollectionClient) else search(client)


def _from_item(item: pystac.Item) -> ItemDocument:
    return ItemDocument(item.to_dict(transform_hrefs=False), item.get_self_href(), _origin(item))


def _origin(source: pystac.STACObject) -> str | None:
    """Where the catalog or API lies that an object was reached from, or where it says that it lies."""
    root = source.get_root()
    href = None if root is None else root.get_self_href()
    if href is not None and is_network(href):
        return href
    return claimed_origin({"links": [link.to_dict(transform_href=False) for link in source.links]})


def claimed_origin(document: Attrs) -> str | None:
    """Where a document says that it lies, if that is on a network; None for one that was made here.

    A search gives items that name their API (``self``, ``root``), as objects and as dictionaries. They are that server's word
    and not the user's, like those that a search of ours reads.

    Examples
    --------
    >>> claimed_origin({"links": [{"rel": "self", "href": "https://h/items/1"}]}), claimed_origin({"links": []})
    ('https://h/items/1', None)
    """
    links = [link for link in document.get("links") or [] if isinstance(link, Mapping) and isinstance(link.get("href"), str)]
    for rel in ("self", "root", "parent", "collection"):
        for link in links:
            href = str(link["href"])
            if link.get("rel") == rel and "://" in href and is_network(href):
                return href
    return None


def _from_href(href: str, io: StacApiIO, trail: tuple[str, ...], policy: Policy, skipped: Skipped = None) -> Iterator[ItemDocument]:
    if trail:
        policy.asked_by(trail[-1]).check(absolute_url(href))
    if not is_stac_href(href):
        yield ItemDocument(None, href, trail[-1] if trail else None)
    elif is_lines(href):
        for number, document in enumerate(read_lines(href, io)):
            yield from _or_skipped(_inside(document, href), f"{href}: {_name(document, number)}", skipped)
    else:
        yield from _from_document(read_document(href, io), href, io, trail, policy, skipped)


def _from_document(
    document: JsonObject, href: str | None, io: StacApiIO, trail: tuple[str, ...], policy: Policy, skipped: Skipped
) -> Iterator[ItemDocument]:
    document = checked_document(document, href or "a dictionary")
    kind = document.get("type")
    if kind == "Feature":
        yield ItemDocument(document, href, href or claimed_origin(document))
    elif kind == "FeatureCollection":
        yield from _from_feature_collection(document, href, io, policy, skipped)
    elif kind in ("Catalog", "Collection"):
        yield from _from_catalog(document, href, io, trail, policy, skipped)
    else:
        where = href or "a dictionary"
        raise StacError(f"{where}: 'type' is {kind!r}; expected Feature, FeatureCollection, Catalog or Collection")


def _from_feature_collection(
    document: JsonObject, href: str | None, io: StacApiIO, policy: Policy, skipped: Skipped
) -> Iterator[ItemDocument]:
    for number, feature in enumerate(document.get("features") or []):
        yield from _or_skipped(_inside(feature, href), f"{href or 'a dictionary'}: {_name(feature, number)}", skipped)
    link = next((link for link in document.get("links") or [] if link.get("rel") == "next"), None)
    if link is not None and href is not None and href.startswith("http"):
        following = make_absolute_href(link["href"], href)
        policy.asked_by(href).check(following)
        for page in iter_pages(io, following, policy=policy):
            yield from (ItemDocument(feature, asked_by=href) for feature in checked_features(page, href or "a page of items"))


def _inside(feature: JsonObject, href: str | None) -> Iterator[ItemDocument]:
    """Relative hrefs of an item kept in a file of many start from where the item itself is, if it says so."""
    feature = checked_document(feature, href or "a dictionary")
    has_self = any(link.get("rel") == "self" for link in feature.get("links") or [])
    yield ItemDocument(feature, None if has_self else href, href or claimed_origin(feature))


def _from_catalog(
    document: JsonObject, href: str | None, io: StacApiIO, trail: tuple[str, ...], policy: Policy, skipped: Skipped
) -> Iterator[ItemDocument]:
    """Walk a static catalog along its links, or read the items end point of a collection of an API."""
    links = [link for link in document.get("links") or [] if isinstance(link.get("href"), str)]
    base = href or next((link["href"] for link in links if link.get("rel") == "self"), None)
    if base is not None and base in trail:
        return
    hrefs = {
        rel: [_resolve(link["href"], base, document) for link in links if link.get("rel") == rel]
        for rel in ("items", "item", "child")
    }
    for one in hrefs["items"]:
        if base is not None:
            policy.asked_by(base).check(absolute_url(one))
        for page in iter_pages(io, one, policy=policy):
            yield from (ItemDocument(feature, asked_by=one) for feature in checked_features(page, href or "a page of items"))
    if not hrefs["items"]:
        for one in [*hrefs["item"], *hrefs["child"]]:
            linked = _from_href(one, io, (*trail, *([base] if base else [])), policy, skipped)
            yield from _or_skipped(linked, strip_signature(one), skipped)
    if document["type"] == "Collection" and document.get("assets") and not any(hrefs.values()):
        yield ItemDocument(document, href, href or claimed_origin(document))


def _resolve(href: str, base: str | None, document: JsonObject) -> str:
    absolute = "://" in href or os.path.isabs(href)
    if base is None and not absolute:
        raise StacError(
            f"{document.get('type')} {document.get('id')!r}: link {href!r} is relative, and the document has "
            "no self link; pass its path or URL instead of its content"
        )
    return href if absolute else make_absolute_href(href, base)
