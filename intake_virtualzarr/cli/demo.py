"""``demo``: the whole way once, with every value checked."""

from __future__ import annotations

import argparse
from pathlib import Path

from intake_virtualzarr.cli.arguments import Subparsers, add_json, print_json

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers) -> None:
    """Say what the command takes."""
    parser = subparsers.add_parser(
        "demo", help="make files, search them in a STAC API, ingest, open with Intake, and compare every value"
    )
    parser.add_argument("directory", nargs="?", default="demo", type=Path, help="where to (default: demo)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the demo; exit code 1 if a value differs."""
    from intake_virtualzarr.cli.demo_run import run_demo

    report = run_demo(options.directory, say=_quiet if options.json else _say)
    if options.json:
        print_json(report)
    return 0 if report.equal else 1


def _say(line: str) -> None:
    print(line, flush=True)


def _quiet(line: str) -> None:
    pass
