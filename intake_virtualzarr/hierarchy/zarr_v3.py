"""Array metadata of Zarr v3: ``zarr.json``."""

from __future__ import annotations

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.codecs.spec import pipeline_from_json
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.hierarchy.array_metadata import ArrayMetadata, ChunkKeys, checked_shape, positional
from intake_virtualzarr.hierarchy.attributes import attributes_from_json
from intake_virtualzarr.hierarchy.chunk_grid_json import grid_from_json
from intake_virtualzarr.hierarchy.data_types import data_type_from_json, fill_value_from_json

__all__ = ["metadata_of_v3"]


def metadata_of_v3(name: str, document: Attrs) -> ArrayMetadata:
    """Read the metadata of one array.

    Raises
    ------
    UnsupportedError
        If it is sharded or virtual, or its chunk keys have an unknown form.
    HierarchyError, CodecError
        If its data type, fill value, grid or a codec is unknown.
    """
    if document.get("zarr_format") != 3:
        raise UnsupportedError(f"zarr_format is {document.get('zarr_format')!r}, expected 3")
    if document.get("storage_transformers"):
        raise UnsupportedError("has storage transformers, whose chunks are not plain references")
    shape = checked_shape(document["shape"])
    dtype = data_type_from_json(document["data_type"])
    codecs = pipeline_from_json(document["codecs"])
    if any(codec.name == "sharding_indexed" for codec in codecs):
        raise UnsupportedError("is sharded; shards have no references to their chunks")
    attrs = attributes_from_json(document.get("attributes") or {}, dtype)
    if dtype.kind in "iu" and isinstance(attrs.get("_FillValue"), int):
        attrs["_FillValue"] = dtype.type(attrs["_FillValue"])
    given = document.get("dimension_names") or [None] * len(shape)
    return ArrayMetadata(
        tuple(one if one is not None else other for one, other in zip(given, positional(name, len(given)), strict=True)),
        dtype,
        fill_value_from_json(document["fill_value"], dtype),
        grid_from_json(document["chunk_grid"], shape, None, name),
        codecs,
        attrs,
        _keys(document.get("chunk_key_encoding") or {}),
    )


def _keys(encoding: Attrs) -> ChunkKeys:
    separator = (encoding.get("configuration") or {}).get("separator")
    if encoding.get("name") == "default":
        return ChunkKeys(f"c{separator or '/'}", separator or "/", "c")
    if encoding.get("name") == "v2":
        return ChunkKeys("", separator or ".", "0")
    raise UnsupportedError(f"chunk_key_encoding {encoding.get('name')!r} is unknown")
