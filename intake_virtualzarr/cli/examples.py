"""An example or two for each command, shown by its ``--help``."""

from __future__ import annotations

import argparse

__all__ = ["EXAMPLES", "add_examples"]

EXAMPLES = {
    "scan": ("sst_20240101.nc", "'s3://archive/sst/*.nc' --storage-options @options.json --json"),
    "search": ("https://stac.example.org --collection sst --datetime 2024-01 --bbox=-30,30,10,60",),
    "ingest": (
        "'data/sst_*.nc' --to catalog --name sst",
        "https://stac.example.org --collection sst --datetime 2024 --to s3://bucket/catalog --name sst --title SST",
        "member_1.nc member_2.nc --combine nested --concat-dim member --to catalog --name ensemble",
    ),
    "update": (
        "'data/sst_*.nc' --to catalog --dry-run",
        "https://stac.example.org --collection sst --to catalog --conflicts rewrite",
    ),
    "append": ("catalog/sst.vzarr sst_20240131.nc",),
    "compact": ("catalog/sst.vzarr",),
    "describe": ("catalog/sst.vzarr", "catalog/catalog.yaml --json"),
    "check": ("catalog/catalog.yaml", "catalog/sst.vzarr --rebase --move /old/archive /new/archive"),
    "validate": ("catalog/sst.vzarr",),
    "clean": ("catalog/sst.vzarr --older-than 7d --dry-run",),
    "export": ("catalog/sst.vzarr sst.json --format kerchunk", "catalog/sst.vzarr repository --format icechunk"),
    "serve": (".", "catalog --port 8080", "--zarr sst.vzarr"),
    "demo": ("demo",),
    "completion": ("bash > ~/.local/share/bash-completion/completions/intake-virtualzarr",),
}
"""Arguments by command. A test parses each."""


class _Formatter(argparse.HelpFormatter):
    """Leaves examples in lines of their own."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(("example:", "examples:")):
            return text
        return super()._fill_text(text, width, indent)


def add_examples(parser: argparse.ArgumentParser, command: str) -> None:
    """Let the help of a command end with its examples."""
    lines = EXAMPLES[command]
    parser.formatter_class = _Formatter
    parser.epilog = "\n".join(["example:" if len(lines) == 1 else "examples:", *(f"  {parser.prog} {one}" for one in lines)])
