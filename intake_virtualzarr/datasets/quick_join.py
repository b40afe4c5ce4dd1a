"""The common join, quickly: files of one schema along one dimension, without a dataset for each of them.

What the join of many alike files is, that of the first two tells: names, order, coordinates, attributes and encodings. It is
made by the long way (`join_datasets`); then the arrays along the joined dimension are put together for all files. Whatever is
not plainly alike is left to the long way, which also has all messages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from intake_virtualzarr._typing import AnyArray, Attrs
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import Segment, same_fill
from intake_virtualzarr.codecs.cf_packing import PACKING_ATTRIBUTES
from intake_virtualzarr.datasets.combine import join_datasets
from intake_virtualzarr.datasets.file_encoding import source_name
from intake_virtualzarr.datasets.join_options import JoinOptions
from intake_virtualzarr.datasets.loadable import decoded_labels
from intake_virtualzarr.datasets.open_files import opened_dataset
from intake_virtualzarr.datasets.open_options import OpenOptions
from intake_virtualzarr.datasets.virtual_dataset import undecoded_variables
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile
from intake_virtualzarr.formats.scanned_tree import tree_of_scan
from intake_virtualzarr.formats.series import SeriesArrays, described
from intake_virtualzarr.formats.series_columns import SeriesColumns
from intake_virtualzarr.storage.readers import ReaderPool

__all__ = ["QuickJoin", "are_alike", "is_plain", "quick_join"]

LEAST = 3
"""Fewer files are joined by the long way, of which two are the pattern."""
MEANING = (*PACKING_ATTRIBUTES, "units", "calendar", "dtype", "coordinates", "bounds")
"""Attributes that say how values are read; of the others those of the first file stay (``combine_attrs="override"``)."""


@dataclass(frozen=True, eq=False)
class QuickJoin:
    """What came of a quick join."""

    dataset: xr.Dataset
    """As the long way makes it."""
    dim: str
    """The joined dimension."""
    grown: bool
    """Whether it is longer than in any of the files."""


def is_plain(opening: OpenOptions, joining: JoinOptions) -> bool:
    """Whether options are those of which alike files need no dataset of their own."""
    return (
        opening.preprocess is None
        and joining.combine in ("by_coords", "nested")
        and (joining.concat_dim is None if joining.combine == "by_coords" else isinstance(joining.concat_dim, str))
        and joining.join in ("outer", "inner", "left", "right", "exact")
        and joining.compat in ("no_conflicts", "equals", "override")
        and joining.data_vars in ("all", "minimal")
        and joining.coords in ("different", "minimal")
        and joining.combine_attrs == "override"
        and joining.encoding_mismatch in ("decode", "raise")
        and joining.duplicates in (("raise", "first", "last") if joining.combine == "by_coords" else ("raise",))
    )


def quick_join(scans: Sequence[ScannedFile], opening: OpenOptions, joining: JoinOptions, readers: ReaderPool) -> QuickJoin | None:
    """Join scanned files that are alike; None for all that needs the long way.

    Parameters
    ----------
    scans : sequence of ScannedFile
        In the order in which the files were given, with their labels.
    opening, joining : OpenOptions, JoinOptions
        How they are opened and joined.
    readers : ReaderPool
        How their values are read.
    """
    if len(scans) < LEAST or not is_plain(opening, joining):
        return None
    files = _members(scans, opening)
    if files is None:
        return None
    dim = joining.concat_dim if joining.combine == "nested" else _changing(scans, files)
    if not isinstance(dim, str):
        return None
    extents = _extents(files, dim)
    if extents is None:
        return None
    series = _Series(scans, files, dim, extents, opening, joining, readers)
    try:
        joined = series.joined()
    except VirtualZarrError:  # the long way names files and says what to do
        return None
    return None if joined is None else QuickJoin(joined, dim, max(extents) < sum(extents))


# ---------------------------------------------------------------------- alike?


def are_alike(scans: Sequence[ScannedFile], opening: OpenOptions, dim: str) -> bool:
    """Whether files have one schema, and differ in length along one dimension only."""
    files = _members(scans, opening)
    return files is not None and _extents(files, dim) is not None


type Members = dict[str, ScannedArray]
"""The variables of one file, or of another of its schema, by name."""


def _members(scans: Sequence[ScannedFile], opening: OpenOptions) -> list[Members] | None:
    """The variables of files of one schema, those of one file for all that share it; None if the files differ."""
    group = "/" + (opening.group or "").strip("/")
    first: Members | None = None
    files: list[Members] = []
    known: dict[int, Members] = {}
    head = scans[0].groups.get(group)
    if head is None or len({scan.source.url for scan in scans}) != len(scans):
        return None
    for scan in scans:
        node = scan.groups.get(group)
        if node is None or scan.left_out or node.unlimited != head.unlimited or not _same(node.attrs, head.attrs, ("coordinates",)):
            return None
        told = described(scan)
        seen = known.get(id(told))
        if seen is not None:
            files.append(seen)
            continue
        arrays = _members_of(told, group, opening.drop_variables)
        first = arrays if first is None else first
        if not _alike(arrays, first):
            return None
        files.append(arrays)
        known[id(told)] = arrays
    return files


def _members_of(arrays: Mapping[str, ScannedArray], group: str, dropped: Collection[str]) -> Members:
    """The arrays of a group by name."""
    split = ((path.rpartition("/"), array) for path, array in arrays.items())
    return {name: array for (parent, _, name), array in split if (parent or "/") == group and name not in dropped}


def _alike(arrays: Members, first: Members) -> bool:
    if list(arrays) != list(first):
        return False
    for array, model in zip(arrays.values(), first.values(), strict=True):
        if array.dims != model.dims or array.dtype != model.dtype or len(array.segments) != 1:
            return False
        segment, pattern = array.segments[0], model.segments[0]
        if not isinstance(segment.stored.manifest, ChunkManifest):
            return False
        if array.fill_value is not model.fill_value and not same_fill(array.fill_value, model.fill_value):
            return False
        if segment.packing is not pattern.packing and segment.packing != pattern.packing:
            return False
        if len(segment.stored.sources) == 0 or segment.stored.dtype != array.dtype:
            return False
        if array.attrs is not model.attrs and not _same(array.attrs, model.attrs, MEANING):
            return False
    return True


def _same(attrs: Attrs, others: Attrs, names: Sequence[str]) -> bool:
    for name in names:
        one, other = attrs.get(name), others.get(name)
        if one is not other and _frozen(one) != _frozen(other):
            return False
    return True


def _frozen(value: object) -> object:
    """A value that can be compared, with its type; NaN equals itself."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.str, value.shape, value.tobytes() if value.dtype.kind != "O" else value.tolist()
    return type(value), value


