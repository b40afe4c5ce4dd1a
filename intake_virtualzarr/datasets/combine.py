"""Joining virtual datasets as xarray joins others, each decoded by its own packing where these differ."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import xarray as xr

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.datasets.completeness import check_complete
from intake_virtualzarr.datasets.duplicates import without_duplicates
from intake_virtualzarr.datasets.encoding_mismatch import common_time_encoding, harmonize, keep_meaning
from intake_virtualzarr.datasets.grib_axes import with_axes
from intake_virtualzarr.datasets.join_options import JoinOptions
from intake_virtualzarr.datasets.joined_text import load_all_text, load_joined_text
from intake_virtualzarr.datasets.paths import flat_paths
from intake_virtualzarr.datasets.virtual_dataset import source_label
from intake_virtualzarr.errors import JoinError, UnsupportedError, VirtualZarrError

__all__ = ["join_datasets"]


def join_datasets(datasets: Any, how: JoinOptions) -> xr.Dataset:
    """Join virtual datasets as ``xarray.open_mfdataset`` does, each decoded by its own packing where these differ.

    Raises
    ------
    JoinError
        If datasets cannot be joined, or one would not be in the result.
    """
    flat = list(flat_paths(datasets))
    if how.combine == "by_coords":
        flat = with_axes(flat)
        flat = [flat[i] for i in without_duplicates(flat, how.duplicates)]
    elif how.duplicates != "raise":
        raise VirtualZarrError(
            f"duplicates={how.duplicates!r} goes with combine='by_coords'; combine='nested' takes what it is given"
        )
    along = _names(how.concat_dim) if how.combine == "nested" else None
    ready = harmonize(load_joined_text(flat, join=how.join, along=along), how.encoding_mismatch)
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

    def combined(parts: Sequence[xr.Dataset]) -> Any:
        if how.combine == "nested":
            return xr.combine_nested(_regrouped(datasets, iter(parts)), concat_dim=how.concat_dim, **options)
        return parts[0] if len(parts) == 1 else xr.combine_by_coords(parts, **options)

    try:
        try:
            joined: Any = combined(ready)
        except UnsupportedError:  # gaps in text that are known only while it is joined
            ready = load_all_text(ready)
            joined = combined(ready)
    except ValueError as exc:
        if isinstance(exc, VirtualZarrError):
            raise
        named = ", ".join(source_label(ds) for ds in flat[:3]) + (f" and {len(flat) - 3} more" if len(flat) > 3 else "")
        raise JoinError(f"{named}: cannot be joined: {exc}") from exc
    if not isinstance(joined, xr.Dataset):
        raise VirtualZarrError(f"the join gave {type(joined).__name__}, expected an xarray.Dataset")
    check_complete(ready, joined, join=how.join, compat=how.compat, along=along)
    joined = joined.copy(deep=False)
    unlimited = {d for ds in flat for d in ds.encoding.get("unlimited_dims", ())}
    joined.encoding = {"source": flat[0].encoding.get("source"), **({"unlimited_dims": unlimited} if unlimited else {})}
    return common_time_encoding(keep_meaning(joined, ready), flat)


def _names(concat_dim: Any) -> list[Hashable]:
    """Names of the dimensions of a nested join, which may be given as arrays of labels."""
    listed = concat_dim if isinstance(concat_dim, list | tuple) else [concat_dim]
    return [one if isinstance(one, str) else getattr(one, "name", one) for one in listed if one is not None]


def _regrouped(nested: Any, ready: Any) -> Any:
    if isinstance(nested, list):
        return [_regrouped(part, ready) for part in nested]
    return next(ready)
