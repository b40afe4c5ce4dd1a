"""From a search to one virtual dataset: find sources, scan, give time axes, join."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.arrays.tree import VirtualTree
from intake_virtualzarr.codecs.cf_packing import is_time_units
from intake_virtualzarr.datasets.cf_axes import is_time
from intake_virtualzarr.datasets.combine import join_datasets
from intake_virtualzarr.datasets.duplicates import without_duplicates
from intake_virtualzarr.datasets.join_options import (
    CUBE,
    FILE_POLICIES,
    Combine,
    CombineAttrs,
    Compat,
    EncodingMismatch,
    Join,
    JoinOptions,
    Together,
)
from intake_virtualzarr.datasets.open_files import opened_dataset, scan_files, skipped_scans, without_group
from intake_virtualzarr.datasets.open_options import OnError, OnUnsupported, OpenOptions, name_set, names_or_none
from intake_virtualzarr.errors import IngestError, JoinError
from intake_virtualzarr.formats.scanned_tree import tree_of_scan
from intake_virtualzarr.stac.assets import AssetLike
from intake_virtualzarr.stac.find_sources import selected_sources
from intake_virtualzarr.stac.items import ItemsLike
from intake_virtualzarr.stac.order import Duplicates
from intake_virtualzarr.stac.select_options import SelectOptions
from intake_virtualzarr.stac.signing import Modifier, signing_access
from intake_virtualzarr.stac.source_item import SourceItem
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.readers import Access, ReaderPool
from intake_virtualzarr.storage.source import Source

__all__ = ["Cube", "OpenedSource", "build_cube", "by_item", "join_sources", "open_sources", "virtualize"]


@dataclass(frozen=True, eq=False)
class OpenedSource:
    """One scanned file."""

    source: SourceItem
    """What its item says."""
    file: Source
    """The file, as it was when scanned."""
    dataset: xr.Dataset
    """Virtual, with a time axis."""


@dataclass(frozen=True, eq=False)
class Cube:
    """A joined dataset, and what it was joined from."""

    dataset: xr.Dataset
    """Virtual dataset."""
    items: tuple[SourceItem, ...]
    """Sources that are in it, in order."""
    sources: tuple[Source, ...]
    """The files, as they were when scanned."""
    skipped: dict[str, str]
    """Sources that are not in it, and why."""


def virtualize(
    items: ItemsLike,
    *,
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
    format: str | None = None,
    on_error: OnError = "raise",
    on_unsupported: OnUnsupported = "skip",
    client: Any = None,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    storage_options: Access | Attrs | None = None,
    allow: Allow = None,
    keep_query: str | Iterable[str] = (),
) -> xr.Dataset:
    """Turn search results into one virtual dataset.

    Parameters
    ----------
    items : pystac_client.ItemSearch, pystac.ItemCollection, iterable of items or dicts, or paths
        Where the files are.
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
        Options for opening, by URL prefix.
    allow : str or list of str, optional
        URL prefixes and paths that documents from a network (stores, references, STAC items, files with links) may name, beside
        their own places.
    keep_query : str or iterable of str, optional
        Names of query parameters that are part of the name of a file. All others are kept in memory only, never stored.

    Returns
    -------
    xarray.Dataset
        Virtual arrays in order of time; write it with ``.vzarr.to_zarr``, or open it decoded with ``.vzarr.decode()``.

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

    Examples
    --------
    >>> cube = virtualize(client.search(collections=["sst"], datetime="2024-01"))  # doctest: +SKIP
    """
    access = Access.of(storage_options, allow=allow, keep_query=keep_query)
    select = SelectOptions(
        asset=asset,
        collection_assets=collection_assets,
        protocols=protocols,
        modifier=modifier,
        datetime=datetime,
        bbox=bbox,
        intersects=intersects,
        duplicates=duplicates,
        policy=access.policy,
        keep_query=access.keep_query,
    )
    opening = OpenOptions(
        preprocess=preprocess,
        loadable_variables=names_or_none(loadable_variables),
        drop_variables=name_set(drop_variables),
        group=group,
        format=format,
        on_error=on_error,
        on_unsupported=on_unsupported,
        client=client,
        progress=progress,
        checkpoint=checkpoint,
        access=access,
    )
    joining = JoinOptions(
        combine=combine,
        concat_dim=concat_dim,
        join=join,
        compat=compat,
        data_vars=data_vars,
        coords=coords,
        combine_attrs=combine_attrs,
        encoding_mismatch=encoding_mismatch,
        duplicates=FILE_POLICIES.get(duplicates, "raise"),
    )
    return build_cube(items, select, opening, joining, time_dim).dataset


def build_cube(items: ItemsLike, select: SelectOptions, opening: OpenOptions, joining: JoinOptions, time_dim: str) -> Cube:
    """Find, scan and join the files of a search: the work of `virtualize` and `ingest`."""
    sources = selected_sources(items, select)
    opened, skipped = open_sources(sources, opening, time_dim, select.modifier)
    return replace(join_sources(opened, joining, time_dim), skipped=skipped)


def open_sources(
    sources: Sequence[SourceItem], opening: OpenOptions, time_dim: str, modifier: Modifier | None = None
) -> tuple[list[OpenedSource], dict[str, str]]:
    """Scan sources, and give those without a time axis one.

    Returns
    -------
    opened : list of OpenedSource
        In the order of the sources, those of one item together.
    skipped : dict of str to str
        Sources that could not be scanned, and why.
    """
    opening = replace(opening, access=signing_access(opening.access, sources, modifier))
    scans = scan_files([one.href for one in sources], opening)
    if opening.on_error == "raise":
        skipped_scans([one.label for one in sources], scans, "raise")
    readers = ReaderPool(opening.access)
    trees = {i: tree_of_scan(scan, readers) for i, scan in enumerate(scans) if not isinstance(scan, Exception)}
    groups = [one.group if opening.group is None else opening.group for one in sources]
    lacking = {i: error for i, tree in trees.items() if (error := without_group(tree, groups[i], opening.on_error)) is not None}
    found = [lacking.get(i, scan) for i, scan in enumerate(scans)]
    skipped = skipped_scans([one.label for one in sources], found, opening.on_error)
    opened = []
    for i, (source, scanned) in enumerate(zip(sources, found, strict=True)):
        if isinstance(scanned, Exception):
            continue
        tree, own = trees[i], replace(opening, group=groups[i])
        _check_filled(tree, own.group, source.label)
        opened.append(OpenedSource(source, scanned.source, opened_dataset(tree, own)))
    return [one for files in by_item(opened) for one in _with_times(files, time_dim)], skipped


def _check_filled(tree: VirtualTree, group: str | None, label: str) -> None:
    """Raise if a group holds nothing while others do: nobody wants to publish an empty store."""
    if tree.group(group).variables:
        return
    filled = [path for path, node in tree.groups.items() if node.variables]
    if filled:
        raise IngestError(
            f"{label}: group {group or '/'!r} holds no variables; {', '.join(map(repr, filled[:8]))} "
            f"{'does' if len(filled) == 1 else 'do'}; choose with group={filled[0]!r}"
        )


def join_sources(opened: Sequence[OpenedSource], joining: JoinOptions = CUBE, time_dim: str = "time") -> Cube:
    """Join scanned files, those of one item first.

    Raises
    ------
    JoinError
        If files of one item hold the same variable for the same times, or lie on different grids; if files hold the same
        coordinates and ``duplicates`` does not say which to take.
    """
    members = [one for files in by_item(opened) for one in _members(files, time_dim, joining)]
    how = _ordering([dataset for dataset, _ in members], joining, time_dim)
    if how.combine == "by_coords":
        members = [members[i] for i in without_duplicates([dataset for dataset, _ in members], how.duplicates)]
    datasets = [dataset for dataset, _ in members]
    joined = join_datasets(datasets, replace(how, duplicates="raise"))
    check_coordinates(joined)
    grown = [str(d) for d, n in joined.sizes.items() if len(datasets) > 1 and all(ds.sizes.get(d, 0) < n for ds in datasets)]
    joined.encoding["concat_dims"] = grown
    kept = [one for _, files in members for one in files]
    return Cube(joined, tuple(one.source for one in kept), tuple(one.file for one in kept), {})


def by_item(opened: Sequence[OpenedSource]) -> list[list[OpenedSource]]:
    """Files of one item together, in the order of the items."""
    groups: dict[Any, list[OpenedSource]] = {}
    for number, one in enumerate(opened):
        named = one.source.item_id is not None
        key = (one.source.collection, one.source.item_id) if named else number
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def _with_times(files: Sequence[OpenedSource], dim: str) -> list[OpenedSource]:
    """Files with time axes. Beside a file that has one, those of the same item that have none hold for all its times."""
    timed = [_has_time(one.dataset, dim) for one in files]
    return [
        replace(one, dataset=with_time(one.dataset, one.source, dim)) if own or not any(timed) else one
        for one, own in zip(files, timed, strict=True)
    ]


type Member = tuple[xr.Dataset, Sequence[OpenedSource]]
"""A dataset, and the files that it was made of."""


def _members(files: Sequence[OpenedSource], dim: str, how: JoinOptions) -> list[Member]:
    datasets = _joined_assets(files, dim, how)
    return [(ds, [one]) for ds, one in zip(datasets, files, strict=True)] if len(datasets) == len(files) else [(datasets[0], files)]


def _joined_assets(files: Sequence[OpenedSource], dim: str, how: JoinOptions) -> list[xr.Dataset]:
    """The files of one item side by side; files that go on in time stay apart, to be joined like those of other items."""
    if len(files) == 1:
        return [files[0].dataset]
    for at, one in enumerate(files):
        for other in files[:at]:
            shared = _shared_along(one.dataset, other.dataset, dim)
            if shared and not _same_everywhere([one.dataset, other.dataset], dim):
                return [file.dataset for file in files]
            if shared:
                raise JoinError(
                    f"item {one.source.item_id!r}: assets {other.source.asset_key!r} and {one.source.asset_key!r} both hold "
                    f"{shared[0]!r} for the same {dim!r}; take one of them with asset=…, or leave variables out with "
                    "drop_variables or preprocess"
                )
    try:
        return [xr.merge([file.dataset for file in files], compat=how.compat, join="exact", combine_attrs=how.combine_attrs)]
    except ValueError as exc:
        keys = ", ".join(repr(file.source.asset_key) for file in files)
        raise JoinError(
            f"item {files[0].source.item_id!r}: assets {keys} cannot be put side by side: {exc}; "
            "ingest those of one grid together, and the others under another name"
        ) from exc


def _shared_along(one: xr.Dataset, other: xr.Dataset, dim: str) -> list[str]:
    """Data variables of both that lie along a dimension."""
    return [str(name) for name in one.data_vars if name in other.data_vars and dim in one[name].dims]


def _ordering(datasets: Sequence[xr.Dataset], joining: JoinOptions, time_dim: str) -> JoinOptions:
    """How datasets are put in order: by coordinates where they have some along what differs or is joined, or as they come."""
    combine: Combine | None = "by_coords" if len(datasets) == 1 else joining.combine
    if combine is None:
        first = datasets[0]
        along = any(not _same_everywhere(datasets, d) for d in first.dims if d in first.indexes)
        combine = "by_coords" if along or (joining.concat_dim or time_dim) in first.indexes else "nested"
    dim = (joining.concat_dim or time_dim) if combine == "nested" else None
    return replace(joining, combine=combine, concat_dim=dim)


def _same_everywhere(datasets: Sequence[xr.Dataset], dim: Any) -> bool:
    first = datasets[0].indexes[dim]
    return all(dim in ds.indexes and ds.indexes[dim].equals(first) for ds in datasets[1:])


def with_time(dataset: xr.Dataset, source: SourceItem, dim: str) -> xr.Dataset:
    """A dataset with a time axis; one that has none gets it from its item. A coordinate in the file wins."""
    if source.time is None or _has_time(dataset, dim):
        return _promoted(dataset, dim)
    moment = np.datetime64(source.time.astimezone(dt.UTC).replace(tzinfo=None), "ns")
    return _expanded(dataset.drop_vars(dim, errors="ignore"), dim, moment, {})


def _has_time(dataset: xr.Dataset, dim: str) -> bool:
    return dim in dataset.dims or any(_tells_time(variable) for variable in dataset.variables.values())


def _promoted(dataset: xr.Dataset, dim: str) -> xr.Dataset:
    """A scalar time in the file becomes the axis."""
    scalar = dataset.variables.get(dim)
    if scalar is None or scalar.ndim != 0 or dim in dataset.dims or not _tells_time(scalar):
        return dataset
    encoding = {k: v for k, v in scalar.encoding.items() if k in ("units", "calendar", "dtype", "source")}
    return _expanded(dataset.drop_vars(dim), dim, np.asarray(scalar)[()], dict(scalar.attrs), encoding)


def _expanded(dataset: xr.Dataset, dim: str, moment: Any, attrs: JsonObject, encoding: JsonObject | None = None) -> xr.Dataset:
    static = {
        name
        for variable in dataset.variables.values()
        for key in ("bounds", "grid_mapping", "cell_measures", "ancillary_grid")
        for name in str(variable.attrs.get(key, "")).split()
    }
    names = [n for n, v in dataset.data_vars.items() if v.ndim and n not in static]
    if not names:
        names = [n for n in dataset.data_vars if n not in static]
    time = xr.Variable((dim,), np.array([moment]), attrs or {"standard_name": "time"}, encoding)
    out = dataset.copy(deep=False)
    for name in names:
        variable = out.variables[name]
        out[name] = variable.set_dims([dim, *variable.dims], (1, *variable.shape))  # type: ignore[no-untyped-call]
    out = out.assign_coords({dim: time})
    out.encoding = dict(dataset.encoding)
    return out


def _tells_time(variable: xr.Variable) -> bool:
    return is_time(variable) or is_time_units(variable.attrs.get("units"))


def check_coordinates(dataset: xr.Dataset) -> None:
    """Raise if a joined dimension coordinate repeats a value or runs to and fro.

    Raises
    ------
    IngestError
        Names the coordinate and the first value that is out of place.
    """
    for name, index in dataset.indexes.items():
        if index.size < 2 or name not in dataset.dims:
            continue
        if not index.is_unique:
            twice = index[index.duplicated()][0]
            raise IngestError(
                f"coordinate {name!r} holds {twice} more than once after the join; "
                "overlapping files? (duplicates='latest' keeps the latest version of an item)"
            )
        if not (index.is_monotonic_increasing or index.is_monotonic_decreasing):
            raise IngestError(f"coordinate {name!r} is neither increasing nor decreasing after the join; sort the files")
