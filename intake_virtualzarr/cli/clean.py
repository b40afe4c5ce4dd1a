"""``clean``: remove what a store names no more."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta

from intake_virtualzarr.cli.arguments import (
    Subparsers,
    add_json,
    add_storage_options,
    print_json,
    print_text,
    storage_options,
)

__all__ = ["add_parser", "run"]

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_parser(subparsers: Subparsers) -> None:
    """Say what the command takes."""
    parser = subparsers.add_parser(
        "clean", help="remove generations of a store that it does not name any more; readers that opened them need them until then"
    )
    parser.add_argument("store", help="virtual store: path or URL")
    parser.add_argument(
        "--older-than",
        type=age,
        default=timedelta(days=7),
        metavar="AGE",
        help="keep what was given up within this time, such as 12h or 30d (default: 7d)",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed, and remove nothing")
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def age(text: str) -> timedelta:
    """A length of time: a number and one of s, m, h, d."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time; expected a number and one of s, m, h, d, such as 7d")
    return timedelta(**{UNITS[match[2]]: float(match[1])})


def run(options: argparse.Namespace) -> int:
    """Clean the store."""
    from intake_virtualzarr.hierarchy.clean import clean_hierarchy
    from intake_virtualzarr.storage.key_value import keys_of
    from intake_virtualzarr.storage.readers import Access

    keys = keys_of(options.store, Access.of(storage_options(options)))
    report = clean_hierarchy(keys, options.older_than, dry_run=options.dry_run)
    if options.json:
        print_json(report)
        return 0
    done = "would be removed" if report.dry_run else "removed"
    print_text(f"{report.url}: {len(report.generations)} generations, {report.objects} objects, {report.nbytes} bytes {done}")
    if report.waiting:
        print_text(f"{report.waiting} objects that nothing names are younger than --older-than, and stay")
    return 0
