"""Stores of more references than a test could write: the root says that all pages are there, and only those that are asked for are.

    python tests/support/large_stores.py DIRECTORY FILES CHUNKS URL

writes such a store for tests in other languages; chunk 7 of file FILES // 2 lies at URL, which holds the numbers from 0 to 9.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.codecs.spec import bytes_codec
from intake_virtualzarr.hierarchy.checks import Check
from intake_virtualzarr.hierarchy.documents import group_document
from intake_virtualzarr.hierarchy.manifest_writer import ArrayHeader
from intake_virtualzarr.hierarchy.paged_manifest import page_shape, refs_document, write_pages
from intake_virtualzarr.hierarchy.source_table import PAGE_SIZE

PREFIX = "generations/1ngpf2qmtv1eryx9fmq1"
VALUES = np.arange(10, dtype="<i2")
"""What the one chunk holds."""


def simulate(folder: Path, files: int, chunks: int, url: str) -> Path:
    """Write a store of ``files * chunks`` references, in as many files, that is there as far as one of its chunks needs it.

    Parameters
    ----------
    folder : path
        Where to.
    files, chunks : int
        Files, one step each, and chunks of a step. The chunk that is there is number 7 of the step in the middle.
    url : str
        File with the bytes of `VALUES`; all references of the page lie there.
    """
    store = folder / "simulated.vzarr"
    row, grid_shape = files // 2, (files, chunks)
    page = page_shape(grid_shape)
    manifest = ChunkManifest.from_columns(page, 0, VALUES.nbytes, row)
    content = next(data for _, data in write_pages(manifest, page, 3))
    rows = [{"url": url if number == row % PAGE_SIZE else f"absent-{number}.nc"} for number in range(PAGE_SIZE)]
    sources = json.dumps({"base": "", "list": rows}).encode()
    counts = tuple(-(-n // p) for n, p in zip(grid_shape, page, strict=True))
    coords = (row // page[0], 7 // page[1])
    _put(store / PREFIX / "refs/c" / str(coords[0]) / str(coords[1]) / "0", content)
    _put(store / PREFIX / f"sources/{row // PAGE_SIZE}.json", sources)
    configuration = {
        "manifest": {
            "zarr.json": refs_document(grid_shape, page, 3),
            "objects": {"path": f"../{PREFIX}/refs", "checks": _checks(counts, coords, content)},
        },
        "sources": {
            "path": f"../{PREFIX}/sources",
            "page_size": PAGE_SIZE,
            "count": files,
            "checks": _checks((-(-files // PAGE_SIZE),), (row // PAGE_SIZE,), sources),
        },
    }
    head = ArrayHeader(np.dtype("i2"), np.int16(0), ("time", "x"), {})
    grid = ChunkGrid.regular((files, chunks * VALUES.size), (1, VALUES.size))
    codecs: list[Any] = [bytes_codec(VALUES.dtype).to_json()]
    array = head.document(grid.shape, grid, codecs, {"name": "chunk-manifest", "configuration": configuration})
    _put(store / "zarr.json", json.dumps(group_document({}, {"v": array})).encode())
    return store


def _checks(counts: tuple[int, ...], at: tuple[int, ...], content: bytes) -> str:
    """Checks of objects that are not there, and of one that is."""
    raw = np.frombuffer(np.random.default_rng(0).bytes(8 * int(np.prod(counts))), "<u4").reshape(*counts, 2).copy()
    check = Check.of(content)
    raw[at] = check.size, check.crc32c
    return base64.standard_b64encode(raw.tobytes()).decode()


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


if __name__ == "__main__":
    simulate(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
