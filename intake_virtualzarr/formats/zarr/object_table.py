"""The objects of one array of a Zarr store, chunks or shards: how each looks, found out when it matters and once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.errors import ManifestError
from intake_virtualzarr.hierarchy.array_metadata import ChunkKeys
from intake_virtualzarr.storage.key_value import Keys, StoreKeys
from intake_virtualzarr.storage.object_states import asked_states, can_list, listed_states
from intake_virtualzarr.storage.source import Source, SourceRows
from intake_virtualzarr.storage.urls import url_below

__all__ = ["ABSENT", "ObjectTable"]

ABSENT = Source("inline:absent", size=0, content=b"")
"""Stands in the source table where an object is not there."""
FEW = 8
"""Up to this many objects are asked for by name: one round of requests, where a listing may take several."""
LISTED_AT_ONCE = 1000
"""Objects that one request for a listing tells of."""


class ObjectTable(SourceRows):
    """The source table of an array: row = number of the object in C order of the grid of objects.

    Zarr's rule is that an object that is not there is fill. So whether it is there is found out before a manifest lists it, and
    what was found is kept: an object that is lost, or written, later is noticed by whoever reads by the manifest.

    Parameters
    ----------
    keys : Keys
        The store.
    path : str
        Path of the array, without a slash at the end; empty for the root.
    names : ChunkKeys
        How keys below the array name its objects.
    grid_shape : tuple of int
        Shape of the grid of objects.
    """

    def __init__(self, keys: Keys, path: str, names: ChunkKeys, grid_shape: Shape) -> None:
        self.keys = keys
        self.path = path
        self.names = names
        self.grid_shape = grid_shape
        self._known: dict[int, Source | None] = {}
        self._complete = False
        self._listable = can_list(keys)
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[ObjectTable], tuple[Keys, str, ChunkKeys, Shape]]:
        return ObjectTable, (self.keys, self.path, self.names, self.grid_shape)

    def __len__(self) -> int:
        return prod(self.grid_shape)

    def __iter__(self) -> Iterator[Source]:
        self.look(range(len(self)))
        return super().__iter__()

    def row(self, number: int) -> Source:
        """One object, with its state where that is known."""
        if not 0 <= number < len(self):
            raise ManifestError(f"manifest names source {number}, the table has {len(self)} rows")
        if number in self._known or self._complete:
            return self._with_content(number, self._known.get(number) or ABSENT)
        return Source(url_below(self.keys.url, self.key(number)))  # what is only named is not asked for

    def _with_content(self, number: int, source: Source) -> Source:
        """The source with its bytes, where it lies in memory or in a store that no URL can name."""
        if source is ABSENT or not isinstance(self.keys, StoreKeys) or self.keys.is_named:
            return source
        content = self.keys.get(self.key(number))
        return ABSENT if content is None else replace(source, content=content)

    def key(self, number: int) -> str:
        """The key of an object."""
        coords = [int(c) for c in np.unravel_index(number, self.grid_shape)] if self.grid_shape else []
        name = self.names.prefix + self.names.separator.join(map(str, coords)) if coords else self.names.scalar
        return f"{self.path}/{name}" if self.path else name

    def state(self, number: int) -> Source | None:
        """An object that was looked at; None if it is not there."""
        return self._known.get(number)

    def look(self, numbers: Sequence[int]) -> None:
        """Find out about objects: by the listing of the array, or by name where that takes fewer requests."""
        with self._lock:
            if self._complete:
                return
            unknown = [number for number in numbers if number not in self._known]
            if len(unknown) > FEW and self._listable and len(self) <= len(unknown) * LISTED_AT_ONCE:
                self._list()
            if not self._complete and unknown:
                found = asked_states(self.keys, [self.key(number) for number in unknown])
                self._known.update(zip(unknown, found, strict=True))
            self._complete |= len(self._known) == len(self)

    def _list(self) -> None:
        found = listed_states(self.keys, self.path)
        if found is None:
            self._listable = False
            return
        skipped = len(self.path) + 1 if self.path else 0
        names = {key[skipped:]: source for key, source in found.items()}
        chunks = [name for name in names if self._is_chunk(name)]
        for number, name in zip(self._numbers(chunks).tolist(), chunks, strict=True):
            if number >= 0:
                self._known.setdefault(number, names[name])
        self._complete = True

    def _is_chunk(self, name: str) -> bool:
        """Whether a key below the array has the form of a chunk's; others are metadata, or nobody's."""
        parts = name.removeprefix(self.names.prefix).split(self.names.separator)
        if not self.grid_shape:
            return name == self.names.scalar
        right = name.startswith(self.names.prefix) and len(parts) == len(self.grid_shape)
        return right and all(part.isdecimal() and part.isascii() and (part == "0" or part[0] != "0") for part in parts)

    def _numbers(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        """Numbers of chunks; -1 for one outside the grid, which Zarr never asks for."""
        coords = self.names.coords(names, len(self.grid_shape))
        if not self.grid_shape:
            return np.zeros(len(names), np.int64)
        inside = (coords < np.array(self.grid_shape, np.int64)).all(axis=1)
        numbers = np.full(len(names), -1, np.int64)
        if inside.any():
            numbers[inside] = np.ravel_multi_index(tuple(coords[inside].T), self.grid_shape)
        return numbers

    def rows(self, box: Sequence[Any]) -> npt.NDArray[np.int64]:
        """Numbers of the objects of a box of the grid, in its shape."""
        if not self.grid_shape:
            return np.zeros((), np.int64)
        return np.asarray(np.ravel_multi_index(np.ix_(*box), self.grid_shape), np.int64)
