"""An independent reading of what a scan describes, and h5py's reading of the same file.

`read_array` knows nothing of stores: it loops over segments and chunks with plain file reads.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import h5py
import numpy as np

with contextlib.suppress(ImportError):  # before netCDF4: its library brings a blosc of its own that breaks the plug-in's
    import hdf5plugin  # noqa: F401

from intake_virtualzarr.arrays.segments import StoredArray
from intake_virtualzarr.codecs.pipeline import compile_pipeline
from intake_virtualzarr.errors import SourceError, UnsupportedError, VirtualZarrError
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile
from intake_virtualzarr.formats.hdf5 import FORMAT
from intake_virtualzarr.storage.source import Source


def source_of(path: str | os.PathLike[str]) -> Source:
    return Source(Path(path).absolute().as_uri(), size=os.stat(path).st_size)


def drive(path: str | os.PathLike[str], *, rounds: list[int] | None = None) -> ScannedFile:
    """Run the parser alone on a local file; what it declines raises UnsupportedError."""
    size = os.stat(path).st_size
    parse = FORMAT.parse(source_of(path))
    with open(path, "rb") as file:

        def read(start: int, length: int) -> bytes:
            if not 0 <= start < size:
                return b""
            file.seek(start)
            return file.read(min(length, size - start))

        try:
            wanted = next(parse)
            while True:
                if rounds is not None:
                    rounds.append(sum(length for _, length in wanted))
                wanted = parse.send([read(*r) for r in wanted])
        except StopIteration as stop:
            return stop.value


def scan_path(path: str | os.PathLike[str]) -> tuple[ScannedFile, str]:
    """Scan as the package does: parser first, then the fallback. Says which of the two it was."""
    try:
        return drive(path), "parser"
    except UnsupportedError as exc:
        with open(path, "rb") as file:
            scan = FORMAT.fallback(source_of(path), file, str(exc))
        assert scan is not None
        return scan, "h5py"


def _read_range(source: Source, offset: int, length: int) -> bytes:
    if source.content is not None:
        data = source.content[offset : offset + length]
    else:
        parts = urlsplit(source.url)
        assert parts.scheme == "file", source.url
        try:
            with open(unquote(parts.path), "rb") as file:
                file.seek(offset)
                data = file.read(length)
        except FileNotFoundError as exc:
            raise SourceError(f"{source.url}: no such file") from exc
    if len(data) != length:
        raise SourceError(f"{source.url}: {len(data)} bytes at {offset}, expected {length}")
    return data


def read_stored(stored: StoredArray) -> np.ndarray[Any, Any]:
    out = np.empty(stored.shape, stored.dtype)
    out[...] = stored.fill_value
    manifest = stored.manifest.load()
    pipelines = (stored.codecs, *stored.alternatives)
    for coords in itertools.product(*(range(n) for n in stored.grid.grid_shape)):
        ref = manifest.get(coords)
        if ref is None:
            continue
        decode = compile_pipeline(pipelines[ref.codec], stored.dtype)
        values = decode(_read_range(stored.sources[ref.source], ref.offset, ref.length), stored.grid.stored_shape(coords))
        box = stored.grid.box(coords)
        out[box] = values[tuple(slice(0, s.stop - s.start) for s in box)]
    return out


def read_array(array: ScannedArray) -> np.ndarray[Any, Any]:
    """All values of a scanned variable."""
    out = np.empty(array.shape, array.dtype)
    out[...] = array.fill_value
    for segment in array.segments:
        values = read_stored(segment.stored)
        values = values[(*(_slice(w.indices) for w in segment.windows), ...)]
        order = [axis for axis in segment.axes if axis is not None]
        dropped = tuple(axis for axis in range(values.ndim) if axis not in order)
        rest = [axis - sum(d < axis for d in dropped) for axis in order]
        values = values.squeeze(dropped).transpose(rest)
        for axis, stored_axis in enumerate(segment.axes):
            if stored_axis is None:
                values = np.expand_dims(values, axis)
        box = tuple(slice(o, o + n) for o, n in zip(segment.offset, segment.shape, strict=True))
        out[box] = values
    return out


def _slice(indices: range) -> slice:
    stop = indices.stop if indices.stop >= 0 else None
    return slice(indices.start, stop, indices.step)


def h5py_values(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Values of every dataset by path, following links; an exception where h5py cannot read."""
    out: dict[str, Any] = {}
    with h5py.File(path, "r", locking=False) as file:
        names: list[bytes] = []
        try:
            file.id.links.iterate(names.append)
        except RuntimeError as exc:
            if not names:  # opened, but nothing in it can be reached
                raise OSError(str(exc)) from exc
        _walk(file, "/", out, (file.id,))
    return out


def _walk(group: h5py.Group, prefix: str, out: dict[str, Any], above: tuple[Any, ...]) -> None:
    for raw in _link_names(group):
        name = raw.decode("utf-8", "replace")
        try:
            node = group[raw]
        except (KeyError, OSError, RuntimeError, ValueError) as exc:
            out[prefix + name] = exc
            continue
        if isinstance(node, h5py.Group):
            if node.id not in above and node.file.filename == group.file.filename:
                _walk(node, prefix + name + "/", out, (*above, node.id))
        elif isinstance(node, h5py.Dataset):
            out[prefix + name] = _values(node)


def _link_names(group: h5py.Group) -> list[bytes]:
    names: list[bytes] = []
    with contextlib.suppress(RuntimeError):  # a damaged group
        group.id.links.iterate(names.append)
    return names


