"""``serve``: a local http server for a directory, with a page that shows its stores."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from urllib.parse import quote

from intake_virtualzarr.cli.arguments import Subparsers, print_text

__all__ = ["add_parser", "addresses", "run"]

DEPTH = 3
"""Levels of directories in which stores and catalogs are looked for."""
CATALOGS = ("catalog.yaml", "collection.json")
"""Documents that are named beside the stores."""


def add_parser(subparsers: Subparsers) -> None:
    """Say what the command takes."""
    parser = subparsers.add_parser("serve", help="serve a directory over http with byte ranges and CORS, until Ctrl-C")
    parser.add_argument("directory", nargs="?", default=".", help="what to serve, sources included (default: .)")
    parser.add_argument(
        "--zarr",
        action="store_true",
        help="present one store (or archive file, or URL of either) as plain Zarr v3, for any Zarr client; needs the extra 'serve'",
    )
    parser.add_argument(
        "--codecs",
        choices=["standard", "zarr-python"],
        default="standard",
        help="with --zarr: codecs that clients know; 'zarr-python' sends chunks as they are stored (default: standard)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=_port, default=8000, help="port, 0 for a free one (default: 8000)")
    parser.set_defaults(run=run)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; expected 0 to 65535")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted or terminated."""
    if options.zarr:
        from intake_virtualzarr.cli.zarr_server import serve_zarr

        return serve_zarr(options.directory, options.codecs, options.host, options.port)
    from intake_virtualzarr.cli.http_server import RangeServer

    # asked by a program to end, it ends as it does on Ctrl-C
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with RangeServer(options.directory, options.host, options.port) as server:
        print_text(f"serving {server.root} at {server.url}/ (Ctrl-C ends)")
        print(*addresses(server.root, server.url), sep="\n", flush=True)  # queries of their own: they name the store
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print_text(f"{server.requests} requests, {server.sent} bytes")
    return 0


def addresses(root: Path, url: str) -> list[str]:
    """List the stores below a directory, with links to the page that shows each, and the catalogs."""
    from intake_virtualzarr.cli.http_server import PREVIEW

    found = {name: _found(root, name) for name in ("*.vzarr", *CATALOGS)}
    stores = [f"  {name}: {url}{PREVIEW}?store={quote(f'/{name}')}" for name in found.pop("*.vzarr")]
    return [*stores, *(f"  {name}: {url}/{quote(name)}" for names in found.values() for name in names)]


def _found(root: Path, pattern: str) -> list[str]:
    paths = [path for depth in range(DEPTH) for path in sorted(root.glob("*/" * depth + pattern))]
    return [path.relative_to(root).as_posix() for path in paths]