def _extents(files: Sequence[Members], dim: str) -> list[int] | None:
    """Length of the joined dimension in each file; None if it is in none, or another dimension differs."""
    extents: list[int] = []
    model = list(files[0].values())
    axes = [array.dims.index(dim) if dim in array.dims else None for array in model]
    if all(axis is None for axis in axes) or any(array.dims.count(dim) > 1 for array in model):
        return None
    rest = [_others(array.shape, axis) for array, axis in zip(model, axes, strict=True)]
    known: dict[int, int] = {}
    for arrays in files:
        found = known.get(id(arrays), -1)
        if found >= 0:
            extents.append(found)
            continue
        for array, axis, other in zip(arrays.values(), axes, rest, strict=True):
            if axis is not None:
                if found not in (-1, array.shape[axis]):
                    return None
                found = array.shape[axis]
            if _others(array.shape, axis) != other:
                return None
        known[id(arrays)] = found
        extents.append(found)
    return extents


def _others(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    return shape if axis is None else shape[:axis] + shape[axis + 1 :]


def _changing(scans: Sequence[ScannedFile], files: Sequence[Members]) -> str | None:
    """The one dimension whose labels differ between files; None if there are none or several."""
    found = [name for name, array in files[0].items() if array.dims == (name,) and not _repeated(scans, array.path)]
    return found[0] if len(found) == 1 else None


def _repeated(scans: Sequence[ScannedFile], path: str) -> bool:
    """Whether all files hold the same values of a label."""
    first = scans[0].labels.get(path)
    if first is None:
        return False
    known = _frozen(first)
    return all(_is(scan.labels.get(path), first, known) for scan in scans)


def _is(values: AnyArray | None, first: AnyArray, known: object) -> bool:
    return values is first or (values is not None and _frozen(values) == known)


# ---------------------------------------------------------------------- joined


@dataclass(frozen=True, eq=False)
class _Series:
    """Files of one schema, and how they are joined."""

    scans: Sequence[ScannedFile]
    files: Sequence[Members]
    dim: str
    extents: Sequence[int]
    opening: OpenOptions
    joining: JoinOptions
    readers: ReaderPool

    def joined(self) -> xr.Dataset | None:
        """The join of all; None if the long way is needed."""
        first = tree_of_scan(self.scans[0], self.readers)
        raw = undecoded_variables(first, first.group(self.opening.group), self.opening.drop_variables)
        by_coords = self.joining.combine == "by_coords"
        order: Sequence[int] = range(len(self.scans))
        if by_coords:
            labels = self._labels(self.dim, raw, order)
            found = None if labels is None else _ascending(labels, self.extents)
            if found is None:
                return None
            order = found
        pattern = self._pattern([order[0], order[1]])
        variables: dict[Any, xr.Variable] = dict(pattern.variables)
        indexes: dict[Any, xr.Index] = dict(pattern.xindexes)
        if set(variables) != set(self.files[0]) or any(name not in variables for name in indexes):
            return None
        columns = self._columns(order)
        for name, variable in variables.items():
            made = self._along(name, variable, raw, order, columns)
            if made is None:
                return None
            if name in indexes and self.dim in variable.dims:
                index = _index(name, made, indexes[name])
                if index is None or (by_coords and not _is_rising(index)):
                    return None
                indexes[name] = index
                made = index.create_variables({name: made})[name]
            variables[name] = made
        encoding = {**pattern.encoding, "source": source_name(self.scans[0].source.url)}
        names = set(pattern.coords)
        return xr.Dataset._construct_direct(variables, names, attrs=pattern.attrs, indexes=indexes, encoding=encoding)

    def _pattern(self, numbers: Sequence[int]) -> xr.Dataset:
        trees = [tree_of_scan(self.scans[number], self.readers) for number in numbers]
        return join_datasets([opened_dataset(tree, self.opening) for tree in trees], self.joining)

    def _along(
        self,
        name: str,
        variable: xr.Variable,
        raw: dict[str, xr.Variable],
        order: Sequence[int],
        columns: SeriesColumns | None,
    ) -> xr.Variable | None:
        """A variable of the pattern for all files."""
        array = self.files[0][name]
        data: Any = variable._data
        if self.dim not in array.dims:
            # in no file along the dimension, and not spread over it
            same = isinstance(data, VirtualZarrArray) and self.joining.compat == "override"
            same = same or (not isinstance(data, VirtualZarrArray) and _repeated(self.scans, array.path))
            return variable if same and variable.dims == array.dims else None
        if variable.dims != array.dims:
            return None
        if isinstance(data, VirtualZarrArray):
            data = self._segments(name, data, order, columns)
        else:
            values = self._labels(name, raw, order)
            if values is None or values.dtype != variable.dtype:
                return None
            data = values
        return None if data is None else xr.Variable(variable.dims, data, variable.attrs, variable.encoding, fastpath=True)

    def _segments(
        self, name: str, pattern: VirtualZarrArray, order: Sequence[int], columns: SeriesColumns | None
    ) -> VirtualZarrArray | None:
        axis = self.files[0][name].dims.index(self.dim)
        if pattern.mixed or pattern.decoded or pattern.dtype != self.files[0][name].dtype:
            return None
        joined = None if columns is None else columns.join(self.files[0][name], axis)
        if joined is not None:
            return pattern.replace(shape=joined.shape, segments=(joined,))
        segments: list[Segment] = []
        at = 0
        path = self.files[0][name].path
        for number in order:
            (segment,) = self.scans[number].arrays[path].segments
            segments.append(segment.shifted(axis, at) if at else segment)
            at += self.extents[number]
        shape = (*pattern.shape[:axis], at, *pattern.shape[axis + 1 :])
        return pattern.replace(shape=shape, segments=tuple(segments))

    def _columns(self, order: Sequence[int]) -> SeriesColumns | None:
        """Where the chunks of all files lie, in order; None if files differ in their schema."""
        arrays = [self.scans[number].arrays for number in order]
        return SeriesColumns.of([one for one in arrays if isinstance(one, SeriesArrays)], len(arrays))

    def _labels(self, name: str, raw: dict[str, xr.Variable], order: Sequence[int]) -> AnyArray | None:
        """Decoded values of a label in all files, one after the other."""
        path, model = self.files[0][name].path, raw[name]
        parts = [self.scans[number].labels.get(path) for number in order]
        if model.dtype.kind not in "iuf" or any(part is None for part in parts):
            return None
        values: AnyArray = np.concatenate(parts, axis=model.dims.index(self.dim))  # type: ignore[arg-type]
        whole = xr.Variable(model.dims, values, model.attrs, model.encoding, fastpath=True)
        found = decoded_labels(name, whole, decode_times=self.opening.decode_times)
        decoded: AnyArray = np.asarray(found._data)
        return decoded if decoded.dtype.kind in "iufmM" and found.dims == model.dims else None


def _ascending(labels: AnyArray, extents: Sequence[int]) -> list[int] | None:
    """The order of files by their first labels; None if it is not plain that they follow each other."""
    if labels.ndim != 1 or min(extents) < 1:
        return None
    ends = np.cumsum(extents)
    order: list[int] = np.argsort(labels[ends - np.asarray(extents)], kind="stable").tolist()
    return order


def _index(name: str, variable: xr.Variable, pattern: xr.Index) -> xr.indexes.PandasIndex | None:
    if type(pattern) is not xr.indexes.PandasIndex or variable.dims != (name,):
        return None
    return xr.indexes.PandasIndex(pd.Index(np.asarray(variable._data), name=name), name, pattern.coord_dtype)


def _is_rising(index: xr.indexes.PandasIndex) -> bool:
    """Whether labels follow each other without a repetition: the long way says which do not."""
    return bool(index.index.is_unique and index.index.is_monotonic_increasing)
