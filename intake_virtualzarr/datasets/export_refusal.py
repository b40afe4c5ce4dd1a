"""Why an array has no form as plain references: the one reason, with the files and numbers that show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.segments import StoredArray, Window, same_fill
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.codecs.spec import Pipeline, same_decoding
from intake_virtualzarr.hierarchy.write_plan import Concat, Fill, Leaf, Plan, plan_array

__all__ = ["why_not_plain"]


PACKED_BY = {"_Unsigned": "unsigned", "scale_factor": "scale_factor", "add_offset": "add_offset", "_FillValue": "mask"}
"""Attributes, and the fields of a packing that hold them."""


def why_not_plain(array: VirtualZarrArray, dims: Sequence[str], known: frozenset[str]) -> str:
    """The reason why an array is not one manifest of whole chunks.

    Parameters
    ----------
    array : VirtualZarrArray
        An array that plain Zarr shows decoded.
    dims : sequence of str
        Names of its axes.
    known : frozenset of str
        Codecs that zarr-python knows.
    """
    plan = plan_array(array)
    packings = _packings_differ([leaf for leaf in _leaves(plan) if leaf.decode is not None])
    if packings is not None:
        return packings
    for leaf in _leaves(plan):
        reason = _of_leaf(leaf, array, dims)
        if reason is not None:
            return reason
    if isinstance(plan, Concat):
        return _of_neighbours(plan, array, dims)
    stored = plan.stored if isinstance(plan, Leaf) else None
    return "nothing of it is stored" if stored is None else _of_manifest(stored, array, dims, known)


def _leaves(plan: Plan) -> Iterator[Leaf]:
    if isinstance(plan, Leaf):
        yield plan
    elif isinstance(plan, Concat):
        for member in plan.members:
            yield from _leaves(member)


def _packings_differ(leaves: Sequence[Leaf]) -> str | None:
    """In what the packing of two files differs, with both values."""
    for a, b in pairwise(leaves):
        assert a.decode is not None
        assert b.decode is not None
        for name, field in PACKED_BY.items():
            one, other = getattr(a.decode, field), getattr(b.decode, field)
            if one != other:
                return f"{name} is {_said(one)} in {_file(a.stored)} and {_said(other)} in {_file(b.stored)}, so values are decoded"
        if a.stored.dtype != b.stored.dtype:
            return f"{_file(a.stored)} holds {a.stored.dtype} and {_file(b.stored)} {b.stored.dtype}"
    return None


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "absent"
    return "absent" if value is None else str(value)


def _of_leaf(leaf: Leaf, array: VirtualZarrArray, dims: Sequence[str]) -> str | None:
    """Why a member is more than a manifest."""
    where = _file(leaf.stored)
    axes = leaf.axes if leaf.axes is not None else tuple(range(leaf.stored.ndim))
    if leaf.decode is not None:
        if leaf.decode == Packing(leaf.decode.dtype):
            return f"{where} holds {leaf.stored.dtype} and the joined array {array.dtype}, so values are cast"
        return f"values are decoded, and those of {where} are packed"
    for axis, source in enumerate(axes):
        if source is None and leaf.shape[axis] != 1:
            return f"values of {where} repeat along {dims[axis]!r}"
    used = [source for source in axes if source is not None]
    if used != sorted(used):
        return f"axes stand in another order than in {where}"
    for axis, (window, grid) in enumerate(zip(leaf.windows or (), leaf.stored.grid.axes, strict=False)):
        if window != Window(0, grid.extent):
            return _cut(window, axis, axes, dims, where, int(grid.stored[0]))
    return None


def _cut(window: Window, axis: int, axes: Sequence[int | None], dims: Sequence[str], where: str, edge: int) -> str:
    name = repr(dims[axes.index(axis)]) if axis in axes else f"an axis of {where} that is dropped"
    if window.step != 1:
        return f"every {abs(window.step)}th element along {name} is shown" if abs(window.step) > 1 else f"{name} is reversed"
    return f"chunks of {edge} along {name} are seen in part: the selection begins inside a chunk of {where}"


def _of_neighbours(plan: Concat, array: VirtualZarrArray, dims: Sequence[str]) -> str:
    """Why members do not stand in one manifest."""
    stored = [leaf.stored for leaf in _leaves(plan)]
    for a, b in pairwise(stored):
        for axis, (one, other) in enumerate(zip(a.grid.axes, b.grid.axes, strict=False)):
            if axis != plan.axis and not one.same_as(other):
                lengths = f"{_edges(one.stored)} in {_file(a)} and {_edges(other.stored)} in {_file(b)}"
                return f"chunks along {dims[axis]!r} are {lengths}"
        if not same_fill(a.fill_value, b.fill_value):
            return f"chunks that are not stored read as {a.fill_value} in {_file(a)} and as {b.fill_value} in {_file(b)}"
        if a.codecs[0].name != b.codecs[0].name:
            return _codecs_differ(a.codecs, b.codecs, _file(a), _file(b))
    if any(isinstance(member, Fill) for member in plan.members):
        return f"a part along {dims[plan.axis]!r} is in no file and reads as {array.fill_value}"
    return f"its parts lie along {dims[plan.axis]!r} and other axes in a pattern that no one chunk grid has"


def _of_manifest(stored: StoredArray, array: VirtualZarrArray, dims: Sequence[str], known: frozenset[str]) -> str:
    """Why a manifest is no array of plain Zarr."""
    if stored.alternatives:
        return _of_alternatives(stored)
    unknown = [codec.name for codec in stored.codecs if codec.name not in known]
    if unknown:
        return f"codec {unknown[0]!r} is known here only"
    for axis, grid in enumerate(stored.grid.axes):
        partly = np.flatnonzero(grid.stored != grid.visible)
        if grid.edge is None and partly.size and int(partly[0]) < grid.count - 1:
            at = int(partly[0])
            return (
                f"chunks are seen in part: chunk {at} along {dims[axis]!r} shows {int(grid.visible[at])} of its "
                f"{int(grid.stored[at])} elements, and others follow"
            )
        if grid.edge is None:
            return f"chunk lengths along {dims[axis]!r} vary: {_edges(grid.stored)}"
    if not same_fill(stored.fill_value, array.fill_value):
        return f"chunks that are not stored read as {stored.fill_value} in {_file(stored)} and as {array.fill_value} elsewhere"
    return "values are decoded by the attributes of each file"


def _of_alternatives(stored: StoredArray) -> str:
    manifest = stored.manifest.load()
    assert manifest.codec is not None
    other = manifest.get(np.argwhere((manifest.codec > 0) & (manifest.length > 0))[0].tolist())
    usual = np.argwhere((manifest.codec == 0) & (manifest.length > 0))
    assert other is not None
    first = manifest.get(usual[0].tolist()) if len(usual) else None
    one = stored.sources[first.source].url if first is not None else "other files"
    return _codecs_differ(stored.codecs, stored.alternatives[other.codec - 1], one, stored.sources[other.source].url)


def _codecs_differ(a: Pipeline, b: Pipeline, one: str, other: str) -> str:
    names = [" + ".join(codec.name for codec in pipeline) for pipeline in (a, b)]
    if names[0] == names[1] and not same_decoding(a, b):
        names = [" + ".join(f"{c.name} {c.configuration_json}" for c in pipeline) for pipeline in (a, b)]
    place = "chunks of one file" if one == other else f"{one} and {other}"
    return f"{place} have different codecs: {names[0]}, and {names[1]}"


def _file(stored: StoredArray) -> str:
    manifest = stored.manifest.load()
    used = manifest.source[manifest.length > 0]
    rows = used.flat if used.size else range(len(stored.sources))
    return next((stored.sources[int(row)].url for row in rows), "a part without a file")


def _edges(edges: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> str:
    return ", ".join(map(str, edges[:5].tolist())) + (", …" if edges.size > 5 else "")
