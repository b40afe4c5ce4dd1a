"""``scan``: where the values of archive files lie."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from intake_virtualzarr.formats.base import ScannedArray, ScannedFile
from intake_virtualzarr.storage.url_secrets import redact

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers) -> None:
    """Say what the command takes."""
    parser = subparsers.add_parser("scan", help="show where the values of archive files lie; nothing is written")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files or URLs; wildcards are expanded")
    parser.add_argument("--format", help="name of the format; default: found by the first bytes")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if variables are left out")
    add_storage_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Scan each file. A file that cannot be scanned does not stop the others."""
    from intake_virtualzarr.datasets.paths import expand_paths
    from intake_virtualzarr.formats.scan import scan_many
    from intake_virtualzarr.progress import progress_bar
    from intake_virtualzarr.storage.readers import Access

    access = Access.of(storage_options(options))
    paths = [str(path) for path in expand_paths(options.paths, access)]
    with progress_bar("scanning", len(paths), None) as step:
        results = scan_many(paths, format=options.format, storage_options=access, progress=step)
    failed = False
    reports: list[JsonObject] = []
    for path, result in zip(paths, results, strict=True):
        if isinstance(result, Exception):
            print(f"error: {redact(result)}", file=sys.stderr)
            reports.append({"path": path, "error": str(result)})
            failed = True
            continue
        failed |= options.strict and bool(result.left_out)
        reports.append({"path": path, **_report(result)})
        if not options.json:
            _print(path, result)
    if options.json:
        print_json(reports)
    return int(failed)


def _report(scanned: ScannedFile) -> JsonObject:
    return {
        "format": scanned.format,
        "size": scanned.source.size,
        "references": scanned.references,
        "arrays": {path: _array(array) for path, array in scanned.arrays.items()},
        "left_out": dict(scanned.left_out),
    }


def _array(array: ScannedArray) -> JsonObject:
    stored = array.segments[0].stored if array.segments else None
    return {
        "dims": list(array.dims),
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "chunk_shape": None if stored is None else stored.grid.chunk_shape,
        "codecs": [] if stored is None else [str(one.name) for one in stored.codecs],
        "references": array.references,
    }


def _print(path: str, scanned: ScannedFile) -> None:
    rows = []
    for name, array in scanned.arrays.items():
        about = _array(array)
        shape = ", ".join(f"{dim}: {n}" for dim, n in zip(array.dims, array.shape, strict=True))
        chunks = " x ".join(map(str, about["chunk_shape"] or ()))
        rows.append((name, shape, about["dtype"], chunks, ", ".join(about["codecs"]), about["references"]))
    print_table(("variable", "shape", "type", "chunks", "codecs", "references"), rows, title=path)
    print_text(*(f"  left out: {name}: {reason}" for name, reason in scanned.left_out.items()))
