"""Arrays that stand in the document of another instead of beside it: ``{"zarr.json": {…}, "c/0/0/0": "<base64>"}``.

A request less for a reader and an object less for a writer, where a path would name something small.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.documents import dump

__all__ = ["IN_PLACE_BYTES", "InPlaceKeys", "in_place"]

IN_PLACE_BYTES = 64 * 1024
"""A larger array is kept beside the document [bytes]."""


def in_place(document: Attrs, chunks: Mapping[str, bytes]) -> JsonObject:
    """An array as it stands in another document.

    Parameters
    ----------
    document : mapping
        Its metadata.
    chunks : mapping of str to bytes
        Its chunks by key, as they would be stored.
    """
    return {"zarr.json": dict(document), **{key: base64.standard_b64encode(data).decode() for key, data in chunks.items()}}


@dataclass(frozen=True)
class InPlaceKeys:
    """The keys of an array in place, for what reads arrays by key.

    Attributes
    ----------
    files : mapping
        The array, as it stands in the document.
    url : str
        For messages: the document that holds it.
    """

    files: Attrs
    url: str

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes | None:
        """The bytes of a key; None if there is none.

        Raises
        ------
        HierarchyError
            If the entry is not base64, or the metadata are no JSON.
        """
        content = self.files.get(key)
        if content is None:
            return None
        try:
            if key == "zarr.json":
                return dump(content)
            return base64.b64decode(content, validate=True)[start:stop]
        except (TypeError, ValueError) as exc:
            expected = "JSON" if key == "zarr.json" else "base64"
            raise HierarchyError(f"{self.url}: {key!r} is not {expected}: {exc}") from exc

    def get_many(self, keys: list[str]) -> list[bytes | None]:
        """The bytes of several keys."""
        return [self.get(key) for key in keys]
