"""Showing other chunks in a part of an array: the old array is cut around the part, by reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.append import check_same_encoding, concatenation, inlined, new_member, view_of
from intake_virtualzarr.hierarchy.attributes import attributes_from_json
from intake_virtualzarr.hierarchy.data_types import data_type_from_json
from intake_virtualzarr.hierarchy.embedded import in_place
from intake_virtualzarr.hierarchy.held_values import holds_values
from intake_virtualzarr.hierarchy.manifest_writer import ArrayHeader
from intake_virtualzarr.hierarchy.parts import as_part
from intake_virtualzarr.hierarchy.reader import dims_of
from intake_virtualzarr.hierarchy.transaction import HierarchyTransaction
from intake_virtualzarr.hierarchy.writer import NodeArray, NodeGroup

__all__ = ["replace_region"]

type Span = tuple[int, int]


def replace_region(addition: HierarchyTransaction, group: str, node: NodeGroup, spans: Mapping[str, Span]) -> None:
    """Show other chunks in ``[start, stop)`` along one or several dimensions; what is outside stays.

    Parameters
    ----------
    addition : HierarchyTransaction
        The change.
    group : str
        Path of the group.
    node : NodeGroup
        What is to be seen there. Variables without any of the dimensions are left as they are.
    spans : mapping of str to (int, int)
        First element and one past the last, by dimension.

    Raises
    ------
    HierarchyError
        If a variable is not in the store, is not virtual and differs, or does not fit the region.
    """
    for name, new in node.arrays.items():
        path = addition.path(group, name)
        document = addition.hierarchy.documents.get(path)
        if document is None:
            raise HierarchyError(f"{path}: is not in the store; a region can only replace what is there")
        if not any(dim in new.dims for dim in spans):
            continue
        there = addition.hierarchy.array(path)
        dims = dims_of(document, path)
        box = [spans.get(dim, (0, extent)) for dim, extent in zip(dims, there.shape, strict=True)]
        wanted = tuple(stop - start for start, stop in box)
        if new.dims != dims or new.data.shape != wanted:
            raise HierarchyError(
                f"{path}: the region has dimensions {dims} and shape {wanted}, what is written {new.dims} and {new.data.shape}"
            )
        if holds_values(document):
            values = np.asarray(there)[tuple(slice(*span) for span in box)]
            if not np.array_equal(values, np.asarray(new.data), equal_nan=values.dtype.kind == "f"):
                raise HierarchyError(f"{path}: its values in the region are others than those that are written")
            continue
        _replace_one(addition, path, document, there, new, box)


def _replace_one(
    addition: HierarchyTransaction,
    path: str,
    document: JsonObject,
    there: VirtualZarrArray,
    new: NodeArray,
    box: Sequence[Span],
) -> None:
    dtype = data_type_from_json(document["data_type"])
    attrs = attributes_from_json(document.get("attributes", {}), dtype)
    data = new.data if isinstance(new.data, VirtualZarrArray) else inlined(new.data)
    check_same_encoding(path, document, new)
    cut = [axis for axis, span in enumerate(box) if span != (0, there.shape[axis])] or [0]
    old = as_part(addition, path, document, cut[0])
    entry = new_member(addition, path, data, Packing.from_attrs(attrs, dtype), there, new)
    edges = [_edges(there, data, axis, span) for axis, span in enumerate(box)]

    def around(axes: Sequence[int], outer: Sequence[Span], head: ArrayHeader) -> JsonObject:
        """The document of what lies in a box: the new part, and the old array on both sides along one axis after the other."""
        axis, (start, stop) = axes[0], box[axes[0]]
        inner = [span if n != axis else (start, stop) for n, span in enumerate(outer)]
        middle = dict(entry)
        if len(axes) > 1:
            middle = {"array": in_place(around(axes[1:], inner, ArrayHeader.of_part(dtype, there.fill_value)), {})}
        members = [
            _cut(old, outer, axis, outer[axis][0], start),
            {**middle, "length": stop - start},
            _cut(old, outer, axis, stop, outer[axis][1]),
        ]
        grid = view_of([_within(edges[n], span) for n, span in enumerate(outer)])
        return concatenation(head, axis, grid, [member for member in members if member["length"]])

    whole = [(0, extent) for extent in there.shape]
    head = ArrayHeader(dtype, there.fill_value, dims_of(document, path), attrs)
    addition.documents[path] = around(cut, whole, head)


def _cut(member: Attrs, box: Sequence[Span], axis: int, start: int, stop: int) -> JsonObject:
    """What the old array shows of a box, from ``start`` to ``stop`` along one axis."""
    select = [[start, stop, 1] if n == axis else [*span, 1] for n, span in enumerate(box)]
    return {**member, "length": stop - start, "select": select}


def _edges(there: VirtualZarrArray, data: VirtualZarrArray, axis: int, span: Span) -> list[int]:
    """Where chunks of the old array or of the new part begin and end along an axis."""
    new = np.cumsum(data.chunks[axis]) + span[0]
    return sorted({0, *np.cumsum(there.chunks[axis]).tolist(), *span, *new.tolist()})


def _within(edges: Sequence[int], span: Span) -> list[int]:
    inside = [span[0], *(edge for edge in edges if span[0] < edge < span[1]), span[1]]
    return [b - a for a, b in pairwise(inside)]
