"""A virtual dataset whose files are recorded in another state, or at another place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import xarray as xr

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.segments import Segment, StoredArray
from intake_virtualzarr.storage.source import Source, SourceTable

__all__ = ["with_sources"]


def with_sources(dataset: xr.Dataset, now: Mapping[str, Source]) -> xr.Dataset:
    """The same references into other states of files. Whoever calls this knows that the references hold there.

    Parameters
    ----------
    dataset : xarray.Dataset
        Virtual.
    now : mapping of str to Source
        By URL as recorded, what is to be recorded instead.
    """
    known: dict[int, StoredArray] = {}

    def renewed(segment: Segment) -> Segment:
        old = segment.stored
        if id(old) not in known:
            rows = (old.sources[row] for row in range(len(old.sources)))
            table = SourceTable(tuple(one if one.content is not None else now.get(one.url, one) for one in rows))
            known[id(old)] = replace(old, sources=table)
        return replace(segment, stored=known[id(old)])

    out = dataset.copy(deep=False)
    for name, variable in dataset.variables.items():
        data = variable.data
        if now and isinstance(data, VirtualZarrArray):
            out[name] = variable.copy(deep=False, data=data.replace(segments=tuple(map(renewed, data.segments))))
    return out
