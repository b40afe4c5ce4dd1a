"""A whole Icechunk repository of virtual references: made or opened, written in one commit."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import xarray as xr

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.datasets.plain_references import plain_store, references_of
from intake_virtualzarr.datasets.to_icechunk import to_icechunk
from intake_virtualzarr.errors import HierarchyError, UnsupportedError
from intake_virtualzarr.formats.icechunk_session import icechunk_errors, import_icechunk, storage_of
from intake_virtualzarr.hierarchy.source_table import common_base
from intake_virtualzarr.storage.event_loop import run
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.urls import absolute_url, is_local, local_path

__all__ = ["CommitReport", "commit_references", "container_prefixes"]


@dataclass(frozen=True)
class CommitReport:
    """What was written."""

    url: str
    """URL of the repository."""
    snapshot: str
    """Id of the snapshot."""
    references: int
    """References to chunks in source files."""
    prefixes: tuple[str, ...]
    """What a reader must authorise: URL prefixes of the source files."""


def commit_references(
    data: xr.Dataset | xr.DataTree,
    target: str | os.PathLike[str],
    *,
    message: str = "virtual references",
    overwrite: bool = False,
    storage_options: Access | Attrs | None = None,
) -> CommitReport:
    """Write virtual data into the branch ``main`` of a repository, which is made if it is not there.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataTree
        Virtual dataset, or tree of virtual datasets.
    target : path or URL
        The repository.
    message : str
        Of the commit.
    overwrite : bool
        Whether what the branch holds may be replaced (older snapshots stay).
    storage_options : mapping or Access, optional
        Options for opening, by URL prefix. Icechunk keeps endpoint and region of the places of source files, no credentials.

    Raises
    ------
    MissingExtraError
        If Icechunk is not installed.
    HierarchyError
        If the branch holds something, and ``overwrite`` is False.
    UnsupportedError
        If a variable has no form as plain references, or source files lie where Icechunk does not read.
    """
    icechunk = import_icechunk(os.fspath(target))
    access = Access.of(storage_options)
    url = absolute_url(target).rstrip("/")
    sources = {stored.source.url for _, _, stored in references_of(plain_store(data, "Icechunk")) if stored.source.content is None}
    prefixes = container_prefixes(sources)
    with icechunk_errors(icechunk, f"{url}: cannot be written by Icechunk", HierarchyError):
        storage = storage_of(icechunk, url, access)
        there = icechunk.Repository.exists(storage)
        config = icechunk.Repository.open(storage).config if there else icechunk.RepositoryConfig.default()
        for prefix in prefixes:
            config.set_virtual_chunk_container(icechunk.VirtualChunkContainer(prefix, _place(icechunk, prefix, access)))
        make = icechunk.Repository.open if there else icechunk.Repository.create
        repository = make(storage, config=config)
        session = repository.writable_session("main")
        if not run(session.store.is_empty("")):
            if not overwrite:
                raise HierarchyError(f"{url}: branch 'main' is not empty; choose another place, or overwrite it")
            run(session.store.clear())
        if there:
            repository.save_config()
        count = to_icechunk(data, session.store)
        return CommitReport(url, session.commit(message), count, prefixes)


def container_prefixes(urls: Collection[str]) -> tuple[str, ...]:
    """Prefixes of the places of files: the common directory of local ones, buckets, hosts.

    Examples
    --------
    >>> container_prefixes(["s3://b/x/a.nc", "file:///data/x/a.nc", "file:///data/y/b.nc"])
    ('file:///data/', 's3://b/')
    """
    local = [url for url in urls if is_local(url)]
    parts = [urlsplit(url) for url in urls if not is_local(url)]
    places = {f"{one.scheme}://{one.netloc}/" for one in parts}
    if local:
        # Icechunk writes under a prefix with escapes and then does not find its container when it reads
        unescaped = (common_base(local) or "file:///").partition("%")[0]
        places.add(unescaped[: unescaped.rindex("/") + 1])
    return tuple(sorted(places))


def _place(icechunk: Any, prefix: str, access: Access) -> Any:
    """Where the files of a prefix are, in the words of Icechunk."""
    options = access.options(prefix)
    scheme = prefix.partition("://")[0]
    if scheme == "file":
        return icechunk.local_filesystem_store(local_path(prefix))
    if scheme in ("http", "https"):
        return icechunk.http_store()
    if scheme in ("gs", "gcs"):
        return icechunk.gcs_store()
    if scheme in ("s3", "s3a"):
        endpoint = options.get("endpoint")
        return icechunk.s3_store(
            region=options.get("region"),
            endpoint_url=endpoint,
            allow_http=str(endpoint or "").startswith("http://"),
            anonymous=bool(options.get("skip_signature") or options.get("anon")),
            s3_compatible=endpoint is not None,
            force_path_style=endpoint is not None,
        )
    raise UnsupportedError(
        f"{prefix}: source files there cannot be named to Icechunk here; make a repository that knows them, "
        "and write into its session with .vzarr.to_icechunk"
    )
