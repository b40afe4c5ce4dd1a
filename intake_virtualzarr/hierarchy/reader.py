"""Reading a hierarchy: from documents to virtual arrays whose manifests are fetched when they are needed."""

from __future__ import annotations

import base64
import os
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import replace
from math import prod
from typing import Any
from urllib.parse import unquote

import numpy as np

from intake_virtualzarr._typing import Attrs, DType, JsonObject
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.manifest import ChunkManifest, Manifest
from intake_virtualzarr.arrays.segments import StoredArray
from intake_virtualzarr.arrays.tree import VirtualGroup, VirtualTree, VirtualVariable
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.codecs.spec import pipeline_from_json
from intake_virtualzarr.errors import HierarchyError, NotAllowedError, VirtualZarrError
from intake_virtualzarr.hierarchy.attributes import attributes_from_json
from intake_virtualzarr.hierarchy.checks import Check, checks_from_text
from intake_virtualzarr.hierarchy.chunk_grid_json import grid_from_json, shape_from_json
from intake_virtualzarr.hierarchy.data_types import data_type_from_json, fill_value_from_json
from intake_virtualzarr.hierarchy.documents import dump, group_document, is_virtual, naming, transformer_of
from intake_virtualzarr.hierarchy.embedded import InPlaceKeys
from intake_virtualzarr.hierarchy.held_objects import HeldObjects, check_of_row
from intake_virtualzarr.hierarchy.page_objects import PageObjects
from intake_virtualzarr.hierarchy.paged_manifest import PagedManifest
from intake_virtualzarr.hierarchy.plain_array import ordinary_stored
from intake_virtualzarr.hierarchy.root_check import read_root
from intake_virtualzarr.hierarchy.snapshot import Snapshot
from intake_virtualzarr.hierarchy.source_table import PagedSources, held, resolve, rows_from_json
from intake_virtualzarr.hierarchy.virtual_concatenation import MemberSegments
from intake_virtualzarr.storage.directory_urls import is_directory
from intake_virtualzarr.storage.key_value import Keys, keys_of
from intake_virtualzarr.storage.limits import MAX_NESTING, MAX_NODES, MAX_TILES
from intake_virtualzarr.storage.object_states import names_below
from intake_virtualzarr.storage.parsing import as_list, as_object, as_whole, parse_object
from intake_virtualzarr.storage.readers import Access, ReaderPool
from intake_virtualzarr.storage.source import Source, SourceTable
from intake_virtualzarr.storage.url_secrets import strip_url
from intake_virtualzarr.storage.urls import quoted

__all__ = ["Hierarchy", "dims_of", "find_hierarchy", "read_tree", "tree_of"]


def find_hierarchy(target: Any, access: Access) -> Hierarchy | None:
    """The hierarchy that a path, URL or zarr store holds, or None if it holds none.

    A local path must be a directory. A URL is asked for its ``zarr.json`` unless it ends like a file.
    """
    if not isinstance(target, str | os.PathLike):
        keys = keys_of(target, access)
        return None if keys.get("zarr.json") is None and keys.get(".zgroup") is not None else Hierarchy(keys)
    text = os.fspath(target)
    if not is_directory(strip_url(text)):
        return None
    keys = keys_of(text, access)
    root = keys.get("zarr.json")
    return None if root is None else Hierarchy(keys, root=root)


def read_tree(target: Any, access: Access) -> VirtualTree:
    """All groups of the hierarchy in a path, URL or zarr store."""
    return tree_of(Hierarchy(keys_of(target, access)))


