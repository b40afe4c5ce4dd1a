"""The Markdown description of a published store: what it is, and how to open it."""

from __future__ import annotations

import re

import xarray as xr

from intake_virtualzarr.stac.publication import Publication

__all__ = ["GENERATED", "dataset_title", "describe_publication", "said"]

GENERATED = "This is a *virtual* Zarr store: it refers to chunks inside "
"""How the second paragraph begins."""


def describe_publication(dataset: xr.Dataset, publication: Publication) -> str:
    """Write the description of a collection or item.

    Parameters
    ----------
    dataset : xarray.Dataset
    publication : Publication
        Its own ``description`` comes first.

    Returns
    -------
    str
        CommonMark with code blocks for Intake, xarray and JavaScript.
    """
    parts = [publication.description or _summary(dataset, publication), _how_it_is_stored(publication)]
    return "\n\n".join([*parts, *_open_it(publication)]) + "\n"


def _summary(dataset: xr.Dataset, publication: Publication) -> str:
    title = publication.title or dataset_title(dataset) or publication.id
    names = [f"`{name}`{_long_name(dataset[name])}" for name in dataset.data_vars]
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    sizes = ", ".join(f"{name} {size}" for name, size in dataset.sizes.items())
    return f"{_plain(title)}: {shown or 'coordinates only'} ({sizes})."


def _long_name(variable: xr.DataArray) -> str:
    text = said(variable.attrs.get("long_name"))
    return f" ({_plain(text)})" if text else ""


SAYS_NOTHING = frozenset({"", "unset", "n/a", "na", "none", "null", "unknown", "undefined", "tbd", "-"})
"""What producers write into attributes that they have to fill, in lower case."""


def said(value: object) -> str | None:
    """The text of an attribute, ``None`` if it says nothing.

    Examples
    --------
    >>> said("Daily SST"), said(" UNSET "), said(None)
    ('Daily SST', None, None)
    """
    text = "" if value is None else str(value).strip()
    return None if text.lower() in SAYS_NOTHING else text


def dataset_title(dataset: xr.Dataset) -> str | None:
    """The title that the files give."""
    return said(dataset.attrs.get("title"))


def _plain(text: str) -> str:
    """Take the Markdown and HTML out of what a file says: it is shown on web pages."""
    return re.sub(r"([\\`*_\[\]<>])", r"\\\1", " ".join(text.split()))


def _how_it_is_stored(publication: Publication) -> str:
    count = publication.source_count
    files = "the source files" if count is None else "1 source file" if count == 1 else f"{count} source files"
    return f"{GENERATED}{files} and copies no data. Readers fetch the bytes from there."


def _open_it(publication: Publication) -> list[str]:
    store = publication.href(publication.store_href)
    blocks = []
    if publication.catalog_href is not None:
        catalog = publication.href(publication.catalog_href)
        blocks += [
            "## Open it with Intake",
            _code(
                "python",
                "import intake",
                "",
                f'cat = intake.open_catalog("{catalog}")',
                f'ds = cat["{publication.id}"].to_dask()',
            ),
        ]
    group = f', group="{publication.group}"' if publication.group not in (None, "/", "") else ""
    blocks += [
        "## Open it with xarray",
        _code(
            "python",
            "import xarray as xr",
            "",
            f'ds = xr.open_dataset("{store}", engine="virtualzarr"{group}, chunks={{}})',
        ),
    ]
    if publication.manifest_format == "vzarr":
        where = f'"{store}"' if "://" in store else f'new URL("{store}", import.meta.url)'
        blocks += [
            "## Open it in JavaScript",
            _code(
                "js",
                'import { openVirtual } from "@intake-virtualzarr/reader";',
                'import * as zarr from "zarrita";',
                "",
                f"const store = await openVirtual({where});",
                'const group = await zarr.open.v3(store, { kind: "group" });',
            ),
        ]
    return blocks


def _code(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"])
