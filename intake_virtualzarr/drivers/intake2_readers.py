"""Intake 2: data types and readers. Imported by ``import intake``, so nothing heavy is imported here."""

from __future__ import annotations

from typing import Any

from intake.readers.catalogs import StacCatalogReader
from intake.readers.datatypes import FileData
from intake.readers.readers import BaseReader

from intake_virtualzarr.drivers.open_entry import check_arguments, open_entry

__all__ = ["VirtualZarrData", "VirtualZarrReader", "VirtualZarrStacReader"]


class VirtualZarrData(FileData):  # type: ignore[misc]
    """A virtual Zarr store: references to chunks in other files."""

    filepattern = r"\.vzarr/?$"
    structure = {"array", "hierarchy"}  # noqa: RUF012 - Intake's way of declaring


class VirtualZarrReader(BaseReader):  # type: ignore[misc]
    """Open a virtual store, an archive file, kerchunk references or an Icechunk repository with xarray.

    Arguments are those of `intake_virtualzarr.drivers.open_entry.open_entry`, ``chunks`` among them: ``{}`` by default, so that
    the result is lazy and made of dask arrays.
    """

    implements = {VirtualZarrData}  # noqa: RUF012
    imports = {"xarray"}  # noqa: RUF012
    func = "intake_virtualzarr.drivers.open_entry:open_entry"
    output_instance = "xarray:Dataset"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        own = ("args", "data", "metadata", "output_instance", "url")
        check_arguments({name: one for name, one in kwargs.items() if name not in own})
        super().__init__(*args, **kwargs)

    def to_dask(self) -> Any:
        """Open lazily, as dask arrays."""
        return self.read()

    def _read(self, data: VirtualZarrData, chunks: Any = None, **kwargs: Any) -> Any:
        kwargs.setdefault("storage_options", data.storage_options)
        return open_entry(data.url, chunks={} if chunks is None else chunks, **kwargs)


class VirtualZarrStacReader(StacCatalogReader):  # type: ignore[misc]
    """Intake's reader of STAC documents, which here also knows virtual assets."""

    @staticmethod
    def _get_reader(asset: Any, signer: Any = None, prefer: Any = None, metadata: Any = None) -> Any:
        """Give the reader of an asset: ours if it is virtual."""
        from intake_virtualzarr.drivers.virtual_assets import virtual_asset

        found = virtual_asset(asset.to_dict(), asset.get_absolute_href() or asset.href)
        if found is None:
            return StacCatalogReader._get_reader(asset, signer=signer, prefer=prefer, metadata=metadata)
        data = VirtualZarrData(found.href, metadata=metadata)
        return VirtualZarrReader(data, **found.arguments)
