"""Files beside one of which they differ a little: parsed by comparison with it they are what they are when parsed alone."""

from __future__ import annotations

from typing import Any

from hdf5_mutations import parse_bytes

from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.hdf5 import TWINS
from intake_virtualzarr.formats.series import SeriesArrays, exact_key


def described(scan: ScannedFile) -> Any:
    """All that a scan says, to be compared."""
    groups = [(g.path, _attrs(g.attrs), dict(g.dims), g.unlimited) for g in scan.groups.values()]
    return scan.source, scan.format, groups, [_array(a) for a in scan.arrays.values()], dict(scan.left_out)


def _attrs(attrs: Any) -> Any:
    return [(name, repr(exact_key(value))) for name, value in attrs.items()]


def _array(array: Any) -> Any:
    segments = []
    for one in array.segments:
        stored, manifest = one.stored, one.stored.manifest.load()
        edges = ((axis.visible_edges, axis.stored_edges) for axis in stored.grid.axes)
        grid = [(axis.extent, axis.edge) for axis in stored.grid.axes], [repr(one) for one in edges]
        columns = [manifest.source, manifest.offset, manifest.length, *([] if manifest.codec is None else [manifest.codec])]
        chunks = [(column.dtype.str, column.shape, column.tolist()) for column in columns]
        kept = (stored.dtype, repr(exact_key(stored.fill_value)), grid, stored.codecs, stored.alternatives, list(stored.sources))
        segments.append((one.windows, one.axes, one.offset, one.shape, one.packing, kept, chunks))
    fill = repr(exact_key(array.fill_value))
    return array.path, array.dims, array.dtype, array.shape, fill, _attrs(array.attrs), segments


def outcome(data: bytes) -> tuple[Any, bool]:
    """What a scan says or why there is none; and whether it was made by comparison with another file."""
    try:
        scan = parse_bytes(data)
    except VirtualZarrError as exc:
        return (type(exc).__name__, str(exc)), False
    return described(scan), isinstance(scan.arrays, SeriesArrays)


def compare(whole: bytes, data: bytes) -> bool:
    """Raise unless a file is the same alone and after another one; returns whether the other one was of use."""
    TWINS.forget()
    alone, compared = outcome(data)
    assert not compared
    TWINS.forget()
    outcome(whole)
    beside, compared = outcome(data)
    assert beside == alone
    return compared
