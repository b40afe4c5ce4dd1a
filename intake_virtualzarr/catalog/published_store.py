"""A store that was published: what it holds, and what was recorded of its sources."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import xarray as xr

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.catalog.preview import page_href
from intake_virtualzarr.catalog.publish import Target, catalog_text, document_name, store_asset
from intake_virtualzarr.datasets.check_sources import tree_sources
from intake_virtualzarr.datasets.open import open_virtual_dataset
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.documents import naming
from intake_virtualzarr.hierarchy.reader import Hierarchy, tree_of
from intake_virtualzarr.stac.find_sources import source_items
from intake_virtualzarr.stac.given import given_fields
from intake_virtualzarr.stac.items import ItemDocument
from intake_virtualzarr.stac.shape import checked_document
from intake_virtualzarr.stac.signing import Modifier, signing_access
from intake_virtualzarr.stac.source_item import SourceItem
from intake_virtualzarr.stac.source_list import read_source_items
from intake_virtualzarr.storage.key_value import Seen, keys_of
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["PublishedStore", "read_published"]


@dataclass(frozen=True, eq=False)
class PublishedStore:
    """A store as it is, and its documents."""

    target: Target
    """The directory."""
    name: str
    """Name of the entry."""
    kind: str
    """``"collection"`` or ``"item"``."""
    document: JsonObject
    """The STAC object."""
    asset: JsonObject
    """The store in it."""
    dataset: xr.Dataset
    """The store, virtual."""
    files: dict[str, Source]
    """Its source files by URL; a Zarr store with all its chunk objects is one."""
    objects: dict[str, tuple[Source, ...]]
    """The chunk objects of each of these Zarr stores, by its URL."""
    items: tuple[tuple[JsonObject, SourceItem], ...]
    """The items that were recorded, and their sources."""
    root: Seen
    """The root document for which all this holds."""

    @property
    def url(self) -> str:
        """The store."""
        return self.target.store(self.name)

    @cached_property
    def listed(self) -> frozenset[str]:
        """URLs of the sources whose items were recorded."""
        return frozenset(absolute_url(one.href) for _, one in self.items)

    @cached_property
    def known(self) -> tuple[SourceItem, ...]:
        """All sources: those with an item, then plain files."""
        plain = (SourceItem(href=url) for url in self.files if url not in self.listed)
        return (*(one for _, one in self.items), *plain)

    @property
    def concat_dims(self) -> tuple[str, ...]:
        """Dimensions along which files were joined."""
        return tuple(self.asset.get("vzarr:concat_dims") or ())

    @property
    def given(self) -> JsonObject:
        """What people said of the store."""
        fields = given_fields(self.document, self.dataset, self.name)
        own_page = page_href(f"{self.name}.vzarr").removeprefix("./")
        if str(fields["preview_href"]).endswith(own_page):
            fields["preview_href"] = None
        return fields

    @property
    def software(self) -> Mapping[str, str] | None:
        """What wrote it, as far as it was recorded."""
        fields = self.document.get("properties", {})
        found: Mapping[str, str] | None = self.asset.get("processing:software") or fields.get("processing:software")
        return found

    def length(self, dim: str | None) -> int:
        """Length of a dimension; 0 if there is none."""
        return 0 if dim is None else int(self.dataset.sizes.get(dim, 0))

    def grown_dim(self, given: str | None) -> str | None:
        """The dimension to append along; ``None`` if nothing tells.

        Raises
        ------
        HierarchyError
            If the store has no such dimension.
        """
        sizes = self.dataset.sizes
        guess = given or (self.concat_dims[0] if len(self.concat_dims) == 1 else None)
        if guess is None and not self.concat_dims and "time" in sizes:
            guess = "time"
        if guess is not None and guess not in sizes:
            known = ", ".join(map(str, sizes)) or "none"
            raise HierarchyError(f"{self.url}: has no dimension {guess!r} to append along; there are {known}")
        return guess

    def documents_are_stale(self, found: Sequence[SourceItem]) -> bool:
        """Whether the documents do not say what the store holds, of which ``found`` is a part."""
        if any(one.item_id is not None and absolute_url(one.href) not in self.listed for one in found):
            return True
        if self.asset.get("vzarr:source_count") != len({*self.listed, *self.files}):
            return True
        fields = self.document.get("properties", self.document)
        described = {name: one.get("shape") for name, one in (fields.get("cube:variables") or {}).items()}
        if any(list(one.shape) != described.get(str(name)) for name, one in self.dataset.data_vars.items()):
            return True
        raw = self.target.keys.get("catalog.yaml")
        text = None if raw is None else raw.decode()
        title = self.given["title"] or str(self.dataset.attrs.get("title", ""))
        return catalog_text(text, self.name, self.kind, title) != text

    def document_names(self, *, with_items: bool) -> tuple[str, ...]:
        """Files of the directory that change when the store does."""
        listed = self.document.get("assets", {}).get("source-items", {}).get("href", "./items.json")
        names = [document_name(self.kind, self.name)]
        return (*names, str(listed).rpartition("/")[2]) if with_items or self.items else tuple(names)


def read_published(target: Target, name: str | None, modifier: Modifier | None = None) -> PublishedStore:
    """Read what `ingest` left in a directory.

    Parameters
    ----------
    target : Target
    name : str, optional
        May be left out where there is one store.
    modifier : callable, optional
        Signs URLs of sources: coordinates that are kept by reference are read from there.

    Raises
    ------
    HierarchyError
        If nothing of that name was published.
    """
    name = name or _only_name(target)
    with naming(f"{target.url}: {name}"):
        return _read_named(target, name, modifier)


def _read_named(target: Target, name: str, modifier: Modifier | None) -> PublishedStore:
    for kind in ("collection", "item"):
        file = document_name(kind, name)
        document = checked_document(target.document(file) or {}, f"{target.url}/{file}")
        asset = store_asset(document, name)
        if asset is not None and document.get("id") == name:
            break
    else:
        raise HierarchyError(f"{target.url}: {name!r} was not published there; ingest it first")
    store = target.store(name)
    keys = keys_of(store, target.access)
    root = keys.look("zarr.json")
    if root.value is None:
        raise HierarchyError(f"{store}: is not there; ingest with overwrite=True makes it anew")
    recorded = _recorded(target, document)
    files, objects = _by_store(tree_sources(tree_of(Hierarchy(keys, root=root.value))), recorded)
    plain = [SourceItem(href=url) for url in files]
    dataset = open_virtual_dataset(store, storage_options=signing_access(target.access, plain, modifier))
    return PublishedStore(target, name, kind, document, asset, dataset, files, objects, recorded, root)


def _by_store(
    sources: Sequence[Source], recorded: Sequence[tuple[JsonObject, SourceItem]]
) -> tuple[dict[str, Source], dict[str, tuple[Source, ...]]]:
    """Files by URL, and the chunk objects of Zarr stores by that of the store: it has an item, or a name that ends in ``.zarr``."""
    roots = {absolute_url(one.href).rstrip("/") for _, one in recorded}
    files: dict[str, Source] = {}
    objects: dict[str, list[Source]] = {}
    for source in sources:
        root = _root_of(source.url, roots)
        if root is None:
            files[source.url] = source
        else:
            files.setdefault(root, Source(root))
            objects.setdefault(root, []).append(source)
    return files, {root: tuple(found) for root, found in objects.items()}


def _root_of(url: str, roots: Collection[str]) -> str | None:
    head, mark, _ = url.partition(".zarr/")
    if mark:
        return f"{head}.zarr"
    above = url.rpartition("/")[0]
    while above.count("/") > 2:
        if above in roots:
            return above
        above = above.rpartition("/")[0]
    return None


def _only_name(target: Target) -> str:
    names = [one.removesuffix(".vzarr") for one in target.keys.names("") if one.endswith(".vzarr")]
    if len(names) != 1:
        there = ", ".join(map(repr, names)) or "no store"
        raise HierarchyError(f"{target.url}: holds {there}; name the one that is to be updated")
    return names[0]


def _recorded(target: Target, document: Attrs) -> tuple[tuple[JsonObject, SourceItem], ...]:
    asset = document.get("assets", {}).get("source-items")
    if asset is None:
        return ()
    href = str(asset["href"]).rpartition("/")[2]
    content = target.keys.get(href)
    where = f"{target.url}/{href}"
    if content is None:
        raise HierarchyError(f"{where}: the list of source items is not there; ingest with overwrite=True makes it anew")
    return tuple(
        (one, source)
        for one in read_source_items(content, where)
        for source in source_items(ItemDocument(one, where), asset=list(one["assets"]))
    )
