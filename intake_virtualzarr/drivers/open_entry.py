"""The one function behind both drivers: open a store, decoded and lazy, and select from it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Sequence
from typing import Any

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.datasets.chunk_hints import preferred_chunks
from intake_virtualzarr.datasets.paths import is_pattern
from intake_virtualzarr.datasets.unknown_arguments import refuse_unknown
from intake_virtualzarr.drivers.select_entry import selected
from intake_virtualzarr.drivers.storage_options import access_rules
from intake_virtualzarr.drivers.template_values import parse_chunks, parse_list_literal, parse_switch, plain_url
from intake_virtualzarr.errors import CatalogError
from intake_virtualzarr.storage.options import StorageOptions
from intake_virtualzarr.storage.policy import Allow

__all__ = ["ARGUMENTS", "Location", "given", "open_entry"]


type Location = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""What an entry opens: one place, or several files that are joined."""


def open_entry(
    urlpath: Location,
    *,
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
    on_unsupported: str = "skip",
    storage_options: StorageOptions = None,
    allow: Allow = None,
) -> Any:
    """Open a virtual store, archive file, kerchunk references or Icechunk repository for an Intake entry.

    Parameters
    ----------
    urlpath : path or URL, or list of these
        What to open; several files, or a pattern (``*``) of them, are joined by their coordinates.
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
        dask chunks, as for `xarray.open_dataset`; ``None`` (here) opens without dask.
    drop_variables : str or list of str, optional
        Variables to drop unread.
    mask_and_scale, decode_times : bool, optional
        As for `xarray.open_dataset`.
    format : str, optional
        Name of the format; default: detected automatically.
    on_unsupported : {"skip", "raise"}
        What to do about variables that cannot be stored by reference.
    storage_options : mapping, optional
        Options for opening, by URL prefix; without prefixes, see `options.access_rules`.
    allow : str or list of str, optional
        URL prefixes and paths that a store from a network may name, beside its own place.

    Returns
    -------
    xarray.Dataset
        Decoded and lazy.

    Raises
    ------
    CatalogError
        If a variable or dimension is not there, or nothing is left of one.
    """
    import xarray as xr

    variables, time, sel, isel, chunks, drop_variables = map(
        parse_list_literal, (variables, time, sel, isel, chunks, drop_variables)
    )
    decoders: JsonObject = {"mask_and_scale": mask_and_scale, "decode_times": decode_times}
    decoders = {name: parse_switch(name, value) for name, value in decoders.items()}
    urls = [plain_url(os.fspath(one)) for one in ([urlpath] if isinstance(urlpath, str | os.PathLike) else urlpath)]
    url = urls[0] if urls else ""
    opening: JsonObject = {
        "group": group,
        "drop_variables": [drop_variables] if isinstance(drop_variables, str) else drop_variables,
        "storage_options": access_rules(storage_options, url),
        "allow": parse_list_literal(allow),
        "format": format,
        "on_unsupported": on_unsupported,
    }
    decoding = {name: value for name, value in decoders.items() if value is not None}
    if len(urls) != 1 or is_pattern(url):
        dataset = _joined(urls, opening, decoding, parse_chunks(chunks))
    else:
        dataset = xr.open_dataset(url, engine="virtualzarr", chunks=parse_chunks(chunks), **opening, **decoding)
    return selected(dataset, url, variables, time, sel, isel)


def _joined(urls: Sequence[str], opening: JsonObject, decoding: JsonObject, chunks: Any) -> Any:
    """Several files as one dataset, in the chunks of the files where ``chunks`` says no others."""
    if not all(decoding.values()):
        raise CatalogError(
            f"{urls[0]}, …: several files are joined by their decoded values; leave mask_and_scale and decode_times out"
        )
    from intake_virtualzarr.datasets.open_mfdataset import open_virtual_mfdataset  # xarray: not before a dataset is opened

    virtual = open_virtual_mfdataset(list(urls), progress=False, **opening)
    dataset = virtual.vzarr.decode()
    if chunks is None:
        return dataset
    if chunks != {}:
        return dataset.chunk(chunks)
    arrays = {str(name): (v.dims, v._data) for name, v in virtual.variables.items() if isinstance(v._data, VirtualZarrArray)}
    for name, edges in preferred_chunks(arrays).items():
        if name in dataset.data_vars or dataset[name].dims != (name,):
            dataset[name] = dataset[name].chunk(edges)
    return dataset


ARGUMENTS = tuple(inspect.signature(open_entry).parameters)
"""Names of the arguments that an entry takes."""


def given(unknown: Attrs, **arguments: Any) -> JsonObject:
    """The arguments of an entry that are not None, as drivers pass them on.

    Raises
    ------
    ArgumentError
        If there are unknown ones: names the argument, the nearest known one, and all that are known.
    """
    refuse_unknown(unknown, ARGUMENTS, "driver 'virtualzarr'", "to select along a dimension, use sel={{{name!r}: …}}; ")
    return {name: value for name, value in arguments.items() if value is not None}
