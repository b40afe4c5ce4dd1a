"""A virtual dataset as plain Zarr documents and references to byte ranges: what other formats of references can hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import xarray as xr

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.tree import VirtualGroup, VirtualTree, VirtualVariable
from intake_virtualzarr.datasets.encode import node_group
from intake_virtualzarr.datasets.export_refusal import why_not_plain
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.hierarchy.write_plan import Leaf, plan_array
from intake_virtualzarr.store.store import VirtualZarrStore
from intake_virtualzarr.store.views import Stored, known_codecs

__all__ = ["plain_store", "references_of", "refuse_all", "variables_of"]


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
    tree = VirtualTree("memory://export", groups)
    store = VirtualZarrStore(tree)
    refused = {path.strip("/"): reason for path, reason in store.tree.left_out.items()}
    known = known_codecs()
    for path, variable in variables_of(tree).items():
        shown = path not in refused and (store.mode(path) != "decoded" or 0 in variable.data.shape)
        if not shown and path not in refused:
            refused[path] = why_not_plain(store.array(path), variable.dims, known)
    refuse_all(refused, what)
    return store


def refuse_all(refused: dict[str, str], what: str) -> None:
    """Raise for variables that a format cannot hold, with the reason of each.

    Raises
    ------
    UnsupportedError
        If there are any.
    """
    if refused:
        reasons = "; ".join(f"{path}: {reason}" for path, reason in refused.items())
        way = f"write the dataset with .vzarr.to_zarr, or drop_vars({[*refused]})"
        raise UnsupportedError(f"{reasons}. {what} cannot say that: {way}")


def variables_of(tree: VirtualTree) -> dict[str, VirtualVariable]:
    """All variables of a tree, by path without a slash in front."""
    return {f"{group.path.strip('/')}/{n}".lstrip("/"): v for group in tree.groups.values() for n, v in group.variables.items()}


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


def references_of(store: VirtualZarrStore, separator: str = "/") -> Iterator[tuple[str, str, Stored]]:
    """Array path, chunk coordinates as text (empty for a scalar), and place of all stored chunks."""
    for path, view in store.views.items():
        for coords in view.stored_chunks():
            found = view.chunk(coords)
            if isinstance(found, Stored):
                yield path, separator.join(map(str, coords)), found
