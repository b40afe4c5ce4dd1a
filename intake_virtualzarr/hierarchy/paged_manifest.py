"""The packed ``manifest/refs`` array: its pages, written from columns and read one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from itertools import product
from math import isqrt, prod
from typing import Any, Protocol

import numpy as np
from numcodecs import Blosc

from intake_virtualzarr._typing import AnyArray, JsonObject, Shape
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.codecs.pipeline import compile_pipeline
from intake_virtualzarr.codecs.spec import Pipeline, pipeline_from_json
from intake_virtualzarr.errors import HierarchyError, ManifestError
from intake_virtualzarr.hierarchy.checks import Check
from intake_virtualzarr.hierarchy.documents import naming
from intake_virtualzarr.hierarchy.plain_array import key_parts
from intake_virtualzarr.hierarchy.sharding import Sharding, ShardKeys, Shards
from intake_virtualzarr.storage.key_value import ReadKeys
from intake_virtualzarr.storage.limits import MAX_PAGE
from intake_virtualzarr.storage.lru import LRU
from intake_virtualzarr.storage.parsing import parse_object
from intake_virtualzarr.storage.thread_pool import decode_pool, thread_count

__all__ = ["PAGE_REFERENCES", "PagedManifest", "page_checks", "page_number", "page_shape", "refs_document", "write_pages"]

FIELDS = ("source", "offset", "length", "codec")
PAGE_REFERENCES = 16_384
"""References in a full page: some 60 kB, one request."""
REFERENCES_KEPT = 64 * PAGE_REFERENCES
"""References of one manifest that stay in memory, in whole pages: 16 MB."""
MOST_PAGE_REFERENCES = REFERENCES_KEPT // 4


class References(Protocol):
    """What is written as pages."""

    @property
    def shape(self) -> Shape:
        """Shape of the chunk grid."""

    def region(self, slices: tuple[slice, ...]) -> ChunkManifest:
        """The references of a box of chunks."""


def page_references(count: int) -> int:
    """References in a full page of a manifest of ``count`` chunks.

    A page takes some four bytes a reference, its check in the root eleven: what a reader asks for, both together, is least where
    a page holds the root of 2.7 times their number. From a hundred million on that is more than `PAGE_REFERENCES`.
    """
    least = isqrt(27 * count // 10)
    return min(max(PAGE_REFERENCES, 1 << (least - 1).bit_length() if least else 0), MOST_PAGE_REFERENCES)


def page_shape(grid_shape: Shape) -> Shape:
    """Shape of a page: whole trailing axes as far as they fit, at most `page_references`."""
    page = [1] * len(grid_shape)
    room = page_references(prod(grid_shape))
    for axis in reversed(range(len(grid_shape))):
        page[axis] = max(1, min(grid_shape[axis], room))
        room //= page[axis]
    return tuple(page)


def refs_document(grid_shape: Shape, page: Shape, fields: int) -> JsonObject:
    """Metadata of the ``refs`` array, an ordinary Zarr array."""
    ndim = len(grid_shape) + 1
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [*grid_shape, fields],
        "data_type": "uint64",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [*page, fields]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [
            {"name": "transpose", "configuration": {"order": [ndim - 1, *range(ndim - 1)]}},
            {"name": "bytes", "configuration": {"endian": "little"}},
            {
                "name": "blosc",
                "configuration": {"cname": "zstd", "clevel": 5, "shuffle": "shuffle", "typesize": 8, "blocksize": 0},
            },
        ],
        "attributes": {"fields": list(FIELDS[:fields])},
    }


def write_pages(manifest: References, page: Shape, fields: int) -> Iterator[tuple[str, bytes]]:
    """Keys (below ``refs/``) and bytes of all pages that list a chunk; several are compressed at once."""
    counts = tuple(-(-n // p) for n, p in zip(manifest.shape, page, strict=True))
    pool, ahead = decode_pool(), 2 * thread_count()
    waiting: deque[tuple[Shape, Future[bytes | None]]] = deque()

    def finished() -> Iterator[tuple[str, bytes]]:
        coords, future = waiting.popleft()
        data = future.result()
        if data is not None:
            yield "/".join(("c", *map(str, coords), "0")), data

    for coords in product(*(range(n) for n in counts)):
        waiting.append((coords, pool.submit(_page_bytes, manifest, page, fields, coords)))
        if len(waiting) > ahead:
            yield from finished()
    while waiting:
        yield from finished()


def page_checks(grid_shape: Shape, page: Shape, written: Mapping[str, Check]) -> list[Check]:
    """The checks of all pages, in C order; of length 0 for a page that lists no chunk and is not written.

    Parameters
    ----------
    grid_shape, page : tuple of int
        Shape of the chunk grid, and of a page [chunks].
    written : mapping of str to Check
        What `write_pages` gave, by key.
    """
    counts = tuple(-(-n // p) for n, p in zip(grid_shape, page, strict=True))
    out = [Check(0, 0)] * prod(counts)
    for key, check in written.items():
        out[page_number(key, counts)] = check
    return out


def page_number(key: str, counts: Shape) -> int:
    """From the key of a page to its place among all pages."""
    coords = tuple(int(part) for part in key.split("/")[1:-1])
    return int(np.ravel_multi_index(coords, counts)) if counts else 0


def _page_bytes(manifest: References, page: Shape, fields: int, coords: Shape) -> bytes | None:
    """One page, compressed; None if it lists no chunk."""
    box = tuple(slice(c * p, min((c + 1) * p, n)) for c, p, n in zip(coords, page, manifest.shape, strict=True))
    part = manifest.region(box)
    missing = part.length == 0
    if missing.all():
        return None
    block = np.zeros((fields, *page), dtype="<u8")
    inside: tuple[Any, ...] = tuple(slice(0, n) for n in part.shape)
    block[(0, *inside)] = part.source
    block[(1, *inside)] = part.offset
    block[(2, *inside)] = part.length
    if fields > 3 and part.codec is not None:
        block[(3, *inside)] = part.codec
    if missing.any():  # a chunk that is not stored is all zero
        block[(slice(None), *inside)] *= ~missing
    return bytes(Blosc(cname="zstd", clevel=5, shuffle=Blosc.SHUFFLE).encode(block))


MOST = {"source": 2**32 - 1, "offset": 2**63 - 1, "length": 2**32 - 1, "codec": 2**8 - 1}
"""The largest number of each field of a reference."""


def _weight(page: ChunkManifest | None) -> int:
    return 1 if page is None else min(page.length.size, REFERENCES_KEPT)  # one page is kept, however large


class PagedManifest:
    """A manifest whose pages are fetched when they are needed."""

    deferred = False
    """Counting references reads pages of the store itself, which is at hand."""

    def __init__(self, keys: ReadKeys, path: str, grid_shape: Shape, label: str) -> None:
        self.shape = grid_shape
        self._keys = keys
        self._path = path
        self._label = label
        self._pages: LRU[Shape, ChunkManifest | None] = LRU(REFERENCES_KEPT, _weight)
        self._layout: tuple[Shape, int, Pipeline] | None = None
        self._pages_at: ShardKeys | Shards = ShardKeys("", "/")
        self._loaded: ChunkManifest | None = None

    def __reduce__(self) -> Any:
        return PagedManifest, (self._keys, self._path, self.shape, self._label)

    @property
    def nbytes(self) -> int:
        """Memory of the pages kept [bytes]."""
        if self._loaded is not None:
            return self._loaded.nbytes
        return sum(page.nbytes for page in self._pages.values() if page is not None)

    def _key(self, *parts: object) -> str:
        return "/".join(map(str, (self._path, *parts) if self._path else parts))

    def _read_layout(self) -> tuple[Shape, int, Pipeline]:
        if self._layout is None:
            key = self._key("zarr.json")
            with naming(f"{self._label}: {self._keys.url}/{key}"):
                raw = self._keys.get(key)
                if raw is None:
                    raise HierarchyError(f"{self._label}: {self._keys.url}/{key} is absent")
                self._layout = self._parsed_layout(parse_object(raw, key, HierarchyError))
        return self._layout

    def _parsed_layout(self, document: JsonObject) -> tuple[Shape, int, Pipeline]:
        shape = tuple(int(n) for n in document["shape"])
        fields = document.get("attributes", {}).get("fields")
        if fields not in (list(FIELDS[:3]), list(FIELDS)) or shape[-1] != len(fields):
            raise HierarchyError(f"{self._label}: refs hold {fields!r} in shape {shape}; expected {list(FIELDS[:3])}")
        if len(shape) != len(self.shape) + 1 or any(a < b for a, b in zip(shape, self.shape, strict=False)):
            raise ManifestError(f"{self._label}: refs of shape {shape} for a chunk grid of shape {self.shape}")
        page = tuple(int(n) for n in document["chunk_grid"]["configuration"]["chunk_shape"])
        codecs = pipeline_from_json(document["codecs"])
        self._pages_at = ShardKeys(*key_parts(document, self._path, self._label))
        sharding = Sharding.of(codecs, f"{self._label}: refs")
        if sharding is not None:
            self._pages_at = Shards(self._keys, self._pages_at, page, sharding, self._label)
            page, codecs = sharding.chunk_shape, sharding.codecs
        if len(page) != len(shape) or page[-1] != shape[-1] or min(page) < 1:
            raise HierarchyError(f"{self._label}: pages of {page} split a reference")
        if prod(page[:-1]) > MAX_PAGE:
            raise HierarchyError(f"{self._label}: pages of {page[:-1]} references; at most {MAX_PAGE} are read at once")
        if document["data_type"] != "uint64":
            raise HierarchyError(f"{self._label}: refs have data_type {document['data_type']!r}, expected 'uint64'")
        return page[:-1], len(fields), codecs

    def _page(self, coords: Shape) -> ChunkManifest | None:
        return self._pages.get(coords, lambda: self._read_page(coords))

    def _read_page(self, coords: Shape) -> ChunkManifest | None:
        page, fields, codecs = self._read_layout()
        raw = self._encoded([coords])[0]
        return None if raw is None else self._parse(raw, page, fields, codecs)

    def _encoded(self, pages: list[Shape]) -> list[bytes | None]:
        at = self._pages_at
        if isinstance(at, Shards):
            return [at.get((*coords, 0)) for coords in pages]
        keys = [at((*coords, 0)) for coords in pages]
        return [self._keys.get(keys[0])] if len(keys) == 1 else self._keys.get_many(keys)

    def _parse(self, raw: bytes, page: Shape, fields: int, codecs: Pipeline) -> ChunkManifest:
        try:
            block = compile_pipeline(codecs, np.dtype("uint64"))(raw, (*page, fields))
        except Exception as exc:
            raise HierarchyError(f"{self._label}: a manifest page is damaged: {exc}") from exc
        if block.shape != (*page, fields):
            raise HierarchyError(f"{self._label}: a manifest page decodes to shape {block.shape}, expected {(*page, fields)}")
        for number, (name, most) in enumerate(MOST.items()):
            if block.size and number < fields and int(block[..., number].max()) > most:
                raise HierarchyError(f"{self._label}: a manifest page lists a {name} above {most}")
        return ChunkManifest(
            block[..., 0].astype(np.uint32),
            block[..., 1].astype(np.uint64, order="C", copy=True),  # a view would keep the whole block
            block[..., 2].astype(np.uint32),
            block[..., 3].astype(np.uint8) if fields > 3 else None,
        )

    def region(self, slices: tuple[slice, ...]) -> ChunkManifest:
        """The references of a box of chunks: fetches the pages it touches."""
        if self._loaded is not None:
            return self._loaded.region(slices)
        bounds = [s.indices(n)[:2] for s, n in zip(slices, self.shape, strict=True)]
        page, fields, _ = self._read_layout()
        shape = tuple(max(0, stop - start) for start, stop in bounds)
        spans = [range(a // p, -(-b // p) if b > a else a // p) for (a, b), p in zip(bounds, page, strict=True)]
        if prod(len(span) for span in spans) == 1:
            coords = tuple(span[0] for span in spans)
            found = self._page(coords)
            if found is None:
                return ChunkManifest.empty(shape)
            starts = [c * p for c, p in zip(coords, page, strict=True)]
            return found.region(tuple(slice(a - s, b - s) for (a, b), s in zip(bounds, starts, strict=True)))
        return self._assemble(bounds, spans, page, shape, fields)

    def _assemble(
        self, bounds: Sequence[tuple[int, ...]], spans: Sequence[range], page: Shape, shape: Shape, fields: int
    ) -> ChunkManifest:
        columns: tuple[AnyArray, ...] = (
            np.zeros(shape, np.uint32),
            np.zeros(shape, np.uint64),
            np.zeros(shape, np.uint32),
            np.zeros(shape, np.uint8),
        )
        self._prefetch(list(product(*spans)))
        for coords in product(*spans):
            found = self._page(coords)
            if found is None:
                continue
            outside, inside = [], []
            for c, p, (a, b) in zip(coords, page, bounds, strict=True):
                low, high = max(a, c * p), min(b, (c + 1) * p)
                outside.append(slice(low - a, high - a))
                inside.append(slice(low - c * p, high - c * p))
            for column, values in zip(columns, (found.source, found.offset, found.length, found.codec), strict=True):
                if values is not None:
                    column[tuple(outside)] = values[tuple(inside)]
        codec = columns[3] if fields > 3 and columns[3].any() else None
        return ChunkManifest(columns[0], columns[1], columns[2], codec)

    def _prefetch(self, wanted: list[Shape]) -> None:
        """Fetch pages at once, as many as the cache keeps."""
        page, fields, codecs = self._read_layout()
        most = max(1, REFERENCES_KEPT // prod(page) - 1)
        missing = [coords for coords in wanted if coords not in self._pages][:most]
        if len(missing) < 2:
            return
        for coords, raw in zip(missing, self._encoded(missing), strict=True):
            self._pages.keep(coords, None if raw is None else self._parse(raw, page, fields, codecs))

    def load(self) -> ChunkManifest:
        """All references, in memory."""
        if self._loaded is None:
            self._loaded = self.region(tuple(slice(0, n) for n in self.shape))
            self._pages.clear()
        return self._loaded
