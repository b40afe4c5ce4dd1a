"""A virtual dataset as plain Zarr v3 documents and references to byte ranges: what other formats of references can hold."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import xarray as xr

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.tree import VirtualGroup, VirtualTree, VirtualVariable
from intake_virtualzarr.datasets.encode import node_group
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.hierarchy.write_plan import Leaf, plan_array
from intake_virtualzarr.store.store import VirtualZarrStore
from intake_virtualzarr.store.transformers import Stored

__all__ = ["plain_store", "references_of"]


def plain_store(data: xr.Dataset | xr.DataTree, what: str) -> VirtualZarrStore:
    """A dataset or tree as a plain Zarr store in which every array passes stored bytes through.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataTree
        Virtual dataset, or tree of virtual datasets.
    what : str
        Name of the format, for the message.

    Raises
    ------
    UnsupportedError
        If a variable needs cropping, several codec pipelines or decoding, for which other formats have no words.
    """
    groups = {}
    for path, dataset in _datasets(data).items():
        node = node_group(dataset)
        variables = {n: VirtualVariable(a.dims, _fused(a.data), a.attrs) for n, a in node.arrays.items()}
        groups[path] = VirtualGroup(path, node.attrs, variables)
    store = VirtualZarrStore(VirtualTree("memory://export", groups))
    refused = [path for path, view in store.views.items() if store.mode(path) == "decoded" and 0 not in view.grid.shape]
    if refused:
        raise UnsupportedError(
            f"{', '.join(refused)}: chunks are seen in part, or files differ in codecs, chunk shape or packing; {what} cannot "
            "say that. Write the dataset with .vzarr.to_zarr, or drop these variables"
        )
    return store


def _datasets(data: xr.Dataset | xr.DataTree) -> dict[str, xr.Dataset]:
    """Datasets by path; dimension coordinates stay in the group that holds them."""
    if isinstance(data, xr.Dataset):
        return {"/": data}
    return {f"/{node.path.strip('/')}": node.to_dataset(inherit=False) for node in data.subtree}


def _fused(data: Any) -> Any:
    """Joined arrays as one manifest, where they can be."""
    if not isinstance(data, VirtualZarrArray):
        return data
    plan = plan_array(data)
    if isinstance(plan, Leaf) and plan.is_plain:
        return VirtualZarrArray.from_stored(plan.stored, readers=data.readers)
    return data


def references_of(store: VirtualZarrStore) -> Iterator[tuple[str, Stored]]:
    """Keys and places of all stored chunks."""
    for path, view in store.views.items():
        for coords in product(*(range(n) for n in view.grid.grid_shape)):
            found = view.chunk(coords)
            if isinstance(found, Stored):
                yield "/".join((path, "c", *map(str, coords))), found
