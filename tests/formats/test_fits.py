"""FITS files against astropy."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import CodecError, FormatError, MissingExtraError, VirtualZarrError
from intake_virtualzarr.formats.fits import FORMAT
from intake_virtualzarr.formats.open import open_tree
from intake_virtualzarr.formats.scan import scan

fits = pytest.importorskip("astropy.io.fits", reason="astropy is not installed")
pytest.importorskip("imagecodecs", reason="imagecodecs is not installed")

from support.fits_files import image, images_of, kinds, some_cards  # noqa: E402
from support.helpers import serving  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")

SHARED = Path(os.environ.get("IVZ_SHARED", Path(__file__).parents[3] / "shared"))
REAL = sorted((SHARED / "corpus" / "other").glob("*/*.fit*"))


def write(path, *parts):
    fits.HDUList(list(parts)).writeto(path)
    return path


def values_of(path):
    """The decoded values of all images."""
    variables = open_tree(path).groups["/"].variables
    return [np.asarray(variable.data.decode()) for variable in variables.values()]


def became(path):
    """What became of a file: ``identical``, or the reason."""
    try:
        expected = images_of(path)
    except (OSError, TypeError, ValueError):
        expected = None
    try:
        mine, left_out = values_of(path), open_tree(path).left_out
    except VirtualZarrError as exc:
        return "refused, as by astropy" if expected is None else f"missing: {exc}"
    if expected is None or len(mine) != len(expected):
        return f"missing: {len(mine)} images, {dict(left_out)}"
    for one, other in zip(mine, expected, strict=True):
        if one.shape != other.shape or not np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
            return "differs"
    return "refused: tables" if left_out else "identical"


def test_all_kinds_of_images_are_those_of_astropy(tmp_path, capsys):
    found = {}
    for name, parts in kinds():
        found[name] = became(write(tmp_path / f"{name}.fits", *parts))
    with capsys.disabled():
        print("\nFITS, generated:", dict(Counter(found.values())))
    assert set(found.values()) == {"identical"}, {name: one for name, one in found.items() if one != "identical"}


@pytest.mark.skipif(not REAL, reason="no ../shared/corpus/other")
def test_real_files_are_those_of_astropy(capsys):
    found = {path.name: became(path) for path in REAL}
    with capsys.disabled():
        print("\nFITS, corpus:", dict(Counter(found.values())))
    assert found == {
        "binary_table.fits": "refused: tables",
        "byte_merc.fits": "identical",
        "empty_primary_hdu.fits": "identical",
        "map_000_038_truncated.fit": "refused, as by astropy",
    }


def test_data_types_are_those_of_astropy(tmp_path):
    for dtype in ("u1", "i1", "u2", "u4", "u8", "i8", "f4"):
        path = write(tmp_path / f"{dtype}.fits", fits.PrimaryHDU(image(dtype)))
        assert scan(path).arrays["/PRIMARY"].dtype == images_of(path)[0].dtype.newbyteorder("=")


def test_cards_of_all_forms_are_attributes(tmp_path):
    path = write(tmp_path / "a.fits", some_cards(fits.PrimaryHDU(image())))
    with fits.open(path) as parts:
        header = parts[0].header
        expected = {name: header[name] for name in ("LONG", "QUOTED", "EMPTY", "TINY", "BIG", "FLAG")}
        expected |= {"ESO INS FILTER NAME": "g", "ESO DET GAIN": 2.5, "COMMENT": "first\nsecond", "HISTORY": "made by a test"}
    attrs = ivz.open_virtual_dataset(path).PRIMARY.attrs
    assert {name: attrs[name] for name in expected} | {"LONG": attrs["LONG"].rstrip()} == expected | {
        "LONG": expected["LONG"].rstrip()
    }
    assert not attrs.keys() & {"NAXIS", "NAXIS1", "BITPIX", "SIMPLE", "NOTHING", "END"}


def test_the_reference_of_axes_survives(tmp_path):
    from astropy.wcs import WCS

    part = fits.PrimaryHDU(image("i2"))
    part.header.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=10.0, CRVAL2=-20.0, CRPIX1=5.0, CRPIX2=7.0)
    part.header.update(CDELT1=-0.01, CDELT2=0.01, CUNIT1="deg", CUNIT2="deg")
    path = write(tmp_path / "a.fits", part)
    data = ivz.open_virtual_dataset(path)
    data.vzarr.to_zarr(tmp_path / "s.vzarr")
    stored = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr")
    found = WCS(fits.Header(stored.PRIMARY.attrs)).pixel_to_world_values(3, 4)
    assert np.array_equal(found, WCS(part.header).pixel_to_world_values(3, 4))


def test_names_tell_extensions_and_versions_apart(tmp_path):
    parts = [fits.PrimaryHDU(), *(fits.ImageHDU(image(), name="SCI", ver=ver) for ver in (1, 2, 2)), fits.ImageHDU(image("i2"))]
    found = scan(write(tmp_path / "a.fits", *parts)).arrays
    assert list(found) == ["/SCI", "/SCI_2", "/SCI_2_HDU3", "/HDU4"]
    assert {array.dims for array in found.values()} == {("y", "x")}


def test_images_of_other_sizes_have_axes_of_their_own(tmp_path):
    parts = [fits.PrimaryHDU(image()), fits.ImageHDU(image("i2", 20, 30), name="SMALL"), fits.ImageHDU(image("i2"), name="Y")]
    found = ivz.open_virtual_dataset(write(tmp_path / "a.fits", *parts))
    assert found.PRIMARY.dims == found.Y.dims == ("y", "x")
    assert found.SMALL.dims == ("SMALL_y", "SMALL_x")


def test_a_compressed_image_that_was_the_first_part_keeps_its_name(tmp_path):
    part = fits.CompImageHDU(image("i2"))
    path = write(tmp_path / "a.fits", fits.PrimaryHDU(), part)
    raw = path.read_bytes()
    card = b"ZTENSION= 'IMAGE   '"
    assert card in raw
    path.write_bytes(raw.replace(card, b"ZSIMPLE =          T"))
    assert list(scan(path).arrays) == ["/PRIMARY"]


# ---------------------------------------------------------------------- how it is read


def parsed(raw):
    """The scan of bytes, and the rounds that it took."""
    from intake_virtualzarr.storage.source import Source

    parse, rounds = FORMAT.parse(Source("memory:a.fits", size=len(raw))), 0
    try:
        wanted = next(parse)
        while True:
            rounds += 1
            wanted = parse.send([raw[start : start + length] for start, length in wanted])
    except StopIteration as stop:
        return stop.value, rounds


def test_a_file_whose_headers_come_first_takes_one_request(tmp_path):
    write(tmp_path / "a.fits", fits.PrimaryHDU(image("f8", 300, 400)))
    write(tmp_path / "b.fits", fits.PrimaryHDU(), fits.CompImageHDU(image("i2", 400, 400)))
    for name in ("a.fits", "b.fits"):
        with serving(tmp_path) as server:
            found = scan(f"{server.url}/{name}")
            assert sum(server.requests.values()) == 1
            values = values_of(f"{server.url}/{name}")[0]
        assert np.array_equal(values, images_of(tmp_path / name)[0])
        assert found.references > 0


@pytest.mark.parametrize("period", [1, 3])
def test_parts_that_repeat_take_few_rounds(period, tmp_path):
    types = ["f4", "f8", "i2"][:period]
    parts = [fits.ImageHDU(image(types[i % period], 80, 90), name=f"E{i}") for i in range(60)]
    _, rounds = parsed(write(tmp_path / "a.fits", fits.PrimaryHDU(), *parts).read_bytes())
    assert rounds <= 12


def test_what_follows_the_last_part_is_not_looked_at(tmp_path):
    path = write(tmp_path / "a.fits", fits.PrimaryHDU(image()))
    raw, (expected,) = path.read_bytes(), images_of(path)
    for tail in (b"", b"\0" * 5760, b"some record".ljust(2880)):
        path.write_bytes(raw + tail)
        (found,) = values_of(path)
        assert np.array_equal(found, expected)


def test_files_are_joined_written_appended_and_exported(tmp_path):
    paths = []
    for day in range(3):
        part = fits.CompImageHDU(image("f4", seed=day), name="SCI", quantize_method=1)
        mask = fits.ImageHDU(image("u2", seed=day), name="DQ")
        paths.append(write(tmp_path / f"{day}.fits", fits.PrimaryHDU(), part, mask))
    joined = ivz.open_virtual_mfdataset(paths[:2], combine="nested", concat_dim="time").assign_coords(time=[0, 1])
    joined.vzarr.to_zarr(tmp_path / "s.vzarr")
    ivz.open_virtual_dataset(paths[2]).expand_dims(time=[2]).vzarr.to_zarr(tmp_path / "s.vzarr", append_dim="time")
    found = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr")
    for name, index in (("SCI", 0), ("DQ", 1)):
        assert np.array_equal(found[name], np.stack([images_of(path)[index] for path in paths]))


def test_plain_images_are_exported_to_kerchunk(tmp_path):
    path = write(tmp_path / "a.fits", fits.PrimaryHDU(image("i4")))
    pytest.importorskip("kerchunk", reason="kerchunk is not installed")
    ivz.open_virtual_dataset(path).vzarr.to_kerchunk(tmp_path / "a.json")
    assert np.array_equal(ivz.open_virtual_dataset(tmp_path / "a.json").PRIMARY, images_of(path)[0])


def test_images_are_published_and_opened_by_intake_in_a_fresh_process(tmp_path):
    for day in range(2):
        write(tmp_path / f"{day}.fits", fits.PrimaryHDU(), fits.CompImageHDU(image("i2", seed=day), name="SCI"))
    paths = [str(tmp_path / f"{day}.fits") for day in range(2)]
    ivz.ingest(paths, tmp_path / "c", name="sky", combine="nested", concat_dim="time")
    code = (
        "import intake, numpy as np\n"
        f"data = intake.open_catalog({str(tmp_path / 'c' / 'catalog.yaml')!r}).sky.to_dask()\n"
        "print(dict(data.sizes), int(data.SCI.astype('i8').sum()))"
    )
    out = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    total = sum(int(images_of(Path(path))[0].astype("i8").sum()) for path in paths)
    assert out.stdout.strip() == f"{{'time': 2, 'y': 41, 'x': 61}} {total}"


# ---------------------------------------------------------------------- what is refused


def test_tables_and_unknown_compressions_are_left_out_by_name(tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.arange(5))], name="EVENTS")
    path = write(tmp_path / "a.fits", fits.PrimaryHDU(), table, fits.CompImageHDU(image("i2"), name="SCI"))
    path.write_bytes(path.read_bytes().replace(b"'RICE_1  '", b"'WAVE_9  '"))
    left_out = scan(path).left_out
    assert "is a table (BINTABLE), only images are referenced" in left_out["/EVENTS"]
    assert "compressed by 'WAVE_9'" in left_out["/SCI"]


@pytest.mark.parametrize("keep", [10, 100, 2880, 9000])
def test_a_truncated_file_is_refused(keep, tmp_path):
    path = write(tmp_path / "a.fits", some_cards(fits.PrimaryHDU(image())))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FormatError):
        scan(path, format="fits")


@pytest.mark.parametrize("compression", ["GZIP_1", "GZIP_2", "HCOMPRESS_1"])
def test_a_damaged_tile_is_an_error_when_it_is_read(compression, tmp_path):
    shape = (21, 61) if compression == "HCOMPRESS_1" else None
    path = write(
        tmp_path / "a.fits", fits.PrimaryHDU(), fits.CompImageHDU(image("i4"), compression_type=compression, tile_shape=shape)
    )
    manifest = scan(path).arrays["/HDU1"].segments[0].stored.manifest
    raw = bytearray(path.read_bytes())
    start, length = int(manifest.offset.ravel()[0]), int(manifest.length.ravel()[0])
    raw[start : start + length] = b"\xff" * 4 + bytes(length - 4)
    path.write_bytes(raw)
    with pytest.raises(CodecError):
        values_of(path)


def test_without_imagecodecs_the_error_names_the_extra(tmp_path):
    path = write(tmp_path / "a.fits", fits.PrimaryHDU(), fits.CompImageHDU(image("i2")))
    code = f"""
import sys; sys.modules["imagecodecs"] = None
import numpy as np
from intake_virtualzarr.formats.open import open_tree
v = open_tree({str(path)!r}).groups["/"].variables["HDU1"].data
try: np.asarray(v)
except ImportError as exc: print(type(exc).__name__, exc)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    message = "Rice of FITS needs imagecodecs: pip install 'intake-virtualzarr[fits]'"
    assert found.stdout.strip() == f"{MissingExtraError.__name__} {message}"
