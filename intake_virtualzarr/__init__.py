"""Read archives of netCDF4/HDF5 files as Zarr, without copying them.

The public names are imported when they are first used, so that ``import intake_virtualzarr`` costs little.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from intake_virtualzarr._version import __version__

if TYPE_CHECKING:
    from intake_virtualzarr.arrays.array import VirtualZarrArray
    from intake_virtualzarr.arrays.manifest import ChunkManifest
    from intake_virtualzarr.catalog.ingest import ingest, virtualize
    from intake_virtualzarr.catalog.update import update
    from intake_virtualzarr.datasets.open import open_virtual_dataset, open_virtual_datatree
    from intake_virtualzarr.datasets.open_mfdataset import open_virtual_mfdataset
    from intake_virtualzarr.formats.scan import scan
    from intake_virtualzarr.storage.readers import Access
    from intake_virtualzarr.storage.thread_pool import set_threads
    from intake_virtualzarr.store.codec_pipeline import use_fast_pipeline
    from intake_virtualzarr.store.store import VirtualZarrStore, open_virtual_store

__all__ = [
    "Access",
    "ChunkManifest",
    "VirtualZarrArray",
    "VirtualZarrStore",
    "__version__",
    "ingest",
    "open_virtual_dataset",
    "open_virtual_datatree",
    "open_virtual_mfdataset",
    "open_virtual_store",
    "scan",
    "set_threads",
    "update",
    "use_fast_pipeline",
    "virtualize",
]

_PLACES = {
    "Access": "storage.readers",
    "ChunkManifest": "arrays.manifest",
    "VirtualZarrArray": "arrays.array",
    "VirtualZarrStore": "store.store",
    "ingest": "catalog.ingest",
    "open_virtual_dataset": "datasets.open",
    "open_virtual_datatree": "datasets.open",
    "open_virtual_mfdataset": "datasets.open_mfdataset",
    "open_virtual_store": "store.store",
    "scan": "formats.scan",
    "set_threads": "storage.thread_pool",
    "update": "catalog.update",
    "use_fast_pipeline": "store.codec_pipeline",
    "virtualize": "catalog.ingest",
}


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{place}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps public functions what they are.

    Python sets a module as an attribute of its package when it is imported: ``intake_virtualzarr.catalog.ingest`` would be the
    function or the module, whichever was touched last.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _PLACES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
