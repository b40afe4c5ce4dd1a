"""``validate``: whether a store holds to the specifications, rule by rule."""

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
        "validate", help="look whether a store holds to the specifications, rule by rule; exit code 1 if it does not"
    )
    parser.add_argument("store", help="virtual store")
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Validate one store."""
    from intake_virtualzarr.hierarchy.validate_store import validate

    report = validate(options.store, storage_options=storage_options(options))
    if options.json:
        print_json(report)
        return int(bool(report.findings))
    broken = {finding.rule for finding in report.findings}
    for rule, count in report.checked.items():
        print_text(f"{rule}: {'does not hold' if rule in broken else 'holds'} (looked at {count} times)")
    print_text(*(f"{finding.rule}: {finding.array}: {finding.message}" for finding in report.findings))
    verdict = f"{len(report.findings)} findings" if report.findings else "all rules hold"
    print_text(f"{report.store}: {report.arrays} virtual arrays, {verdict}")
    return int(bool(report.findings))
