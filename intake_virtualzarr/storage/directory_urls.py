"""Which URLs end like that of a directory: there is no asking without a request."""

from __future__ import annotations

import os

from intake_virtualzarr.storage.urls import is_local, is_url, local_path

__all__ = ["REFERENCES", "is_directory", "like_a_directory"]

REFERENCES = (".parq", ".parquet", ".icechunk")
"""Ends of names of directories of references."""
DIRECTORIES = (*REFERENCES, ".vzarr", ".zarr")
"""Ends of names of directories, beside those without a dot."""


def like_a_directory(text: str) -> bool:
    """Whether a URL ends like a directory: without a dot in its last part, or as stores and references do."""
    if "::" in text:  # a chain may end in an archive whose members are meant: zip://::https://host/a.zarr.zip
        first, _, rest = text.partition("::")
        return first in ("zip://", "simplecache", "filecache", "blockcache") and (first == "zip://" or like_a_directory(rest))
    tail = text.rstrip("/").rpartition("/")[2]
    return "://" in text and ("." not in tail or tail.endswith(DIRECTORIES))


def is_directory(path: str) -> bool:
    """Whether a path is a directory, or a URL ends like one."""
    return os.path.isdir(local_path(path)) if is_local(path) or not is_url(path) else like_a_directory(path)
