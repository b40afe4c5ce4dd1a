"""update: a second search adds what is new to a published store. Order of work only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr

from intake_virtualzarr._typing import AnyArray, Attrs, JsonObject
from intake_virtualzarr.arrays.repr_html import table_html
from intake_virtualzarr.catalog.compact import COMPACT_AFTER, compact, most_segments
from intake_virtualzarr.catalog.cube import Cube, OpenedSource, by_item, join_sources, open_sources
from intake_virtualzarr.catalog.ingest import write_and_publish
from intake_virtualzarr.catalog.patch import patched
from intake_virtualzarr.catalog.publish import Contents, Target, fingerprint, publish_store
from intake_virtualzarr.catalog.published_store import PublishedStore, read_published
from intake_virtualzarr.catalog.search_options import SearchOptions
from intake_virtualzarr.datasets.append_checks import falls
from intake_virtualzarr.datasets.check_sources import SourceState, source_states
from intake_virtualzarr.datasets.join_options import (
    Combine,
    CombineAttrs,
    Compat,
    EncodingMismatch,
    Join,
    Together,
)
from intake_virtualzarr.datasets.open import open_virtual_dataset
from intake_virtualzarr.datasets.open_options import OnError, OnUnsupported
from intake_virtualzarr.datasets.to_zarr import append_dataset, write_dataset
from intake_virtualzarr.errors import EncodingMismatchError, HierarchyError, IngestError, NothingFoundError, VirtualZarrError
from intake_virtualzarr.formats.open import open_tree
from intake_virtualzarr.stac.assets import AssetLike
from intake_virtualzarr.stac.compare import Difference, compare_sources, differences, missing_sources
from intake_virtualzarr.stac.find_sources import queries, selected_sources
from intake_virtualzarr.stac.items import ItemsLike
from intake_virtualzarr.stac.listing import listing_of
from intake_virtualzarr.stac.order import Duplicates, order_sources
from intake_virtualzarr.stac.select_options import SelectOptions
from intake_virtualzarr.stac.signing import Modifier, signing_access
from intake_virtualzarr.stac.source_item import SourceItem
from intake_virtualzarr.storage.key_value import DryRunStore, keys_of
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.readers import Access, open_reader
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["UpdateReport", "update"]

Action = Literal["nothing", "append", "replace", "rewrite", "publish", "refuse"]
Conflicts = Literal["refuse", "skip", "rewrite"]

CONFLICTING = ("changed", "earlier")
"""States of sources that appending cannot take in."""


@dataclass(frozen=True)
class UpdateReport:
    """What `update` found, and did or (with ``dry_run``) would do."""

    directory: str
    """The published directory."""
    name: str
    """Name of the entry."""
    action: Action
    """``publish``: the store is up to date, the catalog is not. ``refuse``: only of a dry run, in place of the error."""
    dim: str | None
    """Dimension that grows."""
    before: int
    """Its length."""
    after: int
    """Its new length."""
    found: int
    """Sources that the search gave."""
    unchanged: int
    """Those of them that are in the store, and as they were."""
    appended: tuple[SourceItem, ...]
    """Sources that are added; if the update is refused, those that would be but for the conflicts."""
    differences: tuple[Difference, ...]
    """Sources that are in the store and not as they were, or that do not follow on it."""
    references: int
    """References to chunks that are added (``append``), or all (``rewrite``)."""
    written: tuple[str, ...]
    """Files written, relative to ``directory``."""
    skipped: dict[str, str]
    """New sources that could not be scanned, with reasons (``on_error="skip"``)."""
    dry_run: bool

    def _repr_html_(self) -> str:
        rows = {
            "Directory": self.directory,
            "Entry": self.name,
            "Action": f"{self.action}{' (dry run)' if self.dry_run else ''}",
            "Length": f"{self.dim}: {self.before} to {self.after}" if self.dim else "",
            "Source files": f"{self.found} found, {self.unchanged} as they were, {len(self.appended)} new",
            "Differences": tuple(f"{one.state}: {one.source.label}: {one.reason}" for one in self.differences) or "none",
            "Written": self.written or "nothing",
        }
        return table_html("Update", rows)

    @property
    def conflicts(self) -> tuple[Difference, ...]:
        """What cannot be added by appending: changed sources, and those before the end of the store."""
        return tuple(one for one in self.differences if one.state in CONFLICTING)


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
    format: str | None = None,
    on_error: OnError = "raise",
    on_unsupported: OnUnsupported = "skip",
    client: Any = None,
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
        must agree.
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
    format : str, optional
        Name of the format; default: detected automatically.
    on_error : {"raise", "skip"}
        What to do about files that cannot be scanned.
    on_unsupported : {"skip", "raise"}
        What to do about variables that cannot be stored by reference.
    client : dask.distributed.Client, optional
        Cluster that scans.
    progress : bool, optional
        Whether to show a bar; default: on a terminal.
    checkpoint : path, optional
        Directory in which scans of finished batches of files are kept, so that a call that was interrupted goes on where it
        stopped. Files that have changed, as far as can be seen without opening them, are scanned again. Trust the directory:
        what it holds is unpickled.
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
    found = _found(items, options.select)
    new, pairs = compare_sources(found, published.known)
    reading = signing_access(options.opening.access, (*published.known, *found), modifier)
    states = _file_states(pairs, published.files, reading, progress) if check_files else {}
    unlike = [one for pair in pairs if (one := _difference(*pair, published.files, states)) is not None]
    gone = missing_sources(published.items, pairs, found, listing_of(items, options.select.policy), queries(items, options.select))
    unlike += [Difference("missing", one, "is not found any more") for one in gone]
    scan = _Scan(options, dim or "time", modifier)
    opened, skipped = open_sources(new, options.opening, scan.time_dim, modifier) if new else ([], {})
    later, earlier = _split(opened, published, dim)
    plan = _Plan(published, dim, found, tuple(pairs), tuple(opened), later, (*unlike, *earlier), skipped, reading, dry_run)
    if conflicts == "rewrite" and any(one.state in (*CONFLICTING, "missing") for one in plan.differences):
        return _replace(plan, scan, fuse) or _rewrite(plan, scan, fuse)
    if plan.conflicts and conflicts == "refuse":
        if dry_run:
            return plan.report("refuse", appended=tuple(one.source for one in later))
        raise IngestError(_refusal(plan))
    if not later:
        return _publish_alone(plan)
    cube = join_sources(later, options.joining, scan.time_dim)
    try:  # whether it fits is found out before anything is written, so that a dry run tells it, too
        append_dataset(DryRunStore(keys_of(published.url, reading)), "", cube.dataset, str(dim))
    except (EncodingMismatchError, HierarchyError) as exc:
        if conflicts == "rewrite":
            return _rewrite(plan, scan, fuse)
        exc.add_note("conflicts='rewrite' scans all files again and joins them anew")
        raise
    return _append(plan, cube)


@dataclass(frozen=True, eq=False)
class _Scan:
    """How sources are opened and joined."""

    options: SearchOptions
    time_dim: str
    modifier: Modifier | None


@dataclass(frozen=True, eq=False)
class _Plan:
    """What was found out before anything is written."""

    published: PublishedStore
    dim: str | None
    found: tuple[SourceItem, ...]
    pairs: tuple[tuple[SourceItem, SourceItem], ...]
    """What was found and is in the store, and how it was recorded."""
    opened: tuple[OpenedSource, ...]
    """What is new."""
    later: tuple[OpenedSource, ...]
    """What of that is appended."""
    differences: tuple[Difference, ...]
    skipped: dict[str, str]
    reading: Access
    """How sources are opened."""
    dry_run: bool

    @property
    def conflicts(self) -> tuple[Difference, ...]:
        return tuple(one for one in self.differences if one.state in CONFLICTING)

    def report(self, action: Action, **fields: Any) -> UpdateReport:
        """The report of an action."""
        unlike = sum(one.state in ("changed", "touched", "unreadable") for one in self.differences)
        length = self.published.length(self.dim)
        given: JsonObject = {"before": length, "after": length, "appended": (), "references": 0, "written": ()}
        return UpdateReport(
            directory=self.published.target.url,
            name=self.published.name,
            action=action,
            dim=self.dim,
            found=len(self.found),
            unchanged=len(self.pairs) - unlike,
            differences=self.differences,
            skipped=self.skipped,
            dry_run=self.dry_run,
            **{**given, **fields},
        )


# ---------------------------------------------------------------------- what is found


def _found(items: ItemsLike, select: SelectOptions) -> tuple[SourceItem, ...]:
    try:
        return selected_sources(items, select)
    except NothingFoundError:  # no later items: nothing is new
        return ()


def _file_states(
    pairs: Iterable[tuple[SourceItem, SourceItem]], files: Mapping[str, Source], access: Access, progress: bool | None
) -> dict[str, SourceState]:
    urls = dict.fromkeys(absolute_url(found.href) for found, _ in pairs)
    return {one.url: one for one in source_states([files[url] for url in urls if url in files], access, progress)}


def _difference(
    found: SourceItem, known: SourceItem, files: Mapping[str, Source], states: Mapping[str, SourceState]
) -> Difference | None:
    url = absolute_url(found.href)
    reasons, updated = differences(found, known)
    state = states.get(url)
    if state is not None and state.state == "unreadable":
        return Difference("unreadable", found, state.reason)
    if state is not None and state.state == "changed":
        reasons.append(state.reason.partition("changed since it was scanned: ")[2].partition(";")[0] or state.reason)
    if reasons:
        return Difference("changed", found, "; ".join([*reasons, updated] if updated else reasons))
    if not updated:
        return None
    # a size alone does not tell that the bytes are the same
    verified = state is not None and (files[url].etag is not None or files[url].last_modified is not None)
    return Difference("touched" if verified else "changed", found, updated)


def _split(
    opened: Sequence[OpenedSource], published: PublishedStore, dim: str | None
) -> tuple[tuple[OpenedSource, ...], list[Difference]]:
    """New sources that go on where the store ends, and those that do not."""
    if not opened:
        return (), []
    if dim is None:
        raise HierarchyError(
            f"{published.url}: was joined along {' and '.join(published.concat_dims) or 'no dimension'}; "
            "name the one that grows with append_dim"
        )
    index = published.dataset.indexes.get(dim)
    if index is None or not len(index):
        return _split_by_item(opened, published)
    end, falling = index[-1], falls(index, _values(opened, dim))
    later, earlier = [], []
    for files in by_item(opened):
        own = [found for one in files if (found := one.dataset.indexes.get(dim)) is not None and len(found)]
        if not own:
            raise HierarchyError(f"{files[0].source.label}: has no coordinate {dim!r}, and the store has one")
        if all(found.max() < end if falling else found.min() > end for found in own):
            later += files
        else:
            reason = f"{dim} from {own[0][0]} to {own[0][-1]}; the store {_there(index, own[0])}"
            earlier += [Difference("earlier", one.source, reason) for one in files]
    return tuple(later), earlier


def _values(opened: Sequence[OpenedSource], dim: str) -> AnyArray:
    """The coordinates of new sources, one after another."""
    found = [np.asarray(index) for one in opened if (index := one.dataset.indexes.get(dim)) is not None]
    return np.concatenate(found) if found else np.array([])


def _there(index: Any, own: Any) -> str:
    return "holds that already" if bool(np.isin(np.asarray(own), np.asarray(index)).any()) else f"ends at {index[-1]}"


def _split_by_item(opened: Sequence[OpenedSource], published: PublishedStore) -> tuple[tuple[OpenedSource, ...], list[Difference]]:
    """Without a coordinate, the times of the items tell."""
    end = max((one.time for _, one in published.items if one.time is not None), default=None)
    late = [one for one in opened if end is not None and one.source.time is not None and one.source.time <= end]
    reason = f"its time is not after {end}, where the store ends"
    return tuple(one for one in opened if one not in late), [Difference("earlier", one.source, reason) for one in late]


def _refusal(plan: _Plan) -> str:
    shown = [f"  {one.source.label}: {one.state}: {one.reason}" for one in plan.conflicts[:10]]
    more = len(plan.conflicts) - len(shown)
    lines = "\n".join([*shown, *([f"  … and {more} more"] if more else [])])
    return (
        f"{plan.published.target.url}: {plan.published.name!r} is not updated, because appending cannot take in these:\n{lines}\n"
        "conflicts='skip' leaves them as they are and appends the others; conflicts='rewrite' scans all files again"
    )


# ---------------------------------------------------------------------- what is done


def _append(plan: _Plan, cube: Cube) -> UpdateReport:
    published, dim = plan.published, str(plan.dim)
    fields: JsonObject = {
        "after": published.length(dim) + int(cube.dataset.sizes[dim]),
        "appended": cube.items,
        "references": cube.dataset.vzarr.n_references,
    }
    if plan.dry_run:
        with_items = any(one.item_id is not None for one in cube.items)
        names = published.document_names(with_items=with_items)
        return plan.report("append", written=(f"{published.name}.vzarr", *names), **fields)
    write_dataset(cube.dataset, published.url, append_dim=dim, storage_options=plan.reading)
    if most_segments(open_tree(published.url, storage_options=plan.reading)) > COMPACT_AFTER:
        compact(published.url, storage_options=plan.reading)
    files = {**published.files, **{one.url: one for one in cube.sources}}
    dims = tuple(dict.fromkeys((*published.concat_dims, dim)))
    written = _publish(plan, _contents(plan, cube.items, files, dims))
    return plan.report("append", written=(f"{published.name}.vzarr", *written), **fields)


def _publish_alone(plan: _Plan) -> UpdateReport:
    """Bring the catalog up to date with the store: an update was interrupted, or items say more than before."""
    published = plan.published
    behind = published.documents_are_stale([found for found, _ in plan.pairs])
    if not behind and not any(one.state == "touched" for one in plan.differences):
        return plan.report("nothing")
    if plan.dry_run:
        with_items = any(found.item_id is not None for found, _ in plan.pairs)
        return plan.report("publish", written=published.document_names(with_items=with_items))
    dims = published.concat_dims or ((plan.dim,) if plan.dim is not None and len(published.files) > 1 else None)
    contents = _contents(plan, (), published.files, dims)
    written = _publish(plan, contents if behind else replace(contents, software=published.software))
    return plan.report("publish" if written else "nothing", written=tuple(written))


def _publish(plan: _Plan, contents: Contents) -> list[str]:
    published = plan.published
    return publish_store(published.target, published.name, published.kind, contents, published.given, plan.reading)


def _contents(plan: _Plan, added: Sequence[SourceItem], files: Mapping[str, Source], dims: tuple[str, ...] | None) -> Contents:
    """What the store holds now. Sources that changed stay recorded as they were."""
    published, access = plan.published, plan.reading
    as_recorded = {id(one.source) for one in plan.differences if one.state in ("changed", "unreadable")}
    latest = {id(known): found for found, known in plan.pairs if id(found) not in as_recorded}
    items = order_sources([*(latest.get(id(one), one) for one in published.known), *added], "first", key=lambda one: one.href)
    sources = tuple(files.get(url) or _described(url, access) for url in (absolute_url(one.href) for one in items))
    references = open_virtual_dataset(published.url, storage_options=access).vzarr.n_references
    return Contents(items, sources, references, published.target.size(published.name), dims)


def _described(url: str, access: Access) -> Source:
    """A file that the store has no reference to: its values are fill, or kept in the store."""
    reader = open_reader(url, access)
    try:
        return reader.describe()
    except VirtualZarrError:
        return Source(url)
    finally:
        reader.close()


def _replace(plan: _Plan, scan: _Scan, fuse: bool) -> UpdateReport | None:
    """Put late and changed files in their places, without scanning the others; ``None`` if that cannot be done."""
    published, dim = plan.published, str(plan.dim)
    changed = [one.source for one in plan.differences if one.state == "changed"]
    again, skipped = open_sources(changed, scan.options.opening, scan.time_dim, scan.modifier) if changed else ([], {})
    arriving = [*again, *plan.opened]
    if skipped or any(len(files) > 1 for files in by_item(arriving)):
        return None
    now = {one.file.url: one.file for one in again}
    lost = [absolute_url(one.source.href) for one in plan.differences if one.state in ("changed", "missing")]
    gone = {url: now.get(url) for url in lost}
    dataset = patched(published.dataset, [one.dataset for one in arriving], gone, dim, scan.options.joining)
    if dataset is None:
        return None
    items = _items_now(plan)
    files = {**published.files, **{one.file.url: one.file for one in arriving}}
    sources = tuple(files.get(url) or _described(url, plan.reading) for url in (absolute_url(one.href) for one in items))
    return _written(plan, Cube(dataset, items, sources, plan.skipped), "replace", fuse)


def _items_now(plan: _Plan) -> tuple[SourceItem, ...]:
    """What the store holds when all that was found is in it, and all that is missing is not."""
    left_out = {id(one.source) for one in plan.differences if one.state == "missing"} | {id(known) for _, known in plan.pairs}
    kept = [one for one in plan.published.known if id(one) not in left_out]
    return tuple(order_sources([*kept, *plan.found], "first", key=lambda one: one.href))


def _rewrite(plan: _Plan, scan: _Scan, fuse: bool) -> UpdateReport:
    """Scan what is known and what was found, and replace the store."""
    opened, skipped = open_sources(_items_now(plan), scan.options.opening, scan.time_dim, scan.modifier)
    cube = join_sources(opened, scan.options.joining, scan.time_dim)
    return _written(replace(plan, skipped=skipped), cube, "rewrite", fuse)


def _written(plan: _Plan, cube: Cube, action: Literal["replace", "rewrite"], fuse: bool) -> UpdateReport:
    """Replace the store and what describes it."""
    published = plan.published
    fields: JsonObject = {
        "after": int(cube.dataset.sizes.get(plan.dim, 0)),
        "appended": tuple(one for one in cube.items if absolute_url(one.href) not in published.files),
        "references": cube.dataset.vzarr.n_references,
    }
    if plan.dry_run:
        with_items = any(one.item_id is not None for one in cube.items)
        names = published.document_names(with_items=with_items)
        return plan.report(action, written=(f"{published.name}.vzarr", *names), **fields)
    written, _ = write_and_publish(
        cube,
        published.target,
        published.name,
        published.kind,
        published.given,
        plan.reading,
        overwrite=True,
        fuse=fuse,
        digest=fingerprint(cube.sources),
        base=published.root,
    )
    return plan.report(action, written=tuple(written), **fields)
