"""netCDF-3 files: values bit for bit as netCDF4-python gives them."""

from __future__ import annotations

import csv
import os
import struct
import tracemalloc
import warnings
from itertools import pairwise
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import scipy.io
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import FormatError, VirtualZarrError
from intake_virtualzarr.formats.netcdf3 import FORMAT, LARGEST
from intake_virtualzarr.formats.registry import format_of
from intake_virtualzarr.storage.source import Source

SHARED = Path(os.environ.get("IVZ_SHARED", Path(__file__).parents[3] / "shared"))
INDEX = SHARED / "corpus" / "INDEX.tsv"


def real_files() -> list[Path]:
    if not INDEX.exists():
        return []
    with INDEX.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [SHARED / "corpus" / row["path"] for row in rows if row["kind"].split()[0] in ("nc1", "nc2", "nc5")]


KINDS = ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"]
SMALL_TYPES = ["i1", "S1", "i2", "i4", "f4", "f8"]
TYPES = dict.fromkeys(KINDS[:2], SMALL_TYPES) | {KINDS[2]: [*SMALL_TYPES, "u1", "u2", "u4", "i8", "u8"]}


def assert_same_attributes(attrs, expected) -> None:
    assert list(attrs) == expected.ncattrs()
    for name, value in attrs.items():
        other = expected.getncattr(name)
        assert type(value) is type(other), name
        assert np.asarray(value).dtype == np.asarray(other).dtype
        np.testing.assert_array_equal(value, other)


def values_of(array) -> np.ndarray:
    return np.asarray(ivz.VirtualZarrArray(array.shape, array.dtype, array.fill_value, array.segments))


def assert_same_contents(path: Path) -> None:
    """Every dimension, attribute and variable, its stored values bit for bit."""
    scanned = ivz.scan(path)
    assert not scanned.left_out
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        file.set_auto_chartostring(False)
        root = scanned.groups["/"]
        assert root.dims == {name: len(dim) for name, dim in file.dimensions.items()}
        assert root.unlimited == {name for name, dim in file.dimensions.items() if dim.isunlimited()}
        assert_same_attributes(root.attrs, file)
        assert ["/" + name for name in file.variables] == list(scanned.arrays)
        for name, variable in file.variables.items():
            array = scanned.arrays["/" + name]
            assert array.dims == variable.dimensions
            assert_same_attributes(array.attrs, variable)
            expected = np.asarray(variable[...])
            assert array.dtype == expected.dtype.newbyteorder("=")
            values = values_of(array)
            assert values.shape == expected.shape
            assert values.tobytes() == expected.astype(values.dtype).tobytes()


def opened(path: Path, engine: str) -> xr.Dataset | None:
    """The decoded values, or None if a time in the file has units that mean nothing."""
    try:
        with xr.open_dataset(path, engine=engine) as ds:
            return ds.load()
    except ValueError as exc:
        assert "unable to decode time units" in str(exc)
        return None


def name_bytes(name: str) -> bytes:
    raw = name.encode()
    return struct.pack(">I", len(raw)) + raw + b"\0" * (-len(raw) % 4)


def classic(dims, variables, numrecs=0, attrs=b"\0" * 8) -> bytes:
    """A 64-bit offset header that no library would write; a variable is (name, numbers of dimensions, type, begin)."""
    parts = [b"CDF\x02", struct.pack(">I", numrecs), struct.pack(">II", 10 if dims else 0, len(dims))]
    parts += [name_bytes(name) + struct.pack(">I", length) for name, length in dims]
    parts += [attrs, struct.pack(">II", 11, len(variables))]
    for name, numbers, kind, begin in variables:
        parts.append(name_bytes(name) + struct.pack(f">I{len(numbers)}I", len(numbers), *numbers))
        parts.append(struct.pack(">IIIIQ", 0, 0, kind, 0, begin))
    return b"".join(parts)


@pytest.mark.skipif(not INDEX.exists(), reason="the corpus of real files is not here")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", real_files(), ids=lambda p: p.name)
def test_a_real_file_reads_as_netcdf4_reads_it(path):
    try:
        netCDF4.Dataset(path).close()
    except OSError:
        with pytest.raises(FormatError):
            ivz.scan(path)
        return
    assert_same_contents(path)


