"""Checking after a join that nothing was lost: what went in is compared with what the joined arrays reference."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import xarray as xr

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.fill_value import is_fill
from intake_virtualzarr.datasets.virtual_dataset import source_label
from intake_virtualzarr.errors import JoinError

__all__ = ["check_complete"]

CHOOSING = frozenset({"inner", "left", "right"})
"""Kinds of join that leave labels out because they were asked to."""


def check_complete(
    datasets: Sequence[xr.Dataset], joined: xr.Dataset, *, join: str, compat: object, along: Iterable[Hashable] | None = None
) -> None:
    """Raise if a dataset that went into a join is not in what came out.

    Parameters
    ----------
    datasets : sequence of xarray.Dataset
        What went in.
    joined : xarray.Dataset
        What came out.
    join, compat
        As they were given to the join. With ``compat="override"`` nothing was compared, so that a variable without the
        joined dimension is taken from one file; a file must not vanish as a whole.
    along : iterable of str, optional
        Dimensions along which datasets were joined; default: all along which they differ.

    Raises
    ------
    JoinError
        Names the variable, the file that is lost and one that was kept.
    """
    if len(datasets) < 2 or join in CHOOSING:
        return
    varying = _varying(datasets) if along is None else set(along)
    references = {name: found for name, variable in joined.variables.items() if (found := _stored(variable)) is not None}
    for dataset in datasets:
        own = {n: s for n, v in dataset.variables.items() if n in references and (s := _stored(v)) is not None and s}
        lost = [name for name, stored in own.items() if stored.isdisjoint(references[name])]
        if not lost:
            continue
        parts = [name for name in lost if not varying.isdisjoint(dataset.variables[name].dims)]
        whole = compat == "override" and len(lost) == len(own) and varying.isdisjoint(dataset.dims)
        if parts or whole:
            raise JoinError(_message(datasets, dataset, (parts or lost)[0], references))


def _varying(datasets: Sequence[xr.Dataset]) -> set[Hashable]:
    """Dimensions along which datasets differ in their labels or their length."""
    dims = {dim for dataset in datasets for dim in dataset.dims}
    return {dim for dim in dims if not _alike([dataset for dataset in datasets if dim in dataset.dims], dim)}


def _alike(datasets: Sequence[xr.Dataset], dim: Hashable) -> bool:
    first = datasets[0]
    if dim not in first.xindexes:
        return all(dim not in other.xindexes and other.sizes[dim] == first.sizes[dim] for other in datasets[1:])
    index = first.xindexes[dim]
    return all(dim in other.xindexes and index.equals(other.xindexes[dim]) for other in datasets[1:])


def _stored(variable: xr.Variable) -> set[int] | None:
    """The stored arrays that a virtual variable shows; None if it is not virtual, or would open its members to tell."""
    data = variable._data
    if not isinstance(data, VirtualZarrArray) or hasattr(data.segments, "within"):
        return None
    return {id(segment.stored) for segment in data.segments if not is_fill(segment)}


def _message(datasets: Sequence[xr.Dataset], lost: xr.Dataset, name: Hashable, references: dict[Hashable, set[int]]) -> str:
    found = [(one, _stored(one.variables[name]) or set()) for one in datasets if name in one.variables]
    others = [one for one, stored in found if not stored.isdisjoint(references[name])]
    kept = f"; {source_label(others[0])} was taken instead" if others else ""
    return (
        f"{source_label(lost)}: the join has dropped {name!r} of this file{kept}; say how the files are joined with "
        "combine='nested', concat_dim=…, data_vars='all', or compare them with compat='no_conflicts'"
    )
