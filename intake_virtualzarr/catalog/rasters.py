"""Rasters of a search (GeoTIFF, COG) as parts of one cube: variables are named by their assets, and lie on one grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import xarray as xr

from intake_virtualzarr.errors import JoinError
from intake_virtualzarr.stac.source_item import SourceItem

__all__ = ["Grid", "check_one_grid", "grid_of", "named_bands"]

IMAGE, MASK, BAND = "band_data", "mask", "band"
"""What a scan calls the values, mask and bands of a raster."""
SHOWN = 6
"""Names that a message lists of each grid."""


def named_bands(dataset: xr.Dataset, source: SourceItem) -> xr.Dataset:
    """A raster whose variables have the name of the asset, or of its bands where it has several and the item names them."""
    key = source.asset_key
    if key is None or IMAGE not in dataset.data_vars or BAND not in dataset.dims:
        return dataset
    names = [key] if dataset.sizes[BAND] == 1 else list(source.bands)
    out = dataset.rename({MASK: f"{key}_{MASK}"} if MASK in dataset.data_vars else {})
    if len(names) == dataset.sizes[BAND]:
        values = dataset[IMAGE]
        single = {name: values.isel({BAND: i}, drop=True) for i, name in enumerate(names)}
        for i, (name, band) in enumerate(single.items()):
            described = values.attrs.get("long_name")
            single[name] = band.assign_attrs(long_name=described[i]) if isinstance(described, list) else band
        out = out.drop_vars([IMAGE, BAND], errors="ignore").assign(single)
    else:
        out = out.rename({IMAGE: key})
    out.encoding = dict(dataset.encoding)
    return out


@dataclass(frozen=True)
class Grid:
    """Cells of a raster."""

    reference: str
    """Its reference system."""
    step: tuple[float, float]
    """Width and height of a cell, in units of the reference system."""
    corner: tuple[float, float]
    """Place of the first cell's outer corner."""
    size: tuple[int, int]
    """Columns and rows."""

    @property
    def text(self) -> str:
        """For messages."""
        columns, rows = self.size
        return f"{self.reference}, cells of {_cells(self)}, {columns} × {rows} of them from {self.corner}"

    @property
    def system(self) -> tuple[str, tuple[float, float], tuple[float, float]]:
        """What rasters side by side have in common: reference system, step, and where cells begin within a step."""
        inside = [round(place / abs(step) % 1, 3) % 1 for place, step in zip(self.corner, self.step, strict=True)]
        return self.reference, self.step, (inside[0], inside[1])


def _cells(grid: Grid) -> str:
    return f"{abs(grid.step[0]):g} × {abs(grid.step[1]):g}"


def grid_of(dataset: xr.Dataset) -> Grid | None:
    """The grid of a raster; None for what is none."""
    reference = dataset.variables.get("spatial_ref")
    if reference is None or "GeoTransform" not in reference.attrs or not {"x", "y"} <= set(dataset.dims):
        return None
    try:
        c, a, _, f, _, e = (float(word) for word in str(reference.attrs["GeoTransform"]).split())
    except ValueError:
        return None
    name = reference.attrs.get("spatial_ref") or reference.attrs.get("long_name") or "unknown reference system"
    return Grid(str(name), (a, e), (c, f), (dataset.sizes["x"], dataset.sizes["y"]))


def check_one_grid(rasters: Iterable[tuple[SourceItem, xr.Dataset]], *, side_by_side: bool) -> None:
    """Refuse rasters that lie on several grids.

    Parameters
    ----------
    rasters : iterable of (SourceItem, Dataset)
        What items say, and what their files hold; others than rasters are passed over.
    side_by_side : bool
        Whether they may lie beside each other, as tiles of one system do; else they must be the same cells.

    Raises
    ------
    JoinError
        Names the grids, and which assets or items fit together.
    """
    groups: dict[object, list[tuple[Grid, SourceItem]]] = {}
    for source, dataset in rasters:
        grid = grid_of(dataset)
        if grid is not None:
            groups.setdefault(grid.system if side_by_side else grid, []).append((grid, source))
    if len(groups) < 2:
        return
    members = list(groups.values())
    if not side_by_side:
        raise JoinError(_message_of_assets(members))
    raise JoinError(_message_of_items(members))


def _message_of_assets(members: Sequence[Sequence[tuple[Grid, SourceItem]]]) -> str:
    keys = [[str(source.asset_key) for _, source in one] for one in members]
    lines = "\n".join(f"  asset={names!r}: {one[0][0].text}" for names, one in zip(keys, members, strict=True))
    return (
        f"item {members[0][0][1].item_id!r}: its assets lie on {len(members)} grids; take those of one grid together, and the "
        f"others under another name (nothing is resampled here):\n{lines}"
    )


def _message_of_items(members: Sequence[Sequence[tuple[Grid, SourceItem]]]) -> str:
    lines = []
    for one in members:
        grid = one[0][0]
        items = list(dict.fromkeys(source.label for _, source in one))
        shown = ", ".join(map(repr, items[:SHOWN])) + (f" and {len(items) - SHOWN} more" if len(items) > SHOWN else "")
        lines.append(f"  {grid.reference}, cells of {_cells(grid)}: {shown}")
    return (
        f"items lie on {len(members)} grids that do not fit together; search for those of one grid, such as one tile or zone "
        "(nothing is resampled here):\n" + "\n".join(lines)
    )