def tree_of(hierarchy: Hierarchy) -> VirtualTree:
    """All groups of a hierarchy."""
    groups = {}
    left_out: dict[str, str] = {}
    for path in hierarchy.groups:
        variables = {}
        for name in hierarchy.arrays_of(path):
            where = f"{path}/{name}".strip("/")
            document = hierarchy.documents[where]
            try:
                with naming(f"{hierarchy.keys.url}/{where}"):
                    dims = dims_of(document, where)
                    dtype = data_type_from_json(document["data_type"])
                    attrs = attributes_from_json(document.get("attributes", {}), dtype)
                    variables[name] = VirtualVariable(dims, hierarchy.data(where), attrs)
            except NotAllowedError:
                raise
            except VirtualZarrError as exc:  # refused for this variable; the others open
                left_out["/" + where] = str(exc)
        with naming(f"{hierarchy.keys.url}/{path}"):
            attrs = attributes_from_json(hierarchy.documents[path].get("attributes", {}))
        groups["/" + path] = VirtualGroup("/" + path, attrs, variables)
    return VirtualTree(hierarchy.keys.url, groups, left_out, hierarchy.root)


def dims_of(document: Attrs, where: str) -> tuple[str, ...]:
    """Dimension names; those that are absent get names from their place."""
    shape = as_list(document["shape"], f"{where}: shape", HierarchyError)
    names = document.get("dimension_names") or [None] * len(shape)
    if len(names) != len(shape):
        raise HierarchyError(f"{where}: {len(names)} dimension_names for {len(shape)} axes")
    if not all(name is None or isinstance(name, str) for name in names):
        raise HierarchyError(f"{where}: dimension_names are {names!r}, expected text")
    return tuple(name if name is not None else f"{where.rpartition('/')[2]}_dim_{i}" for i, name in enumerate(names))


