"""Publishing a store that has been written: STAC documents and the Intake catalog, in the directory beside it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import xarray as xr

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr._version import __version__
from intake_virtualzarr.catalog.intake_yaml import existing_text, merged_catalog
from intake_virtualzarr.catalog.preview import page_href, write_page
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.clean import named_bytes
from intake_virtualzarr.hierarchy.documents import VERSION
from intake_virtualzarr.hierarchy.generation import RootRecord
from intake_virtualzarr.hierarchy.writer import holds_leftovers_only
from intake_virtualzarr.stac.publication import Publication, source_prefixes
from intake_virtualzarr.stac.publish import publish_collection, publish_item
from intake_virtualzarr.stac.source_item import SourceItem
from intake_virtualzarr.stac.storage_schemes import known_storage
from intake_virtualzarr.storage.atomic_write import write_if_changed
from intake_virtualzarr.storage.key_value import LocalKeys, keys_of
from intake_virtualzarr.storage.parsing import parse_object
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.urls import is_local, local_path

__all__ = ["Contents", "Kind", "Target", "catalog_text", "document_name", "fingerprint", "publish_store", "store_asset"]

type Kind = Literal["collection", "item"]
"""Which STAC object stands for a store."""

CATALOG = "catalog.yaml"

NAME = re.compile(r"[^\W][\w.-]*")
"""Names of stores: those of files on every system, and ids of STAC objects."""

SUFFIXES = {
    "application/x-netcdf": frozenset({"nc", "nc4", "cdf"}),
    "application/x-hdf5": frozenset({"h5", "hdf5", "he5"}),
    "application/wmo-GRIB2": frozenset({"grib2", "grb2", "gb2"}),
}
"""Media types of files whose items do not say it."""


@dataclass(frozen=True)
class Contents:
    """What a store holds, as far as its arrays do not say it."""

    items: tuple[SourceItem, ...]
    """The items and files it was made from, in order."""
    sources: tuple[Source, ...]
    """The files, as they were when scanned."""
    references: int
    """References to chunks."""
    nbytes: int
    """Size of the hierarchy [bytes]."""
    concat_dims: tuple[str, ...] | None = None
    """Dimensions along which files were joined."""
    software: Mapping[str, str] | None = None
    """What wrote it; by default this package."""


def fingerprint(sources: Iterable[Source]) -> str:
    """Digest over URL, size, ETag and modification time of sources."""
    digest = hashlib.sha256()
    for source in sorted(sources, key=lambda s: s.url):
        changed = source.last_modified.isoformat() if source.last_modified else None
        digest.update(json.dumps([source.url, source.size, source.etag, changed]).encode())
    return f"sha256:{digest.hexdigest()}"


def document_name(kind: str, name: str) -> str:
    """Name of the file with the STAC object of a store."""
    return "collection.json" if kind == "collection" else f"{name}.json"


def publish_store(target: Target, name: str, kind: str, contents: Contents, about: Attrs, reading: Access) -> list[str]:
    """Write what describes a store, or bring it up to date.

    Parameters
    ----------
    target : Target
        Where the store lies, as ``<name>.vzarr``.
    name : str
        Name of the entry, and id of the STAC object.
    kind : {"collection", "item"}
    contents : Contents
    about : mapping
        Fields of `Publication` that people give: title, description, license, ….
    reading : Access
        How sources are opened: a slice is read for the thumbnail.

    Returns
    -------
    list of str
        Files written, relative to the directory.
    """
    with target.local() as directory:
        # what the store names was found and scanned just now
        reading = reading.allowing(source.url for source in contents.sources)
        options = {"storage_options": reading} if reading != Access() else {}
        opened = xr.open_dataset(target.store(name), engine="virtualzarr", backend_kwargs=options)
        written = _publish(opened, target, directory, name, kind, contents, about)
        target.upload(directory, written)
    return written


def _publish(
    opened: xr.Dataset, target: Target, directory: Path, name: str, kind: str, contents: Contents, about: Attrs
) -> list[str]:
    own_page = page_href(f"{name}.vzarr")
    # an update is given the link that is there, absolute where the directory's place is known
    beside = not about.get("preview_href") or about["preview_href"].endswith(own_page.removeprefix("."))
    urls = [source.url for source in contents.sources]
    schemes, refs = known_storage([*urls, target.url], target.access)
    in_place = not about.get("base_href")
    publication = Publication(
        id=name,
        store_href=f"./{name}.vzarr",
        manifest_format="vzarr",
        manifest_version=VERSION,
        concat_dims=contents.concat_dims,
        chunk_count=contents.references,
        source_count=len(contents.sources),
        sources=source_prefixes(
            [(_shown(s.url), s.size) for s in contents.sources],
            media_type=_media_type(contents.items),
            storage_refs=refs,
            relative_to=local_path(target.url) if is_local(target.url) else None,
        ),
        storage_schemes=schemes,
        storage_refs=refs.get("/".join(target.url.split("/")[:3]), ()) if in_place else (),
        fingerprint=fingerprint(contents.sources),
        manifest_size=contents.nbytes,
        consolidated=True,
        source_items=tuple(item for item in contents.items if item.item_id is not None),
        software=contents.software or {"intake-virtualzarr": __version__},
        relocatable=is_local(target.url),
        **{**about, "preview_href": own_page if beside else about["preview_href"]},
    )
    # the STAC object comes last: it says that all this was published, so that what was interrupted before it is done again
    written = write_page(directory) if beside else []
    catalog = directory / CATALOG
    text = catalog_text(existing_text(catalog), name, kind, about.get("title") or str(opened.attrs.get("title", "")))
    if write_if_changed(catalog, text.encode()):
        written.append(CATALOG)
    make = publish_collection if kind == "collection" else publish_item
    written += [str(path.relative_to(directory)) for path in make(opened, publication, directory)]
    return written


def catalog_text(existing: str | None, name: str, kind: str, title: str) -> str:
    """The Intake catalog with the entry of a store."""
    return merged_catalog(existing, name, f"{name}.vzarr", title, {"stac": document_name(kind, name)})


def _media_type(items: Sequence[SourceItem]) -> str | None:
    """What all items say that their files are; what the names say where they say nothing."""
    told = {item.media_type for item in items}
    if len(told) == 1 and (one := next(iter(told))) is not None:
        return one
    suffixes = {urlsplit(item.href).path.lower().rpartition(".")[2] for item in items}
    return next((kind for kind, known in SUFFIXES.items() if suffixes <= known), None)


def _shown(url: str) -> str:
    return local_path(url) if is_local(url) else url


class Target:
    """The directory that is published: local, or an object store that is written through a temporary directory."""

    def __init__(self, url: str, access: Access) -> None:
        self.url = url.rstrip("/")
        self.access = access
        self.keys = keys_of(self.url, access)

    def check_free(self, name: str) -> None:
        """Raise if the name cannot be that of a directory, or the directory holds something that is not ours."""
        if not NAME.fullmatch(name):
            raise HierarchyError(f"name is {name!r}; expected letters, digits, '.', '_' or '-', the first no '.': it names files")
        if self.keys.is_empty() or self.has_store(name) or self._was_begun(name):
            return
        ours = any(self.keys.size(key) is not None for key in (CATALOG, "collection.json", "catalog.json"))
        if not ours:
            raise HierarchyError(
                f"{self.url}: is not empty and holds no catalog; choose an empty directory (or one that ingest made)"
            )

    def _was_begun(self, name: str) -> bool:
        """Whether there is nothing but what an ingest of that name began that was killed."""
        return set(self.keys.names("")) <= {f"{name}.vzarr"} and holds_leftovers_only(keys_of(self.store(name), self.access))

    def made_from(self, name: str) -> str | None:
        """The digest that the store itself records of its sources; None if no ingest made it."""
        record = RootRecord.read(self.keys.get(f"{name}.vzarr/zarr.json"))
        return None if record is None else record.made_from

    def store(self, name: str) -> str:
        """URL of a store."""
        return f"{self.url}/{name}.vzarr"

    def document(self, name: str) -> JsonObject | None:
        """A JSON object of the directory; ``None`` if there is none of that name.

        Raises
        ------
        HierarchyError
            If it is something else.
        """
        raw = self.keys.get(name)
        if raw is None:
            return None
        return parse_object(raw, f"{self.url}/{name}", HierarchyError)

    def fingerprint(self, name: str, kind: str) -> str | None:
        """The digest of what is there under that name; empty if it is not known, ``None`` if there is nothing."""
        if not self.has_store(name):
            return None
        asset = store_asset(self.document(document_name(kind, name)) or {}, name) or {}
        return str(asset.get("vzarr:fingerprint", ""))

    def has_store(self, name: str) -> bool:
        """Whether there is a hierarchy of that name."""
        return self.keys.size(f"{name}.vzarr/zarr.json") is not None

    def size(self, name: str) -> int:
        """Size of the hierarchy that is there [bytes]."""
        return named_bytes(keys_of(self.store(name), self.access))

    def remove_store(self, name: str) -> None:
        """Take back a store that could not be published."""
        self.keys.delete([f"{name}.vzarr/zarr.json"])  # first, so that nobody opens what is going away
        self.keys.delete_below(f"{name}.vzarr")

    def local(self) -> _Directory:
        """A local directory with the published documents."""
        return _Directory(self)

    def upload(self, directory: Path, names: Sequence[str]) -> None:
        """Copy written documents to where they belong."""
        if isinstance(self.keys, LocalKeys):
            return
        for name in names:
            self.keys.set(name, (directory / name).read_bytes())


def store_asset(document: Attrs, name: str) -> JsonObject | None:
    """The asset of a STAC object that is a store of this name."""
    for asset in (document.get("assets") or {}).values():
        if str(asset.get("href", "")).rstrip("/").rpartition("/")[2] == f"{name}.vzarr":
            return dict(asset)
    return None


class _Directory:
    """The published directory itself, or a copy of its documents."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._temporary: str | None = None

    def __enter__(self) -> Path:
        keys = self._target.keys
        if isinstance(keys, LocalKeys):
            keys.root.mkdir(parents=True, exist_ok=True)
            return keys.root
        self._temporary = tempfile.mkdtemp(prefix="intake-virtualzarr-")
        for name in keys.names(""):
            if name.endswith((".json", ".yaml", ".png", ".parquet", ".html", ".js")):
                value = keys.get(name)
                if value is not None:
                    (Path(self._temporary) / name).write_bytes(value)
        return Path(self._temporary)

    def __exit__(self, *args: object) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
