"""The rules of ``chunk-manifest`` (docs/specs/chunk-manifest), CM-1 to CM-19, as far as a store can break them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from math import prod
from typing import Any

import numpy as np

from intake_virtualzarr._typing import Attrs, JsonObject, Shape
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.codecs.spec import pipeline_from_json
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.checks import checks_from_text
from intake_virtualzarr.hierarchy.chunk_grid_json import grid_from_json, shape_from_json
from intake_virtualzarr.hierarchy.findings import ArrayFindings
from intake_virtualzarr.hierarchy.reader import Hierarchy
from intake_virtualzarr.hierarchy.source_table import resolve
from intake_virtualzarr.storage.limits import MAX_TILES
from intake_virtualzarr.storage.parsing import as_list, as_whole, parse_object
from intake_virtualzarr.storage.url_secrets import strip_signed
from intake_virtualzarr.storage.urls import quoted

__all__ = ["validate_manifest"]

KEY = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*", re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
MOST = 2**53
MOST_LENGTH = 2**32


def validate_manifest(hierarchy: Hierarchy, path: str, document: Attrs, configuration: Attrs, found: ArrayFindings) -> None:
    """Look at every rule of one array, in pages and tables, too.

    Parameters
    ----------
    hierarchy : Hierarchy
    path : str
        Of the array, or of the concatenation that it stands in.
    document, configuration : dict
        Metadata of the array, and what they say of the transformer.
    found : ArrayFindings
        Takes what does not hold.
    """
    label = f"{hierarchy.keys.url}/{path}"
    has = [name for name in ("chunks", "manifest") if name in configuration]
    found.expect("CM-1", len(has) == 1, f"has {' and '.join(has) or 'neither chunks nor manifest'}; expected exactly one of them")
    grid: Shape | None = None
    with found.rule("CM-18" if "stored_chunk_shapes" in configuration else "CM-2"):
        shape = shape_from_json(document["shape"], label)
        grid = grid_from_json(document["chunk_grid"], shape, configuration.get("stored_chunk_shapes"), label).grid_shape
    alternatives = _alternatives(configuration, found)
    sources = _sources(hierarchy, path, configuration, found)
    if configuration.get("holds_values"):
        last = [codec["name"] if isinstance(codec, Mapping) else codec for codec in document.get("codecs", [])][-1:]
        found.expect("CM-19", last == ["crc32c"], f"holds values and its codecs end with {last}; expected crc32c")
    if grid is None or sources is None:
        return
    if "chunks" in configuration:
        _chunks(configuration["chunks"], grid, sources, alternatives, found)
    if "manifest" in configuration:
        _packed(hierarchy, path, document, configuration, grid, sources, alternatives, found)


def _alternatives(configuration: Attrs, found: ArrayFindings) -> int:
    """Number of codec pipelines beside the array's own."""
    listed = configuration.get("codec_alternatives")
    if listed is None:
        return 0
    with found.rule("CM-17"):
        for pipeline in as_list(listed, "codec_alternatives", HierarchyError):
            pipeline_from_json(pipeline)
    return len(listed) if isinstance(listed, list) else 0


# ---------------------------------------------------------------------- sources


def _sources(hierarchy: Hierarchy, path: str, configuration: Attrs, found: ArrayFindings) -> int | None:
    """Number of sources; None if the table cannot be read."""
    table = configuration.get("sources")
    if table is None:
        return 0
    where = f"{hierarchy.keys.url}/{quoted(path)}/zarr.json"
    try:
        count = 0
        for base, row in _rows(hierarchy, table, where, found):
            count += 1
            _row(hierarchy, base, row, bool(configuration.get("holds_values")), found)
        return count
    except _UnreadableError:
        return None


class _UnreadableError(Exception):
    """A table of which no more can be said; the finding is added."""