@pytest.mark.skipif(not INDEX.exists(), reason="the corpus of real files is not here")
@pytest.mark.parametrize("path", real_files(), ids=lambda p: p.name)
def test_a_real_file_decodes_as_xarray_decodes_it(path):
    with warnings.catch_warnings():  # xarray warns of odd attributes of these files, whoever reads them
        warnings.simplefilter("ignore")
        try:
            expected = opened(path, "netcdf4")
        except OSError:
            return
        found = opened(path, "virtualzarr")
    if expected is None or found is None:
        assert expected is found
    else:
        xr.testing.assert_identical(found, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alone", [True, False], ids=["one record variable", "several"])
def test_records_lie_where_the_header_says(tmp_path, kind, alone):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format=kind) as file:
        file.createDimension("t", None)
        file.createDimension("x", 3)
        file.createVariable("b", "i1", ("t", "x"))[:] = np.arange(15).reshape(5, 3)
        if not alone:
            file.createVariable("d", "f8", ("t",))[:] = np.arange(5) / 3
            file.createVariable("s", "i2", ("t", "x"))[:] = -np.arange(15).reshape(5, 3)
        file.createVariable("fixed", "f4", ("x",))[:] = [1.5, np.nan, -2]
        file.createVariable("scalar", "i4", ())[...] = 7
        file.long = "x" * 70_000  # a header longer than the first guess
    assert_same_contents(path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_reads_and_describes_itself_as_in_netcdf4(tmp_path, kind):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format=kind) as file:
        file.createDimension("t", None)
        file.createDimension("x", 3)
        file.setncatts({"empty": "", "nul": "x\0y\0", "text": "21 °C, Ærø", "one": np.int16(3), "more": np.array([1.5, 2])})
        for dtype in TYPES[kind]:
            letters = dtype == "S1"
            top = "z" if letters else np.iinfo(dtype).max if dtype[0] in "iu" else np.finfo(dtype).max
            row = np.array(["a", " ", top] if letters else [1, 2, top], dtype)
            file.createVariable(f"record_{dtype}", dtype, ("t", "x"))[:] = np.array([row, row[::-1]])
            file.createVariable(f"fixed_{dtype}", dtype, ("x",))[:] = row
            scalar = file.createVariable(f"scalar_{dtype}", dtype, ())
            scalar[...] = row[0]
            if not letters:
                scalar.setncatts({"one": row[2], "more": row})
    assert_same_contents(path)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("dtype", ["i1", "S1", "i2", "f8"])
def test_scipys_only_record_variable_has_no_padding(tmp_path, version, dtype):
    path = tmp_path / "a.nc"
    with scipy.io.netcdf_file(path, "w", version=version) as file:
        file.createDimension("t", None)
        file.createDimension("x", 3)
        letters = np.array([list("abc"), list("d f"), list("ghi")], "S1")
        file.createVariable("v", dtype, ("t", "x"))[:] = letters if dtype == "S1" else np.arange(9).reshape(3, 3)
        file.createVariable("w", "i4", ("x",))[:] = [1, 2, 3]
    assert_same_contents(path)


def test_records_that_lie_together_are_read_together(tmp_path):
    path = tmp_path / "a.nc"
    values = np.arange(3 * 2**18, dtype=">i4")[:-5]
    path.write_bytes(classic([("t", 0)], [("v", [0], 4, 200)], len(values)).ljust(200, b"\0") + values.tobytes())
    array = ivz.scan(path).arrays["/v"]
    assert array.references == 3
    np.testing.assert_array_equal(values_of(array), values)


def test_millions_of_records_are_arithmetic(tmp_path):
    path, count = tmp_path / "a.nc", 2_000_000
    header = classic([("t", 0)], [("v", [0], 4, 200), ("w", [0], 6, 204)], count)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(200 + 12 * count)
    tracemalloc.start()
    try:
        array = ivz.scan(path).arrays["/w"]
        assert tracemalloc.get_traced_memory()[1] < 100 * count
    finally:
        tracemalloc.stop()
    assert array.references == count
    assert array.segments[0].stored.manifest.load().get((count - 1,)).offset == 204 + 12 * (count - 1)


@pytest.mark.parametrize("numrecs", [None, 1], ids=["fixed", "record"])
def test_long_values_are_split(tmp_path, numrecs):
    path, shape = tmp_path / "a.nc", (3, 40 * 2**20)
    dims = [("y", shape[0]), ("x", shape[1])]
    axes = [0, 1] if numrecs is None else [2, 0, 1]
    header = classic([*dims, ("t", 0)], [("v", axes, 4, 200), ("w", [2], 4, 200 + 4 * shape[0] * shape[1])], numrecs or 0)
    with path.open("wb") as file:
        file.write(header)
        file.seek(200 + 4 * (2 * shape[1] + 17))
        file.write(struct.pack(">i", 1234))
        file.truncate(204 + 4 * shape[0] * shape[1])
    array = ivz.scan(path).arrays["/v"]
    assert array.segments[0].stored.manifest.load().length.max() <= 64 * 2**20
    assert array.references == 9
    virtual = ivz.VirtualZarrArray(array.shape, array.dtype, array.fill_value, array.segments)
    np.testing.assert_array_equal(np.asarray(virtual[..., 2, 16:19]).ravel(), [0, 1234, 0])


