"""GRIB: fields bit for bit as ecCodes gives them, under the names that cfgrib gives."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.codecs import grib_library
from intake_virtualzarr.codecs.grib_gaussian import gaussian_latitudes
from intake_virtualzarr.codecs.grib_message import sections_of
from intake_virtualzarr.codecs.grib_packing import unpacked2
from intake_virtualzarr.errors import CodecError, FormatError, UnsupportedError, VirtualZarrError
from intake_virtualzarr.formats.grib import FORMAT, names, parameters
from intake_virtualzarr.formats.grib.walk import walk
from intake_virtualzarr.storage.source import Source
from tests.support.grib_files import COLUMNS, ROWS, field, fields_of, some_values

if grib_library.no_eccodes() or grib_library.gribberish() is None:
    pytest.skip("the extra grib is not installed", allow_module_level=True)
ec = grib_library.eccodes("a test")

SHARED = Path(os.environ.get("IVZ_SHARED", Path(__file__).parents[3] / "shared"))
REAL = sorted((SHARED / "corpus" / "other").glob("*/*.gr*b*"))


def fields_found(path) -> list[np.ndarray]:
    """The values of every field, as arrays of a scan have them."""
    found = []
    for array in ivz.scan(path).arrays.values():
        stored = array.segments[0].stored
        if stored.codecs[0].name == "grib":
            values = np.asarray(ivz.VirtualZarrArray(array.shape, array.dtype, array.fill_value, array.segments))
            lengths = stored.manifest.length.ravel()
            found += [one for one, length in zip(values.reshape(lengths.size, -1), lengths, strict=True) if length]
    return found


def assert_same_fields(path) -> None:
    assert sorted(a.tobytes() for a in fields_found(path)) == sorted(a.tobytes() for a in fields_of(ec, path))


def written(path: Path, *messages: bytes) -> Path:
    path.write_bytes(b"".join(messages))
    return path


def parsed(raw: bytes):
    """Parse bytes without any I/O; gives the scan, rounds and bytes asked for."""
    parse = FORMAT.parse(Source("memory:f.grib", size=len(raw)))
    rounds = asked = 0
    try:
        wanted = next(parse)
        while True:
            rounds += 1
            asked += sum(length for _, length in wanted)
            wanted = parse.send([raw[start : start + length] for start, length in wanted])
    except StopIteration as stop:
        return stop.value, rounds, asked


@pytest.mark.skipif(not REAL, reason="no ../shared/corpus/other")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_real_files_read_as_eccodes_reads_them(path):
    assert_same_fields(path)


PACKINGS = ["simple", "complex", "complex_spatial_differencing", "ccsds", "jpeg", "png", "ieee", "second_order"]


@pytest.mark.parametrize("bitmap", [False, True], ids=["all", "bitmap"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_every_packing_reads_as_eccodes_reads_it(tmp_path, packing, bitmap):
    values = some_values()
    if bitmap:
        values[::2, 3] = np.nan
    try:
        message = field(ec, values, packingType=f"grid_{packing}")
    except ec.CodesInternalError as exc:
        pytest.skip(f"ecCodes does not write {packing}: {exc}")
    path = written(tmp_path / "f.grib2", message)
    try:
        expected = fields_of(ec, path)
    except ec.CodesInternalError as exc:
        pytest.skip(f"ecCodes does not read what it wrote: {exc}")
    (found,) = fields_found(path)
    np.testing.assert_array_equal(found, expected[0])
    assert np.isnan(found).any() == bitmap


@pytest.mark.parametrize("mode", [0, 16, 32, 48, 64, 80, 96, 128, 144, 192])
def test_rows_and_columns_stand_where_their_coordinates_say(tmp_path, mode):
    north, south = (54, 60) if mode & 64 else (60, 54)
    west, east = (16, 0) if mode & 128 else (0, 16)
    keys = {"latitudeOfFirstGridPointInDegrees": north, "latitudeOfLastGridPointInDegrees": south}
    keys |= {"longitudeOfFirstGridPointInDegrees": west, "longitudeOfLastGridPointInDegrees": east, "scanningMode": mode}
    latitudes, longitudes = np.linspace(north, south, ROWS), np.linspace(west, east, COLUMNS)
    wanted = np.add.outer(100 * latitudes, longitudes)
    lines = wanted.T.copy() if mode & 32 else wanted.copy()
    if mode & 16:
        lines[1::2] = lines[1::2, ::-1].copy()
    path = written(tmp_path / "f.grib2", field(ec, lines, bitsPerValue=24, **keys))
    with xr.open_dataset(path, engine="virtualzarr") as dataset:
        (name,) = dataset.data_vars
        np.testing.assert_allclose(dataset.latitude, latitudes)
        np.testing.assert_allclose(dataset.longitude, longitudes)
        np.testing.assert_allclose(dataset[name], wanted, atol=0.01)
    assert_same_fields(path)


def test_9999_is_a_value(tmp_path):
    values = np.round(some_values())
    values[2, 2] = 9999
    path = written(tmp_path / "f.grib2", field(ec, values, bitsPerValue=24))
    assert fields_found(path)[0][2 * COLUMNS + 2] == 9999


def several(tmp_path) -> Path:
    """One message with three fields."""
    message = ec.codes_grib_multi_new()
    for k, (name, level) in enumerate((("u", 850), ("v", 850), ("u", 500))):
        keys = {"shortName": name, "typeOfLevel": "isobaricInhPa", "level": level}
        handle = ec.codes_new_from_message(field(ec, some_values(k), **keys))
        ec.codes_grib_multi_append(handle, 4, message)
        ec.codes_release(handle)
    path = tmp_path / "several.grib2"
    with path.open("wb") as file:
        ec.codes_grib_multi_write(message, file)
    ec.codes_grib_multi_release(message)
    return path


def test_a_message_of_several_fields_is_read_whole(tmp_path):
    path = several(tmp_path)
    assert path.read_bytes().count(b"GRIB") == 1
    assert len(fields_found(path)) == 3
    assert_same_fields(path)


def test_messages_stand_behind_headings_and_junk(tmp_path):
    first, second = field(ec, dataTime=600), field(ec, some_values(1), dataTime=1200)
    path = written(tmp_path / "f", b"\r\r\n001 \r\r\nHTXX99 ECMG 010000\r\r\n", first, bytes(37), second, b"\r\n\x03")
    assert len(fields_found(path)) == 2
    assert_same_fields(path)


def test_edition_1_of_more_than_8_mib(tmp_path):
    values = np.random.default_rng(1).normal(size=(1500, 1500))
    grid = {"Ni": 1500, "Nj": 1500, "iDirectionIncrementInDegrees": 0.01, "jDirectionIncrementInDegrees": 0.01}
    grid |= {"longitudeOfLastGridPointInDegrees": 14.99, "latitudeOfLastGridPointInDegrees": 45.01}
    message = field(ec, values, "regular_ll_sfc_grib1", bitsPerValue=32, **grid)
    path = written(tmp_path / "f.grib1", message, field(ec, None, "regular_ll_sfc_grib1", dataTime=1200))
    assert len(message) > 2**23
    assert len(fields_found(path)) == 2
    assert_same_fields(path)


@pytest.mark.parametrize("sample", ["reduced_gg_pl_32_grib2", "reduced_gg_pl_32_grib1", "polar_stereographic_sfc_grib2",
                                    "polar_stereographic_sfc_grib1", "rotated_ll_sfc_grib2", "rotated_ll_sfc_grib1",
                                    "regular_gg_pl_grib2", "regular_gg_pl_grib1"])  # fmt: skip
def test_points_of_other_grids_are_computed_from_the_same_bytes(tmp_path, sample):
    handle = ec.codes_grib_new_from_samples(sample)
    path = written(tmp_path / "f.grib", ec.codes_get_message(handle))
    assert_same_fields(path)
    with xr.open_dataset(path, engine="virtualzarr") as dataset:
        latitudes, longitudes = dataset.latitude.values, dataset.longitude.values
        if latitudes.ndim == 1 and "values" not in dataset.dims:
            latitudes, longitudes = (a.ravel() for a in np.meshgrid(latitudes, longitudes, indexing="ij"))
    np.testing.assert_allclose(latitudes.ravel(), ec.codes_get_array(handle, "latitudes"), atol=1e-9)
    np.testing.assert_allclose(longitudes.ravel(), ec.codes_get_array(handle, "longitudes"), atol=1e-9)
    ec.codes_release(handle)


def test_gaussian_latitudes_are_those_of_eccodes():
    handle = ec.codes_grib_new_from_samples("regular_gg_sfc_grib2")
    expected = ec.codes_get_array(handle, "distinctLatitudes")
    np.testing.assert_allclose(gaussian_latitudes(expected.size // 2), expected, atol=1e-10)


# ---------------------------------------------------------------------- variables and groups


def test_members_steps_and_levels_are_axes(tmp_path):
    keys = {
        "productDefinitionTemplateNumber": 1,
        "numberOfForecastsInEnsemble": 2,
        "typeOfLevel": "isobaricInhPa",
        "shortName": "t",
    }
    cells = [(n, s, p) for n in (0, 1) for s in (0, 6) for p in (500, 850, 1000)]
    messages = [field(ec, some_values(k), **keys, number=n, level=p, forecastTime=s) for k, (n, s, p) in enumerate(cells)]
    random.Random(1).shuffle(messages)
    path = written(tmp_path / "f.grib2", *messages)
    with xr.open_dataset(path, engine="virtualzarr") as dataset:
        assert dataset.t.dims == ("number", "step", "isobaricInhPa", "latitude", "longitude")
        assert list(dataset.isobaricInhPa.values) == [1000, 850, 500]
        assert list(dataset.step.values / np.timedelta64(1, "h")) == [0, 6]
        assert dataset.valid_time.dims == ("step",)
        for k, (n, s, p) in enumerate(cells):
            chosen = dataset.t.sel(number=n, step=np.timedelta64(s, "h"), isobaricInhPa=p)
            np.testing.assert_allclose(chosen, some_values(k), atol=0.05)


def test_levels_that_one_dataset_cannot_hold_become_groups(tmp_path):
    wind = field(ec, shortName="10u")
    warm = field(ec, shortName="2t")
    path = written(tmp_path / "f.grib2", wind, warm, field(ec, shortName="t", typeOfLevel="isobaricInhPa", level=500))
    with xr.open_datatree(path, engine="virtualzarr") as tree:
        assert sorted(node.path for node in tree.leaves) == [
            "/heightAboveGround/instant/10",
            "/heightAboveGround/instant/2",
            "/isobaricInhPa/instant",
        ]
        assert "t2m" in tree["/heightAboveGround/instant/2"].data_vars


@pytest.mark.parametrize(
    ("axis", "keys", "values"),
    [
        ("percentile", {"productDefinitionTemplateNumber": 6}, {"percentileValue": [10, 90]}),
        (
            "threshold",
            {"productDefinitionTemplateNumber": 5, "probabilityType": 3, "scaleFactorOfLowerLimit": 0},
            {"scaledValueOfLowerLimit": [5, 20]},
        ),
        (
            "wavelength",
            {"productDefinitionTemplateNumber": 48, "typeOfWavelengthInterval": 11, "scaleFactorOfFirstWavelength": 9},
            {"scaledValueOfFirstWavelength": [355, 550]},
        ),
    ],
)
def test_what_else_sets_fields_apart_is_an_axis(tmp_path, axis, keys, values):
    ((name, two),) = values.items()
    path = written(tmp_path / "f.grib2", *(field(ec, some_values(k), **keys, **{name: value}) for k, value in enumerate(two)))
    with xr.open_dataset(path, engine="virtualzarr") as dataset:
        (variable,) = dataset.data_vars.values()
        assert variable.dims == (axis, "latitude", "longitude")
        scale = 1e-9 if axis == "wavelength" else 1
        np.testing.assert_allclose(dataset[axis], np.array(two) * scale)


def test_a_field_that_is_there_twice_is_refused_by_name(tmp_path):
    path = written(
        tmp_path / "f.grib2", field(ec, shortName="2t"), field(ec, some_values(1), shortName="2t"), field(ec, shortName="sp")
    )
    scanned = ivz.scan(path)
    assert "/sp" in scanned.arrays
    assert "have the same time" in scanned.left_out["/t2m"]
    with pytest.raises(UnsupportedError, match="t2m"):
        ivz.open_virtual_dataset(path, on_unsupported="raise")


# ---------------------------------------------------------------------- without ecCodes


def test_the_table_of_common_names_says_what_eccodes_says(monkeypatch):
    checked = Counter()
    for centre in (7, 98):
        for (code, process, surface), _ in parameters._rows2().items():
            if process:
                continue
            discipline, category, number = map(int, code.split("."))
            kind, _, height = surface.partition(":")
            keys = {"centre": centre, "subCentre": 0, "discipline": discipline, "parameterCategory": category}
            keys |= {"parameterNumber": number, "typeOfFirstFixedSurface": int(kind)}
            keys["typeOfSecondFixedSurface"] = 106 if kind == "106" else 255
            keys |= {
                "scaleFactorOfFirstFixedSurface": 0,
                "scaledValueOfFirstFixedSurface": int(height or (50000 if kind == "100" else 0)),
            }
            (found,) = walked(field(ec, **keys))
            asked = names.naming_of(found)
            known = parameters.common_name(2, found.discipline, found.identification, found.product)
            assert (known.name, known.short_name, known.long_name, known.units, known.standard_name, known.param_id) == (
                asked.name, asked.short_name, asked.long_name, asked.units, asked.standard_name, asked.param_id,
            ), (code, surface)  # fmt: skip
            assert (known.level_type, known.step_type) == (asked.level_type, asked.step_type)
            checked[centre] += 1
    assert checked[98] > 400


def walked(message: bytes):
    parse = walk(Source("memory:f", size=len(message)))
    try:
        wanted = next(parse)
        while True:
            wanted = parse.send([message[start : start + length] for start, length in wanted])
    except StopIteration as stop:
        return stop.value


def test_without_eccodes_common_fields_have_names_and_others_name_the_extra(tmp_path, monkeypatch):
    path = written(
        tmp_path / "f.grib2", field(ec, shortName="2t"), field(ec, discipline=0, parameterCategory=19, parameterNumber=30)
    )
    monkeypatch.setattr(names, "no_eccodes", lambda: True)
    names._asked.cache_clear()
    scanned = ivz.scan(path)
    names._asked.cache_clear()
    assert "/t2m" in scanned.arrays
    assert "intake-virtualzarr[grib]" in scanned.left_out["/param_0_19_30"]


def test_a_packing_that_nothing_here_decodes_names_the_extra(tmp_path, monkeypatch):
    path = written(tmp_path / "f.grib2", field(ec, packingType="grid_ccsds"))
    array = ivz.open_virtual_dataset(path)
    monkeypatch.setattr(grib_library, "_imported", lambda name: None)
    with pytest.raises(VirtualZarrError, match=r"intake-virtualzarr\[grib\]"):
        np.asarray(next(iter(array.data_vars.values())).data)


@pytest.mark.parametrize("packing", ["simple", "complex", "complex_spatial_differencing", "ieee"])
@pytest.mark.parametrize("order", [1, 2])
def test_common_packings_are_decoded_without_a_library_to_the_last_bit(tmp_path, packing, order, monkeypatch):
    values = [some_values(k) * 10.0**k for k in range(4)]
    values[1][2:4, 1:5] = np.nan
    values[2][:] = -3.25
    keys = {"packingType": f"grid_{packing}"} | ({"orderOfSpatialDifferencing": order} if packing.endswith("differencing") else {})
    bits = [] if packing == "ieee" else [1, 5, 11, 16, 23]
    many = [field(ec, one, **({"bitsPerValue": b} if b else {}), **keys) for one in values for b in bits or [0]]
    path = written(tmp_path / "f.grib2", *many)
    expected = fields_of(ec, path)
    monkeypatch.setattr(grib_library, "_imported", lambda name: None)
    sections = [sections_of(one, None) for one in many]
    for one, wanted in zip(sections, expected, strict=True):
        np.testing.assert_array_equal(unpacked2(one, wanted.size).astype(np.float32), wanted)


# ---------------------------------------------------------------------- rounds, damage, series


def test_five_hundred_messages_of_one_size_take_few_rounds():
    message = field(ec, np.random.default_rng(0).normal(size=(200, 300)), Ni=300, Nj=200, bitsPerValue=16,
                    longitudeOfLastGridPointInDegrees=59.8, iDirectionIncrementInDegrees=0.2,
                    latitudeOfLastGridPointInDegrees=20.2, jDirectionIncrementInDegrees=0.2)  # fmt: skip
    messages = []
    for k in range(500):
        raw = bytearray(message)
        raw[16 + 15], raw[16 + 16] = 1 + k // 24 % 28, k % 24
        messages.append(bytes(raw))
    found, rounds, asked = parsed(b"".join(messages))
    assert found.arrays[next(p for p, a in found.arrays.items() if a.dtype == np.float32)].shape[0] == 500
    assert rounds < 20
    assert asked < 500 * 1024


@pytest.mark.parametrize("cut", [1, 50, 100, 150])
def test_a_truncated_file_is_refused(cut):
    raw = field(ec) + field(ec, dataTime=1200)
    with pytest.raises(FormatError, match=r"truncated|damaged|ends"):
        parsed(raw[:-cut])


@pytest.mark.parametrize("sample", ["regular_ll_sfc_grib1", "regular_ll_sfc_grib2"])
def test_damaged_bytes_are_our_errors_only(sample):
    raw = field(ec, None, sample)
    rng = random.Random(7)
    for _ in range(300):
        damaged = bytearray(raw + raw)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(150)] = rng.choice((0, 1, 127, 128, 254, 255, rng.randrange(256)))
        try:
            parsed(bytes(damaged))
        except VirtualZarrError:
            continue


def test_a_message_that_claims_more_values_than_its_grid_is_refused(tmp_path):
    path = written(tmp_path / "f.grib2", field(ec))
    array = next(iter(ivz.open_virtual_dataset(path).data_vars.values())).data
    raw = bytearray(path.read_bytes())
    at = raw.index(b"\0\0\0\x15\x05")
    raw[at + 5 : at + 9] = b"\x7f\xff\xff\xff"
    path.write_bytes(raw)
    os.utime(path, ns=(0, 0))
    scanned = next(a for a in ivz.scan(path).arrays.values() if a.dtype == np.float32)
    with pytest.raises(CodecError, match="packed values"):
        np.asarray(ivz.VirtualZarrArray(scanned.shape, scanned.dtype, scanned.fill_value, scanned.segments))
    assert array.shape == (ROWS, COLUMNS)


def test_a_series_of_steps_is_joined_written_appended_and_read(tmp_path):
    paths = [
        written(tmp_path / f"f{s:03}.grib2", field(ec, some_values(s), shortName="2t", forecastTime=s)) for s in (0, 6, 12, 18)
    ]
    joined = ivz.open_virtual_mfdataset(paths[:2], combine="nested", concat_dim="step")
    store = tmp_path / "store.zarr"
    joined.vzarr.to_zarr(store)
    more = ivz.open_virtual_mfdataset(paths[2:], combine="nested", concat_dim="step")
    more.vzarr.to_zarr(store, append_dim="step")
    with xr.open_dataset(store, engine="virtualzarr") as dataset:
        assert list(dataset.step.values / np.timedelta64(1, "h")) == [0, 6, 12, 18]
        for k, s in enumerate((0, 6, 12, 18)):
            np.testing.assert_allclose(dataset.t2m[k], some_values(s), atol=0.05)
