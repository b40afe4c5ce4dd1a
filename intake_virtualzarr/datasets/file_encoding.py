"""The ``encoding`` that xarray's netCDF engines give: filters, chunks and the file, as far as references tell them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from intake_virtualzarr._typing import JsonObject, Shape
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.codecs.spec import CodecSpec
from intake_virtualzarr.storage.urls import is_local, local_path

__all__ = ["file_encoding", "source_name"]

NO_FILTERS: JsonObject = {
    **dict.fromkeys(("zlib", "szip", "zstd", "bzip2", "blosc", "shuffle"), False),
    "complevel": 0,
    "fletcher32": False,
}
NEAREST_NEIGHBOUR = 32
"""Bit of the szip options for its nearest neighbour coding."""


def source_name(url: str) -> str:
    """The path of a local file, the URL of another."""
    return local_path(url) if is_local(url) else url


def file_encoding(array: VirtualZarrArray, edges: Shape | None, *, grows: bool) -> JsonObject:
    """How a file stores an array: its filters, and ``chunksizes`` or ``contiguous``.

    Parameters
    ----------
    array : VirtualZarrArray
        A file's own array; joined ones have nothing in common that could be told.
    edges : tuple of int, optional
        Chunk edges of the file.
    grows : bool
        Whether it has an unlimited dimension, so that it cannot be contiguous.
    """
    if edges is None:
        return {}
    filters = _filters(array.segments[0].stored.codecs)
    # one chunk of the shape of the array without any filter: HDF5 has it in one piece, unless somebody asked for a chunk
    if edges == array.shape and not grows and not any(filters.values()):
        return {**filters, "contiguous": True, "chunksizes": None}
    return {**filters, "contiguous": False, "chunksizes": edges}


def _filters(codecs: Sequence[CodecSpec]) -> JsonObject:
    return dict(_read_filters(tuple(codecs)))


@lru_cache(maxsize=1024)
def _read_filters(codecs: tuple[CodecSpec, ...]) -> tuple[tuple[str, object], ...]:
    found = dict(NO_FILTERS)
    for codec in codecs:
        found.update(_read_filter(codec.name.rpartition(".")[2], json.loads(codec.configuration_json)))
    return tuple(found.items())


def _read_filter(name: str, options: JsonObject) -> JsonObject:
    """One codec as netCDF4-Python names it (``lzf`` as h5py does, for netCDF has no word for it)."""
    match name:
        case "shuffle" | "fletcher32":
            return {name: True}
        case "zlib" | "zstd":
            return {name: True, "complevel": options.get("level", 0)}
        case "bz2":
            return {"bzip2": True, "complevel": options.get("level", 0)}
        case "blosc":
            compressor = "blosc_" + str(options.get("cname", "lz4")).removeprefix("blosc")
            packed = {"compressor": compressor, "shuffle": options.get("shuffle", 0)}
            return {"blosc": packed, "complevel": options.get("clevel", 0)}
        case "szip":
            mask, pixels = (*options.get("parameters", ()), 0, 0)[:2]
            return {"szip": {"coding": "nn" if mask & NEAREST_NEIGHBOUR else "ec", "pixels_per_block": pixels}}
        case "lzf":
            return {"compression": "lzf", "compression_opts": None}
    return {}
