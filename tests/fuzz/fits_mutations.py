"""Damaged FITS files: what the parser and the decoders make of them is a scan, values, or one of our errors."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits
from parser_runs import LARGEST_READ, scanned

from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.fits import FORMAT
from intake_virtualzarr.formats.scanned_tree import tree_of_scan

__all__ = ["mutations", "outcome", "seeds"]

NUMBERS = ("0", "1", "-1", "2", "255", "65535", "2147483647", "4294967295", "9223372036854775807", "1E400", "1.5", "T", "'A'", "")


def seeds() -> list[bytes]:
    """Small files of several kinds."""
    values = np.cumsum(np.random.default_rng(3).normal(0, 3, (24, 40)), 1)
    primary, plain, tiled = fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU
    scaled = primary(values.astype("i2"))
    scaled.header.update(BSCALE=0.5, BZERO=3.0, BLANK=-5, CTYPE1="RA---TAN", LONG="a long text & " * 12)
    scaled.header["HIERARCH ESO DET GAIN"] = 2.5
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.arange(5))])
    made = [
        [scaled],
        [primary(values.astype("u2"))],
        [primary(), *(plain(values.astype("f4"), name="SCI", ver=ver) for ver in range(1, 5)), table],
        [primary(), tiled(np.abs(values).astype("i2"), compression_type="RICE_1", tile_shape=(7, 11))],
        [primary(), tiled(values.astype("i4"), compression_type="GZIP_2")],
        [primary(), tiled(values.astype("f4"), compression_type="RICE_1", quantize_method=2)],
        [primary(), tiled(values.astype("f8"), compression_type="GZIP_1", quantize_method=1)],
        [primary(), tiled(values.astype("i4"), compression_type="HCOMPRESS_1", tile_shape=(12, 40))],
        [primary(), tiled(np.abs(values).astype("i2"), compression_type="PLIO_1")],
    ]
    files = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for parts in made:
            file = io.BytesIO()
            fits.HDUList(parts).writeto(file)
            files.append(file.getvalue())
    return files


def mutations(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Files that differ from one in a few places: values of keywords, cards, bytes of tables and tiles."""
    rng = np.random.default_rng(seed)
    cards = [at for at in range(0, len(data), 80) if data[at + 8 : at + 10] == b"= "]
    last = len(data.rstrip(b"\0 "))
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            kind, card = rng.integers(0, 6), int(rng.choice(cards))
            at = int(rng.integers(0, min(last, len(changed))))
            if kind == 0:
                changed[card + 10 : card + 30] = str(rng.choice(NUMBERS)).rjust(20).encode()
            elif kind == 1:
                other = int(rng.choice(cards))
                changed[card : card + 80] = changed[other : other + 80]
            elif kind == 2:
                place = card + int(rng.integers(0, 40))
                changed[place : place + 1] = bytes([int(rng.integers(0, 256))])
            elif kind == 3:
                changed[at] ^= 1 << int(rng.integers(0, 8))
            elif kind == 4:
                width = int(rng.choice([1, 2, 4, 8]))
                changed[at : at + width] = bytes(int(b) for b in rng.choice([0, 1, 127, 128, 255], width))
            elif rng.random() < 0.3:
                changed = changed[: max(at, 10)]
        yield bytes(changed)


def outcome(data: bytes, path: Path, *, read: bool) -> str:
    """What becomes of a file: ``"read"``, ``"scanned"`` or the name of the error. Any other error is raised."""
    try:
        found, _ = scanned(FORMAT, data, path)
        tree = tree_of_scan(found).groups["/"].variables
        if not read or not tree:
            return "scanned"
        path.write_bytes(data)
        array = next(iter(tree.values())).data
        stored = array.segments[0].stored
        if int(np.prod([int(axis.stored.max()) for axis in stored.grid.axes])) * array.dtype.itemsize > LARGEST_READ:
            return "scanned"
        np.asarray(array[tuple(slice(0, 1) for _ in array.shape)].decode())
    except VirtualZarrError as exc:
        return type(exc).__name__
    return "read"
