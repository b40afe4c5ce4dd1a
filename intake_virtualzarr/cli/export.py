"""``export``: the references of a store for other readers."""

from __future__ import annotations

import argparse
import os
from typing import Any

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.cli.arguments import (
    Subparsers,
    add_json,
    add_storage_options,
    print_json,
    print_text,
    storage_options,
)

__all__ = ["add_parser", "run"]


FORMATS = {"kerchunk": "kerchunk", "kerchunk-parquet": "kerchunk", "icechunk": "Icechunk"}
"""What can be written, and its name in messages."""


def add_parser(subparsers: Subparsers) -> None:
    """Say what the command takes."""
    parser = subparsers.add_parser("export", help="write the references of a store as kerchunk JSON or Parquet, or into Icechunk")
    parser.add_argument("store", help="virtual store, archive file, kerchunk references or Icechunk repository")
    parser.add_argument("out", help="file (kerchunk), directory (kerchunk-parquet) or repository (Icechunk) to write")
    parser.add_argument("--format", required=True, choices=FORMATS, help="what to write")
    parser.add_argument(
        "--zarr-format", type=int, choices=(2, 3), default=2, help="version of the Zarr metadata in kerchunk JSON (default 2)"
    )
    parser.add_argument("--group", help="write this group of the store as the root; by default all groups are written")
    parser.add_argument("--drop", action="append", metavar="NAME", help="variable to leave out; repeatable")
    parser.add_argument("--message", default="virtual references", help="message of the commit (Icechunk)")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.add_argument("--dry-run", action="store_true", help="do everything but write")
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Open the store and write its references."""
    from intake_virtualzarr.datasets.open import open_virtual_dataset, open_virtual_datatree
    from intake_virtualzarr.datasets.plain_references import plain_store, references_of

    access = storage_options(options)
    _check_place(options)
    data: Any
    if options.group is not None:
        data = open_virtual_dataset(options.store, group=options.group, drop_variables=options.drop, storage_options=access)
    else:
        data = open_virtual_datatree(options.store, drop_variables=options.drop, storage_options=access)
    plain = plain_store(data, FORMATS[options.format])
    count = sum(stored.source.content is None for _, _, stored in references_of(plain))
    report = {
        "store": options.store,
        "out": options.out,
        "format": options.format,
        "variables": len(plain.views),
        "references": count,
        "dry_run": options.dry_run,
    }
    if not options.dry_run:
        report |= _written(data, options, access)
    if options.json:
        print_json(report)
    else:
        would = "would be written" if options.dry_run else "written"
        snapshot = f", snapshot {report['snapshot']}" if "snapshot" in report else ""
        print_text(f"{options.out}: {count} references of {len(plain.views)} variables {would}{snapshot}")
    return 0


def _check_place(options: argparse.Namespace) -> None:
    from intake_virtualzarr.errors import HierarchyError

    if options.format == "icechunk":
        from intake_virtualzarr.formats.icechunk_session import import_icechunk

        import_icechunk(options.out)
        return
    if options.format == "kerchunk" and os.path.isdir(options.out):
        raise HierarchyError(f"{options.out}: is a directory; kerchunk references are written to a file")
    if os.path.exists(options.out) and not options.overwrite:
        raise HierarchyError(f"{options.out}: is there already; choose another place, or --overwrite")


def _written(data: Any, options: argparse.Namespace, access: Any) -> JsonObject:
    if options.format != "icechunk":
        form = "parquet" if options.format == "kerchunk-parquet" else "json"
        data.vzarr.to_kerchunk(options.out, format=form, zarr_format=options.zarr_format)
        return {}
    from intake_virtualzarr.datasets.icechunk_repository import commit_references

    committed = commit_references(data, options.out, message=options.message, overwrite=options.overwrite, storage_options=access)
    return {"snapshot": committed.snapshot, "prefixes": list(committed.prefixes)}
