"""Damaged TIFF files: what the parser and the decoders make of them is a scan, values, or one of our errors."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from parser_runs import EXTREMES, LARGEST_READ, scanned

from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.scanned_tree import tree_of_scan
from intake_virtualzarr.formats.tiff import FORMAT

__all__ = ["mutations", "outcome", "seeds"]


def seeds() -> list[bytes]:
    """Small files of several kinds."""
    rng = np.random.default_rng(3)
    gray, colours = rng.integers(0, 255, (40, 48), "u1"), rng.integers(0, 255, (40, 48, 3), "u1")
    tiles = {"tile": (16, 16)}
    made = [
        (gray, {}),
        (gray, {"compression": "zlib", "predictor": True, **tiles}),
        (gray, {"compression": "lzw", "rowsperstrip": 7}),
        (gray, {"compression": "packbits", "rowsperstrip": 7}),
        (gray, {"compression": "zstd", **tiles, "bigtiff": True}),
        (gray.astype("f4"), {"compression": "zlib", "predictor": 3, **tiles, "byteorder": ">"}),
        (colours, {"compression": "jpeg", "photometric": "ycbcr", **tiles}),
        (colours, {"compression": "webp", **tiles}),
        (gray.astype("f4"), {"compression": "lerc", **tiles}),
        (gray.astype("u2"), {"compression": "jpeg2000", **tiles}),
        (gray.astype("u2"), {"metadata": None, "extratags": _geo_tags()}),
    ]
    files = []
    for values, options in made:
        file = io.BytesIO()
        tifffile.imwrite(file, values, **options)
        files.append(file.getvalue())
    pages = io.BytesIO()
    with tifffile.TiffWriter(pages) as writer:
        writer.write(gray, subifds=1)
        writer.write(gray[::2, ::2], subfiletype=1)
        writer.write(gray)
    return [*files, pages.getvalue()]


def _geo_tags() -> list[tuple[int, str, int, object, bool]]:
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)
    metadata = '<GDALMetadata><Item name="SCALE" sample="0" role="scale">0.1</Item></GDALMetadata>'
    return [
        (33550, "d", 3, (10.0, 10.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), True),
        (34735, "H", len(keys), keys, True),
        (42112, "s", 0, metadata, True),
        (42113, "s", 0, "-9999", True),
    ]


def mutations(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Files that differ from one in a few places, most of them in what stands outside of its values."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(0, min(len(changed), 600) if rng.random() < 0.8 else len(changed)))
            kind = rng.integers(0, 5)
            if kind == 0:
                changed[at] ^= 1 << int(rng.integers(0, 8))
            elif kind == 1:
                changed[at] = int(rng.integers(0, 256))
            elif kind == 2:
                width = int(rng.choice([1, 2, 4, 8]))
                value = int(rng.choice(np.array(EXTREMES, dtype=object))) % 256**width
                changed[at : at + width] = value.to_bytes(width, str(rng.choice(["little", "big"])))
            elif kind == 3:
                changed = changed[: max(at, 8)]
            else:
                other = int(rng.integers(0, len(changed)))
                changed[at : at + 12] = changed[other : other + 12]
        yield bytes(changed)


def outcome(data: bytes, path: Path, *, read: bool) -> str:
    """What becomes of a file: ``"read"``, ``"scanned"`` or the name of the error. Any other error is raised."""
    try:
        found, _ = scanned(FORMAT, data, path)
        if not read or "/band_data" not in found.arrays:
            return "scanned"
        path.write_bytes(data)
        array = tree_of_scan(found).groups["/"].variables["band_data"].data
        stored = array.segments[0].stored
        if max(int(np.prod([int(axis.stored.max()) for axis in stored.grid.axes])), 0) * array.dtype.itemsize > LARGEST_READ:
            return "scanned"
        np.asarray(array[:1, :1, :1])
    except VirtualZarrError as exc:
        return type(exc).__name__
    return "read"
