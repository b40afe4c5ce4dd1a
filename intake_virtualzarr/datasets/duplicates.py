"""Files that hold the same coordinates: a join by coordinates has one place for them, and xarray keeps one without a word."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import get_args

import pandas as pd
import xarray as xr

from intake_virtualzarr.datasets.join_options import FilePolicy
from intake_virtualzarr.datasets.virtual_dataset import source_label
from intake_virtualzarr.errors import JoinError, VirtualZarrError

__all__ = ["check_policy", "without_duplicates"]


def check_policy(duplicates: str) -> None:
    """Raise if a policy is unknown.

    Raises
    ------
    VirtualZarrError
        Names those that are known.
    """
    known = get_args(FilePolicy.__value__)
    if duplicates not in known:
        raise VirtualZarrError(f"duplicates is {duplicates!r}, expected one of {', '.join(map(repr, known))}")


def without_duplicates(datasets: Sequence[xr.Dataset], duplicates: str) -> list[int]:
    """Which datasets a join by coordinates takes.

    Parameters
    ----------
    datasets : sequence of xarray.Dataset
        In the order in which they were given.
    duplicates : {"raise", "first", "last"}
        Which of those with the same data variables and coordinates to take.

    Returns
    -------
    list of int
        Their numbers, ascending.

    Raises
    ------
    JoinError
        With ``"raise"`` if there are any, and always if files begin at the same labels and go on differently. Names both
        files.
    """
    check_policy(duplicates)
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, dataset in enumerate(datasets):  # xarray joins those of the same data variables, and merges the results
        groups.setdefault(tuple(sorted(map(str, dataset.data_vars))), []).append(number)
    kept: list[int] = []
    for members in groups.values():
        kept += _kept(datasets, members, duplicates)
    return sorted(kept)


def _kept(datasets: Sequence[xr.Dataset], members: Sequence[int], duplicates: str) -> list[int]:
    first = datasets[members[0]]
    names = [dim for dim in first.dims if dim in first.indexes]
    if len(members) == 1 or not names or any(dim not in datasets[i].indexes for i in members for dim in names):
        return list(members)
    indexes = {i: [datasets[i].indexes[dim] for dim in names] for i in members}
    varying = [k for k in range(len(names)) if not all(indexes[i][k].equals(indexes[members[0]][k]) for i in members)]
    places: dict[tuple[Hashable, ...], int] = {}
    for i in members:
        # xarray takes the first label along each dimension for the place of a file
        place = tuple(indexes[i][k][0] if indexes[i][k].size else None for k in varying)
        other = places.get(place)
        if other is not None:
            same = all(indexes[i][k].equals(indexes[other][k]) for k in varying)
            if duplicates == "raise" or not same:
                raise JoinError(_clash(datasets[other], datasets[i], [(names[k], indexes[i][k]) for k in varying], same))
        if other is None or duplicates == "last":
            places[place] = i
    return list(places.values())


def _clash(one: xr.Dataset, other: xr.Dataset, along: Sequence[tuple[Hashable, pd.Index]], same: bool) -> str:
    where = ", ".join(f"{name!r} from {index[0]}" for name, index in along if index.size) or "all of them"
    found = f"{source_label(one)} and {source_label(other)} "
    found += f"hold the same coordinates ({where})" if same else f"begin at the same labels ({where}) and go on differently"
    choose = "choose one with duplicates='last' or duplicates='first', or " if same else "cut one of them in preprocess=, or "
    return (
        f"{found}, and a join by coordinates would keep only one of them; {choose}give them an axis of their own with "
        "combine='nested', concat_dim='member' (and nested lists of paths for more than one axis)"
    )
