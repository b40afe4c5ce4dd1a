"""HTML of many arrays: a line for each, and pictures of the largest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_map import chunk_map
from intake_virtualzarr.arrays.repr_html import chunk_text, columns_html, reference_text, size_text

__all__ = ["ShownVariable", "arrays_html"]

PICTURES = 3
"""Arrays that are drawn, the largest first."""
LINES = 60
"""Arrays that are listed."""


class ShownVariable(NamedTuple):
    """A line of the table."""

    name: str
    dims: Sequence[object]
    data: object
    """A virtual array, or anything with shape, dtype and nbytes."""
    note: str = ""
    """How it is shown, or what is special."""


def arrays_html(caption: str, variables: Iterable[ShownVariable]) -> str:
    """Make a table of arrays and pictures of the largest virtual ones. Reads nothing.

    Parameters
    ----------
    caption : str
    variables : iterable of ShownVariable

    Returns
    -------
    str
        At most `LINES` lines and `PICTURES` pictures, well below 100 kB.
    """
    listed = list(variables)
    rows = [_row(variable) for variable in listed[:LINES]]
    if len(listed) > LINES:
        rows.append((f"… and {len(listed) - LINES} more", "", "", "", ""))
    table = columns_html(caption, ("variable", "dimensions", "data type", "chunks", "references"), rows)
    virtual = [(one.name, one.data) for one in listed if isinstance(one.data, VirtualZarrArray) and one.data.ndim]
    largest = sorted(virtual, key=lambda pair: -pair[1].nbytes)[:PICTURES]
    pictures = "".join(
        f"<figure style='display:inline-block;margin:.6em 1em 0 0'><figcaption>{escape(name)}</figcaption>"
        f"{chunk_map(data.shape, data.chunks, data.segments)}</figure>"
        for name, data in largest
    )
    return table + pictures


def _row(variable: ShownVariable) -> tuple[str, ...]:
    name, dims, data, note = variable
    shape: Sequence[int] = getattr(data, "shape", ())
    sizes = ", ".join(f"{dim}: {n}" for dim, n in zip(dims, shape, strict=False)) or "scalar"
    dtype, nbytes = getattr(data, "dtype", ""), int(getattr(data, "nbytes", 0))
    more = f"; {note}" if note else ""
    if isinstance(data, VirtualZarrArray):
        return name, sizes, f"{dtype}, {size_text(nbytes)}", chunk_text(data.chunks), reference_text(data) + more
    return name, sizes, f"{dtype}, {size_text(nbytes)}", "", "in memory" + more
