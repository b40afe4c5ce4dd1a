"""What readers make of files: ``python format_readers.py READER FILE...`` prints JSON for each, with digests of its fields.

Each reader runs in a process of its own, because some end it. A field is a map (GRIB) or an image with its bands (TIFF), rows from
the first one stored, as values of the type that the format has; digests are compared by `format_tables.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SENTINEL = -1e100


def digest(values: Any) -> str:
    """A digest that does not see the shape, the sign of zero, and which NaN it is."""
    found = np.ascontiguousarray(values)
    if found.dtype.kind in "fc":
        found = np.where(np.isnan(found), np.array(np.nan, found.dtype), found) + found.dtype.type(0)
    return hashlib.sha256(found.dtype.str.lstrip("<>|=").encode() + found.tobytes()).hexdigest()[:16]


def maps(values: Any) -> Iterator[Any]:
    """The maps of a cube in single precision, those without any value left out."""
    found = np.asarray(values, np.float32)
    flat = found.reshape(-1, *found.shape[-2:])
    return (one for one in flat if not np.isnan(one).all())


# ---------------------------------------------------------------------- GRIB


def eccodes(path: str) -> Iterator[Any]:
    """The oracle: rows put in order by what ecCodes says of the scanning mode."""
    import eccodes as ec

    ec.codes_grib_multi_support_on()
    with Path(path).open("rb") as file:
        while (handle := ec.codes_grib_new_from_file(file)) is not None:
            ec.codes_set(handle, "missingValue", SENTINEL)
            values = ec.codes_get_values(handle)
            values[values == SENTINEL] = np.nan
            yield _in_rows(ec, handle, values).astype(np.float32)
            ec.codes_release(handle)


def _in_rows(ec: Any, handle: Any, values: Any) -> Any:
    def number(key: str) -> int:
        try:
            return int(ec.codes_get(handle, key) or 0)
        except ec.CodesInternalError:
            return 0

    columns, rows, across = number("Nx"), number("Ny"), number("jPointsAreConsecutive")
    if columns * rows != values.size:
        return values
    lines = values.reshape((columns, rows) if across else (rows, columns)).copy()
    if number("alternativeRowScanning"):
        lines[1::2] = lines[1::2, ::-1].copy()
    return np.ascontiguousarray(lines.T if across else lines)


GRID = ("latitude", "longitude", "y", "x", "values")
"""Axes of a map."""


def own_grib(path: str) -> Iterator[Any]:
    import intake_virtualzarr as ivz

    for node in ivz.open_virtual_datatree(path).subtree:
        for variable in node.to_dataset(inherit=False).data_vars.values():
            points = [size for dim, size in variable.sizes.items() if dim in GRID]
            for one in np.asarray(variable.data).reshape(-1, *points):
                if not np.isnan(one).all():
                    yield one


def cfgrib(path: str) -> Iterator[Any]:
    import cfgrib as library

    for dataset in library.open_datasets(path, indexpath=""):
        for variable in dataset.data_vars.values():
            last = 1 if "values" in variable.dims else 2
            values = np.asarray(variable, np.float32)
            flat = values.reshape(-1, *values.shape[values.ndim - last :])
            yield from (one for one in flat if not np.isnan(one).all())


def kerchunk_grib(path: str) -> Iterator[Any]:
    import fsspec
    from kerchunk.codecs import GRIBCodec
    from kerchunk.grib2 import scan_grib

    for found in scan_grib(f"file://{path}", inline_threshold=0):
        files = fsspec.filesystem("reference", fo=found)
        for key, text in found["refs"].items():
            name = key.removesuffix("/.zarray")
            meta = json.loads(text) if key.endswith("/.zarray") else {}
            if name in ("latitude", "longitude") or (meta.get("filters") or [{}])[0].get("id") != "grib":
                continue
            how = {k: v for k, v in meta["filters"][0].items() if k != "id"}
            yield np.asarray(GRIBCodec(**how).decode(files.cat(f"{name}/{'.'.join('0' * len(meta['shape']))}")), np.float32)


def gribberish(path: str) -> Iterator[Any]:
    import gribberish as library

    raw, at = Path(path).read_bytes(), 0
    while (at := raw.find(b"GRIB", at)) >= 0:
        length = int.from_bytes(raw[at + 8 : at + 16] if raw[at + 7] == 2 else raw[at + 4 : at + 7], "big")
        yield np.asarray(library.parse_grib_array(raw[at : at + length], 0, False, False), np.float32)
        at += max(length, 4)


# ---------------------------------------------------------------------- TIFF


def rasterio(path: str) -> Iterator[Any]:
    """The oracle: GDAL."""
    import rasterio as library

    with library.open(path) as file:
        yield file.read()


def own_tiff(path: str) -> Iterator[Any]:
    import intake_virtualzarr as ivz

    yield np.asarray(ivz.open_virtual_dataset(path, on_unsupported="raise").band_data.data)


def virtual_tiff(path: str) -> Iterator[Any]:
    import zarr
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtual_tiff import VirtualTIFF

    store = VirtualTIFF(ifd=0)(url=f"file://{path}", registry=ObjectStoreRegistry({"file://": LocalStore()}))
    yield zarr.open_group(store, mode="r")["0"][...]


def kerchunk_tiff(path: str) -> Iterator[Any]:
    import fsspec
    import zarr
    from imagecodecs import numcodecs
    from kerchunk.tiff import tiff_to_zarr
    from zarr.storage import FsspecStore

    numcodecs.register_codecs(verbose=False)
    found = tiff_to_zarr(f"file://{path}")
    options = {"remote_protocol": "file", "remote_options": {"asynchronous": True}}
    opened = zarr.open(
        FsspecStore(fsspec.filesystem("reference", fo=found, asynchronous=True, **options), path=""), mode="r", zarr_format=2
    )
    values = np.asarray((opened if hasattr(opened, "shape") else opened["0"])[...])
    yield np.moveaxis(values, -1, 0) if values.ndim == 3 and values.shape[-1] <= 6 < values.shape[0] else values


READERS: dict[str, Callable[[str], Iterator[Any]]] = {
    "ecCodes": eccodes,
    "intake-virtualzarr grib": own_grib,
    "cfgrib": cfgrib,
    "kerchunk grib": kerchunk_grib,
    "gribberish": gribberish,
    "rasterio": rasterio,
    "intake-virtualzarr tiff": own_tiff,
    "virtual-tiff": virtual_tiff,
    "kerchunk tiff": kerchunk_tiff,
}


def main(reader: str, paths: list[str]) -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries talk
    for path in paths:
        print(json.dumps({"path": path, "begun": True}), file=said, flush=True)
        answer: dict[str, Any] = {"path": path}
        try:
            answer["fields"] = [digest(one) for one in READERS[reader](path)]
        except (Exception, SystemExit) as exc:
            answer["error"] = f"{type(exc).__name__}: {exc}"[:300]
        except BaseException as exc:  # a panic of Rust
            answer["error"] = f"{type(exc).__name__}: {exc}"[:300]
        print(json.dumps(answer), file=said, flush=True)
    with contextlib.suppress(OSError):
        said.close()
    os._exit(0)  # ecCodes and PROJ in one process end it with a crash


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
