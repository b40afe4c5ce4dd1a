"""Files of a few schemas, as archives have them that changed over the years: each run of alike files is joined quickly, by itself.

What is left for the long way is to join a handful of datasets instead of one for each file.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.codecs.cf_packing import time_units
from intake_virtualzarr.datasets.join_options import JoinOptions
from intake_virtualzarr.datasets.open_files import opened_dataset
from intake_virtualzarr.datasets.open_options import OpenOptions
from intake_virtualzarr.datasets.quick_join import are_alike, is_plain, quick_join
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.scanned_tree import tree_of_scan
from intake_virtualzarr.formats.series import described
from intake_virtualzarr.storage.readers import ReaderPool

__all__ = ["quick_runs"]

LEAST = 3
"""Runs are worth it where there are this many files for each."""


def quick_runs(
    scans: Sequence[ScannedFile], opening: OpenOptions, joining: JoinOptions, readers: ReaderPool, dim: str
) -> list[xr.Dataset] | None:
    """Datasets of runs, which `join_datasets` makes the same of as of one for each file; None where runs are short or in no order.

    Parameters
    ----------
    scans : sequence of ScannedFile
        In the order in which the files were given, with their labels.
    opening, joining : OpenOptions, JoinOptions
        How they are opened and joined.
    readers : ReaderPool
        How their values are read.
    dim : str
        The dimension along which they follow each other.
    """
    if not is_plain(opening, joining) or (joining.combine == "by_coords" and not _rising(scans, opening, dim)):
        return None
    runs = _runs(scans, opening, dim)
    if len(runs) < 2 or LEAST * len(runs) > len(scans):  # of one schema: `quick_join` was the way
        return None
    return [dataset for run in runs for dataset in _joined(run, opening, joining, readers)]


def _runs(scans: Sequence[ScannedFile], opening: OpenOptions, dim: str) -> list[list[ScannedFile]]:
    """Neighbours that are alike."""
    runs: list[list[ScannedFile]] = []
    for scan in scans:
        if runs and are_alike([runs[-1][0], scan], opening, dim):
            runs[-1].append(scan)
        else:
            runs.append([scan])
    return runs


def _joined(run: Sequence[ScannedFile], opening: OpenOptions, joining: JoinOptions, readers: ReaderPool) -> list[xr.Dataset]:
    quick = quick_join(run, opening, joining, readers)
    if quick is not None:
        return [quick.dataset]
    return [opened_dataset(tree_of_scan(scan, readers), opening) for scan in run]


def _rising(scans: Sequence[ScannedFile], opening: OpenOptions, dim: str) -> bool:
    """Whether the labels of each file come after those of the one before, as numbers that count the same."""
    path = f"/{(opening.group or '').strip('/')}/{dim}".replace("//", "/")
    parts: list[AnyArray] = []
    units = set()
    for scan in scans:
        labels, array = scan.labels.get(path), described(scan).get(path)
        if labels is None or array is None or labels.ndim != 1 or labels.dtype.kind not in "iuf" or array.segments[0].packing:
            return False
        units.add(time_units(array.attrs))
        parts.append(labels)
    return len(units) == 1 and bool((np.diff(np.concatenate(parts).astype("f8")) > 0).all())
