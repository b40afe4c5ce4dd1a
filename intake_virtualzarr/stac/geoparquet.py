"""Lists of STAC items as stac-geoparquet, by rustac."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Hashable, Iterable, Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import StacError
from intake_virtualzarr.storage.event_loop import run

__all__ = ["can_write", "from_geoparquet", "to_geoparquet"]

type Items = list[JsonObject]


class _UnevenError(Exception):
    """Items differ in their fields."""


def can_write() -> bool:
    """Whether rustac is installed."""
    return find_spec("rustac") is not None


def to_geoparquet(batches: Callable[[], Iterable[Items]]) -> bytes:
    """Encode items.

    Parameters
    ----------
    batches : callable
        Gives the items, some at a time; items of the same fields are held no longer than that. It may be called twice.

    Notes
    -----
    rustac takes the columns from the first batch, and drops what later ones have beside them without a word, so items that
    differ in their fields are written in one go.
    """
    import rustac

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "items.parquet"
        try:
            run(_write(str(path), iter(batches())))
        except _UnevenError:
            rustac.write_sync(str(path), list(chain.from_iterable(batches())))
        return path.read_bytes()


async def _write(path: str, batches: Iterator[Items]) -> None:
    from rustac import GeoparquetWriter

    first = next(batches)
    fields = _fields(first[0])
    _check(first, fields)
    writer = await GeoparquetWriter.open(first, path)
    for batch in batches:
        _check(batch, fields)
        await writer.write(batch)
    await writer.finish()


def _check(items: Items, fields: Hashable) -> None:
    if any(_fields(one) != fields for one in items):
        raise _UnevenError


def _fields(value: Any) -> Hashable:
    """Names and types of all that a document holds; its place does not matter: that has one column whatever it is."""
    if isinstance(value, dict):
        return tuple((name, _fields(value[name])) for name in sorted(value) if name != "geometry")
    if isinstance(value, list | tuple):
        return frozenset(_fields(one) for one in value)
    return type(value).__qualname__


def from_geoparquet(content: bytes, name: str) -> Items:
    """Decode items.

    Parameters
    ----------
    content : bytes
    name : str
        Path or URL, for messages.

    Raises
    ------
    StacError
        If it is not stac-geoparquet, or rustac is not installed.
    """
    if not can_write():
        raise StacError(f"{name}: is stac-geoparquet, which rustac reads; install 'intake-virtualzarr[rustac]'")
    import rustac

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "items.parquet"
        path.write_bytes(content)
        try:
            return list(rustac.read_sync(str(path))["features"])
        except rustac.RustacError as exc:
            raise StacError(f"{name}: cannot be read as stac-geoparquet: {exc}") from exc
