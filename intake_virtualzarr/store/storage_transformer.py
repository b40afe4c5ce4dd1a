"""Storage transformers as the Zarr v3 specification words them: between an array and the store that holds it.

An array's metadata may list transformers, each with a name and a configuration. A request of the array goes to the first, which may
answer it or ask the next; the last asks the store. Here they are read-only. Names are registered by `register_storage_transformer`
or by an entry point of the group `GROUP`, and are looked up when an array first names them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import HierarchyError, MissingExtraError
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.store.byte_range import cut

__all__ = [
    "GROUP",
    "ArrayInStore",
    "ArrayPlace",
    "ArrayStorage",
    "StorageTransformer",
    "register_storage_transformer",
    "storage_transformer",
]

GROUP = "intake_virtualzarr.storage_transformers"
"""Entry points: the name of a transformer, and its class."""


@dataclass(frozen=True, slots=True)
class ArrayPlace:
    """Where an array lies."""

    store: Store
    """The store below all transformers."""
    path: str
    """Path of the array in it, without slashes at its ends."""
    document_key: str
    """Key of the document that its metadata were read from: its own, or that of a group with consolidated metadata."""
    document: bytes
    """That document."""
    access: Access
    """How places are opened that the metadata name, and whether they may."""


class ArrayStorage(ABC):
    """What an array reads from. Keys are relative to the array: ``c/0/1``, not ``group/array/c/0/1``."""

    @abstractmethod
    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """The value of a key or a part of it; None if there is none."""

    @abstractmethod
    def list(self) -> AsyncIterator[str]:
        """All keys below the array but ``zarr.json``."""

    async def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        return await self.get(key, default_buffer_prototype()) is not None

    async def getsize(self, key: str) -> int:
        """Size of a value [bytes].

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        value = await self.get(key, default_buffer_prototype())
        if value is None:
            raise FileNotFoundError(key)
        return len(value)


class ArrayInStore(ArrayStorage):
    """The last of the row: the store itself."""

    def __init__(self, place: ArrayPlace) -> None:
        self._store = place.store
        self._prefix = f"{place.path}/" if place.path else ""

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """The value of a key or a part of it; None if there is none."""
        return await self._store.get(self._prefix + key, prototype, byte_range)

    async def exists(self, key: str) -> bool:
        """Whether a key has a value."""
        return await self._store.exists(self._prefix + key)

    async def getsize(self, key: str) -> int:
        """Size of a value [bytes]."""
        return await self._store.getsize(self._prefix + key)

    async def list(self) -> AsyncIterator[str]:
        """All keys below the array but ``zarr.json``."""
        async for key in self._store.list_prefix(self._prefix):
            own = key.removeprefix(self._prefix)
            if own != "zarr.json":
                yield own


class StorageTransformer(ArrayStorage):
    """One transformer of one array. A subclass overrides what it changes; all else is asked of the next.

    Sizes and existence are those of the values that `get` gives. A transformer that renames keys overrides `list`, too.

    Parameters
    ----------
    inner : ArrayStorage
        The next transformer, or the store.
    configuration : dict
        As in the array's metadata; empty if it has none.
    place : ArrayPlace
        Where the array lies.
    """

    def __init__(self, inner: ArrayStorage, configuration: JsonObject, place: ArrayPlace) -> None:
        self.inner = inner
        self.configuration = configuration
        self.place = place

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """The value of a key or a part of it; None if there is none."""
        return await self.inner.get(key, prototype, byte_range)

    async def list(self) -> AsyncIterator[str]:
        """All keys below the array but ``zarr.json``."""
        async for key in self.inner.list():
            yield key

    @staticmethod
    def answer(value: bytes, prototype: BufferPrototype, byte_range: ByteRequest | None) -> Buffer:
        """The part of a whole value that was asked for, as `get` returns it."""
        return prototype.buffer.from_bytes(cut(value, byte_range))

    def presented(self, document: JsonObject) -> JsonObject:
        """The array's metadata as the array is to see them; the list of transformers is left out afterwards."""
        return document


_REGISTRY: dict[str, type[StorageTransformer]] = {}


def register_storage_transformer(name: str, kind: type[StorageTransformer]) -> None:
    """Register a transformer.

    Parameters
    ----------
    name : str
        As it stands in ``storage_transformers`` of an array's metadata.
    kind : type of StorageTransformer
        Called with the next storage, the configuration and the place of each array that names it.
    """
    _REGISTRY[name] = kind


def storage_transformer(name: str) -> type[StorageTransformer]:
    """The transformer of a name.

    Raises
    ------
    HierarchyError
        If no transformer has this name.
    MissingExtraError
        If its plug-in cannot be imported.
    """
    found = _REGISTRY.get(name) or _plug_in(name)
    if found is None:
        raise HierarchyError(
            f"storage transformer {name!r} is unknown; install the package that brings it (entry point group {GROUP!r}), or call "
            "register_storage_transformer"
        )
    return found


@cache
def _plug_in(name: str) -> type[StorageTransformer] | None:
    for entry in entry_points(group=GROUP, name=name):
        try:
            return entry.load()  # type: ignore[no-any-return]
        except ImportError as exc:
            raise MissingExtraError(f"storage transformer {name!r}: its plug-in {entry.value!r} cannot be imported: {exc}") from exc
    return None
