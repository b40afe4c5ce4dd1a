"""What the files of a series repeat is kept once: attributes, labels, names. A hundred thousand scans then fit into memory."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from intake_virtualzarr._typing import AnyArray, Attrs
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.series import Schema, SeriesArrays, exact_key

__all__ = ["SharedValues"]

MOST_SCHEMAS = 32
"""Schemas that files are compared with."""
MOST_CHUNKS = 65536
"""Of files with more chunks nothing else counts."""
MOST = 4096
"""Values of each kind that are remembered: what differs from file to file is not worth it."""


class SharedValues:
    """Values that were seen in earlier scans. Safe to use from several threads."""

    def __init__(self) -> None:
        self._groups: object = None
        """Those of the last file, which others may share."""
        self._lately: dict[str, AnyArray] = {}
        """Labels of the last file, by path."""
        self._schemas: list[Schema] = []
        self._canonical: dict[int, tuple[Schema, Schema]] = {}
        self._names: dict[Hashable, Any] = {}
        self._kept: dict[Hashable, Attrs] = {}
        self._labels: dict[Hashable, AnyArray] = {}

    def scan(self, found: ScannedFile) -> ScannedFile:
        """The scan, which nobody else has yet, with values of earlier ones in place of equal ones."""
        found = self._in_columns(found)
        if found.groups is not self._groups:
            for group in found.groups.values():
                object.__setattr__(group, "attrs", self._attrs(group.attrs))
            self._groups = found.groups
        if not isinstance(found.arrays, SeriesArrays):
            for array in found.arrays.values():
                object.__setattr__(array, "attrs", self._attrs(array.attrs))
                object.__setattr__(array, "path", self._once(array.path))
                object.__setattr__(array, "dims", self._once(array.dims))
        labels = {self._once(path): self._label(path, values) for path, values in found.labels.items()}
        object.__setattr__(found, "labels", labels)
        return found

    def _in_columns(self, found: ScannedFile) -> ScannedFile:
        """The scan by its schema, where an earlier file has the same."""
        arrays = found.arrays
        if isinstance(arrays, SeriesArrays):
            schema = self._schema(arrays.schema)
            if schema is not arrays.schema:
                object.__setattr__(found, "arrays", arrays.with_schema(schema))
            return found
        own = Schema.of(found)
        if own is not None and own.chunks <= MOST_CHUNKS:
            schema = self._schema(own)
            if schema is not own or len(self._schemas) < MOST_SCHEMAS:
                object.__setattr__(found, "arrays", SeriesArrays(schema, found.source, *schema.columns(arrays)))
        return found

    def _schema(self, schema: Schema) -> Schema:
        """The schema that was seen first of those that are the same."""
        same = self._canonical.get(id(schema))
        if same is not None:
            return same[1]
        first = next((known for known in self._schemas if known.same_as(schema)), schema)
        if first is schema and len(self._schemas) < MOST_SCHEMAS:
            self._schemas.append(schema)
        if len(self._canonical) < MOST:
            self._canonical[id(schema)] = schema, first  # kept, too, so that its id stays its own
        return first

    def _once[T: Hashable](self, value: T) -> T:
        found: T = _first(self._names, value, value)
        return found

    def _attrs(self, attrs: Attrs) -> Attrs:
        try:
            key = tuple((name, exact_key(value)) for name, value in attrs.items())
            hash(key)
        except TypeError:  # a value of a kind that has no hash
            return attrs
        return _first(self._kept, key, attrs)

    def _label(self, path: str, values: AnyArray) -> AnyArray:
        if values.dtype.kind == "O" or self._lately.get(path) is values:
            return values
        known = self._lately[path] = _first(self._labels, exact_key(values), values)
        return known


def _first[T](known: dict[Hashable, T], key: Hashable, value: T) -> T:
    """What was kept under a key first."""
    return known.setdefault(key, value) if len(known) < MOST else known.get(key, value)
