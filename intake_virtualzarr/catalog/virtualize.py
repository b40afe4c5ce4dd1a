"""From a search to one virtual dataset: find sources, scan, give time axes, join."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.arrays.tree import VirtualTree
from intake_virtualzarr.datasets.combine import join_datasets
from intake_virtualzarr.datasets.open_files import opened_dataset, skipped_scans
from intake_virtualzarr.datasets.virtual_dataset import name_set
from intake_virtualzarr.errors import IngestError, JoinError
from intake_virtualzarr.formats.scan_batches import scan_paths
from intake_virtualzarr.formats.scanned_tree import tree_of_scan
from intake_virtualzarr.stac.find_sources import find_sources
from intake_virtualzarr.stac.signing import signing_access
from intake_virtualzarr.stac.source_item import SourceItem
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


def virtualize(items: Any, **options: Any) -> xr.Dataset:
    """Turn search results into one virtual dataset.

    Parameters
    ----------
    items : pystac_client.ItemSearch, pystac.ItemCollection, iterable of items or dicts, or paths
        Where the files are.
    **options
        See `build_cube`.

    Returns
    -------
    xarray.Dataset
        Virtual arrays in order of time; write it with ``.vzarr.to_zarr``, or open it decoded with ``.vzarr.decode()``.

    Examples
    --------
    >>> cube = virtualize(client.search(collections=["sst"], datetime="2024-01"))  # doctest: +SKIP
    """
    return build_cube(items, **options).dataset


def build_cube(
    items: Any,
    *,
    asset: Any = None,
    collection_assets: bool = False,
    protocols: Sequence[str] | None = None,
    modifier: Any = None,
    datetime: str | None = None,
    bbox: Sequence[float] | None = None,
    intersects: Any = None,
    duplicates: Any = "error",
    time_dim: str = "time",
    combine: str | None = None,
    concat_dim: str | None = None,
    preprocess: Callable[[xr.Dataset], xr.Dataset] | None = None,
    join: str = "outer",
    compat: str = "no_conflicts",
    data_vars: Any = "minimal",
    coords: Any = "minimal",
    combine_attrs: Any = "override",
    loadable_variables: Iterable[str] | None = None,
    drop_variables: str | Iterable[str] | None = None,
    group: str | None = None,
    encoding_mismatch: str = "decode",
    on_error: str = "raise",
    on_unsupported: str = "skip",
    client: Any = None,
    progress: bool | None = None,
    storage_options: Any = None,
    format: str | None = None,
) -> Cube:
    """Find, scan and join the files of a search.

    Parameters
    ----------
    items
        As `virtualize`.
    asset, collection_assets, protocols, modifier, datetime, bbox, intersects, duplicates
        Which files to take: see `intake_virtualzarr.stac.find_sources.find_sources`.
    time_dim : str
        Name of the time axis that files without one get from their items.
    combine, concat_dim
        ``"by_coords"`` (default where the files have coordinates along what differs) or ``"nested"`` along ``concat_dim``
        in the order of the items.
    preprocess, join, compat, data_vars, coords, combine_attrs, loadable_variables, drop_variables, group, encoding_mismatch, \
