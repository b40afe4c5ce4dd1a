"""TransformedStore: any zarr store, with the storage transformers that its arrays name applied."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.documents import dump
from intake_virtualzarr.storage.options import StorageOptions
from intake_virtualzarr.storage.parsing import parse_object
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.store.byte_range import cut
from intake_virtualzarr.store.read_only import ReadOnlyStore
from intake_virtualzarr.store.storage_transformer import (
    ArrayInStore,
    ArrayPlace,
    ArrayStorage,
    StorageTransformer,
    register_storage_transformer,
    storage_transformer,
)
from intake_virtualzarr.store.virtual_transformers import VirtualTransformer

__all__ = ["TransformedStore"]

DOCUMENT = "zarr.json"
PRIVATE = "generations"
"""Below it lie the objects of our stores that documents name; nobody lists them as nodes."""

for _name in ("chunk-manifest", "virtual-concatenation"):
    register_storage_transformer(_name, VirtualTransformer)


@dataclass(frozen=True, slots=True)
class _Node:
    """A group or an array, as it is shown."""

    document: bytes
    storage: ArrayStorage | None
    """What an array with transformers reads from; None for everything else."""


class TransformedStore(ReadOnlyStore):
    """A zarr store whose arrays may name storage transformers, shown as a store without them; read-only.

    Parameters
    ----------
    inner : zarr.abc.store.Store
        Any zarr store. Documents are read once, when they are first needed.
    storage_options : mapping or Access, optional
        Options for opening what arrays refer to outside the store, by URL prefix.
    allow : str or list of str, optional
        URL prefixes that documents of a store on a network may name, beside its own place.

    Raises
    ------
    HierarchyError
        When the metadata of an array are read that name an unknown transformer, or contradict themselves.

    Notes
    -----
    zarr-python refuses arrays that name storage transformers. Here requests of such an array go through the transformers in the
    order of its metadata, first to last, then to the store (Zarr v3 core specification, "Storage transformers").
    """

    def __init__(self, inner: Store, *, storage_options: StorageOptions = None, allow: Allow = None) -> None:
        super().__init__()
        self._inner = inner
        self._access = Access.of(storage_options, allow=allow)
        self._nodes: dict[str, _Node | None] = {}
        self._is_open = True

    @property
    def supports_listing(self) -> bool:
        """Whether the inner store can list."""
        return self._inner.supports_listing

    def __eq__(self, value: object) -> bool:
        return isinstance(value, TransformedStore) and self._inner == value._inner and self._access == value._access

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"TransformedStore({self._inner!r})"

    def __reduce__(self) -> Any:
        return _reopened, (self._inner, self._access)

    def with_read_only(self, read_only: bool = False) -> TransformedStore:
        """The same store."""
        if not read_only:
            self._check_writable()
        return TransformedStore(self._inner, storage_options=self._access)

    # ------------------------------------------------------------------ nodes

    async def _node(self, path: str) -> _Node | None:
        """The group or array of a path; None if there is none."""
        if path not in self._nodes:
            key = f"{path}/{DOCUMENT}" if path else DOCUMENT
            await self._inner._ensure_open()
            value = await self._inner.get(key, default_buffer_prototype())
            # plug-ins are imported and manifests fetched: neither belongs into the event loop
            raw = None if value is None else value.to_bytes()
            node = None if raw is None else await asyncio.to_thread(self._shown, path, key, bytes(raw))
            self._nodes[path] = node
        return self._nodes[path]

    def _shown(self, path: str, key: str, raw: bytes) -> _Node:
        document = parse_object(raw, key, HierarchyError)
        if document.get("node_type") == "array":
            return self._array(document, path, key, raw)
        consolidated = (document.get("consolidated_metadata") or {}).get("metadata")
        if isinstance(consolidated, dict):
            shown = {name: self._member(one, f"{path}/{name}".strip("/"), key, raw) for name, one in consolidated.items()}
            kept = {name: one for name, one in shown.items() if one is not None}
            document = {**document, "consolidated_metadata": {**document["consolidated_metadata"], "metadata": kept}}
        return _Node(dump(document), None)

    def _member(self, document: JsonObject, path: str, key: str, raw: bytes) -> JsonObject | None:
        """A member of consolidated metadata; None if it cannot be shown, so that the others can. Its own document tells why."""
        if document.get("node_type") != "array" or not document.get("storage_transformers"):
            return document
        try:
            node = self._array(document, path, key, raw)
        except HierarchyError:
            return None
        self._nodes[path] = node
        shown: JsonObject = json.loads(node.document)
        return shown

    def _array(self, document: JsonObject, path: str, key: str, raw: bytes) -> _Node:
        listed = document.get("storage_transformers") or []
        if not listed:
            return _Node(raw if key.startswith(path) else dump(document), None)
        place = ArrayPlace(self._inner, path, key, raw, self._access)
        storage: ArrayStorage = ArrayInStore(place)
        for one in reversed(listed):
            transformer = self._transformer(one, storage, place)
            document = transformer.presented({**document, "storage_transformers": [one]})
            storage = transformer
        document.pop("storage_transformers", None)
        return _Node(dump(document), storage)

    def _transformer(self, entry: Any, inner: ArrayStorage, place: ArrayPlace) -> StorageTransformer:
        name = entry if isinstance(entry, str) else entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise HierarchyError(f"{place.path}: storage transformer {entry!r} has no name")
        configuration = entry.get("configuration") if isinstance(entry, dict) else None
        try:
            kind = storage_transformer(name)
        except HierarchyError as exc:
            raise HierarchyError(f"{place.path}: {exc}") from None
        return kind(inner, configuration or {}, place)

    async def _owner(self, key: str) -> tuple[str, ArrayStorage] | None:
        """The transformed array that a key lies below, with its path: all that it shows comes through its transformers."""
        parts = key.split("/")
        for count in range(len(parts)):
            path = "/".join(parts[:count])
            node = await self._node(path)
            if node is not None and node.storage is not None:
                return path, node.storage
        return None

    async def _behind(self, key: str) -> tuple[ArrayStorage, str] | None:
        """The storage of the array that a key belongs to, and the key in it; None if transformers do not touch it."""
        owner = await self._owner(key)
        return None if owner is None else (owner[1], key[len(owner[0]) :].lstrip("/"))

    # ------------------------------------------------------------------ reading

    async def get(self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None) -> Buffer | None:
        """The value of a key or a part of it; None if there is none."""
        prototype = prototype or default_buffer_prototype()
        if _is_document(key):
            node = await self._node(key[: -len(DOCUMENT)].strip("/"))
            return None if node is None else prototype.buffer.from_bytes(cut(node.document, byte_range))
        found = await self._behind(key)
        if found is None:
            return await self._inner.get(key, prototype, byte_range)
        return await found[0].get(found[1], prototype, byte_range)

    async def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        if _is_document(key):
            return await self._node(key[: -len(DOCUMENT)].strip("/")) is not None
        found = await self._behind(key)
        return await (self._inner.exists(key) if found is None else found[0].exists(found[1]))

    async def getsize(self, key: str) -> int:
        """Size of a value [bytes]."""
        if _is_document(key):
            node = await self._node(key[: -len(DOCUMENT)].strip("/"))
            if node is None:
                raise FileNotFoundError(key)
            return len(node.document)
        found = await self._behind(key)
        return await (self._inner.getsize(key) if found is None else found[0].getsize(found[1]))

    # ------------------------------------------------------------------ listing

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """All keys that start with a prefix; those of transformed arrays as their transformers list them."""
        transformed: dict[str, ArrayStorage] = {}
        await self._inner._ensure_open()
        async for key in self._inner.list_prefix(""):
            if key.startswith(f"{PRIVATE}/"):
                continue
            owner = await self._owner(key)
            if owner is not None:
                transformed[owner[0]] = owner[1]
            elif key.startswith(prefix):
                yield key
        for path, storage in transformed.items():
            below = f"{path}/" if path else ""
            if below.startswith(prefix) or prefix.startswith(below):
                async for own in _keys_of(storage):
                    if f"{below}{own}".startswith(prefix):
                        yield f"{below}{own}"

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names directly below a prefix."""
        base = prefix.strip("/")
        owner = await self._owner(f"{base}/{DOCUMENT}" if base else DOCUMENT)
        if owner is None:
            await self._inner._ensure_open()
            async for name in self._inner.list_dir(base):
                if base or name.rstrip("/") != PRIVATE:
                    yield name
            return
        within = base[len(owner[0]) :].lstrip("/")
        within = f"{within}/" if within else ""
        seen: dict[str, None] = {}
        async for own in _keys_of(owner[1]):
            if own.startswith(within):
                seen[own[len(within) :].split("/", 1)[0]] = None
        for name in seen:
            yield name


async def _keys_of(storage: ArrayStorage) -> AsyncIterator[str]:
    """The keys of an array, its document first."""
    yield DOCUMENT
    async for key in storage.list():
        yield key


def _is_document(key: str) -> bool:
    return key == DOCUMENT or key.endswith(f"/{DOCUMENT}")


def _reopened(inner: Store, access: Access) -> TransformedStore:
    return TransformedStore(inner, storage_options=access)
