"""Icechunk repositories: virtual references, and chunks that the repository holds itself, as they are in one snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.arrays.deferred_manifest import DeferredReferences, DeferredSources, Part
from intake_virtualzarr.errors import FormatError, GroupNotFoundError, UnsupportedError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.kerchunk_table import counted_shape, inline_source
from intake_virtualzarr.formats.zarr_references import scanned_references
from intake_virtualzarr.hierarchy.array_metadata import ArrayMetadata
from intake_virtualzarr.storage.event_loop import run
from intake_virtualzarr.storage.limits import MAX_NESTING
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.parsing import parse_object
from intake_virtualzarr.storage.source import Source

__all__ = ["documents_of", "scanned_repository"]

NATIVE, VIRTUAL, INLINE = 1, 2, 3
"""Kinds of chunks, as Icechunk numbers them."""
BATCH = 100_000


def scanned_repository(store: Any, url: str | None, documents: Attrs, access: Access, group: str = "") -> ScannedFile:
    """The scan of one version of a repository; references are read when an array is touched.

    Parameters
    ----------
    store : icechunk.IcechunkStore
        Store of a session.
    url : str, optional
        URL of the repository, where chunks that it holds itself can be read directly; without it they are read through the
        store.
    documents : mapping
        Its Zarr metadata by key, parsed.
    access : Access
        Options for what the repository names, and whether it may.
    group : str
        Path of the group that is to be the root.
    """
    base = f"{group}/" if group else ""
    name = url or f"icechunk:{store.session.snapshot_id}"
    if group and (documents.get(f"{base}zarr.json") or {}).get("node_type") != "group":
        raise GroupNotFoundError(f"{name}: has no group {group!r}")
    documents = {key[len(base) :]: document for key, document in documents.items() if key.startswith(base)}

    def references(path: str, metadata: ArrayMetadata) -> tuple[DeferredSources, DeferredReferences]:
        shape = counted_shape(metadata)
        form = metadata.keys.prefix + metadata.keys.separator.join(["{}"] * len(shape)) if shape else metadata.keys.scalar
        deferred = DeferredReferences(shape, prod(shape), Snapshot(store, url, f"{base}{path}", shape, form, access))
        return deferred.sources, deferred

    return scanned_references(Source(name), "icechunk", documents, references)


def documents_of(store: Any) -> JsonObject:
    """All Zarr metadata of a session, by key, parsed."""
    return run(_documents(store))


async def _documents(store: Any) -> JsonObject:
    from zarr.core.buffer import default_buffer_prototype

    found: JsonObject = {}

    async def walk(prefix: str) -> None:
        raw = await store.get(f"{prefix}zarr.json", default_buffer_prototype())
        if raw is None:
            return
        if prefix.count("/") > MAX_NESTING:
            raise FormatError(f"{prefix}: groups are nested deeper than {MAX_NESTING}")
        document = found[f"{prefix}zarr.json"] = parse_object(raw.to_bytes(), f"{prefix}zarr.json")
        if document.get("node_type") == "group":
            names = sorted([name async for name in store.list_dir(prefix.rstrip("/"))])
            for name in names:
                if name != "zarr.json":
                    await walk(f"{prefix}{name.rstrip('/')}/")

    await walk("")
    return found


@dataclass(frozen=True)
class Snapshot:
    """The chunks of one array in one version of a repository."""

    store: Any
    """Store of the session."""
    url: str | None
    """URL of the repository."""
    path: str
    """Path of the array."""
    shape: tuple[int, ...]
    """Shape of the chunk grid."""
    key: str
    """Form of the keys of chunks."""
    access: Access
    """Tells which files the repository may name."""

    def __call__(self, number: int) -> Part:
        """Read all references."""
        return run(self._read())

    async def _read(self) -> Part:
        count = prod(self.shape)
        row, offset, length = np.zeros(count, np.int64), np.zeros(count, np.uint64), np.zeros(count, np.uint32)
        sources: list[Source] = []
        known: dict[str, int] = {}
        batches: AsyncIterator[Any] = self.store.array_chunk_iterator(f"/{self.path}", BATCH)
        async for coords, kinds, places, offsets, lengths, inlined in batches:
            inside = (coords < np.array(self.shape, np.uint32)).all(axis=1)
            at = tuple(coords[inside].T.astype(np.int64))
            flat = np.ravel_multi_index(at, self.shape) if self.shape else np.zeros(1, np.intp)
            self._check(kinds, lengths)
            offset[flat], length[flat] = offsets[inside], lengths[inside].astype(np.uint32)
            rows = np.zeros(len(kinds), np.int64)
            linked = (kinds == VIRTUAL) | ((kinds == NATIVE) & (self.url is not None))
            chosen = np.flatnonzero(inside & linked)
            named = places if chosen.size == len(places) else [places[index] for index in chosen.tolist()]
            for place in dict.fromkeys(named):
                if place not in known:
                    known[place] = len(sources)
                    # what has no scheme is the id of a chunk of the repository
                    sources.append(self.access.source(place) if "://" in place else Source(f"{self.url}/chunks/{place}"))
            rows[chosen] = np.fromiter(map(known.__getitem__, named), np.int64, len(named))
            for index in np.flatnonzero(inside & ~linked).tolist():
                rows[index] = len(sources)
                sources.append(await self._held(coords[index], inlined.get(index)))
            row[flat] = rows[inside]
            offset[flat[~linked[inside]]] = 0
        return Part(sources, row, offset, length)

    def _check(self, kinds: Any, lengths: Any) -> None:
        unknown = set(np.unique(kinds).tolist()) - {NATIVE, VIRTUAL, INLINE}
        if unknown:
            raise UnsupportedError(f"{self.path}: has chunks of kind {min(unknown)}, which are unknown here; upgrade")
        if lengths.size and not 0 < int(lengths.min()) <= int(lengths.max()) < 2**32:
            raise UnsupportedError(f"{self.path}: has chunks of {int(lengths.min())} to {int(lengths.max())} bytes")

    async def _held(self, coords: Any, content: bytes | None) -> Source:
        """A chunk whose bytes no URL names."""
        from zarr.core.buffer import default_buffer_prototype

        key = f"{self.path}/{self.key.format(*coords.tolist())}"
        if content is None:
            found = await self.store.get(key, default_buffer_prototype())
            content = None if found is None else bytes(found.to_bytes())
        if content is None:
            raise FormatError(f"{key}: vanished while it was read")
        return inline_source(key, content)
