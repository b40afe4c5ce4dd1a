"""The metadata of a plain Zarr store as references take them: safe paths, and arrays in shards as arrays of their inner chunks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.codecs.spec import pipeline_from_json, pipeline_to_json
from intake_virtualzarr.errors import FormatError, VirtualZarrError
from intake_virtualzarr.formats.zarr.shard_index import ShardLayout
from intake_virtualzarr.formats.zarr_references import DOCUMENTS, spread_documents
from intake_virtualzarr.hierarchy.array_metadata import checked_shape
from intake_virtualzarr.hierarchy.attributes import STORE_RECORD
from intake_virtualzarr.hierarchy.chunk_grid_json import grid_from_json
from intake_virtualzarr.hierarchy.documents import is_virtual, naming
from intake_virtualzarr.hierarchy.sharding import Sharding

__all__ = ["StoreDocuments", "is_plain", "store_documents"]


@dataclass(frozen=True, eq=False)
class StoreDocuments:
    """Documents of a store by key, and what has no form as references."""

    documents: JsonObject
    """Those of arrays in shards say what the inner chunks are."""
    shards: dict[str, ShardLayout] = field(default_factory=dict)
    """Of each array in shards, by path without a slash in front."""
    shard_grids: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Shape of the grid of shards of these arrays."""
    refused: dict[str, str] = field(default_factory=dict)
    """Arrays in shards of a kind that has no references, by absolute path, and the reason."""


def is_plain(documents: Mapping[str, Attrs]) -> bool:
    """Whether a hierarchy of Zarr v3 is nobody's virtual store: all its arrays are ordinary.

    Parameters
    ----------
    documents : mapping
        By path of the node, ``""`` for the root.
    """
    root = documents.get("", {}).get("attributes")
    if isinstance(root, Mapping) and STORE_RECORD in root:
        return False
    return not any(is_virtual(one) or one.get("storage_transformers") for one in documents.values())


def store_documents(documents: Attrs, url: str) -> StoreDocuments:
    """Make documents ready to be read as references.

    Parameters
    ----------
    documents : mapping
        Parsed, by key.
    url : str
        The store, for messages.

    Raises
    ------
    FormatError
        If a path leads out of the store.
    """
    spread = spread_documents(documents)
    for key in spread:
        _check_path(key, url)
    if "zarr.json" in spread:  # a store that has both is one of version 3, for zarr-python, too
        spread = {key: one for key, one in spread.items() if key.rpartition("/")[2] == "zarr.json"}
    out = StoreDocuments(dict(spread))
    for key, document in spread.items():
        path, _, last = key.rpartition("/")
        if last != "zarr.json" or not isinstance(document, Mapping) or document.get("node_type") != "array":
            continue
        try:
            _take_shards(out, key, path, document, url)
        except VirtualZarrError as exc:
            out.refused[f"/{path}"] = str(exc)
            del out.documents[key]
    return out


def _check_path(key: str, url: str) -> None:
    path, _, last = key.rpartition("/")
    parts = path.split("/") if path else []
    if last not in DOCUMENTS or any(part in ("", ".", "..") for part in parts) or "\\" in path or "\0" in path:
        raise FormatError(f"{url}: its metadata name {key!r}, which is no path in a store")


def _take_shards(out: StoreDocuments, key: str, path: str, document: Attrs, url: str) -> None:
    label = f"{url}/{path}"
    with naming(label):
        codecs = document["codecs"]
        if not any(isinstance(one, Mapping) and one.get("name") == "sharding_indexed" for one in codecs):
            return
        sharding = Sharding.of(pipeline_from_json(codecs), label)
        assert sharding is not None
        grid = grid_from_json(document["chunk_grid"], checked_shape(document["shape"]), None, label)
        out.shards[path] = ShardLayout.of(sharding, grid, label)
        out.shard_grids[path] = grid.grid_shape
        out.documents[key] = {**document, **_inner(sharding)}


def _inner(sharding: Sharding) -> dict[str, Any]:
    grid = {"name": "regular", "configuration": {"chunk_shape": list(sharding.chunk_shape)}}
    return {"codecs": pipeline_to_json(sharding.codecs), "chunk_grid": grid}
