"""ingest: search -> scan -> join -> write -> publish. Order of work only."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from intake_virtualzarr._version import __version__
from intake_virtualzarr.catalog_file import existing_text, merged_catalog
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.keys import LocalKeys, keys_of
from intake_virtualzarr.readers import Access
from intake_virtualzarr.readers.urls import absolute_url, is_local, local_path
from intake_virtualzarr.sources import Source
from intake_virtualzarr.stac.publication import Publication, source_prefixes
from intake_virtualzarr.stac.publish import publish_collection, publish_item
from intake_virtualzarr.virtualize import Cube, build_cube, virtualize
from intake_virtualzarr.writing import write_dataset

__all__ = ["IngestReport", "fingerprint", "ingest", "virtualize"]


@dataclass(frozen=True)
class IngestReport:
    """What `ingest` did."""

    directory: str
    """Where everything was written."""
    store: str
    """The hierarchy of manifests."""
    stac: str
    """The STAC collection or item."""
    catalog: str
    """The Intake catalog file."""
    sources: int
    """Source files."""
    references: int
    """References to chunks."""
    data_bytes: int
    """Size of the source files [bytes], as far as it is known."""
    manifest_bytes: int
    """Size of the hierarchy [bytes]."""
    fingerprint: str
    """Digest over the sources."""
    written: tuple[str, ...]
    """Files written, relative to ``directory``; empty if all was up to date."""
    skipped: dict[str, str]
    """Sources that could not be scanned, with reasons (``on_error="skip"``)."""

    @property
    def changed(self) -> bool:
        """Whether anything was (or with ``dry_run`` would be) written."""
        return bool(self.written)


def fingerprint(sources: Iterable[Source]) -> str:
    """Digest over URL, size, ETag and modification time of sources."""
    digest = hashlib.sha256()
    for source in sorted(sources, key=lambda s: s.url):
        changed = source.last_modified.isoformat() if source.last_modified else None
        digest.update(json.dumps([source.url, source.size, source.etag, changed]).encode())
    return f"sha256:{digest.hexdigest()}"


def ingest(
    items: Any,
    directory: str | os.PathLike[str],
    *,
    name: str,
    publish: str = "collection",
    overwrite: bool = False,
    dry_run: bool = False,
    fuse: bool = True,
    title: str | None = None,
    description: str | None = None,
    license: str = "other",
    providers: Iterable[dict[str, Any]] = (),
    keywords: Iterable[str] = (),
    base_href: str | None = None,
    preview_href: str | None = None,
    storage_options: Any = None,
    **options: Any,
) -> IngestReport:
    """Scan the files of a search, join them, and publish them as a virtual store.

    Writes ``<directory>/<name>.vzarr`` (manifests), ``collection.json`` or ``<name>.json`` (STAC), ``catalog.yaml`` (Intake) and
    a thumbnail. A second call with the same, unchanged files writes nothing.

    Parameters
    ----------
    items : pystac_client.ItemSearch, pystac.ItemCollection, iterable of items or dicts, or paths
        Where the files are.
    directory : path or URL
        Where to.
    name : str
        Name of the entry, and id of the STAC object.
    publish : {"collection", "item"}
        Which STAC object to write.
    overwrite : bool
        Whether a store of that name made from other files may be replaced.
    dry_run : bool
        Do everything but write.
    fuse : bool
        Whether joined arrays become one manifest where they can.
    title, description, license, providers, keywords, base_href, preview_href
        For the STAC object; see `intake_virtualzarr.stac.publication.Publication`.
    storage_options : mapping or Access, optional
        Options for opening sources and writing, by URL prefix.
    **options
        How files are found and joined: see `intake_virtualzarr.virtualize.build_cube`.

    Returns
    -------
    IngestReport

    Raises
    ------
    NothingFoundError, StacError, SourceError, FormatError, IngestError
        If nothing usable was found, or files cannot be read or joined.
    HierarchyError
        If the directory holds something else.
    """
    url = absolute_url(directory)
    target = _Target(url, Access.of(storage_options))
    target.check_free(name)
    cube = build_cube(items, storage_options=storage_options, **options)
    digest = fingerprint(cube.sources)
    known = target.fingerprint(name, publish)
    if known is not None and known != digest and not overwrite:
        raise HierarchyError(
            f"{url}: {name!r} is there already, made from other files (or these have changed); "
            "overwrite=True replaces it, append or update adds to it"
        )
    store = f"{url}/{name}.vzarr"
    stac = f"{url}/collection.json" if publish == "collection" else f"{url}/{name}.json"
    references = cube.dataset.vzarr.references
    written: list[str] = []
    size = target.size(name)
    if known != digest:
        if dry_run:
            written = [f"{name}.vzarr", Path(stac).name, "catalog.yaml"]
        else:
            about = {
                "title": title,
                "description": description,
                "license": license,
                "providers": providers,
                "keywords": keywords,
                "base_href": base_href,
                "preview_href": preview_href,
            }
            written, size = _write(cube, target, name, publish, digest, overwrite, fuse, about)
    return IngestReport(
        directory=url,
        store=store,
        stac=stac,
        catalog=f"{url}/catalog.yaml",
        sources=len(cube.sources),
        references=references,
        data_bytes=sum(source.size or 0 for source in cube.sources),
        manifest_bytes=size,
        fingerprint=digest,
        written=tuple(written),
        skipped=cube.skipped,
    )


def _write(
    cube: Cube, target: _Target, name: str, publish: str, digest: str, overwrite: bool, fuse: bool, about: dict[str, Any]
) -> tuple[list[str], int]:
    store = f"{target.url}/{name}.vzarr"
    existed = target.has_store(name)
    result = write_dataset(
        cube.dataset, store, mode="w" if overwrite else "w-", fuse=fuse, storage_options=target.access
    )
    try:
        with target.local() as directory:
            written = _publish(cube, directory, target, name, publish, digest, result, about)
            target.upload(directory, written)
    except BaseException:
        if not existed:
            target.remove_store(name)
        raise
    return [f"{name}.vzarr", *written], result.nbytes


def _publish(
    cube: Cube, directory: Path, target: _Target, name: str, publish: str, digest: str, result: Any, about: dict[str, Any]
) -> list[str]:
    opened = xr.open_dataset(
        f"{target.url}/{name}.vzarr",
        engine="virtualzarr",
        backend_kwargs={"storage_options": target.access} if target.access.rules else {},
    )
    from intake_virtualzarr.hierarchy.documents import VERSION

    publication = Publication(
        id=name,
        store_href=f"./{name}.vzarr",
        manifest_format="vzarr",
        manifest_version=VERSION,
        concat_dims=_concat_dims(cube),
        chunk_count=result.references,
        source_count=len(cube.sources),
        sources=source_prefixes(
            [(_shown(s.url), s.size) for s in cube.sources],
            relative_to=local_path(target.url) if is_local(target.url) else None,
        ),
        fingerprint=digest,
        manifest_size=result.nbytes,
        consolidated=True,
        source_items=tuple(item for item in cube.items if item.item_id is not None),
        software={"intake-virtualzarr": __version__},
        title=about["title"],
        description=about["description"],
        license=about["license"],
        providers=tuple(about["providers"]),
        keywords=tuple(about["keywords"]),
        base_href=about["base_href"],
        relocatable=is_local(target.url),
        preview_href=about["preview_href"],
    )
    make = publish_collection if publish == "collection" else publish_item
    paths = make(opened, publication, directory)
    written = [str(path.relative_to(directory)) for path in paths]
    catalog = directory / "catalog.yaml"
    text = merged_catalog(
        existing_text(catalog),
        name,
        f"{name}.vzarr",
        about["title"] or str(opened.attrs.get("title", "")),
        {"stac": _stac_name(publish, name)},
    )
    if existing_text(catalog) != text:
        catalog.write_text(text, encoding="utf-8")
        written.append("catalog.yaml")
    return written


def _stac_name(publish: str, name: str) -> str:
    return "collection.json" if publish == "collection" else f"{name}.json"


def _shown(url: str) -> str:
    return local_path(url) if is_local(url) else url


def _concat_dims(cube: Cube) -> tuple[str, ...] | None:
    """Dimensions that the joined dataset is longer along than any one file says: those of unlimited or time axes."""
    if len(cube.sources) < 2:
        return None
    names = cube.dataset.encoding.get("concat_dims")
    return tuple(names) if names else None


class _Target:
    """The directory that is published: local, or an object store that is written through a temporary directory."""

    def __init__(self, url: str, access: Access) -> None:
        self.url = url.rstrip("/")
        self.access = access
        self.keys = keys_of(self.url, access)

    def check_free(self, name: str) -> None:
        """Raise if the directory holds something that is not ours."""
        if self.keys.is_empty():
            return
        ours = any(self.keys.size(key) is not None for key in ("catalog.yaml", "collection.json", "catalog.json"))
        if not ours:
            raise HierarchyError(
                f"{self.url}: is not empty and holds no catalog; choose an empty directory (or one that ingest made)"
            )

    def fingerprint(self, name: str, publish: str) -> str | None:
        """The digest of what is there under that name."""
        if not self.has_store(name):
            return None
        raw = self.keys.get(_stac_name(publish, name))
        if raw is None:
            return ""
        assets = json.loads(raw).get("assets", {})
        for asset in assets.values():
            if str(asset.get("href", "")).rstrip("/").endswith(f"{name}.vzarr"):
                return str(asset.get("vzarr:fingerprint", ""))
        return ""

    def has_store(self, name: str) -> bool:
        """Whether there is a hierarchy of that name."""
        return self.keys.size(f"{name}.vzarr/zarr.json") is not None

    def size(self, name: str) -> int:
        """Size of the hierarchy that is there [bytes]; 0 if it is not local."""
        if not isinstance(self.keys, LocalKeys):
            return 0
        return sum(p.stat().st_size for p in (self.keys.root / f"{name}.vzarr").rglob("*") if p.is_file())

    def remove_store(self, name: str) -> None:
        """Take back a store that could not be published."""
        self.keys.delete_below(f"{name}.vzarr")

    def local(self) -> _Directory:
        """A local directory with the published documents."""
        return _Directory(self)

    def upload(self, directory: Path, names: list[str]) -> None:
        """Copy written documents to where they belong."""
        if isinstance(self.keys, LocalKeys):
            return
        for name in names:
            self.keys.set(name, (directory / name).read_bytes())


class _Directory:
    """The published directory itself, or a copy of its documents."""

    def __init__(self, target: _Target) -> None:
        self._target = target
        self._temporary: str | None = None

    def __enter__(self) -> Path:
        keys = self._target.keys
        if isinstance(keys, LocalKeys):
            keys.root.mkdir(parents=True, exist_ok=True)
            return keys.root
        self._temporary = tempfile.mkdtemp(prefix="intake-virtualzarr-")
        for name in keys.names(""):
            if name.endswith((".json", ".yaml", ".png", ".parquet")):
                value = keys.get(name)
                if value is not None:
                    (Path(self._temporary) / name).write_bytes(value)
        return Path(self._temporary)

    def __exit__(self, *args: object) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
