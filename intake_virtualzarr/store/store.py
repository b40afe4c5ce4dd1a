"""VirtualZarrStore: a read-only zarr-python store that presents virtual arrays as plain Zarr."""

from __future__ import annotations

import asyncio
import builtins
import json
import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any, Self

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from intake_virtualzarr._typing import FormatLike, JsonObject, Shape
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_cache import ChunkCache
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.tree import VirtualTree
from intake_virtualzarr.arrays.tree_html import ShownVariable, arrays_html
from intake_virtualzarr.errors import HierarchyError, UnsupportedError
from intake_virtualzarr.formats.open import open_tree
from intake_virtualzarr.hierarchy.attributes import ATTRIBUTE_TYPES, attributes_to_json
from intake_virtualzarr.hierarchy.plain_array import ChunkObjects
from intake_virtualzarr.hierarchy.reader import Hierarchy, tree_of
from intake_virtualzarr.hierarchy.sharding import ShardObjects
from intake_virtualzarr.storage.key_value import keys_of
from intake_virtualzarr.storage.options import StorageOptions
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.range_batcher import RangeBatcher
from intake_virtualzarr.storage.readers import Access, ReaderPool
from intake_virtualzarr.store.byte_range import cut
from intake_virtualzarr.store.codec_pipeline import activate
from intake_virtualzarr.store.read_only import ReadOnlyStore
from intake_virtualzarr.store.views import (
    ArrayView,
    Stored,
    ViewSettings,
    known_codecs,
    plain_document,
    present,
)

__all__ = ["VirtualZarrStore", "open_virtual_store"]


