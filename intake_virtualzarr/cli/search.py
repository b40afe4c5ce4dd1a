"""``search``: which source files a STAC API or catalog offers."""

from __future__ import annotations

import argparse

from intake_virtualzarr.cli.arguments import (
    Subparsers,
    add_json,
    add_search_options,
    find_items,
    print_json,
    print_table,
    print_text,
    search_options,
)

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers) -> None:
    """Say what the command takes."""
    parser = subparsers.add_parser(
        "search", help="list the source files of a STAC API or catalog, in the order in which they would be joined"
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="STAC API (with --collection), or STAC documents")
    add_search_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List the files that were found."""
    from intake_virtualzarr.arrays.repr_html import size_text
    from intake_virtualzarr.stac.find_sources import find_sources

    sources = find_sources(find_items(options), **search_options(options))
    if options.json:
        fields = ("item_id", "collection", "asset_key", "href", "media_type", "size")
        times = [one.time and one.time.isoformat() for one in sources]
        print_json(
            [{**{name: getattr(one, name) for name in fields}, "datetime": time} for one, time in zip(sources, times, strict=True)]
        )
        return 0
    rows = [(one.label, one.time or "", "" if one.size is None else size_text(one.size), one.href) for one in sources]
    print_table(("item", "time", "size", "file"), rows)
    print_text(f"{len(sources)} source file{'' if len(sources) == 1 else 's'}")
    return 0
