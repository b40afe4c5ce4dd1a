"""``describe``: what a store holds."""

from __future__ import annotations

import argparse
from typing import Any

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.cli.arguments import (
    Subparsers,
    add_json,
    add_storage_options,
    print_json,
    print_table,
    print_text,
    storage_options,
)

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers) -> None:
    """Say what the command takes."""
    parser = subparsers.add_parser("describe", help="show groups, variables and sources of a store; no values are read")
    parser.add_argument("target", help="virtual store or archive file; or an Intake catalog, or a STAC document")
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Describe each store that the target names."""
    from intake_virtualzarr.drivers.resolve import stores_of

    access = storage_options(options)
    reports = [_report(name, url, arguments.get("format"), access) for name, url, arguments in stores_of(options.target, access)]
    if options.json:
        print_json(reports)
        return 0
    for report in reports:
        _print(report)
    _note_slow_inflate()
    return 0


def _note_slow_inflate() -> None:
    """Say once that chunks are inflated slowly here, and how that is mended."""
    from intake_virtualzarr.codecs.bytes_to_bytes import inflates_by

    if inflates_by() == "zlib":
        print_text("note: deflated chunks are read with zlib, up to four times slower than with libdeflate (pip install deflate)")


def _report(name: str, url: str, format_: str | None, access: Any) -> JsonObject:
    from intake_virtualzarr.datasets.check_sources import tree_sources
    from intake_virtualzarr.formats.open import open_tree
    from intake_virtualzarr.store.store import VirtualZarrStore

    tree = open_tree(url, storage_options=access, format=format_)
    store = VirtualZarrStore(tree, storage_options=access)
    sources = tree_sources(tree)
    groups = {
        path: {
            "attributes": {key: str(value) for key, value in group.attrs.items()},
            "variables": {key: _variable(one, store.mode(f"{path}/{key}")) for key, one in group.variables.items()},
        }
        for path, group in tree.groups.items()
    }
    sizes = [one.size for one in sources if one.size is not None]
    return {
        "name": name,
        "url": tree.url,
        "groups": groups,
        "sources": {"count": len(sources), "size": sum(sizes), "first": [one.url for one in sources[:3]]},
        "left_out": dict(tree.left_out),
    }


def _variable(variable: Any, mode: str) -> JsonObject:
    from intake_virtualzarr.arrays.array import VirtualZarrArray

    about = {
        "dims": list(variable.dims),
        "shape": list(variable.data.shape),
        "dtype": str(variable.data.dtype),
    }
    if not isinstance(variable.data, VirtualZarrArray):
        return {**about, "kind": "in the store", "segments": 0, "references": 0}
    return {
        **about,
        "kind": mode,
        "segments": len(variable.data.segments),
        "references": variable.data.n_references,
    }


def _print(report: JsonObject) -> None:
    from intake_virtualzarr.arrays.repr_html import size_text

    print_text(f"{report['name']}: {report['url']}" if report["name"] else report["url"])
    for path, group in report["groups"].items():
        rows = [
            (
                name,
                ", ".join(f"{dim}: {n}" for dim, n in zip(one["dims"], one["shape"], strict=True)),
                one["dtype"],
                one["kind"],
                one["segments"],
                one["references"],
            )
            for name, one in group["variables"].items()
        ]
        if rows:
            print_table(("variable", "shape", "type", "served", "segments", "references"), rows, title=f"group {path}")
        print_text(*(f"  {name}: {value}" for name, value in group["attributes"].items()))
    sources = report["sources"]
    print_text(f"{sources['count']} source files, {size_text(sources['size'])}", *(f"  {url}" for url in sources["first"]))
    if sources["count"] > len(sources["first"]):
        print_text("  …")
    print_text(*(f"left out: {name}: {reason}" for name, reason in report["left_out"].items()))
