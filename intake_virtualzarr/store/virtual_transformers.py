"""The two storage transformers of this project: ``chunk-manifest`` and ``virtual-concatenation``."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.arrays.tree import VirtualGroup, VirtualTree, VirtualVariable
from intake_virtualzarr.hierarchy.attributes import attributes_from_json
from intake_virtualzarr.hierarchy.data_types import data_type_from_json
from intake_virtualzarr.hierarchy.documents import dump, group_document, naming
from intake_virtualzarr.hierarchy.reader import Hierarchy, dims_of
from intake_virtualzarr.hierarchy.snapshot import Snapshot
from intake_virtualzarr.storage.key_value import StoreKeys
from intake_virtualzarr.store.storage_transformer import StorageTransformer
from intake_virtualzarr.store.store import VirtualZarrStore

__all__ = ["VirtualTransformer"]

NAME = "array"
"""What the array is called in a store of its own."""


class VirtualTransformer(StorageTransformer):
    """Chunks that lie elsewhere: those of a manifest, or of the members of a concatenation.

    The array is shown by a `VirtualZarrStore` that holds nothing else: stored bytes untouched where that is possible, else values.
    """

    _store: VirtualZarrStore

    def presented(self, document: JsonObject) -> JsonObject:
        """Metadata without a trace of manifests: the chunk grid and the codecs that are shown."""
        keys = StoreKeys(self.place.store, self.place.access)
        hierarchy = Hierarchy(
            keys,
            root=dump(group_document({}, {})),
            snapshot=Snapshot.of(keys, self.place.document_key, self.place.document),
        )
        path = self.place.path
        with naming(f"{keys.url}/{path}"):
            dims = dims_of(document, path)
            attrs = attributes_from_json(document.get("attributes", {}), data_type_from_json(document["data_type"]))
            variable = VirtualVariable(dims, hierarchy.array(path, document), attrs)
        tree = VirtualTree(keys.url, {"/": VirtualGroup("/", {}, {NAME: variable})}, {}, None)
        self._store = VirtualZarrStore(tree, storage_options=self.place.access)
        shown: JsonObject = json.loads(self._store.documents[f"{NAME}/zarr.json"])
        return {**shown, "dimension_names": document.get("dimension_names", shown["dimension_names"])}

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """A chunk or a part of it; None if it is not stored."""
        return await self._store.get(f"{NAME}/{key}", prototype, byte_range)

    async def exists(self, key: str) -> bool:
        """Whether a chunk is stored."""
        return await self._store.exists(f"{NAME}/{key}")

    async def getsize(self, key: str) -> int:
        """Size of a chunk [bytes]."""
        return await self._store.getsize(f"{NAME}/{key}")

    async def list(self) -> AsyncIterator[str]:
        """Keys of the chunks that are stored; they are the manifest's, and not listed by the store below."""
        async for key in self._store.list_prefix(f"{NAME}/c"):
            yield key.removeprefix(f"{NAME}/")
