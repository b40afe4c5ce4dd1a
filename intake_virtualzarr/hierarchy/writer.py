"""Writing a hierarchy: documents, manifests, source table, and the root document last."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intake_virtualzarr._typing import AnyArray, Attrs, JsonObject
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.errors import HierarchyError, UnsupportedError
from intake_virtualzarr.hierarchy.documents import dump, group_document, ordinary_array, ordinary_chunks
from intake_virtualzarr.hierarchy.manifest_writer import ArrayHeader, DocumentWriter, write_plan
from intake_virtualzarr.hierarchy.source_table import PAGE_SIZE, page_document
from intake_virtualzarr.hierarchy.write_plan import Leaf, plan_array
from intake_virtualzarr.storage.key_value import Keys, LocalKeys

__all__ = ["CountingKeys", "NodeArray", "NodeGroup", "WriteReport", "finish_sources", "write_array", "write_hierarchy"]


@dataclass(frozen=True, eq=False)
class NodeArray:
    """One array to write, undecoded."""

    dims: tuple[str, ...]
    data: VirtualZarrArray | AnyArray
    attrs: Attrs


@dataclass(frozen=True, eq=False)
class NodeGroup:
    """One group to write."""

    attrs: Attrs
    arrays: Mapping[str, NodeArray]

    def __post_init__(self) -> None:
        for name in self.arrays:
            if "/" in name or name in ("", ".", "..", "zarr.json"):
                raise HierarchyError(f"{name!r} is not a name for an array in a Zarr hierarchy; rename the variable")


@dataclass(frozen=True)
class WriteReport:
    """What was written."""

    url: str
    """URL of the hierarchy."""
    objects: int
    """Number of objects (files) written."""
    nbytes: int
    """Their size [bytes]."""
    references: int
    """References to chunks in source files."""
    sources: int
    """Source files."""


class CountingKeys:
    """Writes keys and counts what is written."""

    def __init__(self, keys: Keys | BufferedStore) -> None:
        self._keys = keys
        self.objects = 0
        self.nbytes = 0

    def put(self, key: str, value: bytes) -> None:
        self._keys.set(key, value)
        self.objects += 1
        self.nbytes += len(value)


def write_hierarchy(keys: Keys, groups: Mapping[str, NodeGroup], *, overwrite: bool = False, fuse: bool = True) -> WriteReport:
    """Write groups and arrays as a new hierarchy.

    A local directory is written beside its final place and moved there in one step. Elsewhere the root document comes last: a
    hierarchy without it is none.

    Parameters
    ----------
    keys : Keys
        Where to.
    groups : mapping
        Groups by path (``""`` or ``"/"`` is the root).
    overwrite : bool
        Whether an existing hierarchy may be replaced.
    fuse : bool
        Whether joined arrays become one manifest where they can; False keeps the members.

    Raises
    ------
    HierarchyError
        If there is something already and ``overwrite`` is False.
    """
    if isinstance(keys, LocalKeys) and keys.root.exists() and not keys.root.is_dir():
        raise HierarchyError(f"{keys.root}: is a file; choose another place")
    if keys.is_empty():
        return _write_local(keys, groups, fuse) if isinstance(keys, LocalKeys) else _write(keys, keys.url, groups, fuse)
    if not overwrite:
        raise HierarchyError(
            f"{keys.url}: is not empty; choose another place, or mode='w' to replace it, or append_dim=… to append"
        )
    if not any(keys.size(name) is not None for name in ("zarr.json", ".zgroup", ".zarray", ".zmetadata")):
        raise HierarchyError(f"{keys.url}: holds no Zarr hierarchy, so mode='w' does not replace it; choose another place")
    if isinstance(keys, LocalKeys):
        return _write_local(keys, groups, fuse)
    return _replace(keys, groups, fuse)


class BufferedStore:
    """Keys that are written later: what is written may be read from what it replaces."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def set(self, key: str, value: bytes) -> None:
        self.values[key] = value


