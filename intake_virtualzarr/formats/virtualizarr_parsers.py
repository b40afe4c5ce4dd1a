"""Parsers of VirtualiZarr: what they make of a file, as a scan.

A parser is called with an URL and a registry of obstore stores, and gives a ``ManifestStore``: groups of arrays with Zarr metadata,
and a manifest of chunks each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from intake_virtualzarr._typing import FormatLike, JsonObject, ParserOfVirtualiZarr
from intake_virtualzarr.arrays.manifest import MAX_CHUNK, ChunkManifest
from intake_virtualzarr.codecs.pipeline import compile_pipeline
from intake_virtualzarr.errors import FormatError, MissingExtraError, SourceError, UnsupportedError, VirtualZarrError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.kerchunk_table import counted_shape, inline_source
from intake_virtualzarr.formats.zarr_references import scanned_references
from intake_virtualzarr.hierarchy.array_metadata import ArrayMetadata
from intake_virtualzarr.storage.obstore_reader import local_store, make_store
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.readers import OBJECT_SCHEMES, WEB_SCHEMES, open_reader
from intake_virtualzarr.storage.source import Source, SourceTable
from intake_virtualzarr.storage.urls import absolute_url, is_local, local_path

__all__ = ["name_of_format", "scanned_by_parser"]

EXTRA = "pip install 'intake-virtualzarr[virtualizarr]'"
INLINED = "__inlined__"
"""What stands for the path of a chunk that a manifest holds itself."""


def name_of_format(format: FormatLike) -> str | None:
    """The name of a format, or of a parser and how it was made."""
    return f"{_title(format)} {sorted(vars(format).items())!r}" if callable(format) else format


def scanned_by_parser(parser: ParserOfVirtualiZarr, path: str | os.PathLike[str], access: Access) -> ScannedFile:
    """Scan a file by a parser of VirtualiZarr.

    Parameters
    ----------
    parser : callable
        Such as ``virtualizarr.parsers.HDFParser()``.
    path : path or URL
        The file, or what else the parser takes.
    access : Access
        Options for opening.

    Raises
    ------
    SourceError
        If the file cannot be read.
    FormatError
        If the parser refuses it, or gives something else than a ``ManifestStore``.
    MissingExtraError
        If the parser needs a package that is not installed.
    """
    if isinstance(parser, type):
        raise FormatError(f"format is the class {parser.__name__}, expected a parser: {parser.__name__}()")
    url = absolute_url(path)
    access.check(url)
    source = _state(url, access)
    found = _parsed(parser, url, _registry(url, access))
    group = getattr(found, "_group", None)
    if not hasattr(group, "arrays") or not hasattr(group, "groups"):
        raise FormatError(f"{source.url}: {_title(parser)} gave {type(found).__name__}, expected a ManifestStore")
    arrays: dict[str, Any] = {}
    documents = dict(_documents(group, "", arrays))
    asked = access.asked_by(url)

    def references(name: str, metadata: ArrayMetadata) -> tuple[SourceTable, ChunkManifest]:
        _check_codecs(metadata)
        return _references(name, arrays[name].manifest, metadata, source, asked)

    return scanned_references(source, _title(parser), documents, references)


def _title(parser: object) -> str:
    return f"{type(parser).__module__}.{type(parser).__qualname__}"


def _state(url: str, access: Access) -> Source:
    """The file as it is now; directories have no state."""
    if is_local(url) and os.path.isdir(local_path(url)):
        return Source(url)
    reader = open_reader(url, access)
    try:
        return reader.describe()
    finally:
        reader.close()


def _registry(url: str, access: Access) -> Any:
    """A registry with the one store that the URL lies in."""
    try:
        from obspec_utils.registry import ObjectStoreRegistry
    except ImportError as exc:
        raise MissingExtraError(f"parsers of VirtualiZarr need the package virtualizarr: {EXTRA}") from exc
    if is_local(url):
        return ObjectStoreRegistry({"file://": local_store()})
    parts = urlsplit(url)
    if parts.scheme not in OBJECT_SCHEMES | WEB_SCHEMES or "::" in url:
        raise UnsupportedError(f"{url}: parsers of VirtualiZarr read local files, http and object stores, no {parts.scheme!r}")
    options = access.options(url)
    if parts.scheme == "http":  # obstore has it allowed
        options = {**options, "client_options": {"allow_http": True, **options.get("client_options", {})}}
    store, _ = make_store(url, options, repeats=True)
    return ObjectStoreRegistry({f"{parts.scheme}://{parts.netloc}": store})


def _parsed(parser: ParserOfVirtualiZarr, url: str, registry: Any) -> Any:
    try:
        return parser(url, registry)
    except VirtualZarrError:
        raise
    except ImportError as exc:
        raise MissingExtraError(f"{_title(parser)} needs a package that is not installed: {exc}") from exc
    except (FileNotFoundError, PermissionError) as exc:
        raise SourceError(f"{url}: {_title(parser)} cannot read it: {exc}") from exc
    except NotImplementedError as exc:
        raise UnsupportedError(f"{url}: {_title(parser)} does not read it: {exc}") from exc
    except Exception as exc:
        raise FormatError(f"{url}: {_title(parser)} failed: {type(exc).__name__}: {exc}") from exc


def _documents(group: Any, prefix: str, arrays: dict[str, Any]) -> Iterator[tuple[str, JsonObject]]:
    """Zarr metadata by key; the arrays themselves are put beside by path."""
    yield f"{prefix}zarr.json", _as_json(group.metadata)
    for name, array in group.arrays.items():
        arrays[f"{prefix}{name}"] = array
        yield f"{prefix}{name}/zarr.json", _as_json(array.metadata)
    for name, member in group.groups.items():
        yield from _documents(member, f"{prefix}{name}/", arrays)


def _as_json(metadata: Any) -> JsonObject:
    from zarr.core.buffer import default_buffer_prototype

    document: JsonObject = json.loads(metadata.to_buffer_dict(default_buffer_prototype())["zarr.json"].to_bytes())
    return document


def _check_codecs(metadata: ArrayMetadata) -> None:
    """Refuse codecs that have no decoder here; one whose package is missing may be there where the values are read."""
    try:
        compile_pipeline(metadata.codecs, metadata.dtype)
    except MissingExtraError:
        return


def _references(
    name: str, manifest: Any, metadata: ArrayMetadata, file: Source, access: Access
) -> tuple[SourceTable, ChunkManifest]:
    shape = counted_shape(metadata)
    if tuple(manifest.shape_chunk_grid) != shape:
        raise UnsupportedError(f"its manifest has {tuple(manifest.shape_chunk_grid)} chunks, its metadata {shape}")
    source, offset, length = np.zeros(shape, np.uint32), np.zeros(shape, np.uint64), np.zeros(shape, np.uint64)
    sources: list[Source] = []
    known: dict[str, int] = {}
    for key, entry in manifest.dict().items():
        at = tuple(int(part) for part in key.split(".") if part)
        path = entry["path"]
        if path == INLINED:
            row = len(sources)
            sources.append(inline_source(f"{name}/{key}", entry["data"]))
        elif path in known:
            row = known[path]
        else:
            row = known[path] = len(sources)
            url = absolute_url(path)
            sources.append(file if url == file.url else access.source(url))
        source[at], offset[at], length[at] = row, entry["offset"], entry["length"]
    if length.size and int(length.max()) > MAX_CHUNK:
        raise UnsupportedError(f"has a chunk of {int(length.max())} bytes, longer than the {MAX_CHUNK} of a reference")
    return SourceTable(tuple(sources)), ChunkManifest.from_columns(shape, offset, length, source)
