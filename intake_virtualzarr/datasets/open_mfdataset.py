"""open_virtual_mfdataset: many files as one virtual dataset."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import xarray as xr

import intake_virtualzarr.datasets.backend  # noqa: F401 - registers the accessor
from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.arrays.left_out import raise_left_out, warn_left_out
from intake_virtualzarr.arrays.tree import VirtualTree
from intake_virtualzarr.datasets.encoding_mismatch import common_time_encoding, harmonize
from intake_virtualzarr.datasets.virtual_dataset import name_set, virtual_dataset
from intake_virtualzarr.errors import IngestError, JoinError, NothingFoundError, VirtualZarrError
from intake_virtualzarr.formats.find_references import like_a_directory
from intake_virtualzarr.formats.open import open_tree
from intake_virtualzarr.formats.scan_batches import scan_paths
from intake_virtualzarr.formats.scanned_tree import tree_of_scan
from intake_virtualzarr.storage.readers import Access, ReaderPool
from intake_virtualzarr.storage.urls import absolute_url, is_local, is_url, local_path

__all__ = ["expand_paths", "join_datasets", "open_virtual_mfdataset"]

type Paths = str | os.PathLike[str] | Sequence[Any]


def open_virtual_mfdataset(
    paths: Paths,
    *,
    combine: str = "by_coords",
    concat_dim: Any = None,
    preprocess: Callable[[xr.Dataset], xr.Dataset] | None = None,
    join: str = "outer",
    compat: str = "no_conflicts",
    data_vars: Any = "all",
    coords: Any = "different",
    combine_attrs: Any = "override",
    loadable_variables: Iterable[str] | None = None,
    drop_variables: str | Iterable[str] | None = None,
    group: str | None = None,
    decode_times: bool = True,
    encoding_mismatch: str = "decode",
    on_error: str = "raise",
    on_unsupported: str = "skip",
    client: Any = None,
    progress: bool | None = None,
    storage_options: Any = None,
    format: str | None = None,
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
    loadable_variables : iterable of str, optional
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
    on_error : {"raise", "skip"}
        What to do about files that cannot be scanned. Skipped ones are warned of, and listed with the reasons in
        ``ds.encoding["skipped"]``.
    on_unsupported : {"skip", "raise"}
        What to do about variables that cannot be stored by reference.
    client : dask.distributed.Client, optional
        Cluster that scans.
    progress : bool, optional
        Whether to show a bar; default: on a terminal.
    storage_options : mapping or Access, optional
        Options for opening, by URL prefix.
    format : str, optional
        Name of the format; default: detected automatically.

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
    EncodingMismatchError
        If calendars differ, or packing differs and ``encoding_mismatch="raise"``.
    """
    if on_error not in ("raise", "skip"):
        raise VirtualZarrError(f"on_error is {on_error!r}, expected 'raise' or 'skip'")
    access = Access.of(storage_options)
    nested = expand_paths(paths, access)
    flat = list(_flat(nested))
    if not flat:
        raise NothingFoundError(f"no file matches {paths!r}")
    scans = scanned_or_opened(flat, format=format, access=access, client=client, progress=progress)
    skipped = skipped_scans(flat, scans, on_error)
    readers = ReaderPool(access)
    dropped = name_set(drop_variables)

    def opened(scanned: Any) -> xr.Dataset:
        tree = scanned if isinstance(scanned, VirtualTree) else tree_of_scan(scanned, readers)
        return opened_dataset(tree, group, dropped, loadable_variables, decode_times, on_unsupported, preprocess)

    datasets = {p: opened(s) for p, s in zip(flat, scans, strict=True) if not isinstance(s, Exception)}
    joined = join_datasets(
        _shaped(nested, datasets),
        combine=combine,
        concat_dim=concat_dim,
        join=join,
        compat=compat,
        data_vars=data_vars,
        coords=coords,
        combine_attrs=combine_attrs,
        encoding_mismatch=encoding_mismatch,
    )
    if skipped:
        joined.encoding["skipped"] = skipped
    return joined


