"""kerchunk references, in JSON or Parquet, with Zarr v2 metadata (what ``engine="kerchunk"`` opens) or v3."""

from __future__ import annotations

import base64
import json
import os
from math import prod
from pathlib import Path

import xarray as xr

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.datasets.plain_references import plain_store, references_of, refuse_all, variables_of
from intake_virtualzarr.datasets.to_kerchunk_parquet import write_parquet
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.formats.kerchunk_urls import kerchunk_text
from intake_virtualzarr.hierarchy.zarr_v2_documents import array_documents_v2, group_documents_v2
from intake_virtualzarr.storage.atomic_write import write_atomically
from intake_virtualzarr.store.store import VirtualZarrStore
from intake_virtualzarr.store.views import Stored

__all__ = ["to_kerchunk"]


def to_kerchunk(
    data: xr.Dataset | xr.DataTree,
    path: str | os.PathLike[str] | None = None,
    *,
    format: str = "json",
    zarr_format: int = 2,
) -> JsonObject | None:
    """Write a virtual dataset, or a tree of them, as kerchunk references.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataTree
        Virtual dataset, or tree of virtual datasets.
    path : path, optional
        File to write (a directory for Parquet); without it the references are returned.
    format : {"json", "parquet"}
        Form of the references. Parquet needs ``path`` and the extra ``kerchunk``.
    zarr_format : {2, 3}
        Version of the Zarr metadata. ``engine="kerchunk"`` and Parquet know version 2 only.

    Returns
    -------
    dict or None
        ``{"version": 1, "refs": {…}}`` if no path was given.

    Raises
    ------
    UnsupportedError
        If a variable has no form as plain references (the message says why), or for another ``format`` or ``zarr_format``.
    MissingExtraError
        If Parquet is asked for and nothing is installed that writes it.
    """
    if format not in ("json", "parquet"):
        raise UnsupportedError(f"kerchunk references in the form {format!r} are not written here; 'json' and 'parquet' are")
    if zarr_format not in (2, 3):
        raise UnsupportedError(f"zarr_format is {zarr_format!r}, expected 2 or 3")
    if format == "parquet" and (zarr_format == 3 or path is None):
        raise UnsupportedError("Parquet references are written to a directory (path=…), with zarr_format=2 only")
    store = plain_store(data, "kerchunk")
    refs: JsonObject = {key: document.decode() for key, document in store.documents.items()}
    if zarr_format == 2:
        refs = _documents_v2(store)
    for array, coords, stored in references_of(store, "." if zarr_format == 2 else "/"):
        key = f"{array}/{coords or '0'}" if zarr_format == 2 else f"{array}/c/{coords}".rstrip("/")
        refs[key] = _reference(stored)
    if path is not None and format == "parquet":
        write_parquet(Path(path), refs)
        return None
    document = {"version": 1, "refs": refs}
    if path is None:
        return document
    write_atomically(Path(path), json.dumps(document).encode())
    return None


def _reference(stored: Stored) -> str | list[str | int]:
    start, length = stored.ref.offset, stored.ref.length
    if stored.source.content is not None:
        return "base64:" + base64.standard_b64encode(stored.source.content[start : start + length]).decode()
    return [kerchunk_text(stored.source.url), start, length]


def _documents_v2(store: VirtualZarrStore) -> JsonObject:
    """Metadata of Zarr v2 by key.

    Raises
    ------
    UnsupportedError
        If Zarr v2 cannot say what a variable is.
    """
    documents: JsonObject = {}
    for path, group in store.tree.groups.items():
        documents |= _keyed(path.strip("/"), group_documents_v2(group.attrs))
    refused = {}
    for path, variable in variables_of(store.tree).items():
        view = store.views[path]
        array = store.array(path)
        try:
            grid = view.grid
            complete = sum(1 for _ in view.stored_chunks()) == prod(grid.grid_shape)
            found = array_documents_v2(
                variable.dims, array.dtype, array.fill_value, grid, view.codecs, variable.attrs, complete=complete
            )
            documents |= _keyed(path, found)
        except UnsupportedError as exc:
            refused[path] = str(exc)
    refuse_all(refused, "kerchunk with Zarr v2 metadata")
    return documents


def _keyed(path: str, documents: dict[str, JsonObject]) -> JsonObject:
    return {f"{path}/{name}".lstrip("/"): json.dumps(document, allow_nan=False) for name, document in documents.items()}
