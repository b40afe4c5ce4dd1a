"""What several commands share: arguments, and printing results."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.url_secrets import redact

__all__ = [
    "Subparsers",
    "add_json",
    "add_search_options",
    "add_sources",
    "add_storage_options",
    "find_items",
    "print_json",
    "print_table",
    "print_text",
    "search_options",
    "storage_options",
]

type Subparsers = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="write the result as JSON to stdout")


def add_storage_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--storage-options``, ``--allow`` and ``--keep-query``."""
    parser.add_argument(
        "--storage-options",
        metavar="JSON",
        help="""options for opening files by URL prefix, e.g. '{"s3://bucket/": {"skip_signature": true}}', or
        @FILE that holds them (better for secrets: other users see command lines)""",
    )
    parser.add_argument(
        "--allow",
        action="append",
        metavar="PREFIX",
        help="URL prefix or path that a document from a network may name, beside its own place; repeatable",
    )
    parser.add_argument(
        "--keep-query",
        action="append",
        metavar="NAME",
        help="query parameter that is part of the name of a file; all others are kept in memory only; repeatable",
    )


def storage_options(options: argparse.Namespace) -> Access | JsonObject | None:
    """Read ``--storage-options``, ``--allow`` and ``--keep-query``.

    Raises
    ------
    VirtualZarrError
        If it is not a JSON object. The text itself is not shown: it may hold secrets.
    """
    text: str | None = options.storage_options
    value = None if text is None else _json_options(text)
    if not options.allow and not options.keep_query:
        return value
    return Access.of(value, allow=options.allow, keep_query=options.keep_query or ())


def _json_options(text: str) -> JsonObject:
    try:
        value = json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
    except OSError as exc:
        raise VirtualZarrError(f"--storage-options: {text[1:]}: {exc.strerror}") from exc
    except ValueError:
        raise VirtualZarrError("--storage-options: is not valid JSON") from None
    if not isinstance(value, dict):
        raise VirtualZarrError(f"--storage-options: is a JSON {type(value).__name__}, expected an object")
    return value


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add what to scan; `find_items` reads it."""
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="STAC API (with --collection), STAC documents, or data files")


def add_search_options(parser: argparse.ArgumentParser) -> None:
    """Add what selects items."""
    group = parser.add_argument_group("search")
    group.add_argument("--collection", action="append", metavar="ID", help="search this collection of an API; repeatable")
    group.add_argument("--datetime", help="a time or an interval, e.g. 2024-01 or 2024-01-01/2024-03-31")
    group.add_argument("--bbox", type=_bbox, metavar="W,S,E,N", help="bounding box [degrees]")
    group.add_argument("--asset", help="key, role, media type or suffix of the asset to take")
    group.add_argument(
        "--duplicates",
        choices=("error", "first", "latest", "last"),
        default="error",
        help="what to do with several versions of one item, and with files that hold the same coordinates",
    )


def _bbox(text: str) -> list[float]:
    try:
        values = [float(one) for one in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not four numbers separated by commas") from None
    if len(values) != 4:
        raise argparse.ArgumentTypeError(f"{text!r} has {len(values)} numbers, expected W,S,E,N")
    return values


def search_options(options: argparse.Namespace) -> JsonObject:
    """Return the keyword arguments that select items."""
    names = ("asset", "datetime", "bbox", "duplicates")
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def find_items(options: argparse.Namespace) -> Any:
    """Return what ``sources`` and ``--collection`` mean: a search of an API, or paths."""
    if not options.collection:
        return options.sources
    if len(options.sources) != 1:
        raise VirtualZarrError(f"--collection searches one STAC API, and {len(options.sources)} sources were given")
    from intake_virtualzarr.stac.client import open_client, search

    asked = {name: value for name in ("datetime", "bbox") if (value := getattr(options, name)) is not None}
    return search(open_client(options.sources[0], allow=getattr(options, "allow", None)), collections=options.collection, **asked)


def print_json(value: Any) -> None:
    """Write a value as JSON to stdout, URLs in it without what may be secret."""
    print(json.dumps(_shown(value), indent=2, ensure_ascii=False, allow_nan=False))


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact(value)
    value = _plain(value)
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(key): _shown(one) for key, one in value.items()}
    return [_shown(one) for one in value]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    return str(value)


def print_text(*lines: str) -> None:
    """Write lines to stdout, URLs in them without what may be secret."""
    for line in lines:
        print(redact(line))


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Write a table to stdout: folded to the width of a terminal, in whole lines elsewhere."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, title=title and Text(redact(title)), title_justify="left", pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(redact(one)) for one in row))  # Text: what files say is not markup
    width = None if sys.stdout.isatty() else 10_000  # programs that read lines want them whole
    Console(file=sys.stdout, width=width, highlight=False).print(table)
