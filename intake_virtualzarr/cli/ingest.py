"""``ingest``: scan, join, write and publish."""

from __future__ import annotations

import argparse

from intake_virtualzarr._typing import JsonObject
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
    parser = subparsers.add_parser("ingest", help="scan the files of a search, join them, and publish them as one virtual store")
    add_sources(parser)
    parser.add_argument("--to", required=True, metavar="DIR", help="directory or URL of the catalog that is written")
    parser.add_argument("--name", required=True, help="name of the entry, and id of the STAC object")
    parser.add_argument("--title", help="one line; default: the title in the files")
    parser.add_argument("--description", help="what the data are; default: what the files and the items' collection say")
    parser.add_argument("--keyword", action="append", metavar="WORD", help="keyword of the STAC object; repeatable")
    parser.add_argument(
        "--provider",
        action="append",
        type=_provider,
        metavar="NAME[,URL]",
        help="who made or hosts the data; repeatable",
    )
    parser.add_argument("--license", help="SPDX identifier of the data's license (default: the items' collection's, or other)")
    parser.add_argument("--publish", choices=("collection", "item"), default="collection", help="kind of STAC object")
    parser.add_argument("--base-href", metavar="URL", help="URL at which the directory will be served; default: links are relative")
    parser.add_argument("--group", help="group in the files")
    parser.add_argument("--drop", action="append", metavar="NAME", help="variable to leave out; repeatable")
    parser.add_argument("--combine", choices=("by_coords", "nested"), help="how files are joined")
    parser.add_argument("--concat-dim", help="dimension along which nested files are joined")
    parser.add_argument("--on-error", choices=("raise", "skip"), default="raise", help="what to do with unreadable files")
    parser.add_argument("--overwrite", action="store_true", help="replace a store of that name made from other files")
    parser.add_argument("--dry-run", action="store_true", help="do everything but write")
    add_search_options(parser)
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def _provider(text: str) -> JsonObject:
    """A provider as STAC words it."""
    name, _, url = (part.strip() for part in text.partition(","))
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} names no provider; expected NAME or NAME,URL")
    return {"name": name, **({"url": url} if url else {})}


def run(options: argparse.Namespace) -> int:
    """Ingest, and say what was written. Files that were skipped make the exit code 1."""
    from intake_virtualzarr.arrays.repr_html import size_text
    from intake_virtualzarr.catalog.ingest import ingest
    from intake_virtualzarr.storage.urls import local_path

    report = ingest(
        find_items(options),
        options.to,
        name=options.name,
        publish=options.publish,
        overwrite=options.overwrite,
        dry_run=options.dry_run,
        title=options.title,
        description=options.description,
        keywords=options.keyword or (),
        providers=options.provider or (),
        base_href=options.base_href,
        license=options.license,
        group=options.group,
        drop_variables=options.drop,
        combine=options.combine,
        concat_dim=options.concat_dim,
        on_error=options.on_error,
        storage_options=storage_options(options),
        **search_options(options),
    )
    code = int(bool(report.skipped))
    if options.json:
        print_json(report)
        return code
    where = local_path(report.directory)
    would = "would write" if options.dry_run else "wrote"
    print_text(
        f"{report.sources} source files, {size_text(report.data_bytes)}: {report.references} references to chunks",
        *(f"skipped {label}: {reason}" for label, reason in report.skipped.items()),
    )
    if report.written:
        print_text(f"{would} into {where}:", *(f"  {name}" for name in report.written))
    else:
        print_text(f"{where}: nothing to write, all is up to date")
    if report.manifest_bytes:
        print_text(f"the store takes {size_text(report.manifest_bytes)}")
    return code
