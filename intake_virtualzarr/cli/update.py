"""``update``: search again, and append what is new."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.cli.arguments import (
    Subparsers,
    add_json,
    add_search_options,
    add_sources,
    add_storage_options,
    find_items,
    print_json,
    print_table,
    print_text,
    search_options,
    storage_options,
)

if TYPE_CHECKING:
    from intake_virtualzarr.catalog.update import UpdateReport
    from intake_virtualzarr.stac.source_item import SourceItem

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers) -> None:
    """Say what the command takes."""
    parser = subparsers.add_parser(
        "update",
        help="search again, append what is new to a published store, and tell what has changed",
        description="""Search again, and append what is new to a store that 'ingest' published; STAC documents and catalog
        follow. Sources that have changed, or that do not come after the end of the store, are listed, and nothing is written
        unless --conflicts says otherwise.""",
    )
    add_sources(parser)
    parser.add_argument("--to", required=True, metavar="DIR", help="directory or URL that was published")
    parser.add_argument("--name", help="name of the entry; may be left out where there is one")
    parser.add_argument("--dim", help="dimension that grows; default: the one along which the files were joined")
    parser.add_argument(
        "--conflicts",
        choices=("refuse", "skip", "rewrite"),
        default="refuse",
        help="changed and earlier sources: refuse them all (default), skip them and append the others, or scan all files again",
    )
    parser.add_argument("--no-check-files", action="store_true", help="believe the items, do not look at the files that are there")
    parser.add_argument("--group", help="group in the files")
    parser.add_argument("--drop", action="append", metavar="NAME", help="variable of the files to leave out; repeatable")
    parser.add_argument("--on-error", choices=("raise", "skip"), default="raise", help="what to do with unreadable new files")
    parser.add_argument("--dry-run", action="store_true", help="do everything but write")
    add_search_options(parser)
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Update, and list what was found. Sources that are not as they were, or were skipped, make the exit code 1."""
    from intake_virtualzarr.catalog.update import update

    report = update(
        find_items(options),
        options.to,
        name=options.name,
        conflicts=options.conflicts,
        append_dim=options.dim,
        check_files=not options.no_check_files,
        dry_run=options.dry_run,
        group=options.group,
        drop_variables=options.drop,
        on_error=options.on_error,
        storage_options=storage_options(options),
        **search_options(options),
    )
    print_json(_plain(report)) if options.json else _print(report)
    return int(bool(report.skipped or any(not _resolved(one.state, report) for one in report.differences)))


def _resolved(state: str, report: UpdateReport) -> bool:
    """Whether a difference needs nobody's attention any more: a store that was made anew holds what there is."""
    made_anew = report.action in ("replace", "rewrite") and not report.dry_run
    return state == "touched" or (made_anew and state in ("changed", "earlier", "missing"))


def _rows(report: UpdateReport) -> list[tuple[str, SourceItem, str]]:
    """State, source and reason of all that is not as it was."""
    new = "new" if report.dry_run else "added"
    return [
        *((one.state, one.source, one.reason) for one in report.differences),
        *((new, one, one.href) for one in report.appended),
    ]


def _print(report: UpdateReport) -> None:
    from intake_virtualzarr.storage.urls import local_path

    rows: Sequence[tuple[object, ...]] = [
        (state, source.label, source.time or "", reason) for state, source, reason in _rows(report)
    ]
    rows = [*rows, *(("skipped", label, "", reason) for label, reason in report.skipped.items())]
    if rows:
        print_table(("state", "item", "time", "what"), rows)
    count = f"{report.found} source file{'' if report.found == 1 else 's'} found, {report.unchanged} of them as they were"
    print_text(count if report.found else "nothing was found")
    where = f"{local_path(report.directory)}: {report.name!r}"
    would = report.dry_run
    grown = f"{report.dim!r} {'would grow' if would else 'grew'} from {report.before} to {report.after}"
    text = {
        "nothing": "is up to date",
        "append": f"{grown}, by {report.references} references to chunks",
        "replace": f"late and changed files {'would be' if would else 'were'} put in their places; {grown}",
        "rewrite": f"{'would be' if would else 'was'} made anew; {grown}",
        "publish": f"the catalog {'would be' if would else 'was'} brought up to date with the store",
        "refuse": "would not be updated: choose with --conflicts=skip or --conflicts=rewrite",
    }[report.action]
    print_text(f"{where} {text}" if report.action in ("nothing", "refuse") else f"{where}: {text}")
    if report.written:
        print_text("would write:" if would else "wrote:", *(f"  {name}" for name in report.written))


def _plain(report: UpdateReport) -> JsonObject:
    names = ("directory", "name", "action", "dim", "before", "after", "found", "unchanged", "references", "written", "dry_run")
    sources = [
        {
            "state": state,
            "item_id": one.item_id,
            "collection": one.collection,
            "asset_key": one.asset_key,
            "href": one.href,
            "datetime": one.time and one.time.isoformat(),
            "reason": "" if reason == one.href else reason,
        }
        for state, one, reason in _rows(report)
    ]
    return {**{name: getattr(report, name) for name in names}, "sources": sources, "skipped": report.skipped}