class VirtualZarrStore(ReadOnlyStore):
    """A hierarchy of virtual arrays, or one archive file, as a plain Zarr v3 store.

    Parameters
    ----------
    target : path, URL, zarr store or VirtualTree
        What to present. A zarr store of any kind may hold the hierarchy.
    storage_options : mapping or Access, optional
        Options for opening the hierarchy and its sources, by URL prefix; without prefixes, for the place of the hierarchy.
    allow : str or list of str, optional
        URL prefixes that a target from a network may name, beside its own place.
    cache_bytes : int
        Size of the cache of decoded chunks [bytes].
    codecs : iterable of str, optional
        Names of codecs that the reader knows; chunks in others are decoded. Default: those that zarr-python knows.
    rectilinear : bool, optional
        Whether chunk grids may be rectilinear. Default: whether zarr-python's setting ``array.rectilinear_chunks`` is on.

    Raises
    ------
    HierarchyError
        If there is no hierarchy.

    Notes
    -----
    Arrays are shown in one of two modes. *Passthrough*: stored bytes are served untouched, with the codecs of the files.
    *Decoded*: where chunks are seen in part, codecs differ or CF packing differs, values are assembled and served
    uncompressed. Chunk grids are rectilinear where needed if ``zarr.config["array.rectilinear_chunks"]`` is on, else regular.
    """

    supports_listing = True

    def __init__(
        self,
        target: Any,
        *,
        storage_options: StorageOptions = None,
        allow: Allow = None,
        cache_bytes: int = 128 * 1024 * 1024,
        read_only: bool = True,
        codecs: Iterable[str] | None = None,
        rectilinear: bool | None = None,
    ) -> None:
        if not read_only:
            raise HierarchyError("a VirtualZarrStore is read-only; write with Dataset.vzarr.to_zarr")
        super().__init__()
        self._target = target
        self._access = Access.of(storage_options, allow=allow)
        self._cache = ChunkCache(cache_bytes)
        self._tree: VirtualTree = target if isinstance(target, VirtualTree) else open_tree(target, storage_options=self._access)
        self._arrays: dict[str, VirtualZarrArray] = {}
        self._views: dict[str, ArrayView] = {}
        self._documents: dict[str, bytes] = {}
        self._shown_as = (None if codecs is None else frozenset(codecs), rectilinear)
        self._build(_settings(self._cache, *self._shown_as))
        self._readers = next((a.readers for a in self._arrays.values()), None) or ReaderPool(self._access)
        self._batcher = RangeBatcher(self._readers)
        self._is_open = True
        activate()

    def _build(self, settings: ViewSettings) -> None:
        members: JsonObject = {}
        root: JsonObject = {}
        left_out: dict[str, str] = {}
        for group in self._tree.groups.values():
            path = group.path.strip("/")
            attributes = attributes_to_json(group.attrs)
            attributes.pop(ATTRIBUTE_TYPES, None)
            document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
            if path:
                members[path] = document
            else:
                root = document
            for name, variable in group.variables.items():
                where = f"{path}/{name}" if path else name
                data = variable.data if isinstance(variable.data, VirtualZarrArray) else _inline(variable.data)
                try:
                    view = present(data, settings, where)
                    members[where] = plain_document(data, variable.dims, variable.attrs, view)
                except UnsupportedError as exc:  # refused for this variable; the others are shown
                    left_out[f"/{where}"] = str(exc)
                    continue
                self._arrays[where], self._views[where] = data, view
        if left_out:
            self._tree = replace(self._tree, left_out={**self._tree.left_out, **left_out})
        self._documents = {f"{path}/zarr.json": _dump(document) for path, document in members.items()}
        root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": members}
        self._documents["zarr.json"] = _dump(root)

    # ------------------------------------------------------------------ looking

    @property
    def tree(self) -> VirtualTree:
        """The groups that are presented."""
        return self._tree

    @property
    def documents(self) -> dict[str, bytes]:
        """Plain Zarr metadata by key."""
        return dict(self._documents)

    @property
    def views(self) -> dict[str, ArrayView]:
        """How each array is shown, by path."""
        return dict(self._views)

    def array(self, path: str) -> VirtualZarrArray:
        """The virtual array behind a path."""
        return self._arrays[path.strip("/")]

    def mode(self, path: str) -> str:
        """How an array is shown: ``"passthrough"`` (also of a uniform concatenation) or ``"decoded"``."""
        return "decoded" if self._views[path.strip("/")].name == "decoded" else "passthrough"

    @classmethod
    async def open(cls, *args: Any, **kwargs: Any) -> Self:
        """Open in a thread: looking at the target waits for files or a network."""
        return await asyncio.to_thread(cls, *args, **kwargs)

    def __eq__(self, value: object) -> bool:
        if not isinstance(value, VirtualZarrStore) or self._access != value._access:
            return False
        mine, other = self._target, value._target
        if isinstance(mine, Store) and isinstance(other, Store):
            return bool(mine == other)
        return mine is other or (self._tree.url == value._tree.url and type(mine) is type(other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"VirtualZarrStore({self._tree.url!r}, {len(self._arrays)} arrays)"

    def _repr_html_(self) -> str:
        shown = (
            ShownVariable(
                path, json.loads(self._documents[f"{path}/zarr.json"]).get("dimension_names") or (), array, self.mode(path)
            )
            for path, array in self._arrays.items()
        )
        return arrays_html(f"VirtualZarrStore of {self._tree.url}", shown)

    def __reduce__(self) -> Any:
        return _reopen, (self._target, self._access, self._cache.limit, self._shown_as, self._tree.root)

    def with_read_only(self, read_only: bool = False) -> VirtualZarrStore:
        """The same store."""
        if not read_only:
            raise HierarchyError("a VirtualZarrStore is read-only; write with Dataset.vzarr.to_zarr")
        return _reopen(self._target, self._access, self._cache.limit, self._shown_as, self._tree.root)

    # ------------------------------------------------------------------ reading

    def _refuse_left_out(self, key: str) -> None:
        """Raise with the reason if a key belongs to an array that could not be presented: it is not absent."""
        for path, reason in self._tree.left_out.items():
            if key == f"{path.strip('/')}/zarr.json" or key.startswith(f"{path.strip('/')}/c"):
                raise HierarchyError(f"{path}: {reason}")

    def _chunk(self, key: str) -> tuple[str, tuple[int, ...]] | None:
        """Array path and chunk coordinates of a chunk key."""
        path, coords = _split_key(key)
        view = self._views.get(path)
        if view is None or coords is None:
            return None
        grid = view.grid.grid_shape
        if len(coords) != len(grid) or any(not 0 <= c < n for c, n in zip(coords, grid, strict=True)):
            return None
        return path, coords

    def array_behind(self, key: str) -> tuple[VirtualZarrArray, ChunkGrid, Shape, ChunkCache | None, str] | None:
        """What `VirtualPipeline` needs for a chunk key; None if it is not a key of a chunk."""
        at = self._chunk(key)
        if at is None:
            self._refuse_left_out(key)
            return None
        view = self._views[at[0]]
        # a whole chunk of stored bytes is rarely asked for twice; one that is cropped is
        cache = self._cache if view.name == "decoded" else None
        return self._arrays[at[0]], view.grid, at[1], cache, at[0]

    @property
    def _supports_sync_io(self) -> bool:
        """Whether all is near enough that waiting in the calling thread costs nothing."""
        for array in self._arrays.values():
            for segment in array.segments[:1] if isinstance(array.segments, tuple) else ():
                sources = segment.stored.sources
                # chunks of ordinary arrays are objects of the hierarchy, and the first need not be stored
                if isinstance(sources, ChunkObjects | ShardObjects) or not len(sources):
                    continue
                first = sources[0]
                if first.content is None and not self._readers.get(first).is_near:
                    return False
        return True

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a key in the calling thread."""
        prototype = prototype or default_buffer_prototype()
        document = self._documents.get(key)
        if document is not None:
            return prototype.buffer.from_bytes(cut(document, byte_range))
        at = self._chunk(key)
        if at is None:
            self._refuse_left_out(key)
            return None
        found = self._views[at[0]].chunk(at[1])
        if isinstance(found, Stored):
            found = self._read_stored(found, at)
        return None if found is None else prototype.buffer.from_bytes(cut(found, byte_range))

    def _read_stored(self, stored: Stored, at: tuple[str, tuple[int, ...]]) -> bytes:
        source, ref = stored.source, stored.ref
        if source.content is not None:
            return source.content[ref.offset : ref.offset + ref.length]
        with _Naming(at):
            return bytes(self._readers.get(source).read([(ref.offset, ref.length)], source)[0])

    def set_sync(self, key: str, value: Any) -> None:
        """Refused: the store is read-only."""
        self._check_writable()

    def delete_sync(self, key: str) -> None:
        """Refused: the store is read-only."""
        self._check_writable()

    async def get(self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Read a key."""
        prototype = prototype or default_buffer_prototype()
        document = self._documents.get(key)
        if document is not None:
            return prototype.buffer.from_bytes(cut(document, byte_range))
        at = self._chunk(key)
        if at is None:
            self._refuse_left_out(key)
            return None
        # looking a chunk up may fetch a manifest page, decoding may take long: neither belongs into the event loop
        found = await asyncio.to_thread(self._views[at[0]].chunk, at[1])
        if isinstance(found, Stored):
            if found.source.content is not None or self._readers.get(found.source).is_near:
                found = self._read_stored(found, at)
            else:
                with _Naming(at):
                    found = await self._batcher.read(found.source, found.ref.offset, found.ref.length)
        return None if found is None else prototype.buffer.from_bytes(cut(found, byte_range))

    async def exists(self, key: str) -> bool:
        """Whether a key is there: metadata, or a chunk that is stored."""
        if key in self._documents:
            return True
        at = self._chunk(key)
        return at is not None and await asyncio.to_thread(self._views[at[0]].chunk, at[1]) is not None

    async def getsize(self, key: str) -> int:
        """Size of a value; that of stored bytes is known without reading them [bytes]."""
        at = self._chunk(key)
        found = None if at is None else await asyncio.to_thread(self._views[at[0]].chunk, at[1])
        if isinstance(found, Stored):
            return found.ref.length
        value = self._documents.get(key) if at is None else found
        if value is None:
            raise FileNotFoundError(key)
        return len(value)

    # ------------------------------------------------------------------ listing

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """All keys that start with a prefix."""
        for key in self._documents:
            if key.startswith(prefix):
                yield key
        for path in self._views:
            chunks = f"{path}/c"
            if chunks.startswith(prefix) or prefix.startswith(chunks):
                for key in await asyncio.to_thread(self._chunk_keys, path):
                    if key.startswith(prefix):
                        yield key

    def _chunk_keys(self, path: str) -> builtins.list[str]:
        """Keys of the chunks of an array that are stored."""
        return ["/".join((path, "c", *map(str, coords))) for coords in self._views[path].stored_chunks()]

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names directly below a prefix."""
        base = prefix.strip("/")
        base = f"{base}/" if base else ""
        names = dict.fromkeys(key[len(base) :].split("/", 1)[0] for key in self._documents if key.startswith(base) and key != base)
        for name in names:
            yield name
        for path in self._views:
            if base.startswith(f"{path}/"):
                keys = await asyncio.to_thread(self._chunk_keys, path)
                for name in dict.fromkeys(key[len(base) :].split("/", 1)[0] for key in keys if key.startswith(base)):
                    yield name


def _split_key(key: str) -> tuple[str, tuple[int, ...] | None]:
    parts = key.split("/")
    tail = len(parts)
    while tail and _is_number(parts[tail - 1]):
        tail -= 1
    if tail == 0 or parts[tail - 1] != "c":
        return "", None
    return "/".join(parts[: tail - 1]), tuple(int(p) for p in parts[tail:])


def _is_number(text: str) -> bool:
    """Whether a part of a key is a number as Zarr writes it: no zeros in front, no digits of other scripts."""
    return text.isascii() and text.isdecimal() and (text == "0" or text[0] != "0")


class _Naming:
    """Adds array and chunk to the errors of sources."""

    def __init__(self, at: tuple[str, tuple[int, ...]]) -> None:
        self._at = at

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, exc: BaseException | None, trace: Any) -> None:
        if exc is not None:
            exc.add_note(f"while reading chunk {self._at[1]} of {self._at[0]!r}")


def _dump(document: Any) -> bytes:
    return json.dumps(document, allow_nan=False).encode()


def _inline(values: Any) -> VirtualZarrArray:
    from intake_virtualzarr.arrays.inline import inline_array

    return inline_array(values)


type ShownAs = tuple[frozenset[str] | None, bool | None]
"""Codecs that the reader knows, and whether it knows rectilinear grids; None is what zarr-python says."""


def _settings(cache: ChunkCache, codecs: frozenset[str] | None, rectilinear: bool | None) -> ViewSettings:
    import zarr

    if rectilinear is None:
        rectilinear = bool(zarr.config.get("array.rectilinear_chunks", False))
    return ViewSettings(rectilinear, cache, known_codecs() if codecs is None else codecs)


def _reopen(target: Any, access: Access, cache_bytes: int, shown_as: ShownAs, root: bytes | None) -> VirtualZarrStore:
    """The same store in another process: the state that was opened, also if it was written again since."""
    kept = root is not None and not isinstance(target, VirtualTree)
    tree = tree_of(Hierarchy(keys_of(target, access), root=root)) if kept else target
    codecs, rectilinear = shown_as
    store = VirtualZarrStore(tree, storage_options=access, cache_bytes=cache_bytes, codecs=codecs, rectilinear=rectilinear)
    store._target = target
    return store


def open_virtual_store(
    path: str | os.PathLike[str] | Any,
    *,
    storage_options: StorageOptions = None,
    allow: Allow = None,
    keep_query: Iterable[str] = (),
    on_unsupported: str = "skip",
    format: FormatLike = None,
) -> VirtualZarrStore:
    """Open one archive file as a plain Zarr store, read-only, with raw (undecoded) values.

    Parameters
    ----------
    path : path or URL
        An archive file (or a hierarchy, kerchunk references, …).
    storage_options : mapping or Access, optional
        Options for opening, by URL prefix; without prefixes, for the place that is opened.
    allow : str or list of str, optional
        URL prefixes that references from a network may name, beside their own place.
    keep_query : iterable of str, optional
        Names of query parameters that belong to the name of a file; all others are kept in memory only.
    on_unsupported : {"skip", "raise"}
        What to do about variables that cannot be stored by reference.
    format : str or parser, optional
        Name of the format, or a parser of VirtualiZarr; default: detected automatically.
    """
    from intake_virtualzarr.arrays.left_out import raise_left_out, warn_left_out

    access = Access.of(storage_options, allow=allow, keep_query=keep_query)
    tree = open_tree(path, storage_options=access, format=format, on_unsupported=on_unsupported)
    store = VirtualZarrStore(tree, storage_options=access)
    if on_unsupported == "raise":  # Zarr lacks more types than NumPy
        raise_left_out(store.tree)
    for group in store.tree.groups:
        warn_left_out(store.tree, group, frozenset())
    return store
