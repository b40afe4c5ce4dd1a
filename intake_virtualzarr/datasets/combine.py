"""Joining virtual datasets as xarray joins others, each decoded by its own packing where these differ."""

from __future__ import annotations

from typing import Any

import xarray as xr

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.datasets.encoding_mismatch import common_time_encoding, harmonize
from intake_virtualzarr.datasets.join_options import JoinOptions
from intake_virtualzarr.datasets.paths import flat_paths
from intake_virtualzarr.errors import JoinError, VirtualZarrError

__all__ = ["join_datasets"]


def join_datasets(datasets: Any, how: JoinOptions) -> xr.Dataset:
    """Join virtual datasets as ``xarray.open_mfdataset`` does, each decoded by its own packing where these differ."""
    flat = list(flat_paths(datasets))
    ready = harmonize(flat, how.encoding_mismatch)
    options: JsonObject = {
        "compat": how.compat,
        "data_vars": how.data_vars,
        "coords": how.coords,
        "join": how.join,
        "combine_attrs": how.combine_attrs,
    }
    if how.combine == "by_coords" and how.concat_dim is not None:
        raise VirtualZarrError("concat_dim goes with combine='nested'; combine='by_coords' finds it itself")
    if how.combine == "nested" and how.concat_dim is None and len(ready) > 1:
        raise VirtualZarrError("combine='nested' needs concat_dim: the dimension(s) along which the files are joined")
    if how.combine not in ("by_coords", "nested"):
        raise VirtualZarrError(f"combine is {how.combine!r}, expected 'by_coords' or 'nested'")
    try:
        if how.combine == "nested":
            joined: Any = xr.combine_nested(_regrouped(datasets, iter(ready)), concat_dim=how.concat_dim, **options)
        else:
            joined = ready[0] if len(ready) == 1 else xr.combine_by_coords(ready, **options)
    except ValueError as exc:
        if isinstance(exc, VirtualZarrError):
            raise
        named = ", ".join(_label(ds) for ds in flat[:3]) + (f" and {len(flat) - 3} more" if len(flat) > 3 else "")
        raise JoinError(f"{named}: cannot be joined: {exc}") from exc
    if not isinstance(joined, xr.Dataset):
        raise VirtualZarrError(f"the join gave {type(joined).__name__}, expected an xarray.Dataset")
    joined = joined.copy(deep=False)
    joined.attrs = joined.attrs or dict(flat[0].attrs)
    unlimited = {d for ds in flat for d in ds.encoding.get("unlimited_dims", ())}
    joined.encoding = {"source": flat[0].encoding.get("source"), **({"unlimited_dims": unlimited} if unlimited else {})}
    return common_time_encoding(joined, flat)


def _label(dataset: xr.Dataset) -> str:
    return str(dataset.encoding.get("source", "a dataset"))


def _regrouped(nested: Any, ready: Any) -> Any:
    if isinstance(nested, list):
        return [_regrouped(part, ready) for part in nested]
    return next(ready)
