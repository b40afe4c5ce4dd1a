"""Which kind of references a path, URL or store holds."""

from __future__ import annotations

import os
from typing import Any

from intake_virtualzarr._typing import FormatLike
from intake_virtualzarr.arrays.tree import VirtualTree
from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.icechunk import documents_of, scanned_repository
from intake_virtualzarr.formats.icechunk_session import container_access, is_session_store, open_store, session_url
from intake_virtualzarr.formats.kerchunk_parquet import scanned_parquet
from intake_virtualzarr.formats.scanned_tree import tree_of_scan
from intake_virtualzarr.formats.zarr.find_store import consolidated_v2, scanned_v2
from intake_virtualzarr.hierarchy.reader import Hierarchy, tree_of
from intake_virtualzarr.storage.directory_urls import REFERENCES, like_a_directory
from intake_virtualzarr.storage.key_value import Keys, StoreKeys, keys_of
from intake_virtualzarr.storage.places import is_network
from intake_virtualzarr.storage.readers import Access, ReaderPool
from intake_virtualzarr.storage.url_secrets import strip_url

__all__ = ["find_references", "is_named_as_references"]

REPOSITORY = ("repo", "refs/branch.main/ref.json")
"""Objects that every Icechunk repository has, of version 2 and 1 of its specification."""
ADAPTER = "|icechunk:"


def is_named_as_references(target: Any) -> bool:
    """Whether the target itself says that it is not a hierarchy.

    It is the store of an Icechunk session, ``…|icechunk://version/``, or an URL whose end says so: a bucket that may not be listed
    answers questions for what is not there like questions that are forbidden, so they are better not asked.
    """
    if not isinstance(target, str | os.PathLike):
        return is_session_store(target)
    text = os.fspath(target)
    return ADAPTER in text or ("://" in text and strip_url(text).rstrip("/").endswith(REFERENCES))


def find_references(target: Any, access: Access, format: FormatLike = None) -> VirtualTree | None:
    """The references in an Icechunk repository, in a directory of kerchunk references in Parquet, or in a store of Zarr v2.

    Parameters
    ----------
    target : path, URL or store
        Where to look: a directory, an URL that does not end like a file, the store of an Icechunk session.
    access : Access
        Options for opening.
    format : {"kerchunk", "icechunk"}, optional
        What it is known to be.

    Returns
    -------
    VirtualTree or None
        None if nothing is there, or one file: kerchunk references in JSON are a format of files.

    Raises
    ------
    FormatError
        If a directory holds something else.
    """
    if is_session_store(target):
        return _repository(target, None, "", access)
    if not isinstance(target, str | os.PathLike):
        keys = keys_of(target, access)
        return _plain(keys, scanned_v2(keys, consolidated_v2(keys)))
    text = os.fspath(target)
    bare = strip_url(text)
    if format == "icechunk" or ADAPTER in text or ("://" in text and bare.rstrip("/").endswith(".icechunk")):
        return _repository(*open_store(text, access), access)
    is_directory = os.path.isdir(text)
    if not is_directory and not like_a_directory(bare):
        return None
    keys = keys_of(text, access)
    document = consolidated_v2(keys)
    if document is not None:
        store = scanned_v2(keys, document) if format is None and "record_size" not in document else None
        return _plain(keys, store or scanned_parquet(keys, document))
    if format is None and any(keys.size(key) is not None for key in REPOSITORY):
        return _repository(*open_store(text, access), access)
    store = scanned_v2(keys, None) if format is None else None
    if store is not None:
        return _plain(keys, store)
    if is_directory:
        raise FormatError(
            f"{text}: is a directory with neither a Zarr hierarchy (zarr.json or .zgroup), nor kerchunk references in Parquet "
            "(.zmetadata), nor an Icechunk repository"
        )
    return None


def _plain(keys: Keys, scanned: ScannedFile | None) -> VirtualTree | None:
    return None if scanned is None else tree_of_scan(scanned, ReaderPool(keys.access.asked_by(keys.url)))


def _repository(store: Any, url: str | None, group: str, access: Access) -> VirtualTree:
    """A version of a repository, which may also hold a hierarchy of ours."""
    documents = documents_of(store)
    if any((one.get("chunk_key_encoding") or {}).get("name") == "virtual" for one in documents.values()):
        keys = StoreKeys(store, access)
        keys.url = url if url is not None and is_network(url) else session_url(store)
        return tree_of(Hierarchy(keys))
    asked = container_access(store, access).asked_by(url or session_url(store))
    return tree_of_scan(scanned_repository(store, url, documents, asked, group), ReaderPool(asked))
