"""Paths, patterns and nested lists of them as absolute URLs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from typing import Any

from intake_virtualzarr.errors import NothingFoundError
from intake_virtualzarr.storage.fsspec_files import open_file_system, translated
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.url_secrets import shown_cause
from intake_virtualzarr.storage.urls import absolute_url, is_url

__all__ = ["Paths", "expand_paths", "flat_paths", "is_pattern"]


type Paths = str | os.PathLike[str] | Sequence[Any]


def expand_paths(paths: Paths, access: Access) -> list[Any]:
    """Paths as a (nested) list of absolute URLs; patterns are expanded and sorted.

    Raises
    ------
    NothingFoundError
        If a pattern matches nothing.
    """
    if isinstance(paths, str | os.PathLike):
        text = os.fspath(paths)
        if is_pattern(text):
            found = _glob(text, access)
            if not found:
                raise NothingFoundError(f"no file matches {text!r}")
            return found
        return [absolute_url(text)]
    out: list[Any] = []
    for part in paths:
        expanded = expand_paths(part, access)
        if isinstance(part, str | os.PathLike):
            out.extend(expanded)
        else:
            out.append(expanded)
    return out


def is_pattern(text: str) -> bool:
    """Whether a path stands for several files; one that is there stands for itself."""
    path = text.partition("?")[0] if is_url(text) else text  # a query is no pattern
    return any(c in path for c in "*?[") and not os.path.exists(text)


def _glob(text: str, access: Access) -> list[str]:
    if not is_url(text) or text.startswith("file://"):
        pattern = text.removeprefix("file://")
        return [absolute_url(path) for path in sorted(glob.glob(os.path.expanduser(pattern), recursive=True))]
    shown = access.stored(text)
    fs, _ = open_file_system(shown, access, text)
    try:
        found = fs.glob(text)
    except Exception as exc:  # a file system of anybody may raise anything
        raise translated(shown, exc) from shown_cause(exc)
    return sorted(str(fs.unstrip_protocol(path)) for path in found)


def flat_paths(nested: Any) -> Iterable[Any]:
    """The members of nested lists, in order."""
    if isinstance(nested, list | tuple):
        for part in nested:
            yield from flat_paths(part)
    else:
        yield nested
