"""What the files of a series repeat is kept once: attributes, labels, names. A hundred thousand scans then fit into memory."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from intake_virtualzarr._typing import AnyArray, Attrs
from intake_virtualzarr.formats.base import ScannedFile

__all__ = ["SharedValues"]

MOST = 4096
"""Values of each kind that are remembered: what differs from file to file is not worth it."""


class SharedValues:
    """Values that were seen in earlier scans. Safe to use from several threads."""

    def __init__(self) -> None:
        self._names: dict[Hashable, Any] = {}
        self._kept: dict[Hashable, Attrs] = {}
        self._labels: dict[Hashable, AnyArray] = {}

    def scan(self, found: ScannedFile) -> ScannedFile:
        """The scan, which nobody else has yet, with values of earlier ones in place of equal ones."""
        for group in found.groups.values():
            object.__setattr__(group, "attrs", self._attrs(group.attrs))
        for array in found.arrays.values():
            object.__setattr__(array, "attrs", self._attrs(array.attrs))
            object.__setattr__(array, "path", self._once(array.path))
            object.__setattr__(array, "dims", self._once(array.dims))
        labels = {self._once(path): self._label(values) for path, values in found.labels.items()}
        object.__setattr__(found, "labels", labels)
        return found

    def _once[T: Hashable](self, value: T) -> T:
        found: T = _first(self._names, value, value)
        return found

    def _attrs(self, attrs: Attrs) -> Attrs:
        try:
            key = tuple((name, _key(value)) for name, value in attrs.items())
            hash(key)
        except TypeError:  # a value of a kind that has no hash
            return attrs
        return _first(self._kept, key, attrs)

    def _label(self, values: AnyArray) -> AnyArray:
        if values.dtype.kind == "O":
            return values
        return _first(self._labels, _key(values), values)


def _first[T](known: dict[Hashable, T], key: Hashable, value: T) -> T:
    """What was kept under a key first."""
    return known.setdefault(key, value) if len(known) < MOST else known.get(key, value)


def _key(value: Any) -> Hashable:
    """What tells a value from others, its type and the bits of numbers included: NaN is NaN, 0.0 is not -0.0."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.str, value.shape, tuple(map(str, value.flat)) if value.dtype.kind == "O" else value.tobytes()
    return type(value), value