on_error, on_unsupported, client, progress, storage_options, format
        As `open_virtual_mfdataset`; here variables without the joined dimension are taken once and must agree.

    Raises
    ------
    NothingFoundError
        If the search is empty.
    StacError
        If an item has no usable asset, or several.
    IngestError
        If files cannot be scanned, or the joined coordinates are not unique and in order.
    """
    sources = find_sources(
        items,
        asset=asset,
        collection_assets=collection_assets,
        protocols=protocols,
        modifier=modifier,
        datetime=datetime,
        bbox=bbox,
        intersects=intersects,
        duplicates=duplicates,
    )
    opened, skipped = open_sources(
        sources,
        modifier=modifier,
        time_dim=time_dim,
        preprocess=preprocess,
        loadable_variables=loadable_variables,
        drop_variables=drop_variables,
        group=group,
        on_error=on_error,
        on_unsupported=on_unsupported,
        client=client,
        progress=progress,
        storage_options=storage_options,
        format=format,
    )
    cube = join_sources(
        opened,
        time_dim=time_dim,
        combine=combine,
        concat_dim=concat_dim,
        join=join,
        compat=compat,
        data_vars=data_vars,
        coords=coords,
        combine_attrs=combine_attrs,
        encoding_mismatch=encoding_mismatch,
    )
    return replace(cube, skipped=skipped)


def open_sources(
    sources: Sequence[SourceItem],
    *,
    modifier: Any = None,
    time_dim: str = "time",
    preprocess: Callable[[xr.Dataset], xr.Dataset] | None = None,
    loadable_variables: Iterable[str] | None = None,
    drop_variables: str | Iterable[str] | None = None,
    group: str | None = None,
    on_error: str = "raise",
    on_unsupported: str = "skip",
    client: Any = None,
    progress: bool | None = None,
    storage_options: Any = None,
    format: str | None = None,
) -> tuple[list[OpenedSource], dict[str, str]]:
    """Scan sources, and give those without a time axis one. Parameters as `build_cube`.

    Returns
    -------
    opened : list of OpenedSource
        In the order of the sources, those of one item together.
    skipped : dict of str to str
        Sources that could not be scanned, and why.
    """
    access = signing_access(Access.of(storage_options), sources, modifier)
    scans = scan_paths([one.href for one in sources], format=format, access=access, client=client, progress=progress)
    skipped = skipped_scans([one.label for one in sources], scans, on_error)
    readers = ReaderPool(access)
    dropped = name_set(drop_variables)
    opened = []
    for source, scanned in zip(sources, scans, strict=True):
        if isinstance(scanned, Exception):
            continue
        tree = tree_of_scan(scanned, readers)
        chosen = source.group if group is None else group
        _check_filled(tree, chosen, source.label)
        dataset = opened_dataset(tree, chosen, dropped, loadable_variables, True, on_unsupported, preprocess)
        opened.append(OpenedSource(source, scanned.source, dataset))
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


def join_sources(
    opened: Sequence[OpenedSource],
    *,
    time_dim: str = "time",
    combine: str | None = None,
    concat_dim: str | None = None,
    join: str = "outer",
    compat: str = "no_conflicts",
    data_vars: Any = "minimal",
    coords: Any = "minimal",
    combine_attrs: Any = "override",
    encoding_mismatch: str = "decode",
) -> Cube:
    """Join scanned files, those of one item first. Parameters as `build_cube`.

    Raises
    ------
    JoinError
        If files of one item hold the same variable for the same times, or lie on different grids.
    """
    datasets = [ds for files in by_item(opened) for ds in _joined_assets(files, time_dim, compat, combine_attrs)]
    joined = _joined(
        datasets,
        combine,
        concat_dim or time_dim,
        {
            "join": join,
            "compat": compat,
            "data_vars": data_vars,
            "coords": coords,
            "combine_attrs": combine_attrs,
            "encoding_mismatch": encoding_mismatch,
        },
    )
    check_coordinates(joined)
    grown = [str(d) for d, n in joined.sizes.items() if len(datasets) > 1 and all(ds.sizes.get(d, 0) < n for ds in datasets)]
    joined.encoding["concat_dims"] = grown
    return Cube(joined, tuple(one.source for one in opened), tuple(one.file for one in opened), {})


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


def _joined_assets(files: Sequence[OpenedSource], dim: str, compat: Any, combine_attrs: Any) -> list[xr.Dataset]:
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
        return [xr.merge([file.dataset for file in files], compat=compat, join="exact", combine_attrs=combine_attrs)]
    except ValueError as exc:
        keys = ", ".join(repr(file.source.asset_key) for file in files)
        raise JoinError(
            f"item {files[0].source.item_id!r}: assets {keys} cannot be put side by side: {exc}; "
            "ingest those of one grid together, and the others under another name"
        ) from exc


def _shared_along(one: xr.Dataset, other: xr.Dataset, dim: str) -> list[str]:
    """Data variables of both that lie along a dimension."""
    return [str(name) for name in one.data_vars if name in other.data_vars and dim in one[name].dims]


def _joined(datasets: list[xr.Dataset], combine: str | None, concat_dim: str, options: JsonObject) -> xr.Dataset:
    if len(datasets) == 1:
        return join_datasets(datasets, **options)
    if combine is None:
        along = [d for d in datasets[0].dims if d in datasets[0].indexes and not _same_everywhere(datasets, d)]
        combine = "by_coords" if along else "nested"
    if combine == "nested":
        return join_datasets(datasets, combine="nested", concat_dim=concat_dim, **options)
    return join_datasets(datasets, combine=combine, **options)


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
    return dim in dataset.dims or any(_is_time(variable) for variable in dataset.variables.values())


def _promoted(dataset: xr.Dataset, dim: str) -> xr.Dataset:
    """A scalar time in the file becomes the axis."""
    scalar = dataset.variables.get(dim)
    if scalar is None or scalar.ndim != 0 or dim in dataset.dims or not _is_time(scalar):
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


def _is_time(variable: xr.Variable) -> bool:
    if variable.dtype.kind == "M":
        return True
    units = variable.attrs.get("units")
    return (isinstance(units, str) and " since " in units) or (
        variable.dtype.kind == "O" and variable.size > 0 and hasattr(np.asarray(variable).flat[0], "calendar")
    )


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
