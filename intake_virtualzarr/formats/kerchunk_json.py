"""kerchunk references in JSON, versions 0 and 1, as a format like those of archive files.

Source: "References specification" of kerchunk.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.arrays.manifest import Manifest
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.base import ArchiveFile, Parse, ScannedFile
from intake_virtualzarr.formats.kerchunk_table import table_of
from intake_virtualzarr.formats.kerchunk_templates import render
from intake_virtualzarr.formats.zarr_references import DOCUMENTS, array_paths, scanned_references, spread_documents
from intake_virtualzarr.hierarchy.array_metadata import ArrayMetadata
from intake_virtualzarr.hierarchy.documents import naming
from intake_virtualzarr.storage.limits import MAX_GENERATED
from intake_virtualzarr.storage.parsing import DAMAGE, parse_json
from intake_virtualzarr.storage.reader import Buffer
from intake_virtualzarr.storage.source import Source, SourceTable

__all__ = ["FORMAT", "scanned_document"]

HEAD = re.compile(rb'\s*\{\s*"(version"\s*:\s*[01]\b|refs"|templates"|gen"|([^"]*/)?(\.z(group|array|attrs|metadata)|zarr\.json)")')
"""How references begin: with a member of version 1, or with a key of metadata."""
LATER = re.compile(rb'"([^"\s]*/)?\.zgroup"\s*:')
ENCODED = "base64:"
type Chunks = tuple[list[str], list[Any]]
"""Keys and references."""


class KerchunkJson:
    """The format plug-in."""

    name = "kerchunk"

    def sniff(self, head: Buffer) -> bool:
        """Whether it is JSON that begins as references do."""
        first = bytes(head[: 8 * 1024])
        return HEAD.match(first) is not None or (first.lstrip().startswith(b"{") and LATER.search(first) is not None)

    def parse(self, source: Source) -> Parse:
        """Read the whole document."""
        (raw,) = yield [(0, source.size or 0)]
        document = parse_json(raw, source.url)
        with naming(source.url, FormatError):
            return scanned_document(document, source)

    def fallback(self, source: Source, file: ArchiveFile, reason: str) -> ScannedFile | None:
        """There is no other library to ask."""
        return None


FORMAT = KerchunkJson()


def scanned_document(document: Any, source: Source) -> ScannedFile:
    """The scan of a document of references.

    Raises
    ------
    FormatError
        If it holds no references.
    UnsupportedError
        If its templates are more than fields, or its metadata lies elsewhere.
    """
    if not isinstance(document, Mapping):
        raise FormatError(f"{source.url}: is {type(document).__name__}, expected an object of references")
    documents: JsonObject = {}
    chunks: dict[str, Chunks] = {}
    for key, reference in _references(document, source.url):
        path, _, last = key.rpartition("/")
        if last in DOCUMENTS:
            documents[key] = _metadata(key, reference, source.url)
            continue
        place = chunks.get(path)
        if place is None:
            place = chunks[path] = [], []
        place[0].append(last)
        place[1].append(reference)
    documents = spread_documents(documents)
    owned = _by_array(chunks, array_paths(documents))

    def references(path: str, metadata: ArrayMetadata) -> tuple[SourceTable, Manifest]:
        keys, found = owned[path]
        found = [_chunk(key, one) if type(one) is str else one for key, one in zip(keys, found, strict=True)]
        return table_of(path, metadata, keys, found, source.url)

    return scanned_references(source, FORMAT.name, documents, references)


def _references(document: Attrs, url: str) -> Iterator[tuple[str, Any]]:
    """All keys and references, templates filled and generated ones made."""
    if not ({"refs", "gen", "templates"} & set(document)):
        yield from document.items()
        return
    version = document.get("version", 1)
    if version != 1:
        raise FormatError(f"{url}: references of version {version!r}, known are 0 and 1")
    refs, templates = document.get("refs", {}), document.get("templates", {})
    if not isinstance(refs, Mapping) or not isinstance(templates, Mapping):
        raise FormatError(f"{url}: 'refs' and 'templates' are to be objects")
    if not templates:
        yield from refs.items()
        refs = {}
    filled: dict[str, str] = {}
    for key, reference in refs.items():
        if isinstance(reference, list) and reference and isinstance(reference[0], str) and "{{" in reference[0]:
            text = reference[0]
            if text not in filled:
                filled[text] = render(text, templates)
            reference = [filled[text], *reference[1:]]
        yield key, reference
    generators = document.get("gen", [])
    if not isinstance(generators, list):
        raise FormatError(f"{url}: 'gen' is to be a list")
    planned = [_generator(generator, url) for generator in generators]
    count = sum(one[2] for one in planned)
    if count > MAX_GENERATED:
        raise FormatError(f"{url}: a generator makes {count} references; at most {MAX_GENERATED} are made of one document")
    for axes, texts, _ in planned:
        yield from _generated(axes, texts, templates, url)


def _generator(generator: Any, url: str) -> tuple[dict[str, Sequence[Any]], dict[str, str], int]:
    """The values of each dimension, the templates, and how many references they make."""
    try:
        axes: dict[str, Sequence[Any]] = {
            name: one if isinstance(one, list) else range(one.get("start", 0), one["stop"], one.get("step", 1))
            for name, one in generator["dimensions"].items()
        }
        texts = {name: str(generator[name]) for name in ("key", "url", "offset", "length") if name in generator}
        if "key" not in texts or "url" not in texts or ("offset" in texts) != ("length" in texts):
            raise KeyError("key, url, and both or none of offset and length")
        return axes, texts, prod(len(values) for values in axes.values())
    except DAMAGE as exc:
        raise FormatError(f"{url}: generator {str(generator)[:200]} is incomplete or wrong: {exc}") from exc


def _generated(
    axes: Mapping[str, Sequence[Any]], texts: Mapping[str, str], templates: Attrs, url: str
) -> Iterator[tuple[str, Any]]:
    for values in product(*axes.values()):
        known = {**templates, **dict(zip(axes, values, strict=True))}
        made = {name: render(text, known) for name, text in texts.items()}
        span = [_whole(made[name], name, url) for name in ("offset", "length") if name in made]
        yield made["key"], [made["url"], *span]


def _whole(text: str, name: str, url: str) -> int:
    try:
        return int(text)
    except ValueError as exc:
        raise FormatError(f"{url}: a generator gives {text!r} as {name}, expected a whole number") from exc


def _metadata(key: str, reference: Any, url: str) -> Any:
    if isinstance(reference, list):
        raise UnsupportedError(f"{url}: {key}: the metadata lies in another file ({reference!r}); only chunks may")
    if isinstance(reference, Mapping):
        return reference
    if not isinstance(reference, str):
        raise FormatError(f"{url}: {key}: is {reference!r}, expected metadata")
    return parse_json(_chunk(key, reference), f"{url}: {key}")


def _chunk(key: str, reference: str) -> bytes:
    """Bytes that stand in the document."""
    if not reference.startswith(ENCODED):
        return reference.encode()
    try:
        return base64.b64decode(reference[len(ENCODED) :], validate=True)
    except binascii.Error as exc:
        raise UnsupportedError(f"chunk {key!r} is not base64: {exc}") from exc


def _by_array(chunks: Mapping[str, Chunks], paths: Sequence[str]) -> dict[str, Chunks]:
    """Chunks by array, with the rest of their keys; keys that belong to none are not chunks."""
    owned: dict[str, Chunks] = {path: ([], []) for path in paths}
    for place, (names, references) in chunks.items():
        path = place
        while path and path not in owned:
            path = path.rpartition("/")[0]
        if path not in owned:
            continue
        rest = place[len(path) :].removeprefix("/")
        if rest.startswith("."):
            continue
        keys = [f"{rest}/{name}" for name in names] if rest else names
        for key, reference in zip(keys, references, strict=True):
            if key[:1] != ".":
                owned[path][0].append(key)
                owned[path][1].append(reference)
    return owned
