"""kerchunk references in JSON, with Zarr v3 metadata.

Version 3 and not 2: xarray takes the fill value of a version 2 array for CF's ``_FillValue`` and masks valid zeros.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import xarray as xr

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.datasets.plain_references import plain_store, references_of
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.formats.kerchunk_urls import kerchunk_text
from intake_virtualzarr.storage.atomic_write import write_atomically

__all__ = ["to_kerchunk"]


def to_kerchunk(
    data: xr.Dataset | xr.DataTree, path: str | os.PathLike[str] | None = None, *, format: str = "json"
) -> JsonObject | None:
    """Write a virtual dataset, or a tree of them, as kerchunk references.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataTree
        Virtual dataset, or tree of virtual datasets.
    path : path, optional
        File to write; without it the references are returned.
    format : {"json"}
        Form of the references.

    Returns
    -------
    dict or None
        ``{"version": 1, "refs": {…}}`` if no path was given.

    Raises
    ------
    UnsupportedError
        If a variable has no form as plain references, or for another ``format``.
    """
    if format != "json":
        raise UnsupportedError(f"kerchunk references in the form {format!r} are not written here; 'json' is")
    store = plain_store(data, "kerchunk")
    refs: JsonObject = {key: document.decode() for key, document in store.documents.items()}
    for key, stored in references_of(store):
        start, stop = stored.ref.offset, stored.ref.offset + stored.ref.length
        if stored.source.content is not None:
            refs[key] = "base64:" + base64.standard_b64encode(stored.source.content[start:stop]).decode()
        else:
            refs[key] = [kerchunk_text(stored.source.url), start, stored.ref.length]
    document = {"version": 1, "refs": refs}
    if path is None:
        return document
    write_atomically(Path(path), json.dumps(document).encode())
    return None
