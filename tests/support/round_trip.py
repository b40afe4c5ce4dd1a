"""Virtual datasets given to other readers: kerchunk references and Icechunk repositories, opened by xarray's own engines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from intake_virtualzarr.datasets.icechunk_repository import commit_references
from intake_virtualzarr.errors import VirtualZarrError

FORMS = ("json2", "parquet", "json3", "icechunk")


@contextmanager
def reopened(virtual: xr.Dataset, form: str, directory: Path) -> Iterator[xr.Dataset]:
    """What another reader shows of a virtual dataset that was exported in a form."""
    directory.mkdir(exist_ok=True, parents=True)
    if form == "json2":
        virtual.vzarr.to_kerchunk(directory / "refs.json")
        opened = xr.open_dataset(str(directory / "refs.json"), engine="kerchunk")
    elif form == "parquet":
        virtual.vzarr.to_kerchunk(directory / "refs.parq", format="parquet")
        opened = xr.open_dataset(str(directory / "refs.parq"), engine="kerchunk")
    elif form == "json3":
        virtual.vzarr.to_kerchunk(directory / "refs3.json", zarr_format=3)
        refs = json.loads((directory / "refs3.json").read_text())
        options = {"fo": refs, "remote_protocol": "file", "asynchronous": True}
        opened = xr.open_dataset("reference://", engine="zarr", backend_kwargs={"consolidated": False, "storage_options": options})
    else:
        opened = xr.open_zarr(_committed(virtual, directory / "repository"), consolidated=False, chunks=None)
    with opened:
        yield opened


def _committed(virtual: xr.Dataset, place: Path) -> object:
    import icechunk

    done = commit_references(virtual, place)
    allowed = dict.fromkeys(done.prefixes, icechunk.credentials.LocalFileSystemAccess)
    storage = icechunk.local_filesystem_storage(str(place))
    return icechunk.Repository.open(storage, authorize_virtual_chunk_access=allowed).readonly_session("main").store


def difference(got: xr.Dataset, want: xr.Dataset) -> str | None:
    """In what a dataset differs from another; None if in nothing that other formats can keep.

    Attributes of Zarr are JSON, which has one kind of number: a float32 ``scale_factor`` decodes to float64, and the values are
    those of the files to the precision of float32.
    """
    if set(got.variables) != set(want.variables):
        return f"variables {sorted(map(str, set(got.variables) ^ set(want.variables)))}"
    for name, expected in want.variables.items():
        # netCDF4 numbers dimensions without a name through the whole group
        named = not any(str(dim).startswith("phony_dim_") for dim in expected.dims)
        if named and got[name].dims != expected.dims:
            return f"{name}: dimensions {got[name].dims}, expected {expected.dims}"
        a, b = np.asarray(got[name].values), np.asarray(expected.values)
        if not (_same_text(a, b) if b.dtype.kind in "OSU" else _same_numbers(a, b)):
            return f"{name}: {a.ravel()[:4]}, expected {b.ravel()[:4]}"
    return None


def _same_text(a: np.ndarray, b: np.ndarray) -> bool:
    def texts(values: np.ndarray) -> list[bytes]:
        return [b"" if pd.isnull(v) else v if isinstance(v, bytes) else str(v).encode() for v in values.ravel().tolist()]

    return a.shape == b.shape and texts(a) == texts(b)


def _same_numbers(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape:
        return False
    if b.dtype.kind == "f" and a.dtype.kind == "f" and a.dtype.itemsize > b.dtype.itemsize:
        return bool(np.allclose(a, b, rtol=2e-7, atol=0, equal_nan=True))
    return a.dtype.kind == b.dtype.kind and bool(np.array_equal(a, b, equal_nan=b.dtype.kind in "fcmM"))


def outcome(virtual: xr.Dataset, want: xr.Dataset, form: str, directory: Path) -> str:
    """``equal``, ``refused: …`` with the reason, or ``differs: …``."""
    try:
        with reopened(virtual, form, directory) as got:
            found = difference(got.load(), want)
    except VirtualZarrError as exc:
        return f"refused: {exc}"
    return "equal" if found is None else f"differs: {found}"
