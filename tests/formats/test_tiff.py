"""TIFF files against GDAL (rasterio), tifffile and rioxarray."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import CodecError, FormatError, MissingExtraError
from intake_virtualzarr.formats import tiff
from intake_virtualzarr.formats.open import open_tree
from intake_virtualzarr.formats.scan import scan, scan_many

tifffile = pytest.importorskip("tifffile", reason="tifffile is not installed")
rasterio = pytest.importorskip("rasterio", reason="rasterio is not installed")
pytest.importorskip("imagecodecs", reason="imagecodecs is not installed")

from support.helpers import serving  # noqa: E402
from support.tiff_files import TILES, image, kinds, write_kind, write_pages, write_with_gdal  # noqa: E402

KINDS = {name: (values, options) for name, values, options in kinds()}


@pytest.fixture(autouse=True)
def quiet_gdal():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
        warnings.filterwarnings("ignore", category=PendingDeprecationWarning, module="affine|rioxarray")
        warnings.filterwarnings("ignore", message="Use `@` matmul")
        yield


def read_by_gdal(path, **how):
    with rasterio.open(path, **how) as file:
        return file.read()


def band_data(path, group="/"):
    tree = open_tree(path)
    assert not tree.left_out, dict(tree.left_out)
    return np.asarray(tree.groups[group].variables["band_data"].data)


def assert_same(mine, other):
    assert mine.shape == other.shape
    assert np.array_equal(mine, other, equal_nan=mine.dtype.kind in "fc")


@pytest.mark.parametrize("name", KINDS)
def test_values_are_those_that_gdal_reads(name, tmp_path):
    path = tmp_path / "a.tif"
    if not write_kind(path, *KINDS[name]):
        pytest.skip("this GDAL does not write it")
    assert_same(band_data(path), read_by_gdal(path))


@pytest.mark.parametrize("compress", ["deflate", "lzw", "zstd", "lerc"])
def test_overviews_of_a_cog_are_groups(compress, tmp_path):
    import rasterio.shutil

    write_with_gdal(tmp_path / "plain.tif", image(3, "uint16", 700, 900), **TILES)
    path = tmp_path / "cog.tif"
    how = {"compress": compress, "blocksize": 128, "predictor": "NO" if compress == "lerc" else "YES"}
    rasterio.shutil.copy(tmp_path / "plain.tif", path, driver="COG", **how)
    assert_same(band_data(path), read_by_gdal(path))
    groups = open_tree(path).groups
    with rasterio.open(path) as file:
        factors = file.overviews(1)
    assert len(factors) >= 2
    assert list(groups) == ["/", *(f"/overview{k + 1}" for k in range(len(factors)))]
    for level in range(len(factors)):
        assert_same(band_data(path, f"/overview{level + 1}"), read_by_gdal(path, overview_level=level))


def test_coordinates_and_reference_system_are_those_of_rioxarray(tmp_path):
    rioxarray = pytest.importorskip("rioxarray")
    path = tmp_path / "a.tif"
    write_with_gdal(path, image(2, "uint16"), nodata=7, compress="deflate", **TILES)
    mine = ivz.open_virtual_dataset(path)
    with rioxarray.open_rasterio(path) as other:
        for name in ("x", "y", "band"):
            assert np.array_equal(mine[name], other[name])
        assert mine.band_data.dims == other.dims
        assert "spatial_ref" in mine.coords
        assert mine.rio.crs == other.rio.crs
        assert mine.rio.transform() == other.rio.transform()
        assert_same(mine.band_data.values, other.where(other != 7).values)


@pytest.mark.parametrize(
    ("tags", "affine"),
    [
        ({"AREA_OR_POINT": "Point"}, (10.0, 0.0, 5e5, 0.0, -10.0, 5e6)),
        ({}, (0.1, 0.0, -180.0, 0.0, -0.1, 90.0)),
        ({}, (1.5, -5.0, 1000.0, -5.0, -1.5, 2000.0)),
    ],
)
def test_coordinates_of_points_and_rotated_images_are_those_of_gdal(tags, affine, tmp_path):
    from rasterio.transform import Affine

    path = tmp_path / "a.tif"
    write_with_gdal(path, image(1, "uint8"), transform=Affine(*affine))
    with rasterio.open(path, "r+") as file:
        file.update_tags(**tags)
    root = open_tree(path).groups["/"]
    assert ("x" in root.variables) == (affine[1] == 0)
    assert root.attrs["spatial:transform"] == pytest.approx(list(affine))
    assert root.variables["spatial_ref"].attrs["GeoTransform"].split()[1] == repr(affine[0])
    if affine[1] == 0:
        with rasterio.open(path) as file:
            assert np.asarray(root.variables["x"].data) == pytest.approx([file.xy(0, column)[0] for column in range(131)])
            assert np.asarray(root.variables["y"].data) == pytest.approx([file.xy(row, 0)[1] for row in range(100)])


def test_attributes_follow_the_conventions_of_zarr(tmp_path):
    zarr_cm = pytest.importorskip("zarr_cm")
    path = tmp_path / "a.tif"
    write_with_gdal(path, image(1, "uint8"))
    attrs = open_tree(path).groups["/"].attrs
    assert zarr_cm.proj.detect(attrs) is not None
    assert zarr_cm.spatial.detect(attrs) is not None
    assert zarr_cm.proj.validate(zarr_cm.proj.extract(attrs)[1])["proj:code"] == "EPSG:32633"
    assert zarr_cm.spatial.validate(zarr_cm.spatial.extract(attrs)[1])["spatial:shape"] == [100, 131]


def test_scale_offset_names_and_nodata_of_bands(tmp_path):
    path = tmp_path / "a.tif"
    write_with_gdal(path, image(2, "int16"), nodata=-1, compress="deflate")
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.1, 0.1), (5, 5)
        file.descriptions = ("red", "nir")
        file.update_tags(source="a test")
    attrs = scan(path).arrays["/band_data"].attrs
    assert attrs["scale_factor"] == 0.1
    assert attrs["add_offset"] == 5
    assert attrs["long_name"] == ["red", "nir"]
    assert attrs["_FillValue"] == np.int16(-1)
    assert attrs["source"] == "a test"
    with rasterio.open(path, "r+") as file:
        file.scales = (0.1, 0.2)
    assert scan(path).arrays["/band_data"].attrs["scales"] == [0.1, 0.2]


@pytest.mark.parametrize(
    ("text", "dtype", "expected"),
    [
        ("nan", "float32", np.nan),
        ("1.#QNAN", "float64", np.nan),
        ("-9999", "uint8", None),
        ("255", "uint8", 255),
        ("-1.0", "int16", -1),
        ("18446744073709551615", "uint64", 2**64 - 1),
        ("1e400", "float32", np.inf),
        ("none", "float32", None),
        ("0.5", "uint8", None),
    ],
)
def test_nodata_is_taken_where_the_data_type_holds_it(text, dtype, expected, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image(1, dtype)[0], extratags=[(42113, "s", 0, text, True)])
    found = scan(path).arrays["/band_data"].attrs.get("_FillValue")
    assert found == expected or (found != found and expected != expected)


def test_tiles_that_are_not_stored_are_nodata(tmp_path):
    path = tmp_path / "a.tif"
    options = {"nodata": -9999, "compress": "deflate", "sparse_ok": True, **TILES}
    with rasterio.open(path, "w", driver="GTiff", height=200, width=200, count=1, dtype="int16", **options) as file:
        file.write(np.full((1, 64, 64), 7, "int16"), window=rasterio.windows.Window(64, 64, 64, 64))
    found = scan(path)
    assert found.arrays["/band_data"].references == 1
    assert_same(band_data(path), read_by_gdal(path))


def test_a_mask_lies_beside_its_image(tmp_path):
    path = tmp_path / "a.tif"
    mask = np.random.default_rng(0).random((100, 131)) > 0.5
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write_with_gdal(path, image(1, "uint8"), compress="deflate", **TILES)
        with rasterio.open(path, "r+") as file:
            file.write_mask(mask)
    found = open_tree(path).groups["/"].variables["mask"]
    assert found.dims == ("y", "x")
    assert np.array_equal(np.asarray(found.data) != 0, mask)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"bigtiff": True, "byteorder": ">"}])
def test_pages_are_groups(options, tmp_path):
    path = tmp_path / "a.tif"
    values = write_pages(path, **options)
    for page in range(3):
        assert_same(band_data(path, f"/page{page + 1}" if page else "/"), values[page : page + 1])


def test_jpeg_2000_is_that_of_tifffile(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image(1, "uint16")[0], compression="jpeg2000", tile=(64, 64))
    assert_same(band_data(path)[0], tifffile.imread(path))


def test_many_pages_take_few_rounds(tmp_path):
    path = tmp_path / "many.tif"
    with tifffile.TiffWriter(path) as file:
        for page in range(600):
            file.write(np.full((64, 64), page % 256, "u1"), contiguous=False, metadata=None)
    with serving(tmp_path) as server:
        found = scan(f"{server.url}/many.tif")
        requests = sum(server.requests.values())
    assert len(found.groups) == 600
    assert requests < 60


def test_a_cog_is_scanned_by_one_request(tmp_path):
    import rasterio.shutil

    for number in range(3):
        write_with_gdal(tmp_path / "plain.tif", image(1, "uint16", 1500, 1500, seed=number), **TILES)
        rasterio.shutil.copy(tmp_path / "plain.tif", tmp_path / f"{number}.tif", driver="COG", compress="deflate", blocksize=256)
    with serving(tmp_path) as server:
        found = scan_many([f"{server.url}/{number}.tif" for number in range(3)])
        assert sum(server.requests.values()) == 3
    assert all(len(one.groups) > 2 for one in found)


def test_a_raster_keeps_no_coordinates_in_its_store(tmp_path):
    path = tmp_path / "a.tif"
    write_with_gdal(path, image(1, "uint8", 3000, 5000), compress="deflate", **TILES)
    data = ivz.open_virtual_dataset(path)
    report = data.vzarr.to_zarr(tmp_path / "out.vzarr")
    document = (tmp_path / "out.vzarr" / "x" / "zarr.json").read_text()
    assert "vzarr.linear" in document
    assert len(document) < 1500
    back = xr.open_dataset(tmp_path / "out.vzarr", engine="virtualzarr")
    assert report.references > 0
    for name in ("x", "y"):
        assert np.array_equal(back[name], data[name])
    assert_same(back.band_data.values, data.band_data.values)


STACKED = {
    "deflate": (1, "uint16", {"compress": "deflate"}),
    "predictor_2": (1, "uint16", {"compress": "deflate", "predictor": 2}),
    "predictor_2_pixel": (3, "uint16", {"compress": "lzw", "predictor": 2, "interleave": "pixel"}),
    "predictor_3_pixel": (3, "float32", {"compress": "deflate", "predictor": 3, "interleave": "pixel"}),
    "jpeg": (3, "uint8", {"compress": "jpeg", "photometric": "YCBCR", "interleave": "pixel"}),
    "lerc": (1, "float32", {"compress": "lerc", "max_z_error": 0}),
    "bits": (1, "uint8", {"nbits": 4}),
}


@pytest.mark.parametrize("kind", STACKED)
def test_files_are_joined_along_time_written_and_appended(kind, tmp_path):
    bands, dtype, options = STACKED[kind]
    paths = []
    for day in range(3):
        paths.append(tmp_path / f"{day}.tif")
        values = image(bands, dtype, seed=day)
        write_with_gdal(paths[-1], values % 16 if kind == "bits" else values, **options, **TILES)
    joined = ivz.open_virtual_mfdataset(paths[:2], combine="nested", concat_dim="time")
    joined.assign_coords(time=[0, 1]).vzarr.to_zarr(tmp_path / "out.vzarr")
    last = ivz.open_virtual_dataset(paths[2]).expand_dims(time=[2])
    last = last.assign_coords(spatial_ref=joined.spatial_ref)
    last.vzarr.to_zarr(tmp_path / "out.vzarr", append_dim="time")
    found = xr.open_dataset(tmp_path / "out.vzarr", engine="virtualzarr")
    expected = np.stack([read_by_gdal(path) for path in paths])
    assert_same(found.band_data.values, expected)
    turned = xr.concat([ivz.open_virtual_dataset(path).isel(band=0, drop=True) for path in paths], "time").transpose(
        "y", "x", "time"
    )
    turned.vzarr.to_zarr(tmp_path / "turned.vzarr")
    assert_same(
        xr.open_dataset(tmp_path / "turned.vzarr", engine="virtualzarr").band_data.values, expected[:, 0].transpose(1, 2, 0)
    )


# ---------------------------------------------------------------------- what is refused


def test_what_has_no_virtual_form_is_left_out_by_name(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image(1, "uint8")[0])
    raw = path.read_bytes()
    at = raw.index(bytes([3, 1, 3, 0, 1, 0, 0, 0, 1, 0]))  # the entry of the compression
    path.write_bytes(raw[: at + 8] + (34661).to_bytes(2, "little") + raw[at + 10 :])
    assert "compression 34661 (JBIG) has no codec here" in scan(path).left_out["/band_data"]


@pytest.mark.parametrize("keep", [3, 10, 200, 5000])
def test_a_truncated_file_is_refused(keep, tmp_path):
    path = tmp_path / "a.tif"
    write_with_gdal(path, image(1, "uint16"), compress="deflate", **TILES)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FormatError):
        scan(path, format="tiff")


def test_directories_that_lead_in_circles_end(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image(1, "uint8")[0])
    with tifffile.TiffFile(path) as file:
        first, following = file.pages[0].offset, file.pages[0].offset + 2 + 12 * len(file.pages[0].tags)
    raw = bytearray(path.read_bytes())
    raw[following : following + 4] = first.to_bytes(4, "little")
    path.write_bytes(raw)
    assert list(scan(path).groups) == ["/"]


def test_a_damaged_tile_is_an_error_when_it_is_read(tmp_path):
    path = tmp_path / "a.tif"
    for compress in ("lzw", "deflate", "jpeg", "lerc", "packbits"):
        write_with_gdal(path, image(1, "uint8"), compress=compress, **TILES)
        with tifffile.TiffFile(path) as file:
            start, length = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
        raw = bytearray(path.read_bytes())
        raw[start : start + length] = bytes(length)
        path.write_bytes(raw)
        with pytest.raises(CodecError):
            band_data(path)


def test_without_imagecodecs_the_error_names_the_extra(tmp_path):
    path = tmp_path / "a.tif"
    write_with_gdal(path, image(1, "uint8"), compress="lzw", **TILES)
    code = f"""
import sys; sys.modules["imagecodecs"] = None
import numpy as np
from intake_virtualzarr.formats.open import open_tree
v = open_tree({str(path)!r}).groups["/"].variables["band_data"].data
try: np.asarray(v)
except ImportError as exc: print(type(exc).__name__, exc)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == f"{MissingExtraError.__name__} LZW needs imagecodecs: pip install 'intake-virtualzarr[tiff]'"


def test_the_first_bytes_tell_the_format():
    for head in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        assert tiff.FORMAT.sniff(head + bytes(12))
    assert not tiff.FORMAT.sniff(b"II\0\0" + bytes(12))
