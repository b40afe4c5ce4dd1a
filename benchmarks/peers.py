"""What the peers do, each in the way its documentation tells."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import xarray as xr

warnings.filterwarnings("ignore")


def registry(url: str) -> Any:
    """VirtualiZarr's registry of object stores for one URL."""
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import HTTPStore, LocalStore

    parts = urlsplit(url)
    if parts.scheme.startswith("http"):
        root = f"{parts.scheme}://{parts.netloc}"
        return ObjectStoreRegistry({root: HTTPStore.from_url(root, client_options={"allow_http": True})})
    return ObjectStoreRegistry({"file://": LocalStore()})


def virtualizarr_store(url: str) -> Any:
    """A file as VirtualiZarr's Zarr store."""
    from virtualizarr.parsers import HDFParser

    return HDFParser()(url, registry(url))


def virtualizarr_dataset(url: str) -> xr.Dataset:
    """A file as VirtualiZarr's virtual dataset, nothing loaded."""
    from virtualizarr import open_virtual_dataset
    from virtualizarr.parsers import HDFParser

    return open_virtual_dataset(url, registry=registry(url), parser=HDFParser(), loadable_variables=[])


def virtualizarr_many(urls: Sequence[str], threads: int) -> list[xr.Dataset]:
    """Many files in threads."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(virtualizarr_dataset, urls))


def kerchunk_references(path: str | Path) -> dict[str, Any]:
    """A local file as kerchunk's references."""
    from kerchunk.hdf import SingleHdf5ToZarr

    found: dict[str, Any] = SingleHdf5ToZarr(str(path), inline_threshold=0).translate()
    return found


def kerchunk_dataset(references: dict[str, Any]) -> xr.Dataset:
    """References as a dataset."""
    return xr.open_dataset(references, engine="kerchunk", chunks=None)
