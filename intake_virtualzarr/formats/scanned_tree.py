"""The groups of a scanned archive file as virtual arrays."""

from __future__ import annotations

from dataclasses import replace

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.segments import Segment
from intake_virtualzarr.arrays.tree import VirtualGroup, VirtualTree, VirtualVariable
from intake_virtualzarr.arrays.whole_file_manifest import WholeFiles
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile
from intake_virtualzarr.storage.readers import ReaderPool

__all__ = ["tree_of_scan"]


def tree_of_scan(scanned: ScannedFile, readers: ReaderPool | None = None) -> VirtualTree:
    """The groups of a scanned archive file."""
    members: dict[str, dict[str, VirtualVariable]] = {path: {} for path in scanned.groups}
    for path, array in scanned.arrays.items():
        parent, _, name = path.rpartition("/")
        members[parent or "/"][name] = _variable(array, readers, scanned.labels.get(path))
    groups = {path: VirtualGroup(path, group.attrs, members[path], group.unlimited) for path, group in scanned.groups.items()}
    return VirtualTree(scanned.source.url, groups, scanned.left_out)


def _variable(array: ScannedArray, readers: ReaderPool | None, values: AnyArray | None) -> VirtualVariable:
    # one segment of the array's own extent can neither overlap another nor stand out
    one = len(array.segments) == 1 and array.segments[0].shape == array.shape and not any(array.segments[0].offset)
    segments = array.segments if readers is None else tuple(_with_readers(one, readers) for one in array.segments)
    data = VirtualZarrArray(array.shape, array.dtype, array.fill_value, segments, readers=readers, check=not one)
    return VirtualVariable(tuple(array.dims), data, array.attrs, values)


def _with_readers(segment: Segment, readers: ReaderPool) -> Segment:
    """The segment, with readers for a manifest that asks files itself."""
    manifest = segment.stored.manifest
    if not isinstance(manifest, WholeFiles):
        return segment
    return replace(segment, stored=replace(segment.stored, manifest=manifest.with_readers(readers)))