def _rows(hierarchy: Hierarchy, table: Attrs, where: str, found: ArrayFindings) -> Iterator[tuple[str, Any]]:
    """The rows of a table, each with the URL that it is resolved against."""
    if "list" in table:
        with found.rule("CM-12"):
            base = resolve(where, table["base"]) if table.get("base") else where
            yield from [(base, row) for row in as_list(table["list"], "sources.list", HierarchyError)]
            return
        raise _UnreadableError
    for part, (url, raw) in enumerate(_tables(hierarchy, table, where, found)):
        document: JsonObject | None = None
        with found.rule("CM-13"):
            document = parse_object(raw, url, HierarchyError)
            base = resolve(url, document["base"]) if document.get("base") else url
            rows = as_list(document["list"], f"{url}: list", HierarchyError)
            expected = min(table["page_size"], table["count"] - part * table["page_size"])
            if len(rows) != expected:
                raise HierarchyError(f"{url}: has {len(rows)} rows, expected {expected}")
        if document is None:
            raise _UnreadableError
        yield from [(base, row) for row in rows]


def _tables(hierarchy: Hierarchy, table: Attrs, where: str, found: ArrayFindings) -> Iterator[tuple[str, bytes]]:
    """URL and bytes of the documents of a long table."""
    objects: list[tuple[str, bytes]] | None = None
    with found.rule("CM-13"):
        size = as_whole(table["page_size"], "page_size", HierarchyError, least=1)
        count = as_whole(table["count"], "count of sources", HierarchyError)
        parts = -(-count // size)
        checks = checks_from_text(table["checks"]) if "checks" in table else None
        if checks is not None and len(checks) != parts:
            raise HierarchyError(f"{len(checks)} checks for {count} sources in tables of {size}")
        keys, prefix = hierarchy.place(resolve(where, table["path"]))
        objects = []
        for part in range(parts):
            key = f"{prefix}/{part}.json"
            raw = hierarchy.snapshot.read(keys, key, None if checks is None else checks[part])
            objects.append((f"{keys.url}/{key}", raw))
    if objects is None or len(objects) != -(-table["count"] // table["page_size"]):
        raise _UnreadableError
    yield from objects


def _row(hierarchy: Hierarchy, base: str, row: Any, holds_values: bool, found: ArrayFindings) -> None:
    if not found.expect("CM-12", isinstance(row, dict) and isinstance(row.get("url"), str), f"source {row!r} has no url"):
        return
    url = resolve(base, row["url"])
    found.expect("CM-15", strip_signed(url) == url, f"source {strip_signed(url)!r} holds credentials or a signature")
    if not holds_values:
        found.all.checked["CM-16"] += 1
        hierarchy.access.check(url)
    size, changed, digest = row.get("size"), row.get("last_modified"), row.get("sha256")
    found.expect("CM-14", size is None or _whole(size, MOST), f"source {row['url']!r}: size is {size!r}; expected whole bytes")
    found.expect(
        "CM-14", changed is None or _is_time(changed), f"source {row['url']!r}: last_modified is {changed!r}; expected RFC 3339"
    )
    fits = digest is None or (isinstance(digest, str) and SHA256.fullmatch(digest))
    found.expect("CM-14", fits, f"source {row['url']!r}: sha256 is {digest!r}; expected 64 hexadecimal digits")


def _is_time(text: Any) -> bool:
    try:
        return isinstance(text, str) and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


# ---------------------------------------------------------------------- references


def _chunks(chunks: Any, grid: Shape, sources: int, alternatives: int, found: ArrayFindings) -> None:
    """References in readable form."""
    if not found.expect("CM-1", isinstance(chunks, dict), f"chunks are a {type(chunks).__name__}; expected an object"):
        return
    for key, entry in chunks.items():
        at = [int(part) for part in key.split(".")] if KEY.fullmatch(key) else None
        inside = at is not None and (
            all(c < n for c, n in zip(at, grid, strict=False)) and len(at) == len(grid) if grid else at == [0]
        )
        found.expect("CM-2", inside, f"chunk {key!r} is no chunk of a grid of shape {grid}")
        _reference(key, entry, sources, alternatives, found)


def _reference(key: str, entry: Any, sources: int, alternatives: int, found: ArrayFindings) -> None:
    names = frozenset(entry) - {"codec"} if isinstance(entry, dict) else frozenset()
    form = names in (frozenset({"source", "offset", "length"}), frozenset({"inline"}))
    if not found.expect("CM-3", form, f"chunk {key!r} is {entry!r}; expected source, offset and length, or inline"):
        return
    codec = entry.get("codec", 0)
    found.expect("CM-17", _whole(codec, alternatives + 1), f"chunk {key!r} has codec {codec!r} of {alternatives + 1} pipelines")
    if "inline" in entry:
        with found.rule("CM-3"):
            base64.b64decode(entry["inline"], validate=True)
        return
    found.expect("CM-6", _whole(entry["source"], sources), f"chunk {key!r} names source {entry['source']!r} of {sources}")
    fits = _whole(entry["offset"], MOST) and _whole(entry["length"], MOST_LENGTH)
    found.expect(
        "CM-6", fits, f"chunk {key!r} lies at {entry['offset']!r} with {entry['length']!r} bytes; expected below 2^53 and 2^32"
    )


def _whole(value: Any, below: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below


def _packed(
    hierarchy: Hierarchy,
    path: str,
    document: Attrs,
    configuration: Attrs,
    grid: Shape,
    sources: int,
    alternatives: int,
    found: ArrayFindings,
) -> None:
    """References as an array: its metadata, then its pages one by one."""
    manifest = configuration["manifest"]
    checked = not isinstance(manifest, str) or str(configuration.get("version", "0.1")) == "0.1"
    if not found.expect("CM-11", checked, f"names manifest {manifest!r} without the checks of its pages"):
        return
    pages: list[tuple[slice, ...]] = []
    with found.rule("CM-8"):
        inner = _refs(hierarchy, path, configuration, manifest)
        shape, page = inner["shape"], inner["chunk_grid"]["configuration"]["chunk_shape"]
        if inner["data_type"] != "uint64" or tuple(shape[:-1]) != grid or shape[-1] not in (3, 4):
            raise HierarchyError(f"refs are {inner['data_type']} of shape {shape}; expected uint64 of {(*grid, '3 or 4')}")
        if page[-1] != shape[-1]:
            raise HierarchyError(f"pages of {page} split a reference")
        counts = [-(-n // p) for n, p in zip(grid, page[:-1], strict=True)]
        if prod(grid) > 64 * MAX_TILES:
            raise HierarchyError(f"lists chunks of a grid of shape {grid}; more than this command looks at")
        pages = [_box(at, page[:-1], grid) for at in np.ndindex(*counts)]
    with found.rule("CM-11"):
        if (
            isinstance(manifest, dict)
            and "objects" in manifest
            and len(checks_from_text(manifest["objects"]["checks"])) != len(pages)
        ):
            raise HierarchyError(f"tells of {len(checks_from_text(manifest['objects']['checks']))} pages; there are {len(pages)}")
    if not pages:
        return
    stored = None
    with found.rule("CM-10"):
        stored = hierarchy.pages(path, configuration, grid)
    for box in pages if stored is not None else ():
        references: ChunkManifest | None = None
        with found.rule("CM-11" if "objects" in manifest else "CM-10"):
            references = stored.region(box) if stored is not None else None
        if references is not None:
            _page(references, box, sources, alternatives, found)


def _refs(hierarchy: Hierarchy, path: str, configuration: Attrs, manifest: Any) -> JsonObject:
    """Metadata of the array of references: in the document, in version 0.1 where a URL says."""
    if not isinstance(manifest, str):
        inner: JsonObject = manifest["zarr.json"]
        return inner
    keys, key = hierarchy.place(resolve(f"{hierarchy.keys.url}/{quoted(path)}/", manifest))
    return parse_object(hierarchy.snapshot.read(keys, f"{key}/zarr.json", None), key, HierarchyError)


def _box(at: Shape, page: Shape, grid: Shape) -> tuple[slice, ...]:
    """The chunks of a page."""
    return tuple(slice(c * p, min((c + 1) * p, n)) for c, p, n in zip(at, page, grid, strict=True))


def _page(references: ChunkManifest, box: tuple[slice, ...], sources: int, alternatives: int, found: ArrayFindings) -> None:
    listed = references.length > 0
    where = f"page of chunks {[one.start for one in box]} to {[one.stop - 1 for one in box]}"
    named = int(references.source[listed].max(initial=0))
    found.expect("CM-6", not listed.any() or named < sources, f"{where}: names source {named} of {sources}")
    furthest = int(references.offset[listed].max(initial=0))
    found.expect("CM-6", furthest < MOST, f"{where}: names offset {furthest}; expected below 2^53")
    if references.codec is not None:
        codec = int(references.codec[listed].max(initial=0))
        found.expect("CM-17", codec <= alternatives, f"{where}: names codec {codec} of {alternatives + 1} pipelines")
