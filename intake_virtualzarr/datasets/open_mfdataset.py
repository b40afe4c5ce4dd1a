"""open_virtual_mfdataset: many files as one virtual dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import xarray as xr

import intake_virtualzarr.datasets.accessor  # noqa: F401 - registers the accessor
from intake_virtualzarr._typing import Attrs, FormatLike
from intake_virtualzarr.arrays.tree import VirtualTree
from intake_virtualzarr.datasets.combine import join_datasets
from intake_virtualzarr.datasets.join_options import (
    Combine,
    CombineAttrs,
    Compat,
    ConcatDim,
    EncodingMismatch,
    FilePolicy,
    Join,
    JoinOptions,
    Together,
)
from intake_virtualzarr.datasets.open_files import opened_dataset, scanned_or_opened, skipped_scans, without_group
from intake_virtualzarr.datasets.open_options import OnError, OnUnsupported, OpenOptions, name_set, names_or_none
from intake_virtualzarr.datasets.paths import Paths, expand_paths, flat_paths
from intake_virtualzarr.datasets.quick_join import quick_join
from intake_virtualzarr.errors import NothingFoundError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.scanned_tree import tree_of_scan
from intake_virtualzarr.formats.workers import Executor
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.readers import Access, ReaderPool

__all__ = ["open_virtual_mfdataset"]


def open_virtual_mfdataset(
    paths: Paths,
    *,
    combine: Combine = "by_coords",
    concat_dim: ConcatDim = None,
    preprocess: Callable[[xr.Dataset], xr.Dataset] | None = None,
    join: Join = "outer",
    compat: Compat = "no_conflicts",
    data_vars: Together = "all",
    coords: Together = "different",
    combine_attrs: CombineAttrs = "override",
    loadable_variables: str | Iterable[str] | None = None,
    drop_variables: str | Iterable[str] | None = None,
    group: str | None = None,
    decode_times: bool = True,
    encoding_mismatch: EncodingMismatch = "decode",
    duplicates: FilePolicy = "raise",
    on_error: OnError = "raise",
    on_unsupported: OnUnsupported = "skip",
    client: Any = None,
    executor: Executor | None = None,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    storage_options: Access | Attrs | None = None,
    allow: Allow = None,
    keep_query: str | Iterable[str] = (),
    format: FormatLike = None,
) -> xr.Dataset:
    """Open many archive files as one virtual dataset.

    Files are scanned in parallel (threads, or a dask cluster), once each; values are not read, except one-dimensional
    coordinates and scalars. The join is that of ``xarray.open_mfdataset``, with its defaults.

    Parameters
    ----------
    paths : str, path or (nested) sequence of these
        Files, or virtual stores and references to be joined further; a string with ``*`` is expanded and sorted.
    combine : {"by_coords", "nested"}
        Order by the values of coordinates, or as given.
    concat_dim : str or sequence of str, optional
        Dimension(s) along which nested files are joined.
    preprocess : callable, optional
        Called with the virtual dataset of each file; returns one.
    join, compat, data_vars, coords, combine_attrs
        As in ``xarray.combine_by_coords``. ``coords="minimal", compat="override"`` compares nothing and reads nothing.
    loadable_variables : str or iterable of str, optional
        Variables whose values are read now; default: one-dimensional coordinates and scalars.
    drop_variables : str or iterable of str, optional
        Variables to drop.
    group : str, optional
        Path of the group in each file.
    decode_times : bool
        Whether loaded time coordinates become dates.
    encoding_mismatch : {"decode", "raise"}
        Variables that files pack differently (scale_factor, add_offset, _FillValue, missing_value, _Unsigned, data type) are
        joined as decoded values, or refused.
    duplicates : {"raise", "first", "last"}
        With ``combine="by_coords"``, which of several files with the same variables and coordinates (reprocessed versions) to
        take; xarray takes any. Members of an ensemble want ``combine="nested"`` instead.
    on_error : {"raise", "skip"}
        What to do about files that cannot be scanned. Skipped ones are warned of, and listed with the reasons in
        ``ds.encoding["skipped"]``.
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
        Options for opening, by URL prefix.
    allow : str or list of str, optional
        URL prefixes and paths that documents from a network (stores, references, STAC items, files with links) may name, beside
        their own places.
    keep_query : str or iterable of str, optional
        Names of query parameters that are part of the name of a file. All others are kept in memory only, never stored.
    format : str or parser, optional
        Name of the format, or a parser of VirtualiZarr; default: detected automatically.

    Returns
    -------
    xarray.Dataset
        Virtual arrays, undecoded unless files differ in packing.

    Raises
    ------
    NothingFoundError
        If no path is given or matched.
    IngestError
        If files cannot be scanned, all named.
    JoinError
        If files cannot be joined, or would not be in the result (all named).
    EncodingMismatchError
        If calendars differ, or packing differs and ``encoding_mismatch="raise"``.
    """
    opening = OpenOptions(
        group=group,
        loadable_variables=names_or_none(loadable_variables),
        drop_variables=name_set(drop_variables),
        decode_times=decode_times,
        preprocess=preprocess,
        format=format,
        on_error=on_error,
        on_unsupported=on_unsupported,
        client=client,
        executor=executor,
        progress=progress,
        checkpoint=checkpoint,
        access=Access.of(storage_options, allow=allow, keep_query=keep_query),
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
        duplicates=duplicates,
    )
    return _open_and_join(paths, opening, joining)


def _open_and_join(paths: Paths, opening: OpenOptions, joining: JoinOptions) -> xr.Dataset:
    nested = expand_paths(paths, opening.access)
    flat = list(flat_paths(nested))
    if not flat:
        raise NothingFoundError(f"no file matches {paths!r}")
    scans = scanned_or_opened(flat, opening)
    readers = ReaderPool(opening.access.named(flat))

    def tree_in(scanned: Any) -> VirtualTree | Exception:
        if isinstance(scanned, Exception):
            return scanned
        tree = scanned if isinstance(scanned, VirtualTree) else tree_of_scan(scanned, readers)
        return without_group(tree, opening.group, opening.on_error) or tree

    if opening.on_error == "raise":
        skipped_scans(flat, scans, "raise")
    if nested == flat and all(isinstance(scan, ScannedFile) for scan in scans):
        quick = quick_join(scans, opening, joining, readers)
        if quick is not None:
            return quick.dataset
    trees = [tree_in(scanned) for scanned in scans]
    skipped = skipped_scans(flat, trees, opening.on_error)
    datasets = {p: opened_dataset(t, opening) for p, t in zip(flat, trees, strict=True) if isinstance(t, VirtualTree)}
    joined = join_datasets(_shaped(nested, datasets), joining)
    if skipped:
        joined.encoding["skipped"] = skipped
    return joined


def _shaped(nested: Any, datasets: dict[str, xr.Dataset]) -> Any:
    """The nested list with datasets in place of paths; skipped ones are gone."""
    if isinstance(nested, list):
        parts = [_shaped(part, datasets) for part in nested]
        return [part for part in parts if part is not None]
    return datasets.get(nested)
