"""What a published store takes over from the collection that its items come from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import pystac
from pystac_client import ItemSearch

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.errors import NotAllowedError, StacError
from intake_virtualzarr.stac.client import patient_io
from intake_virtualzarr.stac.documents import read_document
from intake_virtualzarr.stac.source_item import SourceItem
from intake_virtualzarr.storage.places import is_network
from intake_virtualzarr.storage.urls import absolute_url, is_local, is_url

__all__ = ["INHERITED", "inherited_fields", "linked_collection", "source_collection", "source_link"]

INHERITED = ("title", "license", "keywords", "providers")
"""Fields of a collection that hold for what is made of its items, unless somebody says otherwise."""


def source_collection(items: object, sources: Sequence[SourceItem]) -> JsonObject | None:
    """Read the one collection that all items say they belong to.

    It is asked for where the search went, and in local files; no other host is asked on the word of an item.

    Parameters
    ----------
    items : object
        What was searched, as `ingest` takes it.
    sources : sequence of SourceItem
        What was found.

    Returns
    -------
    dict or None
        The collection, with the absolute ``href`` that it was read from in place of its links; ``None`` if the items have
        none, belong to several, or it cannot be read: nothing depends on it.
    """
    hrefs = {one.collection_href for one in sources}
    href = next(iter(hrefs)) if len(hrefs) == 1 else None
    if href is None:
        return None
    from_network = any(one.asked_by is not None and is_network(absolute_url(one.asked_by)) for one in sources)
    if not (_origin(href) in _origins(items) or (_is_file(href) and not from_network)):
        return None
    try:
        document = read_document(href, patient_io(retries=2, timeout=20))
    except (StacError, NotAllowedError):
        return None
    return {**document, "href": href} if document.get("type") == "Collection" else None


def inherited_fields(collection: JsonObject | None) -> JsonObject:
    """The fields of a collection that are taken over; those that it lacks are absent."""
    if collection is None:
        return {}
    found = {name: collection[name] for name in INHERITED if collection.get(name)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def linked_collection(document: Attrs) -> JsonObject | None:
    """The source collection that a published document links to, as `source_link` wrote it."""
    for link in document.get("links") or []:
        if link.get("rel") == "derived_from" and link.get("type") == "application/json":
            return {"href": str(link.get("href")), "title": link.get("title")}
    return None


def source_link(collection: Attrs) -> pystac.Link:
    """A link to the collection that a store was made from."""
    title = collection.get("title")
    return pystac.Link("derived_from", str(collection["href"]), media_type="application/json", title=title or collection.get("id"))


def _is_file(href: str) -> bool:
    return is_local(href) or not is_url(href)


def _origins(items: object) -> set[tuple[str, str]]:
    """Scheme and host of what was searched."""
    if isinstance(items, ItemSearch):
        return {_origin(str(items.url))}
    if isinstance(items, str | os.PathLike):
        return {_origin(os.fspath(items))}
    if isinstance(items, Iterable) and not isinstance(items, dict):
        texts = [one for one in items if isinstance(one, str | os.PathLike)] if isinstance(items, list | tuple) else []
        return {_origin(os.fspath(one)) for one in texts}
    return set()


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
