"""From a path or URL to groups of virtual variables, whatever it is."""

from __future__ import annotations

import os
from typing import Any

from intake_virtualzarr._typing import FormatLike
from intake_virtualzarr.arrays.tree import VirtualTree
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.labels import LabelChoice
from intake_virtualzarr.formats.scan import scan
from intake_virtualzarr.formats.scanned_tree import tree_of_scan
from intake_virtualzarr.storage.key_value import Keys, archive_of
from intake_virtualzarr.storage.options import StorageOptions
from intake_virtualzarr.storage.places import is_network
from intake_virtualzarr.storage.readers import Access, ReaderPool

__all__ = ["open_tree"]


def open_tree(
    path: Any,
    *,
    storage_options: StorageOptions = None,
    format: FormatLike = None,
    on_unsupported: str = "skip",
    labels: LabelChoice | None = None,
) -> VirtualTree:
    """Open an archive file, a hierarchy of ours, kerchunk references or an Icechunk store.

    Parameters
    ----------
    path : path, URL or zarr store
        What to open.
    storage_options : mapping or Access, optional
        Options for opening, by URL prefix.
    format : str or parser, optional
        Name of an archive format, a parser of VirtualiZarr, or ``"vzarr"``, ``"kerchunk"``, ``"icechunk"``; default: detected
        automatically.
    on_unsupported : {"skip", "raise"}
        What to do about variables that cannot be stored by reference.
    labels : LabelChoice, optional
        Small variables of a file whose values are read with the scan; default: none.
    """
    if on_unsupported not in ("skip", "raise"):
        raise VirtualZarrError(f"on_unsupported is {on_unsupported!r}, expected 'skip' or 'raise'")
    access = Access.of(storage_options)
    tree = _tree(path, access, format, labels)
    if on_unsupported == "raise":
        from intake_virtualzarr.arrays.left_out import raise_left_out

        raise_left_out(tree)
    return tree


def _tree(path: Any, access: Access, format: FormatLike, labels: LabelChoice | None) -> VirtualTree:
    from intake_virtualzarr.formats.find_references import find_references, is_named_as_references
    from intake_virtualzarr.formats.zarr.find_store import NAME, scanned_directory, scanned_hierarchy
    from intake_virtualzarr.hierarchy.reader import find_hierarchy, read_tree, tree_of

    if format == "vzarr":
        return read_tree(path, access)
    if format == NAME:
        store = scanned_directory(path, access, sure=True)
        if store is not None:
            return tree_of_scan(store, ReaderPool(access.asked_by(store.source.url)))
    hierarchy = find_hierarchy(path, access) if format is None and not is_named_as_references(path) else None
    if hierarchy is not None:
        store = _zipped(hierarchy.keys) or scanned_hierarchy(hierarchy)
        return tree_of(hierarchy) if store is None else tree_of_scan(store, hierarchy.readers)
    references = find_references(path, access, format) if format in (None, "kerchunk", "icechunk") else None
    if references is not None:
        return references
    if not isinstance(path, str | os.PathLike):
        raise VirtualZarrError(f"{type(path).__name__} is not a path, URL or zarr store")
    # files opened alike share their readers: a pool for each would keep as many descriptors open as there are datasets
    found = scan(path, format=format, storage_options=access, labels=labels)
    asked = access.asked_by(found.source.url)
    own = ReaderPool(asked) if is_network(found.source.url) or asked.rules or asked.modifier is not None else None
    return tree_of_scan(found, own)


def _zipped(keys: Keys) -> ScannedFile | None:
    """The zip file behind a zarr store, scanned; None if there is none, or not all that is in it can be referenced."""
    archive = archive_of(keys)
    try:
        found = scan(archive, format="zarr") if archive is not None else None
    except VirtualZarrError:
        return None
    return None if found is None or found.left_out else found
