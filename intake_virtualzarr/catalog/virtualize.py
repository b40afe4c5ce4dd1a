"""From a search to one virtual dataset: the public function."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import xarray as xr

from intake_virtualzarr._typing import Attrs, FormatLike
from intake_virtualzarr.catalog.cube import build_cube
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
from intake_virtualzarr.formats.workers import Executor
from intake_virtualzarr.stac.assets import AssetLike
from intake_virtualzarr.stac.items import ItemsLike
from intake_virtualzarr.stac.order import Duplicates
from intake_virtualzarr.stac.signing import Modifier
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.readers import Access

__all__ = ["virtualize"]


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
    options = SearchOptions.of(locals())  # by name: each has its field, with the same default
    return build_cube(items, options, time_dim).dataset
