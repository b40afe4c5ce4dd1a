"""ingest: search -> scan -> join -> write -> publish. Order of work only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.catalog.publish import Contents, Target, document_name, fingerprint, publish_store
from intake_virtualzarr.catalog.virtualize import Cube, build_cube, virtualize
from intake_virtualzarr.datasets.to_zarr import write_dataset
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.stac.inherit import inherited_fields, source_collection
from intake_virtualzarr.stac.signing import signing_access
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["IngestReport", "ingest", "virtualize", "write_and_publish"]


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
    license: str | None = None,
    providers: Iterable[JsonObject] = (),
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
        For the STAC object; see `intake_virtualzarr.stac.publication.Publication`. Title, license, providers and keywords that
        are not given are those of the collection that the items belong to, if there is one where the search went.
    storage_options : mapping or Access, optional
        Options for opening sources and writing, by URL prefix.
    **options
        How files are found and joined: see `intake_virtualzarr.catalog.virtualize.build_cube`.

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
    target = Target(absolute_url(directory), Access.of(storage_options))
    target.check_free(name)
    cube = build_cube(items, storage_options=storage_options, **options)
    digest = fingerprint(cube.sources)
    known = target.fingerprint(name, publish)
    if known == "" and not overwrite:
        raise HierarchyError(
            f"{target.store(name)}: is there, and no document tells what it was made from (an interrupted ingest?); "
            "overwrite=True replaces it"
        )
    if known is not None and known != digest and not overwrite:
        raise HierarchyError(
            f"{target.url}: {name!r} is there already, made from other files (or these have changed); "
            "overwrite=True replaces it, update() adds what is new"
        )
    written: list[str] = []
    if known == digest:
        size = target.size(name)
    elif dry_run:
        written, size = [f"{name}.vzarr", document_name(publish, name), "catalog.yaml"], 0
    else:
        collection = source_collection(items, cube.items)
        given = {"title": title, "license": license, "providers": tuple(providers), "keywords": tuple(keywords)}
        about = {
            **inherited_fields(collection),
            **{name: value for name, value in given.items() if value},
            "description": description,
            "base_href": base_href,
            "preview_href": preview_href,
            "source_collection": collection,
        }
        reading = signing_access(target.access, cube.items, options.get("modifier"))
        written, size = write_and_publish(cube, target, name, publish, about, reading, overwrite=overwrite, fuse=fuse)
    return IngestReport(
        directory=target.url,
        store=target.store(name),
        stac=f"{target.url}/{document_name(publish, name)}",
        catalog=f"{target.url}/catalog.yaml",
        sources=len(cube.sources),
        references=cube.dataset.vzarr.n_references,
        data_bytes=sum(source.size or 0 for source in cube.sources),
        manifest_bytes=size,
        fingerprint=digest,
        written=tuple(written),
        skipped=cube.skipped,
    )


def write_and_publish(
    cube: Cube,
    target: Target,
    name: str,
    kind: str,
    about: Attrs,
    reading: Access,
    *,
    overwrite: bool,
    fuse: bool,
) -> tuple[list[str], int]:
    """Write a store and what describes it; a new store that cannot be published is taken back.

    Returns
    -------
    written : list of str
        Relative to the directory.
    size : int
        Of the hierarchy [bytes].
    """
    existed = target.has_store(name)
    mode = "w" if overwrite and existed else "w-"
    result = write_dataset(cube.dataset, target.store(name), mode=mode, fuse=fuse, storage_options=target.access)
    contents = Contents(cube.items, cube.sources, result.references, result.nbytes, _concat_dims(cube))
    try:
        written = publish_store(target, name, kind, contents, about, reading)
    except BaseException:
        if not existed:
            target.remove_store(name)
        raise
    return [f"{name}.vzarr", *written], result.nbytes


def _concat_dims(cube: Cube) -> tuple[str, ...] | None:
    """Dimensions that the joined dataset is longer along than any one file says: those of unlimited or time axes."""
    if len(cube.sources) < 2:
        return None
    names = cube.dataset.encoding.get("concat_dims")
    return tuple(names) if names else None
