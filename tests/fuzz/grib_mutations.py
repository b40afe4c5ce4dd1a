"""Damaged GRIB files: what the parser and the decoders make of them is a scan, values, or one of our errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from parser_runs import EXTREMES, LARGEST_READ, scanned

from intake_virtualzarr.codecs.grib_library import eccodes
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.grib import FORMAT
from intake_virtualzarr.formats.scanned_tree import tree_of_scan
from tests.support.grib_files import field, some_values

__all__ = ["mutations", "outcome", "seeds"]

PACKINGS = ("simple", "complex", "complex_spatial_differencing", "ccsds", "jpeg", "ieee", "second_order")
SAMPLES = ("reduced_gg_pl_32_grib1", "reduced_gg_pl_32_grib2", "polar_stereographic_sfc_grib2", "rotated_ll_sfc_grib1",
           "regular_ll_sfc_grib1", "regular_gg_pl_grib2")  # fmt: skip


def seeds() -> list[bytes]:
    """Small files of several kinds."""
    ec = eccodes("a fuzz run")
    gaps = some_values()
    gaps[::2, 3] = np.nan
    files = [field(ec, packingType=f"grid_{packing}") for packing in PACKINGS]
    files += [field(ec, gaps, packingType=f"grid_{packing}") for packing in PACKINGS[:3]]
    files.append(field(ec, dataTime=0) + b"\r\r\n" + field(ec, some_values(1), dataTime=600))
    member = {"productDefinitionTemplateNumber": 11, "number": 3, "shortName": "tp"}
    files.append(field(ec, **member))
    for name in SAMPLES:
        handle = ec.codes_grib_new_from_samples(name)
        files.append(ec.codes_get_message(handle))
        ec.codes_release(handle)
    return [*files, _several(ec)]


def _several(ec) -> bytes:
    """A message of two fields, the second with the bitmap of the first."""
    one, other = field(ec, shortName="t", typeOfLevel="isobaricInhPa", level=850), field(ec, some_values(1))
    body, rest = one[16:-4], other[16:-4]
    start = rest.index(b"\x04", rest.index(b"\x03", 4)) - 4  # section 4 and all after it
    size = len(body) + len(rest) - start + 20
    return b"GRIB\0\0\0\2" + size.to_bytes(8, "big") + body + rest[start:] + b"7777"


def mutations(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Files that differ from one in a few places, most of them in what stands before its values."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(0, min(len(changed), 260) if rng.random() < 0.8 else len(changed)))
            kind = rng.integers(0, 12)
            if kind < 3:
                changed[at] ^= 1 << int(rng.integers(0, 8))
            elif kind < 6:
                changed[at] = int(rng.integers(0, 256))
            elif kind < 10:
                width = int(rng.choice([1, 2, 4, 8]))
                value = int(rng.choice(np.array(EXTREMES, dtype=object))) % 256**width
                changed[at : at + width] = value.to_bytes(width, "big")
            elif kind == 10:
                changed = changed[: max(at, 8)]
            else:
                other = int(rng.integers(0, len(changed)))
                changed[at : at + 12] = changed[other : other + 12]
        yield bytes(changed)


def outcome(data: bytes, path: Path) -> str:
    """What becomes of a file: ``"read"``, ``"scanned"`` or the name of the error. Any other error is raised."""
    try:
        found, _ = scanned(FORMAT, data, path)
        path.write_bytes(data)
        said = "scanned"
        for group in tree_of_scan(found).groups.values():
            for variable in group.variables.values():
                chunk = [int(axis.stored.max()) for axis in variable.data.segments[0].stored.grid.axes if axis.count]
                if np.prod(chunk, dtype=float) * variable.data.dtype.itemsize <= LARGEST_READ:
                    np.asarray(variable.data[tuple(slice(0, 1) for _ in variable.data.shape)])
                    said = "read"
    except VirtualZarrError as exc:
        return type(exc).__name__
    return said