@pytest.mark.parametrize("cut", [0, 5], ids=["whole records", "part of a record"])
def test_the_size_of_a_streamed_file_tells_the_number_of_records(tmp_path, cut):
    path = tmp_path / "a.nc"
    header = classic([("t", 0), ("x", 2)], [("v", [0, 1], 4, 200), ("w", [0], 3, 208)], 2**32 - 1).ljust(200, b"\0")
    records = b"".join(struct.pack(">iihxx", i, -i, i * i) for i in range(17 + bool(cut)))
    path.write_bytes(header + records[: len(records) - cut])
    scanned = ivz.scan(path)
    assert scanned.groups["/"].dims == {"t": 17, "x": 2}
    np.testing.assert_array_equal(values_of(scanned.arrays["/v"]), [[i, -i] for i in range(17)])
    np.testing.assert_array_equal(values_of(scanned.arrays["/w"]), [i * i for i in range(17)])


def test_a_long_header_is_read_piece_by_piece(tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_DATA") as file:
        for i in range(300):
            file.createVariable(f"v{i}", "i4", ()).comment = "x" * 1000
    data = path.read_bytes()
    asked = []

    def asking():
        parse = FORMAT.parse(Source("file:///a.nc", len(data)))
        wanted = next(parse)
        while True:
            asked.extend(wanted)
            try:
                wanted = parse.send([data[begin : begin + length] for begin, length in wanted])
            except StopIteration as stop:
                return stop.value

    assert len(asking().arrays) == 300
    assert 1 < len(asked) < 5
    assert all(begin + length == following for (begin, length), (following, _) in pairwise(asked))


@pytest.mark.parametrize("size", [None, 10 * LARGEST])
@pytest.mark.parametrize("length", [LARGEST, 2**31 - 1])
def test_an_absurd_length_asks_for_nothing(size, length):
    data = b"CDF\x01" + struct.pack(">IIII", 0, 10, 1, length) + bytes(100_000)
    parse = FORMAT.parse(Source("file:///a.nc", size))
    (begin, count), *_ = next(parse)
    with pytest.raises(FormatError, match="the header goes on to byte"):
        parse.send([data[begin : begin + count]])


def test_names_that_say_nothing_leave_out_their_variables_alone(tmp_path):
    path = tmp_path / "a.nc"
    variables = [(name, [0], 4, 400 + 8 * i) for i, name in enumerate(["v", "twice", "a/b", "twice", ""])]
    path.write_bytes(classic([("x", 2)], variables).ljust(500, b"\0"))
    scanned = ivz.scan(path)
    assert list(scanned.arrays) == ["/v"]
    assert scanned.left_out == {
        "/twice": "/twice: 2 variables have this name",
        "/a/b": "/a/b: 'a/b' is not a name of a variable",
        "/": "/: '' is not a name of a variable",
    }


DAMAGED = {
    "v: begins at byte 8, where the header reaches to": ([("x", 2)], [("v", [0], 4, 8)], 0),
    "w: begins at byte 204, where v reaches to 208": ([("x", 2)], [("v", [0], 4, 200), ("w", [0], 4, 204)], 0),
    "w: begins at byte 204, where all records reaches to 216": ([("t", 0)], [("v", [0], 6, 200), ("w", [], 4, 204)], 2),
    "the next record: begins at byte 208, where w reaches to 210": ([("t", 0)], [("v", [0], 4, 200), ("w", [0], 4, 206)], 2),
    "have the same name": ([("x", 2), ("x", 3)], [("v", [0], 4, 200)], 0),
    "names dimension 3 before byte .*, there are 1": ([("x", 2)], [("v", [3], 4, 200)], 0),
    "the record dimension is not its first": ([("t", 0), ("x", 2)], [("v", [1, 0], 4, 200)], 1),
    "type 13 at byte 68 of the header is unknown": ([("x", 2)], [("v", [0], 13, 200)], 0),
    "type 10 at byte 68 of the header is unknown": ([("x", 2)], [("v", [0], 10, 200)], 0),
    "has the shape .* damaged": (
        [("t", 0), ("x", 2**31 - 1), ("y", 2**31 - 1), ("z", 2**31 - 1)],
        [("v", [0, 1, 2, 3], 4, 200)],
        0,
    ),
    "v: its values reach to byte .*, the file has 500": ([("t", 0)], [("v", [0], 4, 200)], 2**32 - 2),
}


@pytest.mark.parametrize("message", DAMAGED)
def test_damage_is_told_with_its_place(tmp_path, message):
    path = tmp_path / "a.nc"
    path.write_bytes(classic(*DAMAGED[message]).ljust(500, b"\0"))
    with pytest.raises(FormatError, match=message):
        ivz.scan(path)


def test_an_empty_numeric_attribute_is_an_empty_array(tmp_path):
    path = tmp_path / "a.nc"
    attrs = struct.pack(">II", 12, 1) + name_bytes("none") + struct.pack(">II", 6, 0)
    path.write_bytes(classic([("x", 2)], [("v", [0], 4, 200)], attrs=attrs).ljust(208, b"\0"))
    assert_same_contents(path)


@pytest.mark.parametrize("version", [1, 2, 5])
def test_the_magic_finds_the_format(version):
    assert format_of("a.nc", b"CDF" + bytes([version]) + bytes(28)) is FORMAT
    assert not FORMAT.sniff(b"CDF\x03" + bytes(28))
    assert not FORMAT.sniff(b"CDF")
    assert FORMAT.fallback(Source("file:///a.nc"), None, "any") is None


def test_a_file_without_records_has_empty_variables(tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("t", None)
        file.createVariable("v", "f4", ("t",))
    assert ivz.open_virtual_dataset(path, loadable_variables=["v"])["v"].shape == (0,)


def test_decoded_values_are_those_of_xarray(tmp_path):
    paths = []
    for i in range(2):
        ds = xr.Dataset({"v": (("time", "x"), np.arange(6.0).reshape(2, 3) + i)}, coords={"time": [2 * i, 2 * i + 1]})
        encoding = {"v": {"dtype": "i2", "scale_factor": 0.25 * (i + 1), "_FillValue": -1}}
        ds.to_netcdf(tmp_path / f"{i}.nc", format="NETCDF3_CLASSIC", engine="netcdf4", encoding=encoding)
        paths.append(tmp_path / f"{i}.nc")
    with xr.open_mfdataset(paths, engine="netcdf4") as expected:
        xr.testing.assert_equal(ivz.open_virtual_mfdataset(paths).vzarr.decode().load(), expected.load())


def test_a_truncated_file_is_refused_by_name(tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("x", 1000)
        file.createVariable("v", "f8", ("x",))[:] = np.arange(1000)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(FormatError, match="v: its values reach to byte"):
        ivz.scan(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_series_with_a_record_dimension_joins_as_in_xarray(tmp_path, kind):
    paths = [tmp_path / f"{i}.nc" for i in range(3)]
    for i, path in enumerate(paths):
        times = np.arange(5) + 5 * i
        ds = xr.Dataset(
            {
                "v": (("time", "x"), np.arange(15.0).reshape(5, 3) + i),
                "flag": (("time", "x"), np.arange(15, dtype="i1").reshape(5, 3) - i),
                "mean": ("time", np.sqrt(times)),
            },
            coords={"time": ("time", times, {"units": "hours since 2001-01-01"}), "x": [1.0, 2.0, 4.0]},
        )
        encoding = {"v": {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -1}}
        ds.to_netcdf(path, format=kind, engine="netcdf4", encoding=encoding, unlimited_dims=["time"])
    with xr.open_mfdataset(paths, engine="netcdf4") as expected:
        xr.testing.assert_identical(ivz.open_virtual_mfdataset(paths).vzarr.decode().load(), expected.load())


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_give_clean_errors_or_the_values_of_netcdf4(tmp_path, kind):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format=kind) as file:
        file.createDimension("t", None)
        file.createDimension("x", 3)
        file.title = "a title"
        variable = file.createVariable("v", "i2", ("t", "x"))
        variable.units = "K"
        variable[:] = np.arange(12).reshape(4, 3)
        file.createVariable("w", "f8", ("t",))[:] = np.arange(4)
        file.createVariable("x", "f4", ("x",))[:] = [1, 2, 4]
    good = path.read_bytes()
    random = np.random.default_rng(7)
    for _ in range(400):
        data = bytearray(good)
        for _ in range(random.integers(1, 4)):
            data[random.integers(4, len(good))] = random.choice([0, 1, 127, 128, 255])
        path.write_bytes(data[: random.integers(4, len(data))] if random.random() < 0.1 else data)
        try:
            scanned = ivz.scan(path)
            values = {name[1:]: values_of(array) for name, array in scanned.arrays.items()}
        except VirtualZarrError:
            continue
        try:
            file = netCDF4.Dataset(path)
        except (OSError, UnicodeDecodeError):
            continue
        with file:
            file.set_auto_maskandscale(False)
            file.set_auto_chartostring(False)
            for name, found in values.items():
                expected = np.asarray(file.variables[name][...])
                assert found.tobytes() == expected.astype(found.dtype).tobytes()
