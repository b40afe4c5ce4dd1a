"""Zarr stores in a zip file: chunks are members that are stored as they are, byte ranges of the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import JsonObject, Shape
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.errors import FormatError, UnsupportedError, VirtualZarrError
from intake_virtualzarr.formats.base import Parse
from intake_virtualzarr.formats.kerchunk_table import counted_shape
from intake_virtualzarr.formats.zarr.shard_index import ShardLayout, decoded_index, references_of_shards
from intake_virtualzarr.formats.zarr.store_documents import is_plain, store_documents
from intake_virtualzarr.formats.zarr.zip_directory import ENCRYPTED, STORED, Member, Steps, content_of, read_directory, with_starts
from intake_virtualzarr.formats.zarr_references import DOCUMENTS, array_paths, scanned_references, spread_documents
from intake_virtualzarr.hierarchy.array_metadata import ArrayMetadata
from intake_virtualzarr.storage.parsing import parse_json
from intake_virtualzarr.storage.source import Source, SourceTable

__all__ = ["scanned_zip"]

MAX_LENGTH = 2**32 - 2
"""A manifest holds no longer chunk [bytes]."""


def scanned_zip(source: Source, name: str) -> Parse:
    """Scan a zip file.

    Its directory is read (one request at the end of the file, which holds it in most), then the metadata, then the indexes of
    shards; the headers of members only where the directory does not tell where their bytes begin.

    Parameters
    ----------
    source : Source
        The file.
    name : str
        Name of the format.

    Raises
    ------
    FormatError
        If it is damaged, or holds no Zarr store.
    UnsupportedError
        If it holds a virtual store of ours.
    """
    members = yield from read_directory(source.size or 0, source.url)
    members = [one for one in members if not one.name.endswith("/")]
    documents = yield from _documents(members, source.url)
    if not documents:
        raise FormatError(f"{source.url}: is a zip file without Zarr metadata (zarr.json, .zgroup or .zarray)")
    if not is_plain({key.rpartition("/")[0]: one for key, one in documents.items() if isinstance(one, Mapping)}):
        raise UnsupportedError(f"{source.url}: is a virtual store in a zip file; open it with zarr.storage.ZipStore, or unpack it")
    store = store_documents(documents, source.url)
    owned = _by_array([one for one in members if one.name.rpartition("/")[2] not in DOCUMENTS], documents)
    placed = yield from with_starts([one for path in owned for one in owned[path].values()], source.url)
    by_header = {one.header: one for one in placed}
    owned = {path: {key: by_header[one.header] for key, one in found.items()} for path, found in owned.items()}
    indexes = {}
    for path, layout in store.shards.items():
        indexes[path] = yield from _indexes(owned[path], layout)

    def references(path: str, metadata: ArrayMetadata) -> tuple[SourceTable, ChunkManifest]:
        layout = store.shards.get(path)
        _check_members(owned[path], path)
        if layout is None:
            manifest = _manifest(owned[path], metadata)
        else:
            manifest = _shard_manifest(owned[path], metadata, layout, store.shard_grids[path], indexes[path], source.url)
        return SourceTable((source,)), manifest

    found = scanned_references(source, name, store.documents, references)
    return replace(found, left_out={**found.left_out, **store.refused}) if store.refused else found


type Members = Mapping[str, Member]
"""Members by the rest of their path below an array."""


def _documents(members: Sequence[Member], url: str) -> Steps[JsonObject]:
    """The metadata, parsed, by path. A member is read from its header on: what stands before its bytes is short."""
    chosen = [one for one in members if one.name.rpartition("/")[2] in DOCUMENTS]
    root = next((one for one in chosen if one.name == "zarr.json"), None)
    found = (yield from _parsed([root], url)) if root is not None else {}
    top = found.get("zarr.json")
    if isinstance(top, Mapping) and top.get("consolidated_metadata"):
        return found
    whole = [one for one in chosen if one.name == ".zmetadata"] if root is None else []
    return {**found, **(yield from _parsed(whole or [one for one in chosen if one is not root], url))}


def _parsed(chosen: Sequence[Member], url: str) -> Steps[JsonObject]:
    if not chosen:
        return {}
    placed = yield from with_starts(chosen, url)
    blocks = yield [(one.start, one.size) for one in placed]
    return {one.name: parse_json(content_of(one, raw, url), f"{url}: {one.name}") for one, raw in zip(placed, blocks, strict=True)}


def _by_array(members: Sequence[Member], documents: Mapping[str, object]) -> dict[str, dict[str, Member]]:
    """Members below each array."""
    paths = array_paths(spread_documents(documents))
    owned: dict[str, dict[str, Member]] = {path: {} for path in paths}
    for one in members:
        path = one.name
        while path and path not in owned:
            path = path.rpartition("/")[0]
        if path in owned:
            owned[path][one.name[len(path) :].removeprefix("/")] = one
    return owned


def _check_members(members: Members, path: str) -> None:
    """Raise if a chunk is no byte range of the zip file."""
    for key, one in members.items():
        if one.flags & ENCRYPTED or one.method != STORED:
            how = "is encrypted" if one.flags & ENCRYPTED else f"is compressed once more (zip method {one.method})"
            raise UnsupportedError(
                f"chunk {path}/{key} {how} in the zip file, so it is no byte range of it; write the zip file without compression "
                "(zarr.storage.ZipStore does, or zip -0), or unpack it"
            )
        if one.size > MAX_LENGTH:
            raise UnsupportedError(f"chunk {path}/{key} of {one.size} bytes is longer than {MAX_LENGTH}")


def _numbered(members: Members, metadata: ArrayMetadata, shape: Shape) -> list[tuple[tuple[int, ...], str, Member]]:
    """Members at their coordinates; one outside the grid is left out, as Zarr never asks for it."""
    keys = list(members)
    coords = metadata.keys.coords(keys, len(shape))
    inside = (coords < np.array(shape, np.int64)).all(axis=1).tolist()
    return [(tuple(at), key, members[key]) for at, key, good in zip(coords.tolist(), keys, inside, strict=True) if good]


def _manifest(members: Members, metadata: ArrayMetadata) -> ChunkManifest:
    shape = counted_shape(metadata)
    offset, length = np.zeros(shape, np.uint64), np.zeros(shape, np.uint32)
    for at, _, one in _numbered(members, metadata, shape):
        offset[at], length[at] = one.start, one.size
    return ChunkManifest(np.zeros(shape, np.uint32), offset, length)


# ---------------------------------------------------------------------- shards


type Index = npt.NDArray[np.uint64] | VirtualZarrError
"""The index of a shard, or why there is none."""


def _indexes(members: Members, layout: ShardLayout) -> Steps[dict[str, Index]]:
    """The indexes of the shards of an array, with places in the zip file."""
    spans: dict[str, tuple[int, int]] = {}
    found: dict[str, Index] = {}
    for key, one in members.items():
        try:
            if one.method == STORED and not one.flags & ENCRYPTED:
                spans[key] = layout.index_span(one.size, one.name)
        except VirtualZarrError as exc:
            found[key] = exc
    blocks = yield [(members[key].start + first, last - first) for key, (first, last) in spans.items()]
    for key, raw in zip(spans, blocks, strict=True):
        one = members[key]
        try:
            index = decoded_index(layout, bytes(raw), one.size, one.name)
        except VirtualZarrError as exc:
            found[key] = exc
            continue
        index[..., 0] += np.where(index[..., 1] > 0, np.uint64(one.start), np.uint64(0))
        found[key] = index
    return found


def _shard_manifest(
    members: Members,
    metadata: ArrayMetadata,
    layout: ShardLayout,
    shards: Shape,
    indexes: Mapping[str, Index],
    url: str,
) -> ChunkManifest:
    counted_shape(metadata)
    numbers = np.arange(prod(shards), dtype=np.int64).reshape(shards)
    by_number: dict[int, npt.NDArray[np.uint64]] = {}
    for at, key, _ in _numbered(members, metadata, shards):
        index = indexes[key]
        if isinstance(index, VirtualZarrError):
            raise FormatError(f"{url}: {index}")
        by_number[int(numbers[at])] = index
    box = [range(n) for n in layout.grid_shape]
    manifest = references_of_shards(layout, box, [range(n) for n in shards], numbers, by_number)
    return ChunkManifest(np.zeros(manifest.shape, np.uint32), manifest.offset, manifest.length)
