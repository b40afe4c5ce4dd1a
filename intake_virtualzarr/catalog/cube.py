"""From sources to one virtual dataset: find, scan, give time axes, join."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import xarray as xr

from intake_virtualzarr.arrays.tree import VirtualTree
from intake_virtualzarr.catalog.rasters import check_one_grid, named_bands
from intake_virtualzarr.catalog.search_options import SearchOptions
from intake_virtualzarr.catalog.time_axis import has_time, with_time
from intake_virtualzarr.datasets.combine import join_datasets
from intake_virtualzarr.datasets.duplicates import without_duplicates
from intake_virtualzarr.datasets.grib_axes import with_axes
from intake_virtualzarr.datasets.join_options import (
    CUBE,
    Combine,
    JoinOptions,
)
from intake_virtualzarr.datasets.open_files import opened_dataset, scan_files, skipped_scans, without_group
from intake_virtualzarr.datasets.open_options import OpenOptions
from intake_virtualzarr.datasets.quick_join import quick_join
from intake_virtualzarr.datasets.quick_runs import quick_runs
from intake_virtualzarr.datasets.virtual_dataset import source_label
from intake_virtualzarr.errors import IngestError, JoinError, VirtualZarrError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.scanned_tree import tree_of_scan
from intake_virtualzarr.formats.series import described
from intake_virtualzarr.stac.find_sources import selected_sources
from intake_virtualzarr.stac.items import ItemsLike
from intake_virtualzarr.stac.signing import Modifier, signing_access
from intake_virtualzarr.stac.source_item import SourceItem
from intake_virtualzarr.storage.readers import ReaderPool
from intake_virtualzarr.storage.source import Source

__all__ = ["Cube", "OpenedSource", "build_cube", "by_item", "join_sources", "open_sources"]

NOT_IN_RUNS = ("grib", "tiff")
"""Formats whose files are looked at together before they are joined: for their grids, and the axes of their fields."""


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


def build_cube(items: ItemsLike, options: SearchOptions, time_dim: str) -> Cube:
    """Find, scan and join the files of a search: the work of `virtualize` and `ingest`."""
    damaged: dict[str, str] = {}
    sources = selected_sources(items, options.select, damaged if options.opening.on_error == "skip" else None)
    if damaged:
        lines = "\n".join(f"  {reason}" for reason in damaged.values())
        warnings.warn(f"{len(damaged)} items skipped:\n{lines}", UserWarning, stacklevel=3)
    scanned = _scan_sources(sources, options.opening, options.select.modifier)
    quick = _quick_cube(scanned, options.joining, time_dim) or _cube_of_runs(scanned, options.joining, time_dim)
    if quick is not None:
        return replace(quick, skipped=damaged)
    opened, skipped = _opened(scanned, time_dim)
    return replace(join_sources(opened, options.joining, time_dim), skipped={**damaged, **skipped})


@dataclass(frozen=True, eq=False)
class _Scanned:
    """Sources, and what came of their scans."""

    sources: Sequence[SourceItem]
    scans: Sequence[Any]
    """Scans, or errors."""
    groups: Sequence[str | None]
    """The group of each that is opened."""
    opening: OpenOptions
    readers: ReaderPool


def _scan_sources(sources: Sequence[SourceItem], opening: OpenOptions, modifier: Modifier | None) -> _Scanned:
    opening = replace(opening, access=signing_access(opening.access, sources, modifier))
    groups = [one.group if opening.group is None else opening.group for one in sources]
    scans = scan_files([one.href for one in sources], opening, groups)
    if opening.on_error == "raise":
        skipped_scans([one.label for one in sources], scans, "raise")
    return _Scanned(sources, scans, groups, opening, ReaderPool(opening.access))


def _quick_cube(scanned: _Scanned, joining: JoinOptions, time_dim: str) -> Cube | None:
    """The cube of alike files, each the only one of its item and with a time axis of its own; None for all others."""
    how = _quick_way(scanned, joining, time_dim)
    if how is None:
        return None
    joined = quick_join(scanned.scans, *how, scanned.readers)
    if joined is None:
        return None
    return _finished(joined.dataset, [joined.dim] if joined.grown else [], scanned)


def _cube_of_runs(scanned: _Scanned, joining: JoinOptions, time_dim: str) -> Cube | None:
    """The cube of files that are alike for a while, then otherwise; None for those that change too often, and others."""
    how = _quick_way(scanned, joining, time_dim)
    if how is None or any(scan.format in NOT_IN_RUNS for scan in scanned.scans):
        return None
    try:
        datasets = quick_runs(scanned.scans, *how, scanned.readers, time_dim)
        if datasets is None:
            return None
        joined = join_datasets(datasets, how[1])
    except VirtualZarrError:  # the long way names the files
        return None
    grown = [str(d) for d, n in joined.sizes.items() if all(ds.sizes.get(d, 0) < n for ds in datasets)]
    return _finished(joined, grown, scanned)


def _quick_way(scanned: _Scanned, joining: JoinOptions, dim: str) -> tuple[OpenOptions, JoinOptions] | None:
    """How files are opened and joined that are each the only one of their item, with a time axis; None if some are not."""
    scans, opening = scanned.scans, replace(scanned.opening, group=scanned.groups[0])
    path = f"/{(opening.group or '').strip('/')}/{dim}".replace("//", "/")
    if len(set(scanned.groups)) > 1 or joining.concat_dim not in (None, dim) or dim in opening.drop_variables:
        return None
    times = [described(scan).get(path) if isinstance(scan, ScannedFile) else None for scan in scans]
    if any(one is None or one.dims != (dim,) for one in times):
        return None
    items = {number if one.item_id is None else (one.collection, one.item_id) for number, one in enumerate(scanned.sources)}
    if len(items) < len(scans):
        return None
    nested = joining.combine == "nested"
    how = replace(joining, combine=joining.combine or "by_coords", concat_dim=dim if nested else None, duplicates="raise")
    return opening, how


def _finished(joined: xr.Dataset, grown: list[str], scanned: _Scanned) -> Cube:
    check_coordinates(joined)
    joined.encoding["concat_dims"] = grown
    return Cube(joined, tuple(scanned.sources), tuple(scan.source for scan in scanned.scans), {})


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
    return _opened(_scan_sources(sources, opening, modifier), time_dim)


def _opened(scanned: _Scanned, time_dim: str) -> tuple[list[OpenedSource], dict[str, str]]:
    sources, scans, groups = scanned.sources, scanned.scans, scanned.groups
    opening, readers = scanned.opening, scanned.readers
    trees = {i: tree_of_scan(scan, readers) for i, scan in enumerate(scans) if not isinstance(scan, Exception)}
    lacking = {i: error for i, tree in trees.items() if (error := without_group(tree, groups[i], opening.on_error)) is not None}
    found = [lacking.get(i, scan) for i, scan in enumerate(scans)]
    skipped = skipped_scans([one.label for one in sources], found, opening.on_error)
    opened = []
    for i, (source, scan) in enumerate(zip(sources, found, strict=True)):
        if isinstance(scan, Exception):
            continue
        tree, own = trees[i], replace(opening, group=groups[i])
        _check_filled(tree, own.group, source.label)
        dataset = opened_dataset(tree, own)
        opened.append(OpenedSource(source, scan.source, named_bands(dataset, source) if scan.format == "tiff" else dataset))
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
    check_one_grid([(files[0].source, files[0].dataset) for files in by_item(opened)], side_by_side=True)
    axes = with_axes([one.dataset for one in opened])
    opened = [replace(one, dataset=dataset) for one, dataset in zip(opened, axes, strict=True)]
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
    timed = [has_time(one.dataset, dim) for one in files]
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
    check_one_grid([(one.source, one.dataset) for one in files], side_by_side=False)
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
        if combine == "nested" and joining.concat_dim is None and all(time_dim not in ds.dims for ds in datasets):
            raise _without_order(datasets, time_dim)
    dim = (joining.concat_dim or time_dim) if combine == "nested" else None
    how = replace(joining, combine=combine, concat_dim=dim)
    new = isinstance(dim, str) and all(dim not in ds.dims for ds in datasets)
    # along an axis that no file has every variable is stacked: "minimal" for all would leave nothing that grows
    return replace(how, data_vars="all") if new and how.data_vars == how.coords == "minimal" else how


def _without_order(datasets: Sequence[xr.Dataset], time_dim: str) -> JoinError:
    """The error of files that nothing puts in order, with the dimension that would join them."""
    first = datasets[0]
    differing = [d for d, n in first.sizes.items() if any(ds.sizes.get(d) != n for ds in datasets[1:])]
    told = [name for name, one in first.coords.items() if one.ndim == 0 and any(_differs(ds, name, one) for ds in datasets[1:])]
    dim = (*differing, *told, time_dim)[0]
    where = "the dimension in which they differ" if differing else f"a new axis{', with its value in each file' if told else ''}"
    return JoinError(
        f"{source_label(first)} and {source_label(datasets[1])}: no coordinate tells their order, and no variable lies along "
        f"{time_dim!r}; combine='nested', concat_dim={str(dim)!r} joins them as they come, along {where}"
    )


def _differs(dataset: xr.Dataset, name: Any, one: xr.DataArray) -> bool:
    return name in dataset.coords and not dataset.coords[name].equals(one)


def _same_everywhere(datasets: Sequence[xr.Dataset], dim: Any) -> bool:
    first = datasets[0].indexes[dim]
    return all(dim in ds.indexes and ds.indexes[dim].equals(first) for ds in datasets[1:])


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
