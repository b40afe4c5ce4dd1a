"""``append``: add files to a store."""

from __future__ import annotations

import argparse
from typing import Any

from intake_virtualzarr.cli.arguments import (
    Subparsers,
    add_json,
    add_search_options,
    add_sources,
    add_storage_options,
    find_items,
    print_json,
    print_text,
    search_options,
    storage_options,
)

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers) -> None:
    """Say what the command takes."""
    parser = subparsers.add_parser("append", help="scan files and add them to a store, along a dimension")
    parser.add_argument("store", help="virtual store")
    add_sources(parser)
    parser.add_argument("--dim", default="time", help="dimension that grows (default: time)")
    parser.add_argument("--group", help="group in the files and in the store")
    parser.add_argument("--drop", action="append", metavar="NAME", help="variable of the files to leave out; repeatable")
    parser.add_argument("--dry-run", action="store_true", help="do everything but write")
    add_search_options(parser)
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Append what the store does not hold yet; what is older than its end is refused."""
    from intake_virtualzarr.catalog.virtualize import virtualize
    from intake_virtualzarr.datasets.open import open_virtual_dataset

    access = storage_options(options)
    dim = options.dim
    there = open_virtual_dataset(options.store, group=options.group, storage_options=access)
    more = virtualize(
        find_items(options),
        group=options.group,
        drop_variables=options.drop,
        time_dim=dim,
        storage_options=access,
        **search_options(options),
    )
    _check_follows(there, more, dim, options.store)
    _same_units(there, more)
    report = {
        "store": options.store,
        "dim": dim,
        "before": there.sizes[dim],
        "after": there.sizes[dim] + more.sizes[dim],
        "references": more.vzarr.n_references,
        "dry_run": options.dry_run,
    }
    if not options.dry_run:
        more.vzarr.to_zarr(options.store, append_dim=dim, group=options.group, storage_options=access)
    if options.json:
        print_json(report)
    else:
        would = "would grow" if options.dry_run else "grew"
        print_text(
            f"{options.store}: {dim!r} {would} from {report['before']} to {report['after']}, "
            f"by {report['references']} references to chunks"
        )
    return 0


def _same_units(there: Any, more: Any) -> None:
    """Let times be written in the unit of the store, whatever unit the new files have."""
    for name, variable in more.variables.items():
        if name in there.variables and "units" in there.variables[name].encoding:
            kept = {key: there.variables[name].encoding.get(key) for key in ("units", "calendar", "dtype")}
            variable.encoding = {**variable.encoding, **{key: value for key, value in kept.items() if value is not None}}


def _check_follows(there: Any, more: Any, dim: str, store: str) -> None:
    """Refuse what would make the coordinate run back."""
    from intake_virtualzarr.datasets.append_checks import continues
    from intake_virtualzarr.errors import HierarchyError

    for dataset, what in ((there, store), (more, "the new files")):
        if dim not in dataset.dims:
            known = ", ".join(map(str, dataset.dims)) or "none"
            raise HierarchyError(f"{what}: has no dimension {dim!r}; there are {known}")
    if dim not in there.indexes or dim not in more.indexes or not there.sizes[dim]:
        return
    if not continues(there.indexes[dim], more.indexes[dim]):
        last, first = there.indexes[dim][-1], more.indexes[dim][0]
        raise HierarchyError(f"{store}: {dim!r} ends at {last}, and the new files begin at {first}; append only what comes after")
