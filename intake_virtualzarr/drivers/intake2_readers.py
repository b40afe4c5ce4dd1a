"""Intake 2: data types and readers. Imported by ``import intake``, so nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from intake.readers.catalogs import StacCatalogReader
from intake.readers.datatypes import FileData
from intake.readers.readers import BaseReader

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.drivers.open_entry import ARGUMENTS, Location, given, open_entry
from intake_virtualzarr.storage.options import StorageOptions
from intake_virtualzarr.storage.policy import Allow

__all__ = ["VirtualZarrData", "VirtualZarrReader", "VirtualZarrStacReader"]


class VirtualZarrData(FileData):  # type: ignore[misc]
    """A virtual Zarr store: references to chunks in other files."""

    filepattern = r"\.vzarr/?$"
    structure = {"array", "hierarchy"}  # noqa: RUF012 - Intake's way of declaring


class VirtualZarrReader(BaseReader):  # type: ignore[misc]
    """Open a virtual store, an archive file, kerchunk references or an Icechunk repository with xarray.

    The result is lazy and made of dask arrays.

    Parameters
    ----------
    *positional : VirtualZarrData, or path or URL
        What to open.
    variables : str or list of str, optional
        Data variables to keep; coordinates stay.
    time : str, list or mapping, optional
        Times to keep; the dimension stays: ``"2024"``, ``"2024-01"`` or a date (all of that span), ``"2024-01/2024-03"``
        (an interval, ends included, ``..`` for an open one), or as a value of ``sel``.
    sel : mapping, optional
        Labels by dimension: one label (the dimension goes), a list of labels, or ``{"start": …, "stop": …, "step": …}``,
        whose ends are included whichever way the coordinate runs.
    isel : mapping, optional
        Positions by dimension, after ``sel``; in the same forms.
    group : str, optional
        Path of the group in the store.
    chunks : int, mapping or "auto", optional
        dask chunks, as for `xarray.open_dataset`; default: those that suit the files.
    drop_variables : str or list of str, optional
        Variables to drop unread.
    mask_and_scale, decode_times : bool, optional
        As for `xarray.open_dataset`.
    format : str, optional
        Name of the format; default: detected automatically.
    on_unsupported : {"skip", "raise"}, optional
        What to do about variables that cannot be stored by reference; default: ``"skip"``.
    storage_options : mapping, optional
        Options for opening, by URL prefix; without prefixes, those of the place of the store, under fsspec's names.
    allow : str or list of str, optional
        URL prefixes and paths that a store from a network may name, beside its own place.
    args, data, url, metadata, output_instance : optional
        As Intake gives them to any reader, when it makes it again or reads it from a catalog.

    Raises
    ------
    ArgumentError
        For an argument that is not known, with the nearest known one; nothing is opened yet.
    """

    implements = {VirtualZarrData}  # noqa: RUF012
    imports = {"xarray"}  # noqa: RUF012
    func = "intake_virtualzarr.drivers.open_entry:open_entry"
    output_instance = "xarray:Dataset"

    def __init__(
        self,
        *positional: VirtualZarrData | Location,
        variables: str | Iterable[str] | None = None,
        time: Any = None,
        sel: Attrs | None = None,
        isel: Attrs | None = None,
        group: str | None = None,
        chunks: Any = None,
        drop_variables: str | Iterable[str] | None = None,
        mask_and_scale: bool | None = None,
        decode_times: bool | None = None,
        format: str | None = None,
        on_unsupported: str | None = None,
        storage_options: StorageOptions = None,
        allow: Allow = None,
        args: Sequence[Any] | None = None,
        data: VirtualZarrData | None = None,
        url: Location | None = None,
        metadata: JsonObject | None = None,
        output_instance: str | None = None,
        **unknown: Any,
    ) -> None:
        arguments = given(
            unknown,
            variables=variables,
            time=time,
            sel=sel,
            isel=isel,
            group=group,
            chunks=chunks,
            drop_variables=drop_variables,
            mask_and_scale=mask_and_scale,
            decode_times=decode_times,
            format=format,
            on_unsupported=on_unsupported,
            storage_options=storage_options,
            allow=allow,
        )
        own = {"args": args, "data": data, "url": url, "output_instance": output_instance}
        intake = {name: value for name, value in own.items() if value is not None}
        super().__init__(*positional, metadata=metadata, **intake, **arguments)

    def to_dask(self) -> Any:
        """Open lazily, as dask arrays."""
        return self.read()

    def _read(self, data: VirtualZarrData, **arguments: Any) -> Any:
        unknown = {name: value for name, value in arguments.items() if name not in ARGUMENTS}
        lazily = {"storage_options": data.storage_options, "chunks": {}}
        return open_entry(data.url, **{**lazily, **given(unknown, **arguments)})


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
