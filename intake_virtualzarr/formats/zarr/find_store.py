"""Plain Zarr stores, of version 2 and 3, as scans: metadata are read now, objects are asked for when an array is touched."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.zarr.object_manifests import ObjectChunks, ShardChunks
from intake_virtualzarr.formats.zarr.object_table import ObjectTable
from intake_virtualzarr.formats.zarr.store_documents import StoreDocuments, is_plain, store_documents
from intake_virtualzarr.formats.zarr_references import scanned_references
from intake_virtualzarr.hierarchy.array_metadata import ArrayMetadata
from intake_virtualzarr.hierarchy.reader import Hierarchy
from intake_virtualzarr.storage.directory_urls import REFERENCES, is_directory
from intake_virtualzarr.storage.key_value import Keys, keys_of
from intake_virtualzarr.storage.limits import MAX_NESTING, MAX_NODES
from intake_virtualzarr.storage.object_states import names_below
from intake_virtualzarr.storage.parsing import parse_json, parse_object
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.url_secrets import strip_url
from intake_virtualzarr.storage.urls import is_local, is_url

__all__ = ["NAME", "consolidated_v2", "scanned_directory", "scanned_hierarchy", "scanned_v2"]

NAME = "zarr"
"""Name of the format."""


def scanned_directory(target: Any, access: Access, *, sure: bool = False) -> ScannedFile | None:
    """The scan of a plain Zarr store in a directory, behind a URL or in a zarr store.

    Parameters
    ----------
    target : path, URL or zarr store
        A URL is asked if it ends like a directory.
    access : Access
        Options for opening.
    sure : bool
        Whether somebody said that it is a Zarr store: then the end of a URL tells nothing, if it is not that of a zip file.

    Returns
    -------
    ScannedFile or None
        None if something else is there, also a virtual store of ours.
    """
    if isinstance(target, str | os.PathLike):
        text = os.fspath(target)
        bare = strip_url(text).rstrip("/")
        named = is_url(text) and not is_local(text) and sure and not bare.endswith(".zip")
        if not named and (bare.endswith(REFERENCES) or not is_directory(text)):
            return None
    keys = keys_of(target, access)
    root = keys.get("zarr.json")
    return scanned_v2(keys, consolidated_v2(keys)) if root is None else scanned_hierarchy(Hierarchy(keys, root=root))


def scanned_hierarchy(hierarchy: Hierarchy) -> ScannedFile | None:
    """The scan of a store of version 3; None if it is a virtual store."""
    if not is_plain(hierarchy.documents):
        return None
    documents = {f"{path}/zarr.json".lstrip("/"): document for path, document in hierarchy.documents.items()}
    return _scanned(hierarchy.keys, documents)


# ---------------------------------------------------------------------- version 2


def consolidated_v2(keys: Keys) -> JsonObject | None:
    """``.zmetadata`` of a store, parsed; None if it has none."""
    raw = keys.get(".zmetadata")
    return None if raw is None else parse_object(raw, f"{keys.url}/.zmetadata")


def scanned_v2(keys: Keys, consolidated: Attrs | None) -> ScannedFile | None:
    """The scan of a store of version 2; None if there is none.

    Parameters
    ----------
    keys : Keys
        The store.
    consolidated : mapping, optional
        Its ``.zmetadata``. Without, groups are listed.
    """
    if consolidated is not None:
        known = isinstance(consolidated.get("metadata"), Mapping) and "zarr_consolidated_format" in consolidated
        return _scanned(keys, {".zmetadata": consolidated}) if known else None
    root = keys.get(".zgroup")
    if root is None:
        return None
    documents: JsonObject = {".zgroup": parse_json(root, f"{keys.url}/.zgroup")}
    _walk(keys, "", documents)
    return _scanned(keys, documents)


def _walk(keys: Keys, path: str, documents: JsonObject) -> None:
    """Read the documents below a group, its attributes included."""
    if path.count("/") >= MAX_NESTING or len(documents) > MAX_NODES:
        raise FormatError(f"{keys.url}/{path}: groups are nested deeper than {MAX_NESTING}, or more than {MAX_NODES}")
    below = f"{path}/" if path else ""
    names = [name for name in names_below(keys, path) if not name.startswith(".")]
    wanted = [f"{below}.zattrs", *(f"{below}{name}/{last}" for name in names for last in (".zarray", ".zgroup"))]
    found = _parsed(keys, wanted)
    arrays = [key.rpartition("/")[0] for key in found if key.endswith(".zarray")]
    documents |= found | _parsed(keys, [f"{one}/.zattrs" for one in arrays])
    for key in found:
        if key.endswith(".zgroup"):
            _walk(keys, key.rpartition("/")[0], documents)


def _parsed(keys: Keys, wanted: Sequence[str]) -> JsonObject:
    found = zip(wanted, keys.get_many(list(wanted)), strict=True)
    return {key: parse_json(raw, f"{keys.url}/{key}") for key, raw in found if raw is not None}


# ---------------------------------------------------------------------- both


def _scanned(keys: Keys, documents: Attrs) -> ScannedFile:
    store = store_documents(documents, keys.url)

    def references(path: str, metadata: ArrayMetadata) -> tuple[ObjectTable, ObjectChunks | ShardChunks]:
        return _chunks(keys, store, path, metadata)

    found = scanned_references(Source(keys.url), NAME, store.documents, references)
    return replace(found, left_out={**found.left_out, **store.refused}) if store.refused else found


def _chunks(
    keys: Keys, store: StoreDocuments, path: str, metadata: ArrayMetadata
) -> tuple[ObjectTable, ObjectChunks | ShardChunks]:
    """Source table and manifest of an array."""
    layout = store.shards.get(path)
    if layout is None:
        objects = ObjectTable(keys, path, metadata.keys, metadata.grid.grid_shape)
        return objects, ObjectChunks(objects)
    objects = ObjectTable(keys, path, metadata.keys, store.shard_grids[path])
    return objects, ShardChunks(objects, layout)
