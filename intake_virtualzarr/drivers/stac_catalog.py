"""Intake 1: the driver ``virtualzarr_stac``, STAC documents and APIs as catalogs of their virtual assets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from intake.catalog.base import Catalog
from intake.catalog.entry import CatalogEntry
from pystac.utils import make_absolute_href

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.arrays.repr_html import table_html
from intake_virtualzarr.catalog import intake_yaml as catalog_file
from intake_virtualzarr.datasets.unknown_arguments import refuse_unknown
from intake_virtualzarr.drivers.intake1_source import VirtualZarrSource
from intake_virtualzarr.drivers.storage_options import access_rules
from intake_virtualzarr.drivers.virtual_assets import VirtualAsset, virtual_assets
from intake_virtualzarr.errors import NothingFoundError, StacError
from intake_virtualzarr.hierarchy.documents import naming
from intake_virtualzarr.storage.options import Access, StorageOptions
from intake_virtualzarr.storage.places import is_network
from intake_virtualzarr.storage.policy import Allow, Policy, allow_list
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["StacEntry", "VirtualZarrStacCatalog"]

ADDED_METADATA = ("title", "license", "keywords", "datetime", "start_datetime", "end_datetime", "bbox", "extent")
"""Fields of a document that its entries carry as metadata."""

CHILDREN = ("child", "item", "items", "data")

SHOWN = 20
"""Entries that HTML lists."""


class StacEntry(CatalogEntry):  # type: ignore[misc]
    """An entry that is made without templates.

    Intake renders the arguments of entries in files as Jinja templates. What a STAC document says is not ours, and must not
    run here.
    """

    def __init__(
        self,
        name: str,
        description: str,
        driver: type[Any],
        args: Attrs,
        metadata: Attrs | None = None,
    ) -> None:
        super().__init__()
        self._name = name
        self._description = description
        self._driver = driver
        self._args = dict(args)
        self._metadata = dict(metadata or {})
        self._user_parameters: list[Any] = []
        self._catalog: Any = None
        self._container = driver.container

    @property
    def name(self) -> str:
        """Name in the catalog."""
        return self._name

    def _asking(self, href: str) -> Any:
        """Options for what a document of the catalog names, which know that it asks."""
        if not self._allow and not is_network(absolute_url(self.urlpath)):
            return self._options
        options = Access.of(access_rules(self._options, href), allow=self._allow)
        return options.asked_by(absolute_url(self.urlpath))

    def describe(self) -> JsonObject:
        """Basic information, in the form of other entries."""
        driver = self._driver.name
        return {
            "name": self._name,
            "container": self._container,
            "plugin": [driver],
            "driver": [driver],
            "description": self._description,
            "direct_access": True,
            "user_parameters": [],
            "metadata": self._metadata,
            "args": {name: value for name, value in self._args.items() if name != "storage_options"},
        }

    def get(self, **arguments: Any) -> Any:
        """Make the source, or the nested catalog."""
        metadata = {} if self._container == "catalog" else {"metadata": dict(self._metadata)}
        source = self._driver(**{**metadata, **self._args, **arguments})
        source.name, source.description = self._name, self._description
        source.cat = source.catalog_object = self._catalog
        return source


class VirtualZarrStacCatalog(Catalog):  # type: ignore[misc]
    """A STAC catalog, collection, item or API as a catalog of its virtual assets.

    Parameters
    ----------
    urlpath : path or URL
        A STAC document, or the landing page of an API.
    search : mapping, optional
        Parameters of an item search, as for `pystac_client.Client.search`; only for an API.
    storage_options : mapping, optional
        Options for opening the documents (``headers``), the stores and their sources, by URL prefix.
    allow : str or list of str, optional
        URL prefixes and paths that documents and stores from a network may name, beside their own places.
    name, description, metadata : optional
        As for any Intake catalog.

    Raises
    ------
    NothingFoundError
        If nothing there is virtual: a catalog is never empty without a word.

    Notes
    -----
    An item or collection with one virtual asset gives an entry of its own id; one with several gives ``id_key`` for each.
    Children that have children themselves are nested catalogs, read when they are opened.
    """

    name = "virtualzarr_stac"
    container = "catalog"

    def __init__(
        self,
        urlpath: str | os.PathLike[str],
        search: Attrs | None = None,
        storage_options: StorageOptions = None,
        allow: Allow = None,
        name: str | None = None,
        description: str | None = None,
        metadata: JsonObject | None = None,
        **unknown: Any,
    ) -> None:
        known = ("urlpath", "search", "storage_options", "allow", "name", "description", "metadata")
        refuse_unknown(unknown, known, "driver 'virtualzarr_stac'")
        self.urlpath = os.fspath(urlpath)
        self.search_parameters = dict(search) if search is not None else None
        self._options = storage_options
        self._allow = allow_list(allow)
        # a STAC document is read once, and again only by force_reload(): items are not fetched every minute
        self.description: str | None = description
        self.metadata: JsonObject = dict(metadata or {})
        super().__init__(name=name, description=description, metadata=metadata, ttl=None, storage_options=storage_options)

    def _load(self) -> None:
        with naming(self.urlpath, StacError):
            self._load_entries()

    def _load_entries(self) -> None:
        entries: dict[str, StacEntry] = {}
        headers = _headers(self._options, self.urlpath)
        parameters = self.search_parameters
        Access.of(self._options).check(absolute_url(self.urlpath))
        allow = Access.of(self._options, allow=self._allow).policy.allow
        found = None if parameters is None else _search(self.urlpath, parameters, headers, allow)
        if found is None:
            document, io = _read(self.urlpath, headers, allow)
            self.name = self.name or str(document.get("id") or "stac")
            self.description = self.description or str(document.get("description") or "")
            self.metadata = {**_metadata(document), **self.metadata}
            for entry in self._entries_of(document, self.urlpath, io):
                entries[_free(entry.name, entries)] = entry
        else:
            self.name = self.name or "search"
            for document, base in found:
                for entry in self._own_entries(document, base):
                    entries[_free(entry.name, entries)] = entry
        if not entries:
            what = "no item of the search" if found is not None else "nothing there"
            raise NothingFoundError(
                f"{self.urlpath}: {what} has a virtual asset (field vzarr:manifest_format, role 'virtual' or suffix .vzarr)"
            )
        self._entries = entries

    def _entries_of(self, document: Attrs, base: str, io: Any) -> Iterator[StacEntry]:
        from intake_virtualzarr.stac.shape import checked_features

        if document.get("type") == "FeatureCollection":
            for item in checked_features(document, base):
                yield from self._own_entries(item, base)
            return
        yield from self._own_entries(document, base)
        asked = Access.of(None, allow=self._allow).asked_by(absolute_url(base))
        for child, href in _children(document, base, io, asked):
            if any(link.get("rel") in CHILDREN for link in child.get("links") or ()) and child.get("type") != "Feature":
                yield from self._nested(child, href)
            else:
                yield from self._own_entries(child, href)

    def _nested(self, child: Attrs, href: str) -> Iterator[StacEntry]:
        items = [link for link in child.get("links") or () if link.get("rel") == "items"]
        if items and virtual_assets(child, href):  # a collection of an API: its own asset, not those of all its items
            yield from self._own_entries(child, href)
            return
        args = {"urlpath": href, "storage_options": self._asking(href)}
        yield StacEntry(str(child.get("id")), _title(child), VirtualZarrStacCatalog, args, _metadata(child))

    def _own_entries(self, document: Attrs, base: str) -> Iterator[StacEntry]:
        own = next((str(one["href"]) for one in document.get("links") or () if one.get("rel") == "self"), base)
        assets = virtual_assets(document, own if "://" in own or os.path.isabs(own) else base)
        name = str(document.get("id"))
        for asset in assets:
            yield self._entry(name if len(assets) == 1 else f"{name}_{asset.key}", asset, document)

    def _entry(self, name: str, asset: VirtualAsset, document: Attrs) -> StacEntry:
        args = {"urlpath": asset.href, **asset.arguments}
        if self._options or self._allow or is_network(absolute_url(self.urlpath)):
            args["storage_options"] = self._asking(asset.href)
        return StacEntry(name, _title(document), VirtualZarrSource, args, _metadata(document))

    def _asking(self, href: str) -> Any:
        """Options for what a document of the catalog names, which know that it asks."""
        if not self._allow and not is_network(absolute_url(self.urlpath)):
            return self._options
        options = Access.of(access_rules(self._options, href), allow=self._allow)
        return options.asked_by(absolute_url(self.urlpath))

    def describe(self) -> JsonObject:
        """What is known without the entries being opened, in the form of entries."""
        return {
            "name": self.name,
            "container": self.container,
            "driver": ["virtualzarr_stac"],
            "description": self.description or "",
            "metadata": self.metadata,
            "args": {"urlpath": self.urlpath} | ({"search": self.search_parameters} if self.search_parameters else {}),
        }

    def _yaml(self) -> JsonObject:
        """Write the catalog as a catalog of one entry. Its values are not templates, and do not become any when it is read."""
        source = {
            "driver": "virtualzarr_stac",
            "description": _first_line(self.description),
            "metadata": catalog_file.literal(self.metadata),
            "args": catalog_file.literal(self.describe()["args"]),
        }
        return {"sources": {self.name: source}}

    def __setstate__(self, state: JsonObject) -> None:
        # a list, and the catalog would not equal its original
        super().__setstate__({**state, "args": tuple(state["args"])})

    _ipython_display_: ClassVar[None] = None
    """Notebooks show `_repr_html_` instead."""

    def _repr_html_(self) -> str:
        entries = list(self._entries.values())
        rows: JsonObject = {"description": _first_line(self.description), "urlpath": self.urlpath}
        for entry in entries[:SHOWN]:
            kind = "catalog" if entry._container == "catalog" else ", ".join(_opened_by(entry._args))
            rows[f"entry: {entry.name}"] = f"{entry._description} ({kind})"
        if len(entries) > SHOWN:
            rows["…"] = f"{len(entries) - SHOWN} more entries"
        return table_html(f"{self.name} (virtualzarr_stac, {len(entries)} {'entry' if len(entries) == 1 else 'entries'})", rows)

    def serialize(self) -> str:
        """Write the entries as a catalog file, which opens without the STAC documents.

        Returns
        -------
        str
            YAML; paths are absolute, options for opening are left out.
        """
        entries = {}
        for name, entry in self._entries.items():
            args = {key: value for key, value in entry._args.items() if key not in ("urlpath", "storage_options")}
            driver = entry._driver.name
            href = entry._args["urlpath"]
            # a local catalog may name everything: what this one may not does not get there
            Access.of(entry._args.get("storage_options")).check(absolute_url(href))
            href = href if "::/" in href or "://" in href else os.path.abspath(href)
            entries[name] = catalog_file.CatalogEntry(href, entry._description, entry._metadata, args, driver)
        return catalog_file.catalog_yaml(entries)


def _opened_by(args: Attrs) -> list[str]:
    return [str(args["urlpath"]), *(str(args[name]) for name in ("format", "group") if name in args)]


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _headers(options: Any, urlpath: str) -> dict[str, str]:
    """Give the headers that options hold for the place of the documents."""
    return dict(Access.of(access_rules(options, urlpath)).options(urlpath).get("headers", {}))


def _read(urlpath: str, headers: Mapping[str, str], allow: tuple[str, ...]) -> tuple[JsonObject, Any]:
    from intake_virtualzarr.stac.client import patient_io
    from intake_virtualzarr.stac.documents import read_document
    from intake_virtualzarr.stac.shape import checked_document

    io = patient_io(headers=headers, policy=Policy(allow))
    return checked_document(read_document(urlpath, io), urlpath), io


def _search(
    urlpath: str, parameters: Attrs, headers: Mapping[str, str], allow: tuple[str, ...]
) -> Iterator[tuple[JsonObject, str]]:
    from intake_virtualzarr.stac.client import open_client, search
    from intake_virtualzarr.stac.items import iter_items

    for one in iter_items(search(open_client(urlpath, headers=headers, allow=allow), **parameters), policy=Policy(allow)):
        if one.document is not None:
            yield one.document, one.href or urlpath


def _children(document: Attrs, base: str, io: Any, asked: Access) -> Iterator[tuple[JsonObject, str]]:
    """Read the documents that a catalog links to; of an API's collection its items."""
    from intake_virtualzarr.stac.documents import read_document
    from intake_virtualzarr.stac.pages import iter_pages
    from intake_virtualzarr.stac.shape import checked_collections, checked_document, checked_features

    links = [link for link in document.get("links") or () if isinstance(link.get("href"), str)]
    own = next((link["href"] for link in links if link.get("rel") == "self" and "://" in link["href"]), base)
    hrefs = {rel: [make_absolute_href(one["href"], own) for one in links if one.get("rel") == rel] for rel in CHILDREN}
    asked.check(*(absolute_url(one) for ones in hrefs.values() for one in ones))
    if hrefs["data"] and document.get("type") == "Catalog":  # the collections of an API
        for page in iter_pages(io, hrefs["data"][0], policy=asked.policy):
            yield from ((one, _self_href(one, hrefs["data"][0])) for one in checked_collections(page, hrefs["data"][0]))
        return
    if hrefs["items"]:
        for page in iter_pages(io, hrefs["items"][0], policy=asked.policy):
            yield from ((one, _self_href(one, hrefs["items"][0])) for one in checked_features(page, hrefs["items"][0]))
        return
    for href in (*hrefs["item"], *hrefs["child"]):
        yield checked_document(read_document(href, io), href), href


def _self_href(document: Attrs, otherwise: str) -> str:
    return next((str(one["href"]) for one in document.get("links") or () if one.get("rel") == "self"), otherwise)


def _title(document: Attrs) -> str:
    properties = document.get("properties") or {}
    text = document.get("title") or properties.get("title") or document.get("description") or document.get("id")
    return _first_line(str(text))


def _metadata(document: Attrs) -> JsonObject:
    fields = {**(document.get("properties") or {}), **document}
    return {name: fields[name] for name in ADDED_METADATA if fields.get(name) is not None}


def _free(name: str, taken: Attrs) -> str:
    """Give a name that is not taken: two collections may hold items of one id."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