class Hierarchy:
    """The documents of a hierarchy.

    Attributes
    ----------
    keys : Keys
        Where it is kept.
    documents : dict
        Metadata by path (``""`` is the root).
    access : Access
        Options for what its documents name, and whether they may.
    readers : ReaderPool
        How sources are opened.
    root : bytes
        The root document.
    snapshot : Snapshot
        The state that it stands for.

    Raises
    ------
    HierarchyError
        If there is no root document or it is not a Zarr v3 group.
    """

    def __init__(self, keys: Keys, root: bytes | None = None, snapshot: Snapshot | None = None) -> None:
        self.keys = keys
        self.access = keys.access.asked_by(keys.url)
        self.readers = ReaderPool(self.access)
        raw = keys.get("zarr.json") if root is None else root
        if raw is None:
            raise HierarchyError(f"{keys.url}: has no zarr.json, so it is not a Zarr v3 hierarchy")
        self.root = raw
        self.snapshot = snapshot or Snapshot.of(keys, "zarr.json", raw)
        self.documents: dict[str, JsonObject] = {"": read_root(raw, f"{keys.url}/zarr.json")}
        top = self.documents[""]
        if top.get("zarr_format") != 3:
            raise HierarchyError(f"{keys.url}: zarr_format is {top.get('zarr_format')!r}, expected 3")
        if top.get("node_type") != "group":
            raise HierarchyError(f"{keys.url}: the root is {top.get('node_type')!r}, expected a group")
        consolidated = top.get("consolidated_metadata")
        if consolidated is not None:
            self._take_consolidated(consolidated)
        else:
            self._walk("")

    def parsed(self, raw: bytes, path: str) -> JsonObject:
        return parse_object(raw, f"{self.keys.url}/{path}: zarr.json", HierarchyError)

    def _take_consolidated(self, consolidated: Any) -> None:
        label = f"{self.keys.url}: consolidated_metadata"
        members = as_object(as_object(consolidated, label, HierarchyError).get("metadata"), f"{label}: metadata", HierarchyError)
        if len(members) > MAX_NODES:
            raise HierarchyError(f"{label}: names {len(members)} groups and arrays; at most {MAX_NODES} are read")
        self.documents.update({path: as_object(one, f"{label}: {path!r}", HierarchyError) for path, one in members.items()})

    def _walk(self, path: str) -> None:
        if path.count("/") >= MAX_NESTING or len(self.documents) > MAX_NODES:
            raise HierarchyError(
                f"{self.keys.url}/{path}: groups are nested deeper than {MAX_NESTING}, or more than {MAX_NODES}; "
                "a link that leads back to a group above it?"
            )
        below = [f"{path}/{name}" if path else name for name in names_below(self.keys, path) if name != "zarr.json"]
        for where, raw in zip(below, self.keys.get_many([f"{one}/zarr.json" for one in below]), strict=True):
            if raw is None:
                continue
            document = self.parsed(raw, where)
            self.documents[where] = document
            if document.get("node_type") == "group":
                self._walk(where)

    @property
    def groups(self) -> list[str]:
        """Paths of groups, parents before children."""
        return sorted(
            (p for p, d in self.documents.items() if d.get("node_type") == "group"), key=lambda p: (p.count("/"), p != "", p)
        )

    def arrays_of(self, group: str) -> list[str]:
        """Names of the arrays of a group, in the order of the documents."""
        prefix = f"{group}/" if group else ""
        return [
            path[len(prefix) :]
            for path, document in self.documents.items()
            if document.get("node_type") == "array" and path.startswith(prefix) and "/" not in path[len(prefix) :]
        ]

    def data(self, path: str) -> Any:
        """The virtual array of a path, or its values if the hierarchy holds them itself."""
        document = self.documents[path]
        if not is_virtual(document):
            return VirtualZarrArray.from_stored(ordinary_stored(self.keys, path, document), readers=self.readers)
        return self.array(path, document)

    def array(
        self,
        path: str,
        document: Attrs | None = None,
        *,
        in_place: bool = False,
        above: tuple[str, ...] = (),
    ) -> VirtualZarrArray:
        """The virtual array of a path, or of a document that stands in that of the path.

        ``above`` names the arrays that it is a member of, for none may be a member of itself.

        Raises
        ------
        HierarchyError
            If its document is absent, unknown, or contradicts itself.
        """
        document = document if document is not None else self.document(path)
        with naming(f"{self.keys.url}/{path}"):
            return self._array(path, document, in_place, above)

    def _array(self, path: str, document: Attrs, in_place: bool, above: tuple[str, ...]) -> VirtualZarrArray:
        if not is_virtual(document):
            return VirtualZarrArray.from_stored(ordinary_stored(self.keys, path, document), readers=self.readers)
        name, configuration = transformer_of(document, f"{self.keys.url}/{path}")
        shape = shape_from_json(document["shape"], f"{self.keys.url}/{path}")
        dtype = data_type_from_json(document["data_type"])
        fill = fill_value_from_json(document["fill_value"], dtype)
        packing = Packing.from_attrs(attributes_from_json(document.get("attributes", {}), dtype), dtype)
        if name == "chunk-manifest":
            stored = self._stored(path, document, configuration, shape, dtype, fill)
            if in_place:  # it has no URL of its own
                stored = replace(stored, origin=None)
            return VirtualZarrArray.from_stored(stored, packing, readers=self.readers)
        segments = MemberSegments(self, path, document, configuration, shape, dtype, fill, packing, above)
        # values of an array without packing attributes are what its members decode to
        return VirtualZarrArray(shape, dtype, fill, segments, decoded=packing is None, readers=self.readers, check=False)

    def holding(self, paths: Collection[str]) -> Hierarchy:
        """The same hierarchy, of which these documents are known: what an array in another process needs of it."""
        other = copy(self)
        other.root = b""
        other.documents = {path: self.documents[path] for path in paths if path in self.documents}
        return other

    def elsewhere(self, url: str) -> tuple[Hierarchy, str]:
        """A hierarchy and a path in it for an array that is named by an absolute URL.

        The array need not lie in a group: the directory above it is taken for one, and nothing but the array is asked for.

        Raises
        ------
        HierarchyError
            If the array is absent.
        """
        keys, path = parent_keys(url, self.access)
        raw = keys.get(f"{path}/zarr.json")
        if raw is None:
            raise HierarchyError(f"{url}: has no zarr.json; is the member's store still there?")
        snapshot = Snapshot.of(keys, f"{path}/zarr.json", raw)
        hierarchy = Hierarchy(keys, root=dump(group_document({}, {})), snapshot=snapshot)
        hierarchy.documents[path] = hierarchy.parsed(raw, path)
        return hierarchy, path

    def document(self, path: str, check: Check | None = None) -> JsonObject:
        """The metadata of any array, also one that is private to another.

        Raises
        ------
        HierarchyError
            If it is absent, or not what the check says.
        """
        if path not in self.documents:
            return self.parsed(self.snapshot.read(self.keys, f"{path}/zarr.json", check), path)
        return self.documents[path]

    def read_documents(self, wanted: Sequence[tuple[str, Check | None]]) -> None:
        """Fetch the metadata of several arrays at once. Errors as `document`."""
        values = self.snapshot.read_many(self.keys, [(f"{path}/zarr.json", check) for path, check in wanted])
        for (path, _), raw in zip(wanted, values, strict=True):
            self.documents[path] = self.parsed(raw, path)

    def _stored(
        self,
        path: str,
        document: Attrs,
        configuration: Attrs,
        shape: tuple[int, ...],
        dtype: DType,
        fill: Any,
    ) -> StoredArray:
        label = f"{self.keys.url}/{path}"
        grid = grid_from_json(document["chunk_grid"], shape, configuration.get("stored_chunk_shapes"), label)
        sources, manifest = self._manifest(path, configuration, grid.grid_shape, label)
        return StoredArray(
            dtype,
            fill,
            grid,
            pipeline_from_json(document["codecs"]),
            manifest,
            sources,
            tuple(pipeline_from_json(p) for p in configuration.get("codec_alternatives", [])),
            origin=None if self.keys.url.startswith("memory://") else f"{self.keys.url}/{quoted(path)}",
        )

    def _manifest(
        self, path: str, configuration: Attrs, grid_shape: tuple[int, ...], label: str
    ) -> tuple[Sequence[Source], Manifest]:
        here = f"{self.keys.url}/{quoted(path)}/"
        if "manifest" in configuration:
            return self._sources(configuration, here, label), self.pages(path, configuration, grid_shape)
        if "chunks" not in configuration:
            raise HierarchyError(f"{label}: has neither 'manifest' nor 'chunks', so nothing tells where its chunks lie")
        pipelines = 1 + len(configuration.get("codec_alternatives", []))
        table = configuration.get("sources") or {}
        rows = table.get("list", [])
        if configuration.get("holds_values"):
            inline, manifest = readable_manifest(configuration["chunks"], len(rows), grid_shape, pipelines, label)
            base = resolve(here, table.get("base") or "")
            held_rows = [(*self.place(resolve(base, row["url"])), check_of_row(row, label)) for row in rows]
            return HeldObjects(self.snapshot, held_rows, inline), manifest
        sources = self._sources(configuration, here, label)
        inline, manifest = readable_manifest(configuration["chunks"], len(sources), grid_shape, pipelines, label)
        return SourceTable((*sources, *inline)), manifest

    def _sources(self, configuration: Attrs, here: str, label: str) -> Sequence[Source]:
        table = configuration.get("sources") or {"list": []}
        if "list" in table:
            return SourceTable(tuple(held(self.keys, row) for row in rows_from_json(table, here + "zarr.json", self.access)))
        keys, key = self.place(resolve(here, table["path"]))
        size = as_whole(table["page_size"], f"{label}: page_size", HierarchyError, least=1)
        count = as_whole(table["count"], f"{label}: count of sources", HierarchyError)
        checks = checks_from_text(table["checks"]) if _is_checked(configuration) else None
        return PagedSources(keys, key, size, count, self.snapshot, checks, self.access)

    def pages(self, path: str, configuration: Attrs, grid_shape: tuple[int, ...]) -> PagedManifest:
        """The packed references of an array whose document holds a ``manifest``."""
        here, label = f"{self.keys.url}/{quoted(path)}/", f"{self.keys.url}/{path}"
        manifest = configuration["manifest"]
        if not isinstance(manifest, Mapping):
            if _is_checked(configuration):
                raise HierarchyError(f"{label}: names manifest {manifest!r} without the checks of its pages; write it again")
            keys, key = self.place(resolve(here, manifest))
            return PagedManifest(keys, key, grid_shape, label)
        if "objects" not in manifest:
            return PagedManifest(InPlaceKeys(manifest, label), "", grid_shape, label)
        keys, key = self.place(resolve(here, manifest["objects"]["path"]))
        return PagedManifest(PageObjects.of(manifest, keys, key, self.snapshot, label), "", grid_shape, label)

    def key_of(self, url: str) -> str | None:
        """The key of a URL in this hierarchy, or None if it lies elsewhere."""
        prefix = self.keys.url + "/"
        return unquote(url[len(prefix) :].rstrip("/")) if url.startswith(prefix) else None

    def place(self, url: str) -> tuple[Keys, str]:
        """Where a URL is kept: a key of this hierarchy, or of the directory above it."""
        key = self.key_of(url)
        return (self.keys, key) if key is not None else parent_keys(url, self.access)


