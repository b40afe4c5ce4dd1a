"""update: a second search adds what is new to a published store. Order of work only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args

import xarray as xr

from intake_virtualzarr._typing import Attrs, FormatLike
from intake_virtualzarr.catalog.cube import join_sources, open_sources
from intake_virtualzarr.catalog.publish import Target
from intake_virtualzarr.catalog.published_store import read_published
from intake_virtualzarr.catalog.search_options import SearchOptions
from intake_virtualzarr.catalog.update_done import append_new, publish_alone, replace_files, rewrite_all
from intake_virtualzarr.catalog.update_found import difference, file_states, found_sources, refusal, split_new
from intake_virtualzarr.catalog.update_plan import CONFLICTING, Conflicts, Plan, Scan, UpdateReport
from intake_virtualzarr.datasets.join_options import (
    Combine,
    CombineAttrs,
    Compat,
    EncodingMismatch,
    Join,
    Together,
)
from intake_virtualzarr.datasets.open_options import OnError, OnUnsupported
from intake_virtualzarr.datasets.to_zarr import append_dataset
from intake_virtualzarr.errors import EncodingMismatchError, HierarchyError, IngestError, VirtualZarrError
from intake_virtualzarr.formats.workers import Executor
from intake_virtualzarr.stac.assets import AssetLike
from intake_virtualzarr.stac.compare import Difference, compare_sources, missing_sources
from intake_virtualzarr.stac.find_sources import queries
from intake_virtualzarr.stac.items import ItemsLike
from intake_virtualzarr.stac.listing import listing_of
from intake_virtualzarr.stac.order import Duplicates
from intake_virtualzarr.stac.signing import Modifier, signing_access
from intake_virtualzarr.storage.key_value import DryRunStore, keys_of
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["UpdateReport", "update"]


def update(
    items: ItemsLike,
    directory: str | os.PathLike[str],
    *,
    name: str | None = None,
    conflicts: Conflicts = "refuse",
    append_dim: str | None = None,
    check_files: bool = True,
    dry_run: bool = False,
    fuse: bool = True,
    asset: AssetLike = None,
    collection_assets: bool = False,
    protocols: Sequence[str] | None = None,
    modifier: Modifier | None = None,
    datetime: str | None = None,
    bbox: Sequence[float] | None = None,
    intersects: Any = None,
    duplicates: Duplicates = "error",
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
) -> UpdateReport:
    """Search again, and append what is new to a store that `ingest` published.

    Items are told by their files and ids. Those that are in the store are compared with what was recorded of them: size,
    checksum and ``updated`` of the item; size, ETag and modification time of the file. New items are scanned, and appended if
    they come after what is there; STAC document, list of items and Intake catalog follow in place. An update that was
    interrupted is completed by the next one. What was said to `ingest` of how files are found, joined and opened is to be said
    again.

    Parameters
    ----------
    items : pystac_client.ItemSearch, pystac.ItemCollection, iterable of items or dicts, or paths
        Where files are: all of them, or the later ones only.
    directory : path or URL
        What `ingest` wrote.
    name : str, optional
        Name of the entry; may be left out where there is one.
    conflicts : {"refuse", "skip", "rewrite"}
        What to do about sources that have changed, and about new ones that do not come after the end of the store:
        ``"skip"`` leaves both as they are and appends the others (reading a changed file raises `SourceChangedError`),
        ``"rewrite"`` puts them into their places and takes out files that are missing (action ``"replace"``: only files that
        are new or have changed are scanned). Where that is not possible, because variables, packing or order do not fit, it
        scans all files again and makes the store anew (action ``"rewrite"``).
    append_dim : str, optional
        Dimension that grows; by default the one along which the files were joined.
    check_files : bool
        Whether to look at each file that was found and is in the store (one request each). Without it, an item that says
        that it was updated counts as changed.
    dry_run : bool
        Do everything but write; conflicts are reported and not raised.
    fuse : bool
        Whether a rewritten store has joined arrays as one manifest where they can be.
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
    combine : {"by_coords", "nested"}, optional
        Order by the values of coordinates, or along ``concat_dim`` in the order of the items. Default: by coordinates where the
        files have some along what differs.
    concat_dim : str, optional
        Dimension along which nested files are joined; default: the one that grows.
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
    UpdateReport

    Raises
    ------
    HierarchyError
        If nothing of that name was published there, or what is new does not fit.
    EncodingMismatchError
        If what is new is packed differently.
    IngestError
        If there are conflicts and they are to be refused; nothing is written then.
    """
    options = SearchOptions.of(locals())  # by name: each has its field, with the same default
    if conflicts not in get_args(Conflicts):
        raise VirtualZarrError(f"conflicts is {conflicts!r}, expected one of {', '.join(map(repr, get_args(Conflicts)))}")
    published = read_published(Target(absolute_url(directory), options.opening.access), name, modifier)
    dim = published.grown_dim(append_dim or concat_dim)
    found = found_sources(items, options.select)
    new, pairs = compare_sources(found, published.known)
    reading = signing_access(options.opening.access, (*published.known, *found), modifier)
    states = file_states(pairs, published, reading, progress) if check_files else {}
    unlike = [one for pair in pairs if (one := difference(*pair, published.files, states)) is not None]
    gone = missing_sources(published.items, pairs, found, listing_of(items, options.select.policy), queries(items, options.select))
    unlike += [Difference("missing", one, "is not found any more") for one in gone]
    scan = Scan(options, dim or "time", modifier)
    opened, skipped = open_sources(new, options.opening, scan.time_dim, modifier) if new else ([], {})
    later, earlier = split_new(opened, published, dim)
    plan = Plan(published, dim, found, tuple(pairs), tuple(opened), later, (*unlike, *earlier), skipped, reading, dry_run)
    if conflicts == "rewrite" and any(one.state in (*CONFLICTING, "missing") for one in plan.differences):
        return replace_files(plan, scan, fuse) or rewrite_all(plan, scan, fuse)
    if plan.conflicts and conflicts == "refuse":
        if dry_run:
            return plan.report("refuse", appended=tuple(one.source for one in later))
        raise IngestError(refusal(plan))
    if not later:
        return publish_alone(plan)
    cube = join_sources(later, options.joining, scan.time_dim)
    try:  # whether it fits is found out before anything is written, so that a dry run tells it, too
        append_dataset(DryRunStore(keys_of(published.url, reading)), "", cube.dataset, str(dim))
    except (EncodingMismatchError, HierarchyError) as exc:
        if conflicts == "rewrite":
            return rewrite_all(plan, scan, fuse)
        exc.add_note("conflicts='rewrite' scans all files again and joins them anew")
        raise
    return append_new(plan, cube)
