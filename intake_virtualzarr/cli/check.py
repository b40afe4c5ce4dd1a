"""``check``: whether the source files of a store are still as they were when they were scanned."""

from __future__ import annotations

import argparse

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
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check each store that the target names."""
    from intake_virtualzarr.datasets.check_sources import check_sources
    from intake_virtualzarr.drivers.resolve import stores_of

    access = storage_options(options)
    bad = 0
    reports = []
    for name, url, _ in stores_of(options.target, access):
        states = check_sources(url, storage_options=access)
        wrong = [one for one in states if one.state != "same"]
        bad += len(wrong)
        reports.append({"name": name, "store": url, "sources": len(states), "problems": wrong})
        if not options.json:
            print_text(*(f"{one.state}: {one.reason or one.url}" for one in wrong))
            count = f"{len(wrong)} of {len(states)} sources are not" if wrong else f"all {len(states)} sources are"
            print_text(f"{url}: {count} as they were")
    if options.json:
        print_json(reports)
    return int(bad > 0)
