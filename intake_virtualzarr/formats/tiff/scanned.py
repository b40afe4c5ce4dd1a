"""The images of a TIFF file as groups of variables.

The first image is the root; its overviews are the groups ``overview1``, ``overview2`` …, other pages ``page2``, ``page3`` …, and a
mask lies beside the image that it is of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from intake_virtualzarr._typing import Attrs, DType, JsonObject
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.inline import inline_stored
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import Segment, StoredArray
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.codecs.linear import LINEAR, linear_chunk
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile, ScannedGroup
from intake_virtualzarr.formats.tiff.directories import Directories, Directory
from intake_virtualzarr.formats.tiff.georeference import GeoReference, georeference_of
from intake_virtualzarr.formats.tiff.images import Size, size_of, stored_image
from intake_virtualzarr.formats.tiff.metadata import Metadata, metadata_of
from intake_virtualzarr.formats.tiff.pipelines import samples_of
from intake_virtualzarr.storage.source import Source, SourceTable

__all__ = ["scanned_file"]

SUBFILE_TYPE = 254
REDUCED, MASK = 1, 4
IMAGE = "band_data"
"""Name of the variable, as rioxarray's xarray engine has it."""


def scanned_file(found: Directories, source: Source) -> ScannedFile:
    """The scan of a file; an image that has no virtual form is left out with its reason.

    Raises
    ------
    FormatError
        If there is no image, or a tile lies behind the end of the file.
    """
    if not found.directories:
        raise FormatError(f"{source.url}: has no directory, so no image")
    scan = _Scan(source, found.big_endian)
    for directory in found.directories:
        scan.add(directory)
    groups = {"/": ScannedGroup("/", {})} | dict(sorted(scan.groups.items(), key=lambda one: (one[0].count("/"), one[0] != "/")))
    return ScannedFile(source, "tiff", groups, scan.arrays, scan.left_out)


@dataclass
class _Page:
    """An image whose overviews and masks follow."""

    group: str
    size: Size
    geo: GeoReference
    overviews: int = 0
    sizes: dict[tuple[int, int], str] = field(default_factory=dict)
    """Groups of the image and its overviews by height and width."""


class _Scan:
    """Groups and arrays so far."""

    def __init__(self, source: Source, big_endian: bool) -> None:
        self.groups: dict[str, ScannedGroup] = {}
        self.arrays: dict[str, ScannedArray] = {}
        self.left_out: dict[str, str] = {}
        self._source = source
        self._big_endian = big_endian
        self._pages = 0
        self._page: _Page | None = None

    def add(self, directory: Directory) -> None:
        """Take the image of a directory."""
        kind = directory.number(SUBFILE_TYPE, 0)
        try:
            size = size_of(directory)
        except (UnsupportedError, FormatError) as exc:
            self.left_out[f"/directory at byte {directory.at}"] = str(exc)
            return
        page = self._page
        is_part = bool(kind & (REDUCED | MASK)) or directory.parent is not None
        if page is None or not is_part:
            self._pages += 1
            group = "/" if self._pages == 1 else f"/page{self._pages}"
            page = self._page = _Page(group, size, georeference_of(directory))
            page.sizes[size.height, size.width] = group
            self._image(directory, group, size, page.geo)
        elif kind & MASK:
            group = page.sizes.get((size.height, size.width), page.group)
            self._mask(directory, f"{group.rstrip('/')}/mask")
        else:
            self._overview(directory, page, size)

    def _overview(self, directory: Directory, page: _Page, size: Size) -> None:
        page.overviews += 1
        group = f"{page.group.rstrip('/')}/overview{page.overviews}"
        page.sizes.setdefault((size.height, size.width), group)
        geo = page.geo.scaled(page.size.width / size.width, page.size.height / size.height)
        self._image(directory, group, size, geo)

    def _image(self, directory: Directory, group: str, size: Size, geo: GeoReference) -> None:
        path = f"{group.rstrip('/')}/{IMAGE}"
        self.groups[group] = ScannedGroup(group, geo.conventions(size.width, size.height))
        try:
            dtype = samples_of(directory).dtype
            metadata = metadata_of(directory, dtype, size.bands)
            stored = stored_image(directory, self._source, self._big_endian, metadata.nodata)
        except UnsupportedError as exc:
            self.left_out[path] = f"{path}: {exc}"
            return
        self._put(path, ("band", "y", "x"), stored, _image_attrs(metadata, geo, dtype))
        self._coordinates(group, size, geo)

    def _mask(self, directory: Directory, path: str) -> None:
        if path in self.arrays:
            self.left_out[f"{path} at byte {directory.at}"] = "a second mask of one image"
            return
        try:
            stored = stored_image(directory, self._source, self._big_endian, flat=True)
        except UnsupportedError as exc:
            self.left_out[path] = f"{path}: {exc}"
            return
        self._put(path, ("y", "x"), stored, {"long_name": "mask: 0 where nothing was measured"})

    def _coordinates(self, group: str, size: Size, geo: GeoReference) -> None:
        prefix = group.rstrip("/")
        self._put(f"{prefix}/band", ("band",), inline_stored(np.arange(1, size.bands + 1)), {})
        if geo.affine is not None and geo.affine.is_rectilinear:
            names = _axis_names(geo.code)
            for name, count, numbers in (("x", size.width, geo.affine.x), ("y", size.height, geo.affine.y)):
                self._put(f"{prefix}/{name}", (name,), _linear(*numbers, count), names[name])
        if geo.is_known:
            self._put(f"{prefix}/spatial_ref", (), inline_stored(np.zeros((), np.int64)), geo.spatial_ref())

    def _put(self, path: str, dims: tuple[str, ...], stored: StoredArray, attrs: Attrs) -> None:
        segment = Segment.whole(stored, Packing.from_attrs(attrs, stored.dtype))
        self.arrays[path] = ScannedArray(path, dims, stored.dtype, stored.shape, stored.fill_value, (segment,), attrs)


def _image_attrs(metadata: Metadata, geo: GeoReference, dtype: DType) -> JsonObject:
    attrs: dict[str, Any] = dict(metadata.attrs)
    if dtype.kind == "c":
        attrs.pop("_FillValue", None)
    attrs.setdefault("AREA_OR_POINT", "Point" if geo.is_point else "Area")
    if geo.is_known:
        attrs |= {"grid_mapping": "spatial_ref", "coordinates": "spatial_ref"}
    return attrs


def _axis_names(code: str | None) -> dict[str, JsonObject]:
    """Attributes of x and y."""
    if code == "EPSG:4326":
        return {
            "x": {"axis": "X", "long_name": "longitude", "standard_name": "longitude", "units": "degrees_east"},
            "y": {"axis": "Y", "long_name": "latitude", "standard_name": "latitude", "units": "degrees_north"},
        }
    return {"x": {"axis": "X"}, "y": {"axis": "Y"}}


def _linear(first: float, step: float, count: int) -> StoredArray:
    """A coordinate as two numbers."""
    dtype = np.dtype(np.float64)
    content = linear_chunk(first, step, dtype)
    url = f"inline:linear:{first!r}:{step!r}"
    grid = ChunkGrid.regular((count,), (count,))
    table = SourceTable((Source(url, size=len(content), content=content),))
    return StoredArray(dtype, dtype.type(0), grid, (LINEAR,), ChunkManifest.from_columns((1,), 0, len(content)), table)
