"""Adding to a hierarchy: append along a dimension, add variables. Old manifest pages are never touched.

Parts and pages are written first, under the name of a new generation; the root document (which holds a copy of all others) is
switched last and in one step: an append that is killed leaves the old state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import AxisGrid, ChunkGrid
from intake_virtualzarr.codecs.cf_packing import Packing, time_units
from intake_virtualzarr.codecs.spec import bytes_codec
from intake_virtualzarr.errors import EncodingMismatchError, HierarchyError
from intake_virtualzarr.hierarchy.attributes import attributes_from_json, attributes_to_json
from intake_virtualzarr.hierarchy.data_types import data_type_from_json
from intake_virtualzarr.hierarchy.held_values import holds_values, longer_values
from intake_virtualzarr.hierarchy.manifest_writer import ArrayHeader, packing_to_json, reference, write_plan
from intake_virtualzarr.hierarchy.merged_tail import merged_tail
from intake_virtualzarr.hierarchy.parts import as_member
from intake_virtualzarr.hierarchy.reader import Hierarchy, dims_of
from intake_virtualzarr.hierarchy.transaction import HierarchyTransaction
from intake_virtualzarr.hierarchy.write_plan import plan_array
from intake_virtualzarr.hierarchy.writer import NodeArray, NodeGroup, write_array

__all__ = [
    "add_variables",
    "append_arrays",
    "check_same_encoding",
    "concatenation",
    "held_along",
    "inlined",
    "new_member",
    "view_of",
]


# ---------------------------------------------------------------------- append


def held_along(addition: HierarchyTransaction, group: str, dim: str) -> tuple[str, ...]:
    """Names of the arrays of a group that have a dimension and whose values the hierarchy holds itself."""
    documents = {name: addition.hierarchy.documents[addition.path(group, name)] for name in addition.hierarchy.arrays_of(group)}
    return tuple(name for name, one in documents.items() if dim in dims_of(one, name) and holds_values(one))


def append_arrays(
    addition: HierarchyTransaction, group: str, node: NodeGroup, dim: str, recoded: Mapping[str, NodeArray] | None = None
) -> None:
    """Append the arrays of a group that have a dimension; check that the others are what is there.

    Parameters
    ----------
    addition : HierarchyTransaction
        The change.
    group : str
        Path of the group.
    node : NodeGroup
        What is appended.
    dim : str
        The dimension.
    recoded : mapping, optional
        Arrays whose values the hierarchy holds, in another encoding that holds what is appended, too.

    Raises
    ------
    HierarchyError
        If variables, dimensions or data types do not fit.
    EncodingMismatchError
        If a variable is packed differently.
    """
    known = addition.hierarchy.arrays_of(group)
    growing = [n for n in known if dim in dims_of(addition.hierarchy.documents[addition.path(group, n)], n)]
    if not growing:
        raise HierarchyError(
            f"{addition.hierarchy.keys.url}: no variable of group {'/' + group!r} has a dimension {dim!r}; "
            f"there are {', '.join(known)}"
        )
    arriving = [n for n, a in node.arrays.items() if dim in a.dims]
    missing, extra = sorted(set(growing) - set(arriving)), sorted(set(arriving) - set(growing))
    if missing or extra:
        raise HierarchyError(
            f"append along {dim!r}: "
            + (f"{', '.join(missing)} would not grow with the others" if missing else "")
            + ("; " if missing and extra else "")
            + (f"{', '.join(extra)} is not there yet" if extra else "")
            + ". Give all variables with that dimension"
        )
    _check_length(node, growing, dim)
    for name in growing:
        _append_one(addition, addition.path(group, name), node.arrays[name], dim, (recoded or {}).get(name))


def _check_length(node: NodeGroup, names: Sequence[str], dim: str) -> None:
    lengths = {n: node.arrays[n].data.shape[node.arrays[n].dims.index(dim)] for n in names}
    if len(set(lengths.values())) > 1:
        raise HierarchyError(f"append along {dim!r}: variables have different lengths {lengths}")


def _append_one(addition: HierarchyTransaction, path: str, new: NodeArray, dim: str, recoded: NodeArray | None) -> None:
    document = addition.hierarchy.documents[path]
    dims = dims_of(document, path)
    shape = tuple(int(n) for n in document["shape"])
    if new.dims != dims:
        renamed = "rename them, or join all files anew and write with mode='w'"
        way = "transpose it first" if sorted(new.dims) == sorted(dims) else renamed
        raise HierarchyError(f"{path}: has dimensions {dims}, what is appended {new.dims}; {way}")
    axis = dims.index(dim)
    other = (*new.data.shape[:axis], shape[axis], *new.data.shape[axis + 1 :])
    if other != shape:
        raise HierarchyError(
            f"{path}: has shape {shape}, what is appended {new.data.shape}: only the length along {dim!r} may differ"
        )
    if recoded is not None:
        joined = np.concatenate([np.asarray(recoded.data), np.asarray(new.data)], axis=axis)
        addition.documents[path] = write_array(NodeArray(dims, joined, recoded.attrs), path, addition.sink, fuse=True)
    elif holds_values(document):
        _append_values(addition, path, document, new, axis)
    else:
        _append_virtual(addition, path, document, new, axis)


def _append_values(addition: HierarchyTransaction, path: str, document: JsonObject, new: NodeArray, axis: int) -> None:
    """Append to an array whose values the hierarchy holds: its last chunk is written anew, longer."""
    old = np.asarray(addition.hierarchy.data(path))
    values = np.asarray(new.data)
    if values.dtype != old.dtype:
        if not np.can_cast(values.dtype, old.dtype, "same_kind"):
            raise HierarchyError(f"{path}: has data type {old.dtype}, what is appended {values.dtype}")
        cast = values.astype(old.dtype)
        if not np.array_equal(cast.astype(values.dtype), values, equal_nan=values.dtype.kind == "f"):
            raise HierarchyError(f"{path}: values of {values.dtype} do not fit the data type {old.dtype} that is there")
        values = cast
    check_same_encoding(path, document, new)
    joined = np.concatenate([old, values], axis=axis)
    chunk_shape = document["chunk_grid"]["configuration"]["chunk_shape"]
    first = old.shape[0] // chunk_shape[0] if axis == 0 else 0
    addition.documents[path] = longer_values(document, joined, first, path, addition.sink)


def check_same_encoding(path: str, document: Attrs, new: NodeArray) -> None:
    """Raise if numbers mean something else there (the packing of a virtual array is compared, or undone, by itself)."""
    dtype = data_type_from_json(document["data_type"])
    attrs = attributes_from_json(document.get("attributes", {}), dtype)
    packing = () if not holds_values(document) else ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned")
    for name in packing:
        _refuse_unlike(path, name, attrs.get(name), new.attrs.get(name))
    counted, counts = time_units(attrs), time_units(new.attrs)
    if counted is None or counted == counts:
        return
    for name in ("units", "calendar"):
        _refuse_unlike(path, name, attrs.get(name), new.attrs.get(name))


def _refuse_unlike(path: str, name: str, there: Any, new: Any) -> None:
    if not _same(there, new):
        raise EncodingMismatchError(f"{path}: {name} is {there!r} in the store and {new!r} in what is appended")


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is None and b is None
    return bool(np.array_equal(np.asarray(a), np.asarray(b))) or bool(np.all(a != a) and np.all(b != b))


def _append_virtual(addition: HierarchyTransaction, path: str, document: JsonObject, new: NodeArray, axis: int) -> None:
    hierarchy = addition.hierarchy
    dtype = data_type_from_json(document["data_type"])
    attrs = attributes_from_json(document.get("attributes", {}), dtype)
    data = new.data if isinstance(new.data, VirtualZarrArray) else inlined(new.data)
    check_same_encoding(path, document, new)
    there = hierarchy.array(path)
    transformer = document["storage_transformers"][0]
    if transformer["name"] != "virtual-concatenation" or transformer["configuration"]["axis"] != axis:
        members = [as_member(addition, path, document, axis)]
    else:
        members = list(transformer["configuration"]["members"])
    edges = [[*own, *data.chunks[axis]] if n == axis else own for n, own in enumerate(there.chunks)]
    kept, data = merged_tail(addition, path, members, axis, there, data)
    entry = new_member(addition, path, data, Packing.from_attrs(attrs, dtype), there, new)
    entry["length"] = data.shape[axis]
    head = ArrayHeader(dtype, there.fill_value, dims_of(document, path), attrs)
    addition.documents[path] = concatenation(head, axis, view_of(edges), [*members[:kept], entry])


def concatenation(head: ArrayHeader, axis: int, grid: ChunkGrid, members: Sequence[Attrs]) -> JsonObject:
    """The document of an array that shows members one after the other, in chunks of ``grid``."""
    configuration = {"axis": axis, "members": list(members)}
    transformer = {"name": "virtual-concatenation", "configuration": configuration}
    return head.document(grid.shape, grid, [bytes_codec(head.dtype).to_json()], transformer)


def view_of(edges: Sequence[Sequence[int]]) -> ChunkGrid:
    """A chunk grid of these chunk lengths, axis by axis."""
    axes = []
    for lengths in edges:
        visible = np.asarray(lengths, dtype=np.int64)
        axes.append(AxisGrid.varying(visible[visible > 0]) if visible.sum() else AxisGrid.regular(0, 1))
    return ChunkGrid(tuple(axes))


def new_member(
    addition: HierarchyTransaction,
    path: str,
    data: VirtualZarrArray,
    packing: Packing | None,
    there: VirtualZarrArray,
    new: NodeArray,
) -> JsonObject:
    """Write what is appended as a part, and the member that names it."""
    part = addition.sink.new_part(path)
    own = Packing.from_attrs(new.attrs, data.dtype)
    if own is not None and own.odd is not None and own != packing:
        raise EncodingMismatchError(
            f"{path}: what is appended cannot be decoded: {own.odd}; its stored numbers are not joined with those that are there: "
            "mend the attribute in preprocess=, or leave the variable out with drop_variables="
        )
    entry: JsonObject = {"array": reference(part, path)}
    if packing is not None or own is None:
        if data.dtype != there.dtype or own != packing:
            raise EncodingMismatchError(
                f"{path}: is {there.dtype} packed as {packing} in the store, and {data.dtype} packed as {own} in what is "
                "appended; join the files anew with open_virtual_mfdataset and write with mode='w'"
            )
    else:  # the store holds decoded values
        if not np.can_cast(own.dtype, there.dtype, "safe"):
            raise EncodingMismatchError(f"{path}: decodes to {own.dtype}, the store holds {there.dtype}")
        entry["decode"] = packing_to_json(own)
    head = ArrayHeader.of_part(data.dtype, data.fill_value)
    addition.sink.part(part, lambda: write_plan(plan_array(data), data.shape, head, part, addition.sink), entry)
    return entry


def inlined(values: Any) -> VirtualZarrArray:
    from intake_virtualzarr.arrays.inline import inline_array

    return inline_array(np.asarray(values))


# ---------------------------------------------------------------------- variables


def add_variables(addition: HierarchyTransaction, group: str, node: NodeGroup) -> None:
    """Add arrays that are not there yet; those that are must be the same.

    Raises
    ------
    HierarchyError
        If an array of that name holds something else.
    """
    for name, new in node.arrays.items():
        path = addition.path(group, name)
        if path in addition.hierarchy.documents:
            if not same_values(addition.hierarchy, path, new):
                raise HierarchyError(
                    f"{path}: is there already with other values; append_dim=… adds to it, mode='w' replaces the store"
                )
            continue
        addition.documents[path] = write_array(new, path, addition.sink, fuse=True)
    for parent in _missing_groups(addition.hierarchy, group):
        attributes = attributes_to_json(node.attrs) if parent == group else {}
        addition.documents[parent] = {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _missing_groups(hierarchy: Hierarchy, group: str) -> list[str]:
    parts = group.split("/") if group else []
    paths = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    return [path for path in paths if path not in hierarchy.documents]


COMPARE_LIMIT = 256 * 1024 * 1024


def same_values(hierarchy: Hierarchy, path: str, new: NodeArray) -> bool:
    """Whether an array of the store has the dimensions and values of another."""
    there = hierarchy.array(path)
    if dims_of(hierarchy.documents[path], path) != new.dims or there.shape != new.data.shape:
        return False
    if isinstance(new.data, VirtualZarrArray):
        if new.data.nbytes > COMPARE_LIMIT:
            raise HierarchyError(f"{path}: {new.data.nbytes} bytes are too many to be compared; drop the variable first")
        if there.decoded and new.data.decoded is False and new.data.packing is not None:
            return bool(np.array_equal(np.asarray(there), np.asarray(new.data.decode()), equal_nan=True))
    a, b = np.asarray(there), np.asarray(new.data)
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc" and b.dtype.kind in "fc"))
