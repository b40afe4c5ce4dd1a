"""Flat tables of Parquet, as kerchunk writes them: integers and texts, plain or by dictionary.

Our own reader, as the files come from anybody: fastparquet ends the process on damaged ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.parquet_pages import decompressed, hybrid, plain
from intake_virtualzarr.formats.parquet_thrift import Struct, read_struct

__all__ = ["read_table"]

MAGIC = b"PAR1"
PLAIN, BY_DICTIONARY = (0,), (2, 8)
DATA, DICTIONARY, DATA_2 = 0, 2, 3


def read_table(raw: bytes, most_rows: int) -> dict[str, AnyArray]:
    """The columns of a file; absent texts are None.

    Parameters
    ----------
    raw : bytes
        The file.
    most_rows : int
        A file with more rows is refused before they are read.

    Raises
    ------
    UnsupportedError
        If the file is of a form that this reader does not know.
    FormatError
        If it is no Parquet file, or damaged.

    References
    ----------
    Apache Parquet, "File format" and ``parquet.thrift``.
    """
    view = memoryview(raw)
    if len(raw) < 12 or raw[:4] != MAGIC or raw[-4:] != MAGIC:
        raise FormatError("does not begin and end as a Parquet file does")
    start = len(raw) - 8 - int.from_bytes(raw[-8:-4], "little")
    if start < 4:
        raise FormatError("its metadata are longer than the file")
    footer, _ = read_struct(view[start:-8], 0)
    rows = _number(footer, 3)
    if not 0 <= rows <= most_rows:
        raise FormatError(f"has {rows} rows, expected at most {most_rows}")
    leaves = _leaves(footer)
    parts: dict[str, list[AnyArray]] = {one.name: [] for one in leaves}
    for group in _structs(footer, 4):
        chunks = _structs(group, 1)
        if len(chunks) != len(leaves):
            raise FormatError(f"a group of rows has {len(chunks)} columns, expected {len(leaves)}")
        for leaf, chunk in zip(leaves, chunks, strict=True):
            parts[leaf.name].append(_column(view, leaf, _struct(chunk, 3), rows))
    found = {name: np.concatenate(ones) if ones else np.empty(0, object) for name, ones in parts.items()}
    if any(len(one) != rows for one in found.values()):
        raise FormatError(f"its columns have {sorted({len(one) for one in found.values()})} rows, expected {rows}")
    return found


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A column."""

    name: str
    kind: int
    is_optional: bool


def _leaves(footer: Struct) -> list[_Leaf]:
    root, *rest = _structs(footer, 2) or [{}]
    if _number(root, 5, 0) != len(rest) or any(_number(one, 5, 0) or _number(one, 3, 0) == 2 for one in rest):
        raise UnsupportedError("columns are nested")
    leaves = []
    for one in rest:
        name = one.get(4)
        if not isinstance(name, bytes):
            raise FormatError("a column has no name")
        leaves.append(_Leaf(name.decode("utf-8", "replace"), _number(one, 1), _number(one, 3, 0) == 1))
    return leaves


def _column(view: memoryview, leaf: _Leaf, about: Struct, most: int) -> AnyArray:
    """All pages of a column in one group of rows."""
    codec, count = _number(about, 4), _number(about, 5)
    if not 0 <= count <= most:
        raise FormatError(f"column {leaf.name!r} has {count} values, expected at most {most}")
    at = min(place for place in (_number(about, 9), _number(about, 11, 0)) if place > 0) if _number(about, 9) > 0 else 0
    dictionary: AnyArray | None = None
    parts: list[AnyArray] = []
    done = 0
    while done < count:
        if not 0 < at < len(view):
            raise FormatError(f"a page of column {leaf.name!r} lies outside of the file")
        head, at = read_struct(view, at)
        packed, size = _number(head, 3), _number(head, 2)
        if packed < 0 or size < 0 or packed > len(view) - at:
            raise FormatError(f"a page of column {leaf.name!r} is longer than the file")
        page = _Page(view[at : at + packed], size, codec, head)
        at += packed
        kind = _number(head, 1)
        if kind == DICTIONARY:
            number = _number(_struct(head, 7), 1)
            if not 0 <= number <= most:
                raise FormatError(f"the dictionary of column {leaf.name!r} has {number} values, expected at most {most}")
            dictionary = plain(decompressed(page.raw, codec, size), leaf.kind, number)
        elif kind in (DATA, DATA_2):
            values = page.values(leaf, dictionary, count - done) if kind == DATA else page.values_2(leaf, dictionary, count - done)
            parts.append(values)
            done += len(values)
    return np.concatenate(parts) if parts else np.empty(0, object)