STORES = ("vzarr", "kerchunk", "icechunk")
"""Formats that are a directory, or may be."""
STORES_AT_ONCE = 16
"""Stores that are opened at once."""


def scanned_or_opened(paths: Sequence[str], *, format: str | None, access: Access, client: Any, progress: bool | None) -> list[Any]:
    """Scans of files, trees of stores (a hierarchy of ours, kerchunk references, an Icechunk repository), or errors."""
    stores = [i for i, path in enumerate(paths) if format in STORES or (format is None and _is_directory(path))]
    files = sorted(set(range(len(paths))) - set(stores))
    results: list[Any] = [None] * len(paths)
    if files:
        found = scan_paths([paths[i] for i in files], format=format, access=access, client=client, progress=progress)
        for i, scan in zip(files, found, strict=True):
            results[i] = scan

    def opened(path: str) -> Any:
        try:
            return open_tree(local_path(path) if is_local(path) else path, storage_options=access, format=format)
        except VirtualZarrError as exc:
            return exc

    if stores:
        with ThreadPoolExecutor(min(len(stores), STORES_AT_ONCE)) as pool:
            for i, tree in zip(stores, pool.map(opened, [paths[i] for i in stores]), strict=True):
                results[i] = tree
    return results


def _is_directory(path: str) -> bool:
    """Whether a path is a directory, or a URL ends like one: there is no asking without a request."""
    return os.path.isdir(local_path(path)) if is_local(path) else like_a_directory(path)


def skipped_scans(labels: Sequence[str], scans: Sequence[Any], on_error: str) -> dict[str, str]:
    """Files that could not be scanned, by label, and why; a warning names them.

    Raises
    ------
    IngestError
        If there are any and ``on_error`` is not ``"skip"``, or if these are all files.
    """
    skipped = {label: str(scan) for label, scan in zip(labels, scans, strict=True) if isinstance(scan, Exception)}
    if skipped and (on_error != "skip" or len(skipped) == len(labels)):
        raise scan_failure(skipped, len(labels), next(scan for scan in scans if isinstance(scan, Exception)))
    if skipped:
        lines = "\n".join(f"  {reason}" for reason in skipped.values())
        warnings.warn(f"{len(skipped)} of {len(labels)} files skipped:\n{lines}", UserWarning, stacklevel=3)
    return skipped


def scan_failure(failures: dict[str, str], total: int, first: BaseException) -> VirtualZarrError:
    """One error for all files that could not be scanned."""
    if total == 1 and isinstance(first, VirtualZarrError):
        return first
    lines = "\n".join(f"  {reason}" for reason in list(failures.values())[:20])
    more = f"\n  … and {len(failures) - 20} more" if len(failures) > 20 else ""
    error = IngestError(f"{len(failures)} of {total} files cannot be scanned:\n{lines}{more}\n(on_error='skip' leaves them out)")
    error.__cause__ = first
    return error


def opened_dataset(
    tree: VirtualTree,
    group: str | None,
    dropped: frozenset[str],
    loadable: Iterable[str] | None,
    decode_times: bool,
    on_unsupported: str,
    preprocess: Callable[[xr.Dataset], xr.Dataset] | None,
) -> xr.Dataset:
    """The virtual dataset of one scanned file, preprocessed."""
    node = tree.group(group)
    if on_unsupported == "raise":
        raise_left_out(tree)
    else:
        warn_left_out(tree, node.path, dropped)
    dataset = virtual_dataset(tree, node, loadable_variables=loadable, drop_variables=dropped, decode_times=decode_times)
    if preprocess is None:
        return dataset
    changed = preprocess(dataset)
    if not isinstance(changed, xr.Dataset):
        raise VirtualZarrError(f"preprocess gave {type(changed).__name__} for {tree.url}, expected an xarray.Dataset")
    changed.encoding.setdefault("source", tree.url)
    return changed


