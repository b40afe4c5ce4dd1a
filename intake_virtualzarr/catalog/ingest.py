"""ingest: search -> scan -> join -> write -> publish. Order of work only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from intake_virtualzarr._typing import Attrs, FormatLike, JsonObject
from intake_virtualzarr.arrays.repr_html import size_text, table_html
from intake_virtualzarr.catalog.cube import Cube, build_cube
from intake_virtualzarr.catalog.publish import Contents, Kind, Target, document_name, fingerprint, publish_store
from intake_virtualzarr.catalog.search_options import SearchOptions
from intake_virtualzarr.datasets.join_options import (
    Combine,
    CombineAttrs,
    Compat,
    EncodingMismatch,
    Join,
    Together,
)
from intake_virtualzarr.datasets.open_options import OnError, OnUnsupported
from intake_virtualzarr.datasets.to_zarr import write_to
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.formats.workers import Executor
from intake_virtualzarr.stac.assets import AssetLike
from intake_virtualzarr.stac.inherit import inherited_fields, source_collection
from intake_virtualzarr.stac.items import ItemsLike
from intake_virtualzarr.stac.order import Duplicates
from intake_virtualzarr.stac.signing import Modifier, signing_access
from intake_virtualzarr.storage.key_value import Seen, keys_of
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["IngestReport", "ingest", "write_and_publish"]


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

    def _repr_html_(self) -> str:
        rows = {
            "Store": self.store,
            "STAC": self.stac,
            "Catalog": self.catalog,
            "Source files": f"{self.sources}, {size_text(self.data_bytes)}",
            "References": f"{self.references}, {size_text(self.manifest_bytes)}",
            "Written": self.written or "nothing: all was up to date",
        }
        skipped = tuple(f"{label}: {reason}" for label, reason in self.skipped.items())
        return table_html("Ingest", {**rows, "Skipped": skipped} if skipped else rows)


def ingest(
    items: ItemsLike,
    directory: str | os.PathLike[str],
    *,
    name: str,
    publish: Kind = "collection",
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
    asset: AssetLike = None,
    collection_assets: bool = False,
    protocols: Sequence[str] | None = None,
    modifier: Modifier | None = None,
    datetime: str | None = None,
    bbox: Sequence[float] | None = None,
    intersects: Any = None,
    duplicates: Duplicates = "error",
    time_dim: str = "time",
    combine: Combine | None = None,
    concat_dim: str | None = None,
    join: Join = "outer",
    compat: Compat = "no_conflicts",
    data_vars: Together = "minimal",
    coords: Together = "minimal",
    combine_attrs: CombineAttrs = "override",
    encoding_mismatch: EncodingMismatch = "decode",
    preprocess: Callable[[xr.Dataset], xr.Dataset] | None = None,
    loadable_variables: str | Iterable[str] | None = None,
    drop_variables: str | Iterable[str] | None = None,
    group: str | None = None,
    format: FormatLike = None,
    on_error: OnError = "raise",
    on_unsupported: OnUnsupported = "skip",
    client: Any = None,
    executor: Executor | None = None,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    storage_options: Access | Attrs | None = None,
    allow: Allow = None,
    keep_query: str | Iterable[str] = (),
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
    title, license, providers, keywords : str, str, iterable of mapping, iterable of str; optional
        Of the STAC object: one line, SPDX identifier, STAC Provider Objects, words. Those that are not given are those of the
        collection that the items belong to, if there is one where the search went.
    description : str, optional
        Markdown, put before the generated part.
    base_href : str, optional
        URL under which the directory is going to be served; default: a self-contained catalog.
    preview_href : str, optional
        A page that shows the data; default: the one that is written beside the store.
    asset : str, sequence of str, or callable, optional
        Which asset of an item to take: key, ``".suffix"``, media type, role, or a predicate of key and asset. Default: the one
        that is an archive file.
    collection_assets : bool
        Whether to take the assets of collections themselves instead of their items.
    protocols : sequence of str, optional
        URL schemes, best first, where a file is to be had in several places.
    modifier : callable, optional
        Signs URLs at the time of reading; signatures are never written to a store.
    datetime : str, optional
        Time or interval of the items to keep, e.g. ``"2024-01"`` or ``"2024-01-01/2024-03-31"``.
    bbox : sequence of 4 float, optional
        West, south, east, north of the items to keep [degrees].
    intersects : mapping, optional
        GeoJSON geometry that items must touch.
    duplicates : {"error", "first", "latest"}
        What to do with several versions of one item, and with files that hold the same coordinates (there ``"latest"`` is the
        last in the order of the items). ``"raise"`` and ``"last"`` are other names of ``"error"`` and ``"latest"``.
    time_dim : str
        Name of the time axis that files without one get from their items.
    combine : {"by_coords", "nested"}, optional
        Order by the values of coordinates, or along ``concat_dim`` in the order of the items. Default: by coordinates where the
        files have some along what differs.
    concat_dim : str, optional
        Dimension along which nested files are joined; default: ``time_dim``.
    join : {"outer", "inner", "left", "right", "exact", "override"}
        Which labels of the other dimensions stay.
    compat : {"no_conflicts", "identical", "equals", "broadcast_equals", "override"}
        How variables without the joined dimension are compared; ``"override"`` reads none and takes those of the first file.
    data_vars, coords : {"minimal", "different", "all"} or list of str
        Which variables get the joined dimension beside those that have it. With ``"minimal"`` the others are taken once, and
        must agree. (`open_virtual_mfdataset` has xarray's defaults, which repeat them for each file.)
    combine_attrs : {"override", "drop", "identical", "no_conflicts", "drop_conflicts"} or callable
        What becomes of attributes of the dataset.
    encoding_mismatch : {"decode", "raise"}
        Variables that files pack differently (scale_factor, add_offset, _FillValue, missing_value, _Unsigned, data type) are
        joined as decoded values, or refused.
    preprocess : callable, optional
        Called with the virtual dataset of each file; returns one.
    loadable_variables : str or iterable of str, optional
        Variables whose values are read now; default: one-dimensional coordinates and scalars.
    drop_variables : str or iterable of str, optional
        Variables to drop.
    group : str, optional
        Path of the group in each file.
    format : str or parser, optional
        Name of the format, or a parser of VirtualiZarr; default: detected automatically.
    on_error : {"raise", "skip"}
        What to do about files that cannot be scanned.
    on_unsupported : {"skip", "raise"}
        What to do about variables that cannot be stored by reference.
    client : dask.distributed.Client, optional
        Cluster that scans, in batches of files.
    executor : concurrent.futures.Executor, optional
        What scans in batches of files: threads, processes, dask's ``client.get_executor()``, or any other object with
        ``submit``.
    progress : bool, optional
        Whether to show a bar; default: on a terminal.
    checkpoint : path, optional
        Directory in which scans of finished batches of files are kept, so that a call that was interrupted goes on where it
        stopped. Files whose size, modification time or ETag has changed are scanned again (one request tells, for each remote
        file). Trust the directory: what it holds is unpickled.
    storage_options : mapping or Access, optional
        Options for opening sources and writing, by URL prefix.
    allow : str or list of str, optional
        URL prefixes and paths that documents from a network (stores, references, STAC items, files with links) may name, beside
        their own places.
    keep_query : str or iterable of str, optional
        Names of query parameters that are part of the name of a file. All others are kept in memory only, never stored.

    Returns
    -------
    IngestReport

    Raises
    ------
    NothingFoundError
        If the search is empty.
    StacError
        If an item has no usable asset or several, or there are duplicates.
    SourceError, FormatError
        If the only file cannot be read, or is damaged or of no known format.
    IngestError
        If files cannot be scanned (all are named), or the joined coordinates are not unique and in order.
    JoinError
        If files do not fit together.
    EncodingMismatchError
        If calendars differ, or packing differs and ``encoding_mismatch="raise"``.
    HierarchyError
        If the directory holds something else.
    """
    options = SearchOptions.of(locals())  # by name: each has its field, with the same default
    target = Target(absolute_url(directory), options.opening.access)
    target.check_free(name)
    cube = build_cube(items, options, time_dim)
    digest = fingerprint(cube.sources)
    known = target.fingerprint(name, publish)
    if known == "" and not overwrite and target.made_from(name) is None:
        raise HierarchyError(f"{target.store(name)}: is there, and nothing tells that ingest made it; overwrite=True replaces it")
    if known and known != digest and not overwrite:
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
        reading = signing_access(target.access, cube.items, modifier)
        # a store without documents is what an ingest left that was killed: this one goes on
        replace = overwrite or known == ""
        written, size = write_and_publish(cube, target, name, publish, about, reading, overwrite=replace, fuse=fuse, digest=digest)
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
    digest: str,
    base: Seen | None = None,
) -> tuple[list[str], int]:
    """Write a store and what describes it; a new store that cannot be published is taken back.

    ``base`` is the root for which this was made, where that was read before; ``digest`` is the fingerprint of the sources.

    Returns
    -------
    written : list of str
        Relative to the directory.
    size : int
        Of the hierarchy [bytes].
    """
    existed = target.has_store(name)
    mode = "w" if overwrite and existed else "w-"
    keys = keys_of(target.store(name), target.access)
    result = write_to(keys, cube.dataset, mode=mode, fuse=fuse, base=base, made_from=digest)
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
