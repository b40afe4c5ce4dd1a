"""Files that were scanned, and stores that were opened, as virtual datasets; what cannot be opened is named."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import xarray as xr

from intake_virtualzarr.arrays.left_out import raise_left_out, warn_left_out
from intake_virtualzarr.arrays.tree import VirtualGroup, VirtualTree
from intake_virtualzarr.datasets.file_encoding import source_name
from intake_virtualzarr.datasets.open_options import OnError, OpenOptions
from intake_virtualzarr.datasets.virtual_dataset import virtual_dataset
from intake_virtualzarr.errors import FormatError, IngestError, VirtualZarrError
from intake_virtualzarr.formats.open import open_tree
from intake_virtualzarr.formats.scan_batches import scan_paths
from intake_virtualzarr.storage.directory_urls import is_directory
from intake_virtualzarr.storage.urls import is_local, local_path

__all__ = ["group_dataset", "opened_dataset", "scan_files", "scan_failure", "scanned_or_opened", "skipped_scans", "without_group"]


STORES = ("vzarr", "kerchunk", "icechunk")
"""Formats that are a directory, or may be."""


STORES_AT_ONCE = 16
"""Stores that are opened at once."""


def scanned_or_opened(paths: Sequence[str], options: OpenOptions) -> list[Any]:
    """Scans of files, trees of stores (a hierarchy of ours, kerchunk references, an Icechunk repository), or errors."""
    format = options.format
    stores = [i for i, path in enumerate(paths) if format in STORES or (format is None and is_directory(path))]
    files = sorted(set(range(len(paths))) - set(stores))
    results: list[Any] = [None] * len(paths)
    if files:
        found = scan_files([paths[i] for i in files], options)
        for i, scan in zip(files, found, strict=True):
            results[i] = scan

    def opened(path: str) -> Any:
        try:
            return open_tree(local_path(path) if is_local(path) else path, storage_options=options.access, format=format)
        except VirtualZarrError as exc:
            return exc

    if stores:
        with ThreadPoolExecutor(min(len(stores), STORES_AT_ONCE)) as pool:
            for i, tree in zip(stores, pool.map(opened, [paths[i] for i in stores]), strict=True):
                results[i] = tree
    return results


def scan_files(paths: Sequence[str], options: OpenOptions, groups: Collection[str | None] | None = None) -> list[Any]:
    """Scans of files, or their errors, in order; ``groups`` are those that are opened, where files differ in it."""
    return scan_paths(
        paths,
        format=options.format,
        access=options.access,
        client=options.client,
        executor=options.executor,
        progress=options.progress,
        checkpoint=options.checkpoint,
        labels=options.labels(groups),
    )


def skipped_scans(labels: Sequence[str], scans: Sequence[Any], on_error: OnError) -> dict[str, str]:
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


def without_group(tree: VirtualTree, group: str | None, on_error: str) -> FormatError | None:
    """Why a file that lacks a group is skipped; None if it has it.

    Raises
    ------
    FormatError
        If it lacks it and is not to be skipped.
    """
    try:
        tree.group(group)
    except FormatError as exc:
        if on_error != "skip":
            raise
        return exc
    return None


def scan_failure(failures: dict[str, str], total: int, first: BaseException) -> VirtualZarrError:
    """One error for all files that could not be scanned."""
    if total == 1 and isinstance(first, VirtualZarrError):
        return first
    lines = "\n".join(f"  {reason}" for reason in list(failures.values())[:20])
    more = f"\n  … and {len(failures) - 20} more" if len(failures) > 20 else ""
    error = IngestError(f"{len(failures)} of {total} files cannot be scanned:\n{lines}{more}\n(on_error='skip' leaves them out)")
    error.__cause__ = first
    return error


def opened_dataset(tree: VirtualTree, options: OpenOptions) -> xr.Dataset:
    """The virtual dataset of one scanned file, preprocessed."""
    if options.on_unsupported == "raise":
        raise_left_out(tree)
    dataset = group_dataset(tree, tree.group(options.group), options)
    if options.preprocess is None:
        return dataset
    changed = options.preprocess(dataset)
    if not isinstance(changed, xr.Dataset):
        raise VirtualZarrError(f"preprocess gave {type(changed).__name__} for {tree.url}, expected an xarray.Dataset")
    changed.encoding.setdefault("source", source_name(tree.url))
    return changed


def group_dataset(tree: VirtualTree, group: VirtualGroup, options: OpenOptions) -> xr.Dataset:
    """The virtual dataset of a group; what cannot be stored by reference is warned of."""
    if options.on_unsupported == "skip":
        warn_left_out(tree, group.path, options.drop_variables)
    return virtual_dataset(
        tree,
        group,
        loadable_variables=options.loadable_variables,
        drop_variables=options.drop_variables,
        decode_times=options.decode_times,
    )
