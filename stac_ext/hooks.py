"""What pystac loads through the entry point group `pystac.extensions`; imports nothing but pystac."""

from __future__ import annotations

from typing import ClassVar

import pystac
from pystac.extensions.hooks import ExtensionHooks

__all__ = ["SCHEMA_URI", "VIRTUAL_ZARR_EXTENSION_HOOKS", "VirtualZarrExtensionHooks"]

SCHEMA_URI = "https://intake-virtualzarr.github.io/virtual-zarr/v0.1.0/schema.json"


class VirtualZarrExtensionHooks(ExtensionHooks):
    """Migration: version 0.1.0 is the first, so there is nothing to migrate yet."""

    schema_uri: str = SCHEMA_URI
    prev_extension_ids: ClassVar[set[str]] = set()
    stac_object_types: ClassVar[set[pystac.STACObjectType]] = {
        pystac.STACObjectType.ITEM,
        pystac.STACObjectType.COLLECTION,
    }


VIRTUAL_ZARR_EXTENSION_HOOKS: ExtensionHooks = VirtualZarrExtensionHooks()