def join_datasets(
    datasets: Any,
    *,
    combine: str = "by_coords",
    concat_dim: Any = None,
    join: str = "outer",
    compat: str = "no_conflicts",
    data_vars: Any = "all",
    coords: Any = "different",
    combine_attrs: Any = "override",
    encoding_mismatch: str = "decode",
) -> xr.Dataset:
    """Join virtual datasets as ``xarray.open_mfdataset`` does, each decoded by its own packing where these differ."""
    flat = list(_flat(datasets))
    ready = harmonize(flat, encoding_mismatch)
    options: JsonObject = {
        "compat": compat,
        "data_vars": data_vars,
        "coords": coords,
        "join": join,
        "combine_attrs": combine_attrs,
    }
    if combine == "by_coords" and concat_dim is not None:
        raise VirtualZarrError("concat_dim goes with combine='nested'; combine='by_coords' finds it itself")
    if combine == "nested" and concat_dim is None and len(ready) > 1:
        raise VirtualZarrError("combine='nested' needs concat_dim: the dimension(s) along which the files are joined")
    if combine not in ("by_coords", "nested"):
        raise VirtualZarrError(f"combine is {combine!r}, expected 'by_coords' or 'nested'")
    try:
        if combine == "nested":
            joined: Any = xr.combine_nested(_regrouped(datasets, iter(ready)), concat_dim=concat_dim, **options)
        else:
            joined = ready[0] if len(ready) == 1 else xr.combine_by_coords(ready, **options)
    except ValueError as exc:
        if isinstance(exc, VirtualZarrError):
            raise
        named = ", ".join(_label(ds) for ds in flat[:3]) + (f" and {len(flat) - 3} more" if len(flat) > 3 else "")
        raise JoinError(f"{named}: cannot be joined: {exc}") from exc
    if not isinstance(joined, xr.Dataset):
        raise VirtualZarrError(f"the join gave {type(joined).__name__}, expected an xarray.Dataset")
    joined = joined.copy(deep=False)
    joined.attrs = joined.attrs or dict(flat[0].attrs)
    unlimited = {d for ds in flat for d in ds.encoding.get("unlimited_dims", ())}
    joined.encoding = {"source": flat[0].encoding.get("source"), **({"unlimited_dims": unlimited} if unlimited else {})}
    return common_time_encoding(joined, flat)


def _label(dataset: xr.Dataset) -> str:
    return str(dataset.encoding.get("source", "a dataset"))


# ---------------------------------------------------------------------- paths


def expand_paths(paths: Paths, access: Access) -> list[Any]:
    """Paths as a (nested) list of absolute URLs; patterns are expanded and sorted.

    Raises
    ------
    NothingFoundError
        If a pattern matches nothing.
    """
    if isinstance(paths, str | os.PathLike):
        text = os.fspath(paths)
        if any(c in text for c in "*?[") and not os.path.exists(text):
            found = _glob(text, access)
            if not found:
                raise NothingFoundError(f"no file matches {text!r}")
            return found
        return [absolute_url(text)]
    out: list[Any] = []
    for part in paths:
        expanded = expand_paths(part, access)
        if isinstance(part, str | os.PathLike):
            out.extend(expanded)
        else:
            out.append(expanded)
    return out


def _glob(text: str, access: Access) -> list[str]:
    if not is_url(text) or text.startswith("file://"):
        pattern = text.removeprefix("file://")
        return [absolute_url(path) for path in sorted(glob.glob(os.path.expanduser(pattern), recursive=True))]
    import fsspec

    fs, _ = fsspec.core.url_to_fs(text, **access.options(text))
    return sorted(str(fs.unstrip_protocol(path)) for path in fs.glob(text))


def _flat(nested: Any) -> Iterable[Any]:
    if isinstance(nested, list | tuple):
        for part in nested:
            yield from _flat(part)
    else:
        yield nested


def _shaped(nested: Any, datasets: dict[str, xr.Dataset]) -> Any:
    """The nested list with datasets in place of paths; skipped ones are gone."""
    if isinstance(nested, list):
        parts = [_shaped(part, datasets) for part in nested]
        return [part for part in parts if part is not None]
    return datasets.get(nested)


def _regrouped(nested: Any, ready: Any) -> Any:
    if isinstance(nested, list):
        return [_regrouped(part, ready) for part in nested]
    return next(ready)
