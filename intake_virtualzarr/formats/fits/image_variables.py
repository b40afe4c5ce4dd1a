"""The parts of a FITS file as variables of one group: names, dimensions, attributes."""

from __future__ import annotations

import re

import numpy as np

from intake_virtualzarr._typing import JsonObject, Shape
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import Segment, StoredArray
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.codecs.spec import bytes_codec
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile, ScannedGroup
from intake_virtualzarr.formats.fits.cards import Header
from intake_virtualzarr.formats.fits.hdus import Hdu
from intake_virtualzarr.formats.fits.scaling import Numbers, numbers_of
from intake_virtualzarr.formats.fits.tile_codecs import numbers_of_compressed
from intake_virtualzarr.formats.fits.tiles import compressed_segments
from intake_virtualzarr.formats.hdf5.contiguous import contiguous_grid
from intake_virtualzarr.storage.limits import MAX_AXES
from intake_virtualzarr.storage.source import Source

__all__ = ["scanned_file"]

STRUCTURE = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|BSCALE|BZERO|BLANK|BLOCKED|CHECKSUM|DATASUM|LONGSTRN|END|"
    r"TFIELDS|THEAP|T(?:TYPE|FORM|UNIT|SCAL|ZERO|NULL|DISP|DIM)\d+|"
    r"Z(?:IMAGE|SIMPLE|TENSION|EXTEND|BITPIX|NAXIS\d*|TILE\d+|CMPTYPE|NAME\d+|VAL\d+|QUANTIZ|DITHER0|PCOUNT|GCOUNT|BLANK|BLOCKED|"
    r"HECKSUM|DATASUM|MASKCMP|SCALE|ZERO)"
)
"""Keywords that say how values lie in the file; they are no attributes."""
UNNAMED = "COMPRESSED_IMAGE"
"""What writers call a compressed image that has no name."""
LETTERS = "xyz"
AXIS = re.compile(r"(?:.*_)?(?:[xyz]|axis\d+)")
"""Names of dimensions, which no image of several axes may have."""


def scanned_file(found: list[Hdu], source: Source) -> ScannedFile:
    """The scan of a file; what has no virtual form is left out with its reason.

    Raises
    ------
    FormatError
        If the table of a compressed image contradicts itself.
    """
    if not found:
        raise FormatError(f"{source.url}: has no header, so no image")
    scan = _Scan(source)
    for hdu in found:
        scan.add(hdu)
    group = ScannedGroup("/", _attrs(found[0].header), scan.sizes)
    return ScannedFile(source, "fits", {"/": group}, scan.arrays, scan.left_out)


class _Scan:
    """Arrays so far."""

    def __init__(self, source: Source) -> None:
        self.arrays: dict[str, ScannedArray] = {}
        self.left_out: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        self._source = source
        self._names: set[str] = set()

    def add(self, hdu: Hdu) -> None:
        """Take the image of a part; parts without values are passed over."""
        if hdu.size == 0 and not hdu.is_random_groups:
            return
        name = self._name(hdu)
        try:
            self._put(hdu, name)
        except UnsupportedError as exc:
            self.left_out[f"/{name}"] = f"/{name}: {exc}"
        except FormatError as exc:
            raise FormatError(f"{self._source.url}: {name} (part {hdu.number}): {exc}: it is damaged") from None

    def _put(self, hdu: Hdu, name: str) -> None:
        if hdu.is_compressed_image:
            numbers = numbers_of_compressed(hdu)
            shape, segments = compressed_segments(hdu, self._source)
        elif hdu.is_random_groups:
            raise UnsupportedError("are random groups, which have no virtual form; convert them to a table (AIPS, astropy)")
        elif hdu.kind in ("IMAGE", "IUEIMAGE"):
            numbers = numbers_of(hdu.header, hdu.header.whole("BITPIX"))
            shape, segments = hdu.axes[::-1], _contiguous(hdu, numbers, self._source)
        else:
            what = f"is a table ({hdu.kind or 'of no kind'}), only images are referenced"
            raise UnsupportedError(f"{what}; astropy.table.Table.read(…, hdu={hdu.number}) reads it")
        if len(shape) > MAX_AXES:
            raise UnsupportedError(f"has {len(shape)} axes, at most {MAX_AXES} are referenced")
        path, attrs = f"/{name}", _attrs(hdu.header) | numbers.packing
        fill = np.zeros((), numbers.dtype)[()]
        self.arrays[path] = ScannedArray(path, self._dims(name, shape), numbers.dtype, shape, fill, segments, attrs)

    def _name(self, hdu: Hdu) -> str:
        """EXTNAME, and EXTVER from the second one on; the number of the part where that is not enough."""
        name = hdu.header.text("EXTNAME").replace("/", "_")
        if not name or name == UNNAMED:
            is_primary = hdu.number == 0 or (hdu.header.values.get("ZSIMPLE") is True and "PRIMARY" not in self._names)
            name = "PRIMARY" if is_primary else f"HDU{hdu.number}"
        version = hdu.header.values.get("EXTVER", 1)
        if version != 1 and isinstance(version, int):
            name = f"{name}_{version}"
        if name in self._names or name.startswith((".", "__")) or AXIS.fullmatch(name):
            name = f"{name}_HDU{hdu.number}".lstrip("._")
        self._names.add(name)
        return name

    def _dims(self, name: str, shape: Shape) -> tuple[str, ...]:
        """``z``, ``y``, ``x`` of the file; axes of its own for an image that has other lengths than those before."""
        own = [LETTERS[axis] if axis < len(LETTERS) else f"axis{axis + 1}" for axis in range(len(shape))][::-1]
        if any(self.sizes.get(dim, length) != length for dim, length in zip(own, shape, strict=True)):
            own = [f"{name}_{dim}" for dim in own]
        self.sizes |= dict(zip(own, shape, strict=True))
        return tuple(own)


def _attrs(header: Header) -> JsonObject:
    """What a header says beside how values lie: the reference of its axes (WCS) among it."""
    return {name: value for name, value in header.values.items() if STRUCTURE.fullmatch(name) is None}


def _contiguous(hdu: Hdu, numbers: Numbers, source: Source) -> tuple[Segment, ...]:
    grid, offsets, lengths = contiguous_grid(hdu.axes[::-1], numbers.stored.itemsize)
    manifest = ChunkManifest.from_columns(grid.grid_shape, offsets + np.uint64(hdu.start), lengths)
    codecs = (*numbers.codecs, bytes_codec(numbers.stored.newbyteorder(">")))
    stored = StoredArray(numbers.dtype, np.zeros((), numbers.dtype)[()], grid, codecs, manifest, (source,))
    return (Segment.whole(stored, Packing.from_attrs(numbers.packing, numbers.dtype)),)
