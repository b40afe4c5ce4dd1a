"""Read archives of netCDF4/HDF5 files as Zarr, without copying them.

The public names are imported when they are first used, so that ``import intake_virtualzarr`` costs little.
"""

import sys
from importlib import import_module
from types import ModuleType

from intake_virtualzarr._version import __version__
from intake_virtualzarr.datasets.xarray_hook import register_with_xarray

TYPE_CHECKING = False
"""As in `typing`, which would cost more at run time than all else here."""
if TYPE_CHECKING:
    from intake_virtualzarr.arrays.array import VirtualZarrArray
    from intake_virtualzarr.arrays.manifest import ChunkManifest
    from intake_virtualzarr.catalog.ingest import ingest
    from intake_virtualzarr.catalog.update import update
    from intake_virtualzarr.catalog.virtualize import virtualize
    from intake_virtualzarr.datasets.open import open_virtual_dataset, open_virtual_datatree
    from intake_virtualzarr.datasets.open_mfdataset import open_virtual_mfdataset
    from intake_virtualzarr.errors import (
        ArgumentError,
        CatalogError,
        ChunkGridError,
        CodecError,
        ConflictError,
        EncodingMismatchError,
        FormatError,
        GroupNotFoundError,
        HierarchyError,
        IngestError,
        JoinError,
        ManifestError,
        MissingExtraError,
        NotAllowedError,
        NothingFoundError,
        SourceChangedError,
        SourceError,
        StacError,
        StoreChangedError,
        UnsupportedError,
        UnsupportedIndexError,
        VirtualZarrError,
    )
    from intake_virtualzarr.formats.scan import scan
    from intake_virtualzarr.storage.config import config
    from intake_virtualzarr.storage.readers import Access
    from intake_virtualzarr.storage.thread_pool import set_threads as set_threads
    from intake_virtualzarr.store.asgi import asgi
    from intake_virtualzarr.store.codec_pipeline import use_fast_pipeline as use_fast_pipeline
    from intake_virtualzarr.store.storage_transformer import StorageTransformer, register_storage_transformer
    from intake_virtualzarr.store.store import VirtualZarrStore, open_virtual_store
    from intake_virtualzarr.store.transformed_store import TransformedStore

__all__ = [
    "Access",
    "ArgumentError",
    "CatalogError",
    "ChunkGridError",
    "ChunkManifest",
    "CodecError",
    "ConflictError",
    "EncodingMismatchError",
    "FormatError",
    "GroupNotFoundError",
    "HierarchyError",
    "IngestError",
    "JoinError",
    "ManifestError",
    "MissingExtraError",
    "NotAllowedError",
    "NothingFoundError",
    "SourceChangedError",
    "SourceError",
    "StacError",
    "StorageTransformer",
    "StoreChangedError",
    "TransformedStore",
    "UnsupportedError",
    "UnsupportedIndexError",
    "VirtualZarrArray",
    "VirtualZarrError",
    "VirtualZarrStore",
    "__version__",
    "asgi",
    "config",
    "ingest",
    "open_virtual_dataset",
    "open_virtual_datatree",
    "open_virtual_mfdataset",
    "open_virtual_store",
    "register_storage_transformer",
    "scan",
    "update",
    "virtualize",
]

_PLACES = {
    "Access": "storage.readers",
    "ArgumentError": "errors",
    "CatalogError": "errors",
    "ChunkGridError": "errors",
    "ChunkManifest": "arrays.manifest",
    "CodecError": "errors",
    "ConflictError": "errors",
    "EncodingMismatchError": "errors",
    "FormatError": "errors",
    "GroupNotFoundError": "errors",
    "HierarchyError": "errors",
    "IngestError": "errors",
    "JoinError": "errors",
    "ManifestError": "errors",
    "MissingExtraError": "errors",
    "NotAllowedError": "errors",
    "NothingFoundError": "errors",
    "SourceChangedError": "errors",
    "SourceError": "errors",
    "StacError": "errors",
    "StorageTransformer": "store.storage_transformer",
    "StoreChangedError": "errors",
    "TransformedStore": "store.transformed_store",
    "UnsupportedError": "errors",
    "UnsupportedIndexError": "errors",
    "VirtualZarrArray": "arrays.array",
    "VirtualZarrError": "errors",
    "VirtualZarrStore": "store.store",
    "asgi": "store.asgi",
    "config": "storage.config",
    "ingest": "catalog.ingest",
    "open_virtual_dataset": "datasets.open",
    "open_virtual_datatree": "datasets.open",
    "open_virtual_mfdataset": "datasets.open_mfdataset",
    "open_virtual_store": "store.store",
    "register_storage_transformer": "store.storage_transformer",
    "scan": "formats.scan",
    "update": "catalog.update",
    "virtualize": "catalog.virtualize",
}


_DEPRECATED = {"set_threads": "storage.thread_pool", "use_fast_pipeline": "store.codec_pipeline"}
"""Old names, which warn when they are called."""

if not TYPE_CHECKING:  # type checkers know the names from the imports above, and miss those that do not exist

    def __getattr__(name: str) -> object:
        place = _PLACES.get(name) or _DEPRECATED.get(name)
        if place is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{place}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return list(__all__)


class _Package(ModuleType):
    """Keeps public functions what they are.

    Python sets a module as an attribute of its package when it is imported: ``intake_virtualzarr.catalog.ingest`` would be the
    function or the module, whichever was touched last.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _PLACES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
register_with_xarray()
