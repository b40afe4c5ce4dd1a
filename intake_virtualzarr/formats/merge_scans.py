"""Joining scans along a dimension before any dataset is made of them: the merge step of a fan-out.

What xarray does file by file in milliseconds is done here for files that agree in everything but what lies along the
dimension: their manifests are joined as columns. Files that do not agree are refused by name; xarray can still join them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.fill_value import is_fill
from intake_virtualzarr.arrays.segments import Segment, same_fill
from intake_virtualzarr.codecs.cf_packing import PACKING_ATTRIBUTES
from intake_virtualzarr.errors import EncodingMismatchError
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile
from intake_virtualzarr.hierarchy.write_plan import Leaf, plan_array
from intake_virtualzarr.storage.readers import ReaderPool

__all__ = ["merge_scans", "static_digests"]

MEANING = (*PACKING_ATTRIBUTES, "units", "calendar")
"""Attributes that say what numbers mean; others (history, ranges) may differ and are those of the first file."""


def merge_scans(scans: Sequence[ScannedFile], dim: str, digests: Sequence[Mapping[str, str]] | None = None) -> ScannedFile:
    """Join scans along a dimension, as ``xarray.combine_nested`` with ``data_vars="minimal", coords="minimal"`` does.

    Parameters
    ----------
    scans : sequence of ScannedFile
        In the order of the dimension; at least one. Merged ones may be merged again.
    dim : str
        Every variable that has it is joined; the others are those of the first file.
    digests : sequence of mapping, optional
        For each scan what `static_digests` gave; if given, variables without the dimension must have equal values.

    Raises
    ------
    EncodingMismatchError
        If variables, shapes, data types, packing or units differ; names file, variable and both values.
    """
    first = scans[0]
    if len(scans) == 1:
        return first
    for number, other in enumerate(scans[1:], 1):
        _check_alike(first, other, dim)
        if digests is not None and digests[number] != digests[0]:
            names = [name for name in digests[0] if digests[number].get(name) != digests[0][name]]
            raise EncodingMismatchError(
                f"{other.source.url}: {', '.join(names)} has other values than in {first.source.url}, and no dimension {dim!r}"
            )
    arrays = {
        path: _joined([scan.arrays[path] for scan in scans], array.dims.index(dim)) if dim in array.dims else array
        for path, array in first.arrays.items()
    }
    groups = {
        path: replace(group, dims={**group.dims, dim: sum(scan.groups[path].dims[dim] for scan in scans)})
        if dim in group.dims
        else group
        for path, group in first.groups.items()
    }
    left_out = {path: reason for scan in reversed(scans) for path, reason in scan.left_out.items()}
    return replace(first, arrays=arrays, groups=groups, left_out=left_out)


def _check_alike(first: ScannedFile, other: ScannedFile, dim: str) -> None:
    missing = set(first.arrays) ^ set(other.arrays)
    if missing:
        raise EncodingMismatchError(
            f"{other.source.url}: {', '.join(sorted(missing))} is not in both this file and {first.source.url}"
        )
    for path, a in first.arrays.items():
        b = other.arrays[path]
        if a is b:
            continue
        if _alike(a, b, dim):
            continue
        for what, mine, yours in (
            ("dimensions", a.dims, b.dims),
            ("data type", a.dtype, b.dtype),
            ("shape", _without(a, dim), _without(b, dim)),
            ("fill value", repr(a.fill_value), repr(b.fill_value)),
            *((name, _text(a.attrs.get(name)), _text(b.attrs.get(name))) for name in MEANING),
        ):
            if mine != yours:
                raise EncodingMismatchError(f"{other.source.url}: '{path}' has {what} {yours}, in {first.source.url} it is {mine}")


def _alike(a: ScannedArray, b: ScannedArray, dim: str) -> bool:
    """Whether two variables certainly agree, found without writing anything out as text."""
    if a.dims != b.dims or a.dtype != b.dtype or not same_fill(a.fill_value, b.fill_value):
        return False
    if a.shape != b.shape and _without(a, dim) != _without(b, dim):
        return False
    for name in MEANING:
        mine, yours = a.attrs.get(name), b.attrs.get(name)
        if mine is yours:
            continue
        if type(mine) is not type(yours) or not isinstance(mine, str | np.generic) or not same_fill(mine, yours):
            return False
    return True


def _without(array: ScannedArray, dim: str) -> tuple[int, ...]:
    return tuple(n for name, n in zip(array.dims, array.shape, strict=True) if name != dim)


def _text(value: Any) -> str | None:
    return None if value is None else f"{np.asarray(value).tolist()!r} ({np.asarray(value).dtype})"


def _joined(parts: Sequence[ScannedArray], axis: int) -> ScannedArray:
    first = parts[0]
    virtual = [VirtualZarrArray(p.shape, p.dtype, p.fill_value, p.segments, check=False) for p in parts]
    joined: Any = np.concatenate(virtual, axis=axis)
    segments = tuple(joined.segments)
    packings = {segment.packing for segment in segments if not is_fill(segment)}
    if len(packings) == 1:
        # one manifest instead of thousands of segments: smaller to send, and joined again in no time
        plan = plan_array(joined)
        if isinstance(plan, Leaf) and plan.is_plain:
            segments = (Segment.whole(plan.stored, next(iter(packings))),)
    return replace(first, shape=joined.shape, segments=segments)


def static_digests(scan: ScannedFile, dim: str, readers: ReaderPool) -> dict[str, str]:
    """Digests of the values of all variables without a dimension, so that they can be compared where they are not."""
    digests = {}
    for path, array in scan.arrays.items():
        if dim in array.dims:
            continue
        values = np.asarray(VirtualZarrArray(array.shape, array.dtype, array.fill_value, array.segments, readers=readers))
        data = repr(values.tolist()).encode() if values.dtype.kind == "O" else np.ascontiguousarray(values).tobytes()
        digests[path] = hashlib.blake2b(data, digest_size=16).hexdigest()
    return digests
