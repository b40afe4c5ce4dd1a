"""How much a source of items says of the items that it does not list."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal

import pystac
from pystac_client import ItemSearch

from intake_virtualzarr.stac.client import patient_io
from intake_virtualzarr.stac.documents import is_lines, is_stac_href, read_document
from intake_virtualzarr.storage.policy import Policy

__all__ = ["Listing", "listing_of"]

type Listing = Literal["whole", "span", "part"]
"""``whole``: all that there is (and matches). ``span``: all from the first to the last time. ``part``: nothing is said."""

CATALOGS = ("Catalog", "Collection")


def listing_of(items: object, policy: Policy | None = None) -> Listing:
    """Tell whether an item that is not listed is gone.

    Parameters
    ----------
    items : ItemsLike
        As `iter_items` takes them.
    policy : Policy, optional
        Where redirects may lead.

    Returns
    -------
    Listing
        ``whole`` for catalogs, and for searches that only ask for times, places and ids; ``span`` for collections of items;
        ``part`` for items and files that were named one by one, and for searches that end early.
    """
    if isinstance(items, ItemSearch):
        asked = items.get_parameters()
        return "part" if items._max_items is not None or any(asked.get(name) for name in ("filter", "query")) else "whole"
    if isinstance(items, pystac.Catalog):
        return "whole"
    if isinstance(items, pystac.ItemCollection):
        return "span"
    if isinstance(items, Mapping):
        return _listing_of_document(items)
    if isinstance(items, str | os.PathLike):
        href = os.fspath(items)
        if not is_stac_href(href) or is_lines(href):
            return "part"
        return _listing_of_document(read_document(href, patient_io(policy=policy)))
    if isinstance(items, Sequence) and items and all(listing_of(one, policy) == "whole" for one in items):
        return "whole"
    return listing_of(items[0], policy) if isinstance(items, Sequence) and len(items) == 1 else "part"


def _listing_of_document(document: Mapping[str, object]) -> Listing:
    kind = document.get("type")
    return "whole" if kind in CATALOGS else "span" if kind == "FeatureCollection" else "part"