def _is_checked(configuration: Attrs) -> bool:
    """Whether documents of this version tell what each object holds that they name."""
    return str(configuration.get("version", "0.1")) != "0.1"


def readable_manifest(
    chunks: Attrs, count: int, grid_shape: tuple[int, ...], pipelines: int, label: str
) -> tuple[list[Source], ChunkManifest]:
    """A manifest in readable form; inlined chunks become sources with content, which follow on the ``count`` that there are."""
    rows: list[Source] = []
    if prod(grid_shape) > MAX_TILES:
        raise HierarchyError(f"{label}: lists chunks of a grid of shape {grid_shape}; at most {MAX_TILES} are held in memory")
    source = np.zeros(grid_shape, np.uint32)
    offset = np.zeros(grid_shape, np.uint64)
    length = np.zeros(grid_shape, np.uint32)
    codec = np.zeros(grid_shape, np.uint8)
    for key, entry in chunks.items():
        with naming(f"{label}: chunk {key!r}"):
            at = _coords(key, grid_shape, label)
            if "inline" in entry:
                content = base64.b64decode(entry["inline"], validate=True)
                source[at], length[at] = count + len(rows), len(content)
                rows.append(Source(f"inline:{label}/{key}", size=len(content), content=content))
            else:
                if not 0 <= entry["source"] < count:
                    raise HierarchyError(f"names source {entry['source']}, there are {count}")
                source[at], offset[at], length[at] = entry["source"], entry["offset"], entry["length"]
            if not length[at]:  # taken for a chunk that is not stored, it would be read as fill
                raise HierarchyError("is listed with no bytes; a chunk that is not stored is not listed")
            if not 0 <= entry.get("codec", 0) < pipelines:
                raise HierarchyError(f"has codec {entry['codec']}, there are {pipelines} pipelines")
            codec[at] = entry.get("codec", 0)
    return rows, ChunkManifest(source, offset, length, codec if codec.any() else None)


def _coords(key: str, grid_shape: tuple[int, ...], label: str) -> tuple[int, ...]:
    at = tuple(int(part) for part in key.split(".")) if grid_shape else ()
    if len(at) != len(grid_shape) or any(not 0 <= i < n for i, n in zip(at, grid_shape, strict=True)):
        raise HierarchyError(f"{label}: chunk key {key!r} lies outside chunk grid {grid_shape}")
    return at


def parent_keys(url: str, access: Access) -> tuple[Keys, str]:
    """The keys of the directory that holds what a URL names, and the name."""
    directory, _, name = url.rstrip("/").rpartition("/")
    return keys_of(directory, access), unquote(name)
