"""``check``: whether the source files of a store are still as they were when they were scanned."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from intake_virtualzarr.cli.arguments import (
    Subparsers,
    add_json,
    add_storage_options,
    print_json,
    print_text,
    storage_options,
)

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers) -> None:
    """Say what the command takes."""
    parser = subparsers.add_parser(
        "check", help="compare the source files of a store with their state when scanned; exit code 1 if any differs"
    )
    parser.add_argument("target", help="virtual store; or an Intake catalog, or a STAC document, with several")
    parser.add_argument(
        "--rebase",
        action="store_true",
        help="record the present state of files that have another time of change or ETag and are those that were scanned",
    )
    parser.add_argument(
        "--move",
        nargs=2,
        action="append",
        metavar=("OLD", "NEW"),
        help="as --rebase, for files that were at OLD (a path or URL) and are at NEW",
    )
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check each store that the target names."""
    from intake_virtualzarr.catalog.rebase import rebase
    from intake_virtualzarr.datasets.check_sources import SourceState, check_sources
    from intake_virtualzarr.drivers.resolve import stores_of

    anew = options.rebase or options.move
    access = storage_options(options)
    bad = 0
    reports = []
    for name, url, _ in stores_of(options.target, access):
        wrong: Sequence[SourceState]
        more = {}
        if anew:
            done = rebase(url, move=dict(options.move or []), storage_options=access)
            count, wrong = done.sources, done.refused
            more = {"rebased": [] if wrong else done.accepted}
            text = f"{len(done.accepted)} of {count} sources are recorded anew"
        else:
            states = check_sources(url, storage_options=access)
            count, wrong = len(states), [one for one in states if one.state != "same"]
            text = f"all {count} sources are as they were"
        bad += len(wrong)
        reports.append({"name": name, "store": url, "sources": count, "problems": wrong, **more})
        if not options.json:
            print_text(*(f"{one.state}: {one.reason or one.url}" for one in wrong))
            kept = "; nothing was written" if anew else ""
            print_text(f"{url}: {f'{len(wrong)} of {count} sources are not as they were{kept}' if wrong else text}")
    if options.json:
        print_json(reports)
    return int(bad > 0)