MAX_BYTES = 256 * 1024 * 1024
"""Larger datasets are compared by shape and data type only: the corpus has one of 16 GiB that holds fill values."""


@dataclass(frozen=True)
class TooLarge:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def _values(node: h5py.Dataset) -> Any:
    try:
        if node.shape is not None and node.size * node.dtype.itemsize > MAX_BYTES:
            return TooLarge(node.shape, node.dtype.newbyteorder("="))
        text = h5py.check_string_dtype(node.dtype.base)
        if node.shape is None:
            return h5py.Empty(node.dtype)
        if text is not None and text.length is None:
            return _texts(node)
        return np.asarray(node[...])
    except Exception as exc:
        return exc


def _texts(node: h5py.Dataset) -> Any:
    raw = np.asarray(node[...], dtype=object)
    flat = np.empty(raw.size, object)
    flat[:] = [_text(v) for v in raw.reshape(-1)]
    return flat.reshape(raw.shape)


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def same_values(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> str | None:
    """None if equal bit for bit (byte order and padding aside), else what differs."""
    if ours.shape != theirs.shape:
        return f"shape {ours.shape} instead of {theirs.shape}"
    if theirs.dtype.names is not None:
        if ours.dtype.names != theirs.dtype.names:
            return f"fields {ours.dtype.names} instead of {theirs.dtype.names}"
        for name in theirs.dtype.names:
            found = same_values(np.ascontiguousarray(ours[name]), np.ascontiguousarray(theirs[name]))
            if found is not None:
                return f"field {name}: {found}"
        return None
    if theirs.dtype.hasobject and ours.dtype.kind == "S":  # variable-length strings in compounds: bytes objects there
        return None if ours.tolist() == theirs.tolist() else "strings differ"
    native = theirs.dtype.newbyteorder("=")
    if ours.dtype != native:
        return f"dtype {ours.dtype} instead of {native}"
    if theirs.dtype.hasobject:
        return None if ours.tolist() == theirs.tolist() else "strings differ"
    a, b = np.ascontiguousarray(ours), np.ascontiguousarray(theirs.astype(native))
    if a.tobytes() == b.tobytes():
        return None
    differing = np.flatnonzero(
        (a.reshape(-1).view("u1").reshape(a.size, -1) != b.reshape(-1).view("u1").reshape(a.size, -1)).any(axis=1)
    )
    at = int(differing[0])
    return f"{differing.size} of {a.size} values differ, first at {at}: {a.reshape(-1)[at]!r} instead of {b.reshape(-1)[at]!r}"


def compare(path: str | os.PathLike[str]) -> list[tuple[str, str, str]]:
    """Compare every dataset of a file: (path, outcome, detail).

    Outcomes: ``identical``, ``refused`` (with its reason), ``both refuse``, ``ours only``, ``differs``, ``missing``,
    ``crashed``.
    """
    try:
        theirs: dict[str, Any] = h5py_values(path)
        opened = True
    except OSError as exc:
        theirs, opened = {"": exc}, False
    try:
        scan, producer = scan_path(path)
    except VirtualZarrError as exc:
        return [("", "both refuse" if not opened else "refused", f"{type(exc).__name__}: {exc}")]
    except Exception as exc:
        return [("", "crashed", f"{type(exc).__name__}: {exc}")]
    if not opened:
        return [("", "ours only", f"HDF5 cannot open it ({theirs['']}); {len(scan.arrays)} arrays here")]
    return [_compare_one(name, expected, scan, producer) for name, expected in theirs.items() if not _is_shadow(name, theirs)]


def _is_shadow(name: str, theirs: dict[str, Any]) -> bool:
    """Whether a dataset is only the dimension of a name that a variable with other dimensions has."""
    parent, _, last = name.rpartition("/")
    return f"{parent}/_nc4_non_coord_{last}" in theirs


def _compare_one(name: str, expected: Any, scan: ScannedFile, producer: str) -> tuple[str, str, str]:
    from intake_virtualzarr.formats.hdf5.netcdf4_dimensions import public_path

    array = scan.arrays.get(public_path(name))
    if array is None:
        reason = scan.left_out.get(name)
        if reason is None and _is_bare(name, scan):
            return name, "identical", "dimension without variable"
        if isinstance(expected, Exception | h5py.Empty):
            return name, "both refuse", f"{reason}"
        return name, "refused" if reason else "missing", f"{reason} [{producer}]"
    if isinstance(expected, TooLarge):
        same = (array.shape, array.dtype) == (expected.shape, expected.dtype)
        return name, "identical" if same else "differs", "shape and data type only"
    try:
        ours = read_array(array)
    except VirtualZarrError as exc:
        kind = "both refuse" if isinstance(expected, Exception) else "refused"
        return name, kind, f"on reading: {type(exc).__name__}: {exc} [{producer}]"
    except Exception as exc:
        return name, "crashed", f"on reading: {type(exc).__name__}: {exc}"
    if isinstance(expected, Exception | h5py.Empty):
        return name, "ours only", f"h5py: {expected}"
    if ours.shape != expected.shape and ours.ndim == expected.ndim:
        ours = ours[tuple(slice(0, n) for n in expected.shape)]  # extended to an unlimited dimension
    found = same_values(ours, expected)
    return (name, "identical", producer) if found is None else (name, "differs", f"{found} [{producer}]")


def _is_bare(name: str, scan: ScannedFile) -> bool:
    parent, _, last = name.rpartition("/")
    group = scan.groups.get(parent or "/")
    return group is not None and last.removeprefix("_nc4_non_coord_") in group.dims
