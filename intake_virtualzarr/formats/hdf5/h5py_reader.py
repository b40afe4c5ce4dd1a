"""The other producer of raw descriptions: h5py's low-level interface. The only module that imports h5py.

Used for what the parser declines, and as the oracle of its tests.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import h5py
import numpy as np

from intake_virtualzarr._typing import AnyArray, JsonObject, Shape
from intake_virtualzarr.codecs.hdf5_datatype import Datatype, parse_datatype
from intake_virtualzarr.codecs.hdf5_elements import storage_of, unwrap
from intake_virtualzarr.errors import FormatError, UnsupportedError, VirtualZarrError
from intake_virtualzarr.formats.hdf5.attribute_values import attribute_value, decode_text, texts_value
from intake_virtualzarr.formats.hdf5.compound_strings import fixed_members, holds_texts
from intake_virtualzarr.formats.hdf5.external_storage import beside
from intake_virtualzarr.formats.hdf5.model import (
    Chunked,
    Compact,
    Contiguous,
    External,
    ExternalPart,
    Mapped,
    MappedBlock,
    RawDataset,
    RawFile,
    RawFilter,
    RawGroup,
    Values,
)
from intake_virtualzarr.formats.hdf5.stored_arrays import INLINE_LIMIT, reason_of, segments_of
from intake_virtualzarr.formats.hdf5.virtual_layout import (
    OpenSlab,
    as_far_as_both_go,
    is_numbered,
    mapped_blocks,
    numbered_name,
    numbered_slabs,
)
from intake_virtualzarr.formats.hdf5.vlen_strings import MAX_STRINGS, too_many_strings
from intake_virtualzarr.storage.local_reader import LocalReader
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.urls import absolute_url, local_path

with contextlib.suppress(ImportError):  # teaches HDF5 more filters
    import hdf5plugin  # noqa: F401

__all__ = ["read_with_h5py"]

MAX_OBJECTS = 1_000_000
"""Paths in one file; more come from links that form a lattice."""
MAX_DEPTH = 200

H5PY_ERRORS = (OSError, RuntimeError, ValueError, TypeError, KeyError, NotImplementedError, AttributeError)
"""What h5py raises for damaged or unsupported input."""


def read_with_h5py(url: str, file: Any) -> RawFile:
    """Describe a file.

    Parameters
    ----------
    url : str
        Absolute URL; a local file is opened by its path, so that files beside it are found.
    file : binary file object
        Read where the URL is not local.

    Raises
    ------
    FormatError
        If HDF5 cannot open the file.
    """
    files = _Files(url, file)
    with _open(url, local_path(url) if url.startswith("file:") else file) as handle:
        walk = _Walk(files)
        try:
            walk.group("/", handle.id, ())
        except VirtualZarrError:
            raise
        except H5PY_ERRORS as exc:  # what is wrong below stays with its path
            raise FormatError(f"{url}: HDF5 cannot read its root group ({exc})") from exc
        return RawFile(walk.groups, walk.datasets, walk.left_out)


def _open(url: str, place: Any) -> Any:
    try:
        return h5py.File(place, "r", locking=False)
    except H5PY_ERRORS as exc:
        try:  # a file that this process has open already must be opened with the same locking
            return h5py.File(place, "r")
        except H5PY_ERRORS:
            raise FormatError(f"{url}: HDF5 cannot open it ({exc})") from exc


class _Files(NamedTuple):
    """A file, and how those are opened that it names."""

    url: str
    """Its URL."""
    file: Any
    """A `SourceFile`, unless it is local."""
    source: Source | None = None
    """Its state; None for the scanned file."""

    @property
    def is_local(self) -> bool:
        """Whether HDF5 itself can open the files beside it."""
        return self.url.startswith("file:")

    @contextlib.contextmanager
    def another(self, name: str) -> Iterator[tuple[_Files, Any] | None]:
        """A file that this one names, and its handle; None if it is local and absent."""
        if self.is_local:
            path = next((path for path in _places(local_path(self.url), name) if os.path.exists(path)), None)
            if path is None:
                yield None
                return
            url = absolute_url(path)
            with _open(url, path) as handle:
                yield _Files(url, None, LocalReader(url).describe()), handle
        else:
            url = beside(self.url, name)
            file = self.file.another(url)
            with _open(url, file) as handle:
                yield _Files(url, file, file.source), handle


def _places(path: str, name: str) -> Iterator[str]:
    """Where HDF5 looks for a file that another one names, in its order."""
    if os.path.isabs(name):
        yield name
        name = os.path.basename(name)  # both may have been moved
    yield os.path.join(os.path.dirname(path), name)
    yield os.path.abspath(name)
    yield os.path.join(os.path.dirname(os.path.realpath(path)), name)


class _Walk:
    def __init__(self, files: _Files) -> None:
        self.files = files
        self.groups: dict[str, RawGroup] = {}
        self.datasets: dict[str, RawDataset] = {}
        self.left_out: dict[str, str] = {}

    def group(self, path: str, gid: Any, above: tuple[tuple[int, int], ...]) -> None:
        identity = _identity(gid)
        if identity in above or len(above) >= MAX_DEPTH:
            self.left_out[path] = f"{path}: links back to a group that holds it"
            return
        if len(self.groups) + len(self.datasets) > MAX_OBJECTS:
            raise FormatError(f"{self.files.url}: more than {MAX_OBJECTS} paths; do its links form a lattice?")
        self.groups[path] = RawGroup(path, _attributes(gid))
        for name in _names(gid):
            child = f"{path.rstrip('/')}/{decode_text(name)}"
            try:
                self._child(child, gid, name, (*above, identity))
            except VirtualZarrError as exc:
                self.left_out[child] = reason_of(child, exc)
            except H5PY_ERRORS as exc:
                self.left_out[child] = f"{child}: HDF5 cannot read it ({exc})"

    def _child(self, path: str, gid: Any, name: bytes, above: tuple[tuple[int, int], ...]) -> None:
        link = gid.links.get_info(name)
        if not self.files.is_local:
            _stay_inside(gid, name)
        if link.type == h5py.h5l.TYPE_EXTERNAL:
            filename, target = map(decode_text, gid.links.get_val(name))
            self._external(path, filename, target)
            return
        try:
            oid = h5py.h5o.open(gid, name)
        except H5PY_ERRORS as exc:
            if link.type == h5py.h5l.TYPE_HARD:
                raise
            target = gid.links.get_val(name)
            raise UnsupportedError(f"is a link to {decode_text(target)}, which cannot be opened") from exc
        if isinstance(oid, h5py.h5g.GroupID):
            self.group(path, oid, above)
        elif isinstance(oid, h5py.h5d.DatasetID):
            self.datasets[path] = _dataset(path, oid, self.files)

    def _external(self, path: str, filename: str, target: str) -> None:
        with self.files.another(filename) as found:
            reason = UnsupportedError(f"is a link to {target} of {filename}, which cannot be opened")
            if found is None:
                raise reason
            files, handle = found
            if not files.is_local:
                _stay_inside(handle.id, target.encode())
            try:
                node = handle[target]
            except H5PY_ERRORS as exc:
                raise reason from exc
            if isinstance(node, h5py.Group):
                raise UnsupportedError(f"is a link to a group of another file; open {files.url} itself")
            if isinstance(node, h5py.Dataset):
                self.datasets[path] = _dataset(path, node.id, files)


MAX_HOPS = 64


def _stay_inside(gid: Any, path: bytes, hops: int = 0) -> None:
    """Refuse a path on which HDF5 would open another file: of a remote file, it would look for it on this machine.

    External links that stand in a group themselves are followed by `_Walk._external`, which asks whether they may.
    """
    place = h5py.h5g.open(gid, b"/") if path.startswith(b"/") else gid
    parts = [one for one in path.split(b"/") if one not in (b"", b".")]
    for position, part in enumerate(parts):
        try:
            link = place.links.get_info(part)
        except H5PY_ERRORS:
            return  # it leads nowhere
        if link.type == h5py.h5l.TYPE_EXTERNAL:
            if hops or position < len(parts) - 1:
                filename, _ = place.links.get_val(part)
                raise UnsupportedError(f"is a link through another file, {decode_text(filename)!r}, which is not opened")
            return
        if link.type == h5py.h5l.TYPE_SOFT:
            if hops >= MAX_HOPS:
                raise UnsupportedError("is a link that leads in circles")
            _stay_inside(place, place.links.get_val(part), hops + 1)
        if position < len(parts) - 1:
            try:
                place = h5py.h5g.open(place, part)
            except H5PY_ERRORS:
                return


def _refuse_other_files(did: Any, files: _Files) -> None:
    """Refuse to let HDF5 read values of a remote dataset that lie in other files: it would open them on this machine."""
    if files.is_local:
        return
    plist = did.get_create_plist()
    if plist.get_layout() == h5py.h5d.VIRTUAL:
        raise UnsupportedError("is a virtual dataset, whose sources HDF5 would look for on this machine")
    if plist.get_external_count():
        names = sorted({_external(plist, i).name for i in range(plist.get_external_count())})
        raise UnsupportedError(
            f"has its values in other files ({', '.join(map(repr, names))}), which HDF5 would open on this machine"
        )


def _identity(oid: Any) -> tuple[int, int]:
    info = h5py.h5o.get_info(oid)
    return int(info.fileno), int(info.addr)


def _names(gid: Any) -> list[bytes]:
    names: list[bytes] = []
    tracked = gid.get_create_plist().get_link_creation_order() & h5py.h5p.CRT_ORDER_TRACKED if gid.id else 0
    index = h5py.h5.INDEX_CRT_ORDER if tracked else h5py.h5.INDEX_NAME
    gid.links.iterate(names.append, idx_type=index)
    return names


# ---------------------------------------------------------------- attributes


def _attributes(oid: Any) -> JsonObject:
    attrs: JsonObject = {}
    for index in range(h5py.h5a.get_num_attrs(oid)):
        try:
            aid = h5py.h5a.open(oid, index=index)
            name = decode_text(aid.name if isinstance(aid.name, bytes) else aid.name.encode())
            attrs[name] = _attribute(aid)
        except (*H5PY_ERRORS, VirtualZarrError):
            continue  # references, variable-length sequences, odd types: no Python form
    return attrs


def _attribute(aid: Any) -> Any:
    datatype = parse_datatype(_encoded(aid.get_type()))
    space = aid.get_space()
    shape = None if space.get_simple_extent_type() == h5py.h5s.NULL else tuple(aid.shape)
    if datatype.kind == "vlen-string":
        return "" if shape is None else texts_value(_texts(aid, datatype, shape), shape)
    if datatype.has_references:
        raise UnsupportedError("references")
    if shape is None:
        return attribute_value(datatype, None, b"")
    raw = np.zeros((*shape,), np.dtype(f"V{datatype.size}"))
    if raw.size:
        aid.read(raw, mtype=aid.get_type())
    return attribute_value(datatype, shape, raw.tobytes())


def _encoded(tid: Any) -> bytes:
    # H5Tencode puts two bytes before the datatype message: the message's number and the encoding's version
    return bytes(tid.encode())[2:]


def _texts(aid: Any, datatype: Datatype, shape: Shape) -> list[str]:
    raw = np.empty(shape, h5py.string_dtype("utf-8" if datatype.utf8 else "ascii"))
    if raw.size:
        aid.read(raw)
    return [_text(v) for v in raw.reshape(-1).tolist()]


# ---------------------------------------------------------------- datasets


def _dataset(path: str, did: Any, files: _Files) -> RawDataset:
    datatype = parse_datatype(_encoded(did.get_type()))
    plist, space = did.get_create_plist(), did.get_space()
    null = space.get_simple_extent_type() == h5py.h5s.NULL
    shape = None if null else tuple(int(n) for n in space.get_simple_extent_dims())
    maxshape = None if null else tuple(None if n == h5py.h5s.UNLIMITED else int(n) for n in space.get_simple_extent_dims(True))
    filters = tuple(_filter(plist, i) for i in range(plist.get_nfilters()))
    raw = RawDataset(
        path,
        int(h5py.h5o.get_info(did).addr) if files.source is None else -1,
        shape,
        maxshape,
        datatype.encoded,
        Contiguous(None, 0),
        filters,
        _fill(plist, did, datatype),
        _attributes(did),
        _scales(did, len(shape or ())) if files.source is None else (),
        files.source,
    )
    return raw if shape is None else _with_layout(raw, datatype, did, files)


def _with_layout(raw: RawDataset, datatype: Datatype, did: Any, files: _Files) -> RawDataset:
    assert raw.shape is not None
    if unwrap(datatype)[1].kind == "vlen-string":
        _refuse_other_files(did, files)
        return replace(raw, layout=_read_texts(did))
    try:
        storage = storage_of(datatype)
        described = replace(raw, layout=_layout(raw, did, files))
        fill = np.zeros((), storage.dtype)[()]
        segments_of(described, storage, fill, (files.source or Source(files.url),), None)
    except VirtualZarrError:
        nbytes = int(np.prod(raw.shape, dtype=object)) * datatype.size
        if (datatype.has_references and not holds_texts(datatype)) or nbytes > INLINE_LIMIT:
            raise
        if not files.is_local and did.get_create_plist().get_layout() == h5py.h5d.VIRTUAL:
            raise  # HDF5 does not find the sources, and would show fill values
        _refuse_other_files(did, files)
        try:
            return replace(raw, layout=Values(_read(did, raw.shape)))
        except H5PY_ERRORS:
            pass
        raise
    return described


def _read(did: Any, shape: Shape) -> AnyArray:
    values = h5py.Dataset(did)[...]
    if not isinstance(values, np.ndarray | np.generic):
        raise TypeError
    return fixed_members(np.asarray(values)) if values.dtype.hasobject else np.asarray(values)


def _read_texts(did: Any) -> Values:
    count = int(np.prod(did.shape, dtype=object)) * int(np.prod(did.dtype.shape, dtype=object))
    if count > MAX_STRINGS:
        raise too_many_strings(count)
    texts = np.asarray(h5py.Dataset(did)[...], dtype=object)
    values = np.empty(texts.size, object)
    values[:] = [_text(v) for v in texts.reshape(-1).tolist()]
    return Values(values.reshape(texts.shape))


def _text(value: Any) -> str:
    return decode_text(value) if isinstance(value, bytes) else str(value or "")


def _filter(plist: Any, index: int) -> RawFilter:
    number, _, values, name = plist.get_filter(index)
    return RawFilter(int(number), tuple(int(v) for v in values), decode_text(name))


def _fill(plist: Any, did: Any, datatype: Datatype) -> bytes | None:
    if datatype.has_references or plist.fill_value_defined() != h5py.h5d.FILL_VALUE_USER_DEFINED:
        return None
    value = np.zeros((), did.get_type().dtype)  # in NumPy's form of the stored type, byte order included
    plist.get_fill_value(value)
    raw = value.tobytes()
    odd = datatype.kind in ("integer", "float") and storage_of(datatype).codec.name != "bytes"
    if len(raw) != datatype.size or (odd and any(raw)):
        raise UnsupportedError(f"has a fill value of an odd {datatype.kind}")
    return raw


def _scales(did: Any, rank: int) -> tuple[tuple[int, ...], ...]:
    scales: list[tuple[int, ...]] = []
    for axis in range(rank):
        found: list[int] = []
        if h5py.h5ds.get_num_scales(did, axis) > 0:
            h5py.h5ds.iterate(did, axis, lambda sid, f=found: f.append(int(h5py.h5o.get_info(sid).addr)), 0)
        scales.append(tuple(found))
    return tuple(scales) if any(scales) else ()


def _layout(raw: RawDataset, did: Any, files: _Files) -> Contiguous | Chunked | Compact | External | Mapped:
    plist = did.get_create_plist()
    kind = plist.get_layout()
    if kind == h5py.h5d.CHUNKED:
        return _chunked(raw, did, plist)
    if kind == h5py.h5d.COMPACT:
        size = did.get_storage_size()
        buffer = np.zeros(raw.shape or (), np.dtype(f"V{parse_datatype(raw.datatype).size}"))
        did.read(h5py.h5s.ALL, h5py.h5s.ALL, buffer, did.get_type())
        return Compact(buffer.tobytes() if size else b"")
    if kind == h5py.h5d.VIRTUAL:
        return _mapped(raw, did, files)
    if plist.get_external_count():
        return External(tuple(_external(plist, i) for i in range(plist.get_external_count())))
    offset = did.get_offset()
    return Contiguous(None if offset is None else int(offset), int(did.get_storage_size()))


def _external(plist: Any, index: int) -> ExternalPart:
    name, offset, size = plist.get_external(index)
    return ExternalPart(decode_text(name), int(offset), None if size == h5py.h5f.UNLIMITED else int(size))


def _chunked(raw: RawDataset, did: Any, plist: Any) -> Chunked:
    chunk_shape = tuple(int(n) for n in plist.get_chunk())
    maxshape = raw.maxshape or ()
    unlimited = [axis for axis, n in enumerate(maxshape) if n is None]
    if len(unlimited) == 1 and unlimited[0] > 0:
        # h5py does not tell whether the index is an extensible array, so all such datasets are refused
        raise UnsupportedError(
            "has an unlimited axis that is not the first: HDF5 2.0.0 reports wrong chunk coordinates for such an index"
        )
    infos: list[Any] = []
    if did.get_space().get_select_npoints() and did.get_num_chunks():
        did.chunk_iter(infos.append)
    coords = np.array([i.chunk_offset for i in infos], np.int64).reshape(-1, len(chunk_shape)) // np.array(chunk_shape)
    options = plist.get_chunk_opts() if hasattr(plist, "get_chunk_opts") else 0
    return Chunked(
        chunk_shape,
        coords.astype(np.int64),
        np.array([i.byte_offset for i in infos], np.uint64),
        np.array([i.size for i in infos], np.uint64),
        np.array([i.filter_mask for i in infos], np.uint32),
        bool(options & 2),
    )


def _mapped(raw: RawDataset, did: Any, files: _Files) -> Mapped:
    blocks: list[MappedBlock] = []
    for source in h5py.Dataset(did).virtual_sources():
        blocks.extend(_mapping(raw, did, source, files))
    return Mapped(tuple(blocks))


def _mapping(raw: RawDataset, did: Any, source: Any, files: _Files) -> Iterator[MappedBlock]:
    assert raw.shape is not None
    place = _hyperslab(source.vspace, raw.shape)
    numbered = is_numbered(source.file_name) or is_numbered(source.dset_name)
    if not files.is_local and (numbered or None in {n for axis in place for n in axis}):
        raise UnsupportedError("is a virtual dataset without limit, whose sources tell how long it is; open it from a local copy")
    if not numbered:
        inner = _mapped_source(did, source.file_name.replace("%%", "%"), source.dset_name.replace("%%", "%"), files)
        if inner is not None and inner.shape is not None:
            both = as_far_as_both_go(_hyperslab(source.src_space, inner.shape), inner.shape, place, raw.shape)
            if both is not None:
                yield from mapped_blocks(inner, *both)
        return
    for number, slab in numbered_slabs(place, raw.shape):
        inner = _mapped_source(did, numbered_name(source.file_name, number), numbered_name(source.dset_name, number), files)
        if inner is not None and inner.shape is not None:
            both = as_far_as_both_go(_hyperslab(source.src_space, inner.shape), inner.shape, slab, raw.shape)
            if both is not None:
                yield from mapped_blocks(inner, *both)


def _mapped_source(did: Any, filename: str, path: str, files: _Files) -> RawDataset | None:
    """A dataset that a virtual one shows; None if it is absent: HDF5 shows fill values then."""
    if filename == ".":
        handle = h5py.File(h5py.h5i.get_file_id(did))
        if not files.is_local:
            _stay_inside(handle.id, path.encode())
        return _dataset(path, handle[path].id, files) if path in handle else None
    with files.another(filename) as found:
        if found is not None and not found[0].is_local:
            _stay_inside(found[1].id, path.encode())
        if found is None or path not in found[1]:
            return None
        return _dataset(path, found[1][path].id, found[0])


def _hyperslab(space: Any, shape: Shape) -> OpenSlab:
    """Start, stride, count and block along each axis; None where there is no limit."""
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        return tuple((0, 1, 1, n) for n in shape)
    if space.get_select_type() != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        raise UnsupportedError("is a virtual dataset with an irregular selection")
    start, stride, count, block = space.get_regular_hyperslab()

    def limit(n: int) -> int | None:
        return None if n == h5py.h5s.UNLIMITED else int(n)

    axes = zip(start, stride, count, block, strict=True)
    return tuple((int(first), int(step), limit(times), limit(size)) for first, step, times, size in axes)
