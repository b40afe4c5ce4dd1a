"""``intake-virtualzarr compact``: many appends become one manifest again."""

from __future__ import annotations

import argparse

from intake_virtualzarr.cli.arguments import Subparsers, add_storage_options, print_text, storage_options

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers) -> None:
    """Say what the command takes."""
    parser = subparsers.add_parser("compact", help="join the pieces that appends have left in a store; no source file is read")
    parser.add_argument("store", metavar="STORE", help="a virtual store: path or URL")
    add_storage_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make a store compact, and say what it was."""
    from intake_virtualzarr.catalog.compact import compact

    report = compact(options.store, storage_options=storage_options(options))
    if report.nbytes:
        print_text(f"{options.store}: {report.segments_before} pieces became {report.segments_after}")
    else:
        print_text(f"{options.store}: is compact")
    return 0
