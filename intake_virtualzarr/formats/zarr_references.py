"""From Zarr documents to groups and arrays; what cannot be read is left out, by name, with its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.arrays.manifest import Manifest
from intake_virtualzarr.arrays.segments import Segment, StoredArray
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.errors import FormatError, UnsupportedError, VirtualZarrError
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile, ScannedGroup
from intake_virtualzarr.hierarchy.array_metadata import ArrayMetadata, positional
from intake_virtualzarr.hierarchy.attributes import attributes_from_json
from intake_virtualzarr.hierarchy.documents import naming
from intake_virtualzarr.hierarchy.zarr_v2 import metadata_of_v2
from intake_virtualzarr.hierarchy.zarr_v3 import metadata_of_v3
from intake_virtualzarr.storage.source import Source

__all__ = ["DOCUMENTS", "References", "array_paths", "scanned_references", "spread_documents"]

DOCUMENTS = frozenset({".zarray", ".zattrs", ".zgroup", ".zmetadata", "zarr.json"})
"""Last parts of the keys of metadata."""

type References = Callable[[str, ArrayMetadata], tuple[Sequence[Source], Manifest]]
"""Gives source table and manifest of an array."""


PHONY = "phony_dim_"
"""How kerchunk names dimensions that have no name, each array by itself: the same name for different lengths."""


def scanned_references(source: Source, format: str, documents: Attrs, references: References) -> ScannedFile:
    """Groups and arrays of a set of references.

    Parameters
    ----------
    source : Source
        Where they are kept.
    format : str
        Name of the format.
    documents : mapping
        Zarr metadata by key, parsed.
    references : callable
        Gives the chunks of an array.

    Raises
    ------
    FormatError
        If there is no Zarr metadata.
    """
    documents = spread_documents(documents)
    if not any(key.rpartition("/")[2] in DOCUMENTS for key in documents):
        raise FormatError(f"{source.url}: holds no Zarr metadata (.zgroup, .zarray or zarr.json)")
    arrays: dict[str, ScannedArray] = {}
    left_out: dict[str, str] = {}
    paths = array_paths(documents)
    for path in paths:
        try:
            with naming(path):
                arrays[f"/{path}"] = _array(path, documents, references)
        except VirtualZarrError as exc:
            left_out[f"/{path}"] = str(exc)
    _leave_out_misfits(arrays, left_out)
    with naming(source.url):
        found = _group_paths(documents, paths)
        groups = {path: ScannedGroup(path, _group_attributes(path.strip("/"), documents)) for path in found}
    return ScannedFile(source, format, groups, arrays, left_out)


def _leave_out_misfits(arrays: dict[str, ScannedArray], left_out: dict[str, str]) -> None:
    """Leave out arrays whose dimensions are longer or shorter than those of the same names elsewhere in the group.

    Those whose dimensions have no real names get others.
    """
    sizes: dict[tuple[str, str], tuple[int, str]] = {}
    # what labels a dimension says how long it is
    for path, array in sorted(arrays.items(), key=lambda one: one[1].dims != (one[0].rpartition("/")[2],)):
        group, _, name = path.rpartition("/")
        mine = dict(zip(array.dims, array.shape, strict=True))
        if any(dim.startswith(PHONY) and sizes.get((group, dim), (size, ""))[0] != size for dim, size in mine.items()):
            array = arrays[path] = replace(array, dims=positional(name, len(array.dims)))
            mine = dict(zip(array.dims, array.shape, strict=True))
        for dim, size in mine.items():
            known, other = sizes.get((group, dim), (size, path))
            if known != size:
                left_out[path] = f"dimension {dim!r} has {size} elements here, and {known} in {other}"
                del arrays[path]
                break
        else:
            sizes |= {(group, dim): sizes.get((group, dim), (size, path)) for dim, size in mine.items()}


def spread_documents(documents: Attrs) -> JsonObject:
    """Consolidated documents beside those that stand alone, which count where both are there."""
    v2, root = documents.get(".zmetadata"), documents.get("zarr.json")
    v3 = root.get("consolidated_metadata") if isinstance(root, Mapping) else None
    spread = dict(v2["metadata"]) if isinstance(v2, Mapping) and isinstance(v2.get("metadata"), Mapping) else {}
    if isinstance(v3, Mapping):
        spread |= {f"{path}/zarr.json": document for path, document in v3.get("metadata", {}).items()}
    return spread | {key: document for key, document in documents.items() if key != ".zmetadata"}


def array_paths(documents: Attrs) -> list[str]:
    """Paths of the arrays, in the order of the documents."""
    found = []
    for key, document in documents.items():
        path, _, last = key.rpartition("/")
        is_array = isinstance(document, Mapping) and document.get("node_type") == "array"
        if last == ".zarray" or (last == "zarr.json" and is_array):
            found.append(path)
    return found


def _group_paths(documents: Attrs, arrays: Sequence[str]) -> list[str]:
    known = set(arrays)
    paths = {"/"}
    for key in documents:
        path, _, last = key.rpartition("/")
        if last not in DOCUMENTS:
            continue
        if path in known:
            path = path.rpartition("/")[0]
        while path:
            paths.add(f"/{path}")
            path = path.rpartition("/")[0]
    return sorted(paths, key=lambda p: (p.count("/"), p != "/", p))


def _group_attributes(path: str, documents: Attrs) -> JsonObject:
    prefix = f"{path}/" if path else ""
    v3 = documents.get(f"{prefix}zarr.json")
    if isinstance(v3, Mapping) and v3.get("node_type") == "group":
        return attributes_from_json(v3.get("attributes") or {})
    attributes = documents.get(f"{prefix}.zattrs")
    return dict(attributes) if isinstance(attributes, Mapping) else {}


def _array(path: str, documents: Attrs, references: References) -> ScannedArray:
    if not path:
        raise UnsupportedError("the root is an array, which has no name; only arrays in groups become variables")
    name = path.rpartition("/")[2]
    v3 = documents.get(f"{path}/zarr.json")
    if isinstance(v3, Mapping):
        metadata = metadata_of_v3(name, v3)
    else:
        metadata = metadata_of_v2(name, documents[f"{path}/.zarray"], documents.get(f"{path}/.zattrs") or {})
    sources, manifest = references(path, metadata)
    stored = StoredArray(metadata.dtype, metadata.fill_value, metadata.grid, metadata.codecs, manifest, sources)
    segment = Segment.whole(stored, Packing.from_attrs(metadata.attrs, metadata.dtype))
    return ScannedArray(f"/{path}", metadata.dims, metadata.dtype, metadata.shape, metadata.fill_value, (segment,), metadata.attrs)