def _replace(keys: Keys, groups: Mapping[str, NodeGroup], fuse: bool) -> WriteReport:
    held = BufferedStore()
    written = _write(held, keys.url, groups, fuse)
    keys.delete_below("")
    for key, value in held.values.items():  # the root document comes last
        keys.set(key, value)
    return written


def _write_local(keys: LocalKeys, groups: Mapping[str, NodeGroup], fuse: bool) -> WriteReport:
    final = keys.root
    final.parent.mkdir(parents=True, exist_ok=True)
    staging = final.parent / f".{final.name}-{secrets.token_hex(4)}"
    try:
        written = _write(LocalKeys(staging, keys.access), keys.url, groups, fuse)
        _swap(staging, final)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return written


def _swap(staging: Path, final: Path) -> None:
    if not final.exists():
        os.rename(staging, final)
        return
    old = final.parent / f".{final.name}-{secrets.token_hex(4)}-old"
    os.rename(final, old)
    try:
        os.rename(staging, final)
    except BaseException:
        os.rename(old, final)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write(keys: Keys | BufferedStore, url: str, groups: Mapping[str, NodeGroup], fuse: bool) -> WriteReport:
    counter = CountingKeys(keys)
    sink = DocumentWriter(counter.put, url)
    members: dict[str, JsonObject] = {}
    root_attrs: Attrs = {}
    for group_path, group in groups.items():
        path = group_path.strip("/")
        if path:
            for parent in _parents(path):
                members.setdefault(parent, group_document({}))
            members[path] = group_document(group.attrs)
        else:
            root_attrs = group.attrs
        for name, array in group.arrays.items():
            where = f"{path}/{name}" if path else name
            try:
                members[where] = write_array(array, where, sink, fuse=fuse)
            except UnsupportedError as exc:
                if str(exc).startswith(f"{where}:"):
                    raise
                raise UnsupportedError(f"{where}: {exc}; drop it to write the others") from exc
    finish_sources(sink, 0)
    for path, document in members.items():
        counter.put(f"{path}/zarr.json", dump(document))
    counter.put("zarr.json", dump(group_document(root_attrs, members)))
    return WriteReport(url, counter.objects, counter.nbytes, sum(sink.counts.values()), len(sink.rows) or _inline_sources(members))


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))]


def write_array(array: NodeArray, path: str, sink: DocumentWriter, *, fuse: bool) -> JsonObject:
    """Write the parts of one array; returns its document."""
    if not isinstance(array.data, VirtualZarrArray):
        document = ordinary_array(array.data, array.dims, array.attrs)
        chunk_shape = document["chunk_grid"]["configuration"]["chunk_shape"]
        for key, chunk in ordinary_chunks(array.data, chunk_shape):
            sink.put(f"{path}/{key}", chunk)
        return document
    data = array.data
    plan = plan_array(data, fuse=fuse)
    # what covers all of the array keeps the fill value of its own missing chunks; the array's own shows nowhere
    fill = plan.stored.fill_value if isinstance(plan, Leaf) and plan.is_plain else data.fill_value
    return write_plan(plan, data.shape, ArrayHeader(data.dtype, fill, array.dims, array.attrs), path, sink)


def finish_sources(sink: DocumentWriter, first_page: int) -> None:
    """Write the pages of the shared source table from ``first_page`` on."""
    pages = -(-len(sink.rows) // PAGE_SIZE)
    for number in range(first_page, pages):
        rows = sink.rows[number * PAGE_SIZE : (number + 1) * PAGE_SIZE]
        key = f"sources/{number}.json"
        sink.put(key, dump(page_document(rows, f"{sink.url}/{key}")))


def _inline_sources(members: Mapping[str, JsonObject]) -> int:
    urls: set[Any] = set()
    for document in members.values():
        for transformer in document.get("storage_transformers", []):
            sources = transformer["configuration"].get("sources") or {}
            urls.update((sources.get("base"), row["url"]) for row in sources.get("list", []))
    return len(urls)
