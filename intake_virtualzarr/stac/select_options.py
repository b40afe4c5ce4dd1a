"""Which files of a search are taken: one value, made by the public functions and handed down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from intake_virtualzarr.stac.assets import AssetLike
from intake_virtualzarr.stac.order import Duplicates
from intake_virtualzarr.stac.signing import Modifier
from intake_virtualzarr.storage.policy import Policy

__all__ = ["SelectOptions"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SelectOptions:
    """Which files of a search are taken. The defaults are those of all public functions."""

    asset: AssetLike = None
    """Which asset of an item, see `assets.choose_assets`."""
    collection_assets: bool = False
    """The assets of collections themselves instead of their items."""
    protocols: Sequence[str] | None = None
    """URL schemes, best first, where a file is to be had in several places."""
    modifier: Modifier | None = None
    """Signs URLs at the time of reading."""
    datetime: str | None = None
    """Time or interval, in the notation of the STAC API."""
    bbox: Sequence[float] | None = None
    """West, south, east, north [degrees]."""
    intersects: Any = None
    """GeoJSON geometry."""
    duplicates: Duplicates = "error"
    """What to do with several versions of one file."""
    policy: Policy | None = None
    """Which files documents may name; None only lists them."""
    keep_query: tuple[str, ...] = ()
    """Query parameters that are part of the name of a file."""
