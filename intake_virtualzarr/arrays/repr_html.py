"""HTML for notebooks. All text comes from files of others, so all of it is escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from math import prod
from typing import Protocol

import numpy as np

from intake_virtualzarr._typing import Attrs, DType, Shape
from intake_virtualzarr.arrays.chunk_map import chunk_map
from intake_virtualzarr.arrays.segments import Segments, source_of

__all__ = [
    "array_html",
    "chunk_text",
    "columns_html",
    "is_deferred",
    "plain_value",
    "reference_text",
    "size_text",
    "stored_bytes",
    "table_html",
]

SHOWN = 5
"""Sources, and segments looked into for them, that are listed."""

SECRETS = ("storage_options", "token", "password", "secret", "headers")
"""Rows whose values are not shown."""

STYLE = (
    "<style>.ivz th,.ivz td{text-align:left;vertical-align:top;padding:.1em .8em .1em 0}"
    ".ivz th{font-weight:600}.ivz caption{text-align:left;font-weight:600;padding-bottom:.3em}</style>"
)


class ShownArray(Protocol):
    """What is shown of a virtual array."""

    @property
    def shape(self) -> Shape: ...
    @property
    def dtype(self) -> DType: ...
    @property
    def fill_value(self) -> object: ...
    @property
    def segments(self) -> Segments: ...
    @property
    def decoded(self) -> bool: ...
    @property
    def mixed(self) -> bool: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]: ...
    @property
    def n_references(self) -> int: ...


def array_html(array: ShownArray) -> str:
    """Describe an array: shape, data type, chunks, segments, sources. Nothing is read.

    Parameters
    ----------
    array : ShownArray

    Returns
    -------
    str
        A table.
    """
    rows = {
        "Shape": " × ".join(map(str, array.shape)) or "()",
        "Data type": f"{array.dtype}, {size_text(array.nbytes)} when loaded",
        "Fill value": plain_value(array.fill_value),
        "Chunk shape": chunk_text(array.chunks),
        "Segments": _segment_text(array),
        "References": reference_text(array),
        "Sources": _sources(array),
    }
    return table_html("VirtualZarrArray", rows, chunk_map(array.shape, array.chunks, array.segments))


def table_html(caption: str, rows: Attrs, picture: str = "") -> str:
    """Make a table of two columns, a picture below; rows that may hold secrets show that they are set, and no more."""
    body = "".join(
        f"<tr><th>{escape(str(name))}</th><td>{_cell('…' if name.lower().endswith(SECRETS) and value else value)}</td></tr>"
        for name, value in rows.items()
    )
    return f"{STYLE}<table class='ivz'><caption>{escape(caption)}</caption><tbody>{body}</tbody></table>{picture}"


def columns_html(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Make a table with a header."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in rows)
    return (
        f"{STYLE}<table class='ivz'><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def plain_value(value: object) -> str:
    """Write a value as people do: NumPy's numbers without their type."""
    return repr(value.item() if isinstance(value, np.generic) and value.dtype.kind != "V" else value)


def stored_bytes(array: ShownArray) -> int | None:
    """Size of the stored chunks [bytes]; None where references would have to be read to tell, or where chunks are left out."""
    if is_deferred(array):
        return None
    manifests = {id(segment.stored.manifest): segment.stored.manifest.load() for segment in array.segments}
    if sum(manifest.count for manifest in manifests.values()) != array.n_references:
        return None
    return sum(int(manifest.length.sum(dtype=np.int64)) for manifest in manifests.values())


def reference_text(array: ShownArray) -> str:
    """Number of references, of missing chunks, and what the chunks take; of the grid alone where references are not read yet."""
    if is_deferred(array):
        chunks = prod(len(edges) for edges in array.chunks)
        return f"of {chunks} chunk{'' if chunks == 1 else 's'}, read when they are needed"
    stored = stored_bytes(array)
    if stored is None:
        return str(array.n_references)
    ratio = f", {array.nbytes / stored:.1f} times smaller than loaded" if 0 < stored < array.nbytes else ""
    return f"{array.n_references} ({size_text(stored)} stored{ratio})"


def size_text(nbytes: float) -> str:
    """Write a number of bytes for people.

    Examples
    --------
    >>> size_text(1), size_text(90_000), size_text(2_720_000)
    ('1 B', '90 kB', '2.7 MB')
    """
    if nbytes < 1000:
        return f"{nbytes:.0f} B"
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        nbytes /= 1000
        if nbytes < 999.5 or unit == "PB":
            break
    return f"{nbytes:.1f} {unit}" if nbytes < 9.95 else f"{nbytes:.0f} {unit}"


def _cell(value: object) -> str:
    if isinstance(value, list | tuple):
        return "<br>".join(escape(str(one)) for one in value)
    return escape(str(value))


def chunk_text(chunks: Iterable[tuple[int, ...]]) -> str:
    """Write chunk shapes: one edge an axis, or the range of edges."""
    return " × ".join(_edges_text(edges) for edges in chunks) or "()"


def _edges_text(edges: tuple[int, ...]) -> str:
    counted = Counter(edges)
    if len(counted) == 1 or (len(counted) == 2 and len(set(edges[:-1])) == 1):
        return str(edges[0])
    return f"{min(edges)} to {max(edges)}"


def _segment_text(array: ShownArray) -> str:
    kind = " (decoded, each by its own packing)" if array.decoded else " (their packing differs)" if array.mixed else ""
    return f"{_segment_count(array)}{kind}"


def _segment_count(array: ShownArray) -> int:
    # members of a concatenation on disk are opened when they are touched, len() included
    source = source_of(array.segments)
    return len(array.segments) if source is None else len(source.edges) - 1


def is_deferred(array: ShownArray) -> bool:
    """Whether counting would read references, or ask files, that nothing has asked for yet."""
    return source_of(array.segments) is not None or any(segment.stored.manifest.deferred for segment in array.segments)


def _sources(array: ShownArray) -> tuple[str, ...]:
    """URLs of the first sources, from few segments, so that arrays of many files are shown as fast as others."""
    if is_deferred(array):
        return ("opened when they are needed",)
    urls: dict[str, None] = {}
    more = len(array.segments) > SHOWN
    for segment in array.segments[:SHOWN]:
        sources = segment.stored.sources
        urls.update((sources[row].url, None) for row in range(min(len(sources), SHOWN)))
        more |= len(sources) > SHOWN
    shown = tuple(urls)[:SHOWN]
    return (*shown, "…") if more or len(urls) > SHOWN else shown