@dataclass(frozen=True, slots=True)
class _Page:
    """A page of data as it is stored."""

    raw: memoryview
    size: int
    codec: int
    head: Struct

    def values(self, leaf: _Leaf, dictionary: AnyArray | None, left: int) -> AnyArray:
        """Of version 1: levels and values are compressed together."""
        about = _struct(self.head, 5)
        count = _counted(_number(about, 1), left)
        content = decompressed(self.raw, self.codec, self.size)
        if not leaf.is_optional:
            return _decoded(content, _number(about, 2), leaf, dictionary, count)
        length = int.from_bytes(content[:4], "little")
        if length > len(content) - 4:
            raise FormatError("levels are longer than their page")
        defined = hybrid(content[4 : 4 + length], 1, count) == 1
        return _spread(content[4 + length :], _number(about, 2), leaf, dictionary, defined)

    def values_2(self, leaf: _Leaf, dictionary: AnyArray | None, left: int) -> AnyArray:
        """Of version 2: levels stand before the values, and are not compressed."""
        about = _struct(self.head, 8)
        count = _counted(_number(about, 1), left)
        levels, repeated = _number(about, 5), _number(about, 6)
        if repeated or not 0 <= levels <= min(len(self.raw), self.size):
            raise FormatError("levels are longer than their page")
        rest = self.raw[levels:]
        if about.get(7, True):
            rest = decompressed(rest, self.codec, self.size - levels)
        if not leaf.is_optional:
            return _decoded(rest, _number(about, 4), leaf, dictionary, count)
        defined = hybrid(self.raw[:levels], 1, count) == 1
        return _spread(rest, _number(about, 4), leaf, dictionary, defined)


def _counted(count: int, left: int) -> int:
    if not 0 < count <= left:
        raise FormatError(f"a page has {count} values, expected 1 to {left}")
    return count


def _spread(raw: memoryview, encoding: int, leaf: _Leaf, dictionary: AnyArray | None, defined: Any) -> AnyArray:
    """Values where there are any, None elsewhere."""
    values = _decoded(raw, encoding, leaf, dictionary, int(defined.sum()))
    if len(values) == len(defined):
        return values
    out = np.full(len(defined), None, object)
    out[defined] = values
    return out


def _decoded(raw: memoryview, encoding: int, leaf: _Leaf, dictionary: AnyArray | None, count: int) -> AnyArray:
    if encoding in PLAIN:
        return plain(raw, leaf.kind, count)
    if encoding not in BY_DICTIONARY:
        raise UnsupportedError(f"column {leaf.name!r} has encoding {encoding}")
    if not count:
        return np.empty(0, object)
    if dictionary is None or not len(raw):
        raise FormatError(f"column {leaf.name!r} has no dictionary")
    index = hybrid(raw[1:], raw[0], count)
    if index.size and int(index.max()) >= len(dictionary):
        raise FormatError(f"column {leaf.name!r} names value {int(index.max())} of a dictionary of {len(dictionary)}")
    return dictionary[index]


def _number(found: Struct, field: int, default: int | None = None) -> int:
    value = found.get(field, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise FormatError(f"its metadata lack a number (field {field})")
    return value


def _struct(found: Struct, field: int) -> Struct:
    value = found.get(field)
    if not isinstance(value, dict):
        raise FormatError(f"its metadata lack a structure (field {field})")
    return value


def _structs(found: Struct, field: int) -> list[Struct]:
    values = found.get(field)
    if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
        raise FormatError(f"its metadata lack a list (field {field})")
    return [one for one in values if isinstance(one, dict)]
