"""rebase: a store goes on with files that were copied, moved or touched, if they are the files that were scanned."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_virtualzarr._typing import AnyArray, Attrs
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.datasets.check_sources import SourceState, source_states, tree_sources
from intake_virtualzarr.datasets.open import open_virtual_datatree
from intake_virtualzarr.datasets.renewed_sources import with_sources
from intake_virtualzarr.datasets.to_zarr import write_datatree
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.open import open_tree
from intake_virtualzarr.storage.key_value import keys_of
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.readers import Access, open_reader
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["RebaseReport", "rebase"]

type References = npt.NDArray[np.uint64]
"""Offsets and lengths of the chunks in a file [bytes], shape (chunks, 2)."""
NONE: References = np.zeros((0, 2), np.uint64)
BLOCK = 16 * 1024 * 1024


@dataclass(frozen=True)
class RebaseReport:
    """What `rebase` found, and did."""

    store: str
    """The store."""
    sources: int
    """Its source files."""
    accepted: tuple[str, ...]
    """Files whose present state is recorded now."""
    refused: tuple[SourceState, ...]
    """Files that are not those that were scanned, or cannot be read. If there is one, nothing was written."""


def rebase(
    store: str | os.PathLike[str],
    *,
    move: Mapping[str, str] | None = None,
    progress: bool | None = None,
    storage_options: Access | Attrs | None = None,
    allow: Allow = None,
) -> RebaseReport:
    """Accept files whose time of change or ETag is another, though their bytes are the same: an archive that was copied or moved.

    A file counts as the one that was scanned if its digest is the recorded one. Most stores record none; then the file is scanned
    again, and accepted if it has the recorded length, every chunk of it that the store names (offset and length) is still one, and
    its coordinates are among those that the store holds. Of the bytes inside of chunks nothing was recorded, and they are
    not compared: whoever put other values into chunks of the same lengths gets these, at their right places.

    Parameters
    ----------
    store : path or URL
        A virtual store.
    move : mapping of str to str, optional
        Paths or URL prefixes where files were, and where they are now.
    progress : bool, optional
        Show a bar on stderr; by default if it is a terminal.
    storage_options : mapping or Access, optional
        Options for opening, by URL prefix.
    allow : str or list of str, optional
        URL prefixes that a store from a network may name, beside its own place.

    Returns
    -------
    RebaseReport

    Raises
    ------
    HierarchyError
        If there is no store.
    ConflictError
        If it was changed at the same time; nothing is written then.
    """
    access = Access.of(storage_options, allow=allow)
    url = absolute_url(store)
    base = keys_of(url, access).look("zarr.json")  # before it is opened: what is appended later is not in what is written
    recorded = tree_sources(open_tree(url, storage_options=access))
    tree = open_virtual_datatree(url, storage_options=access)
    places = {absolute_url(old).rstrip("/"): absolute_url(new).rstrip("/") for old, new in (move or {}).items()}
    moved = {one.url: replace(one, url=_moved(one.url, places)) for one in recorded}
    named = [one.url for old, one in moved.items() if one.url != old]
    reading = access.asked_by(url).allowing(named)
    states = source_states(tuple(moved.values()), reading, progress)
    compared = _Compared(tree, reading)
    found = [compared.now(*one) for one in zip(recorded, moved.values(), states, strict=True)]
    refused = tuple(one for one in found if isinstance(one, SourceState))
    now = {old.url: one for old, one in zip(recorded, found, strict=True) if isinstance(one, Source) and one != old}
    if now and not refused:
        renewed = xr.DataTree.from_dict({node.path: with_sources(node.to_dataset(), now) for node in tree.subtree})
        write_datatree(renewed, url, mode="w", storage_options=access.allowing([one.url for one in now.values()]), base=base)
    return RebaseReport(url, len(recorded), tuple(one.url for one in now.values()), refused)


def _moved(url: str, places: Mapping[str, str]) -> str:
    for old, new in places.items():
        if url == old or url.startswith(old + "/"):
            return new + url[len(old) :]
    return url


class _Compared:
    """What a store holds of its files: references, and labels."""

    def __init__(self, tree: xr.DataTree, access: Access) -> None:
        self._access = access
        self._references = _references(tree)
        self._labels: dict[str, list[AnyArray]] = {}
        for name, values in _labels(tree):
            self._labels.setdefault(name, []).append(values)

    def now(self, recorded: Source, moved: Source, state: SourceState) -> Source | SourceState:
        """The present state of a file, if it is the one that was scanned."""
        if state.state != "changed":
            return moved if state.state == "same" else state
        try:
            seen = self._seen(moved)
            if recorded.size is not None and seen.size is not None and recorded.size != seen.size:
                reason: str | None = f"it has {seen.size} bytes, and had {recorded.size}"
            elif recorded.sha256 is not None:
                reason = None if self._digest(moved, seen) == recorded.sha256 else "its SHA-256 is not the recorded one"
            else:
                reason = self._unlike(recorded.url, moved.opened)
        except VirtualZarrError as exc:
            return SourceState(moved.url, "unreadable", str(exc))
        if reason is not None:
            how = "scan it again, with update(conflicts='rewrite') or as a new store"
            return SourceState(moved.url, "changed", f"{moved.url}: is not the file that was scanned: {reason}; {how}")
        return replace(seen, url=moved.url, sha256=recorded.sha256, signed=moved.signed)

    def _seen(self, source: Source) -> Source:
        reader = open_reader(source.opened, self._access)
        try:
            return reader.describe()
        finally:
            reader.close()

    def _digest(self, source: Source, seen: Source) -> str:
        digest = hashlib.sha256()
        reader = open_reader(source.opened, self._access)
        try:
            for start in range(0, seen.size or 0, BLOCK):
                (block,) = reader.read([(start, min(BLOCK, (seen.size or 0) - start))], seen)
                digest.update(block)
        finally:
            reader.close()
        return digest.hexdigest()

    def _unlike(self, recorded: str, url: str) -> str | None:
        """What a scan of the file gives that is not in the store; None if there is nothing."""
        file = open_virtual_datatree(url, storage_options=self._access)
        there = {pair for one in _references(file).values() for pair in map(tuple, one.tolist())}
        wanted = set(map(tuple, self._references.get(recorded, NONE).tolist()))
        lost = wanted - there
        if lost:
            offset, length = min(lost)
            return f"{len(lost)} of {len(wanted)} chunks lie elsewhere now, the first was at byte {offset} and had {length}"
        for name, values in _labels(file):
            held = self._labels.get(name)
            if held is not None and not any(_within(values, one) for one in held):
                return f"the store holds other values of {name!r}"
        return None


def _variables(tree: xr.DataTree) -> Iterator[tuple[str, xr.Variable]]:
    for node in tree.subtree:
        for name, variable in node.to_dataset(inherit=False).variables.items():
            yield str(name), variable


def _references(tree: xr.DataTree) -> dict[str, References]:
    """The references into each file, by URL."""
    found: dict[str, list[References]] = {}
    for _, variable in _variables(tree):
        if isinstance(variable.data, VirtualZarrArray):
            for segment in variable.data.segments:
                _collect(segment.stored.manifest.load(), segment.stored.sources, found)
    return {url: np.unique(np.concatenate(parts), axis=0) for url, parts in found.items()}


def _collect(manifest: ChunkManifest, sources: Sequence[Source], found: dict[str, list[References]]) -> None:
    stored = manifest.length > 0
    order = np.argsort(manifest.source[stored], kind="stable")
    rows, starts = np.unique(manifest.source[stored][order], return_index=True)
    pairs = np.stack([manifest.offset[stored], manifest.length[stored].astype(np.uint64)], axis=1)[order]
    for row, part in zip(rows.tolist(), np.split(pairs, starts[1:]), strict=True) if len(rows) else ():
        if sources[row].content is None:
            found.setdefault(sources[row].url, []).append(part)


def _labels(tree: xr.DataTree) -> Iterable[tuple[str, AnyArray]]:
    """Names and values of coordinates that are held in memory."""
    for name, variable in _variables(tree):
        if variable.ndim == 1 and isinstance(variable.data, np.ndarray):
            yield name, variable.data


def _within(values: AnyArray, held: AnyArray) -> bool:
    """Whether all values are among those that are held, missing ones aside."""
    if values.dtype.kind in "fcmM":
        values = values[~np.isnat(values)] if values.dtype.kind in "mM" else values[~np.isnan(values)]
    return bool(np.isin(values, held).all())
