"""compact: a store that grew by many appends becomes one of few objects again. No file is scanned or read."""

from __future__ import annotations

import os
from dataclasses import dataclass

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.tree import VirtualTree
from intake_virtualzarr.datasets.open import open_virtual_datatree
from intake_virtualzarr.datasets.to_zarr import write_datatree
from intake_virtualzarr.formats.open import open_tree
from intake_virtualzarr.storage.key_value import keys_of
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["COMPACT_AFTER", "CompactReport", "compact", "most_segments"]

COMPACT_AFTER = 64
"""Appends after which `update` makes a store compact: opening one asks for a document and a table of each."""


@dataclass(frozen=True)
class CompactReport:
    """What `compact` did."""

    store: str
    """The store."""
    segments_before: int
    """Pieces of the array that had most of them."""
    segments_after: int
    """Its pieces now."""
    nbytes: int
    """Size of the new manifests [bytes]; 0 if there was nothing to do."""


def most_segments(tree: VirtualTree) -> int:
    """Pieces of the array that has most."""
    arrays = (one.data for group in tree.groups.values() for one in group.variables.values())
    return max((len(one.segments) for one in arrays if isinstance(one, VirtualZarrArray)), default=0)


def compact(store: str | os.PathLike[str], *, storage_options: Access | Attrs | None = None) -> CompactReport:
    """Join the pieces that appends have left into one manifest an array, where their chunks allow it.

    Values, labels and attributes stay. Readers that have the store open go on reading what they opened.

    Parameters
    ----------
    store : path or URL
        A virtual store.
    storage_options : mapping or Access, optional
        Options for opening, by URL prefix.

    Returns
    -------
    CompactReport

    Raises
    ------
    HierarchyError
        If there is no store.
    ConflictError
        If it was changed at the same time; nothing is written then.
    """
    access = Access.of(storage_options)
    url = absolute_url(store)
    base = keys_of(url, access).look("zarr.json")  # before it is opened: what is appended later is not in what is written
    before = most_segments(open_tree(url, storage_options=access))
    if before <= 1:
        return CompactReport(url, before, before, 0)
    tree = open_virtual_datatree(url, storage_options=access)
    report = write_datatree(tree, url, mode="w", storage_options=access, base=base)
    return CompactReport(url, before, most_segments(open_tree(url, storage_options=access)), report.nbytes)
