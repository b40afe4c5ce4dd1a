"""The parser against h5py on files made here; it must never need the fallback for them."""

from __future__ import annotations

import io
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import hdf5_oracle

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.hdf5 import FORMAT
from intake_virtualzarr.formats.hdf5.tasks import HEAD, WHOLE
from intake_virtualzarr.storage.source import Source


def ramp(*shape: int, dtype: Any = "i4") -> np.ndarray[Any, Any]:
    return (np.arange(int(np.prod(shape))).reshape(shape) % 120).astype(dtype)


def parsed(path: Any) -> ScannedFile:
    """What the parser finds, after comparing every value with h5py's."""
    scan = hdf5_oracle.drive(path)
    for name, outcome, detail in hdf5_oracle.compare(path):
        assert (outcome, detail) in (("identical", "parser"), ("identical", "dimension without variable")), (name, detail)
    return scan


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.h5"


LIBVERS = ["earliest", "v110", "latest"]


@pytest.mark.parametrize("libver", LIBVERS)
def test_groups_of_any_size_are_read(path, libver):
    with h5py.File(path, "w", libver=libver) as file:
        for count in (0, 1, 7, 9, 200):
            group = file.create_group(f"group_{count}")
            for i in range(count):
                group.create_dataset(f"d{i}", data=ramp(3) + i)
    scan = parsed(path)
    assert len(scan.arrays) == 217
    assert len(scan.groups) == 6


def test_tracked_creation_order_is_the_order_of_the_variables(path):
    with h5py.File(path, "w", track_order=True) as file:
        for name in "zebra", "ant", "mouse":
            file[name] = 1
    assert list(parsed(path).arrays) == ["/zebra", "/ant", "/mouse"]


@pytest.mark.parametrize(("offset", "length"), [(4, 4), (8, 8), (4, 8), (8, 4)])
def test_addresses_and_lengths_of_other_sizes_are_read(path, offset, length):
    plist = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    plist.set_sizes(offset, length)
    fid = h5py.h5f.create(str(path).encode(), h5py.h5f.ACC_TRUNC, fcpl=plist)
    with h5py.File(fid) as file:
        file.create_dataset("chunked", data=ramp(10, 8), chunks=(3, 3), compression="gzip")
        file["flat"] = ramp(5)
        file["text"] = "abc"
        file["flat"].attrs["units"] = "K"
        file.create_group("g")["x"] = ramp(2)
    assert parsed(path).arrays["/flat"].attrs["units"] == "K"


@pytest.mark.parametrize("size", [512, 1024, 4096])
@pytest.mark.parametrize("libver", LIBVERS)
def test_a_user_block_shifts_every_address(path, size, libver):
    with h5py.File(path, "w", userblock_size=size, libver=libver) as file:
        file.create_dataset("chunked", data=ramp(10, 8), chunks=(3, 3), maxshape=(None, 8))
        file["flat"] = ramp(5)
        file["text"] = "abc"
    parsed(path)


@pytest.mark.parametrize("count", [5, 9, 100])
@pytest.mark.parametrize("libver", LIBVERS)
def test_many_and_long_attributes_are_read(path, libver, count):
    with h5py.File(path, "w", libver=libver) as file:
        v = file.create_dataset("v", data=ramp(3))
        for i in range(count):
            v.attrs[f"a{i}"] = f"text {i}"
            v.attrs[f"n{i}"] = np.arange(i + 2)
        if libver != "earliest":
            v.attrs["huge"] = np.arange(30_000)
    attrs = parsed(path).arrays["/v"].attrs
    assert [attrs[f"a{i}"] for i in range(count)] == [f"text {i}" for i in range(count)]
    assert all(np.array_equal(attrs[f"n{i}"], np.arange(i + 2)) for i in range(count))
    if libver != "earliest":
        assert np.array_equal(attrs["huge"], np.arange(30_000))


def test_committed_datatypes_of_datasets_and_attributes_are_followed(path):
    with h5py.File(path, "w") as file:
        file["t"] = np.dtype(">f8")
        v = file.create_dataset("v", data=ramp(4), dtype=file["t"])
        v.attrs.create("a", 2.5, dtype=file["t"])
    scan = parsed(path)
    assert scan.arrays["/v"].attrs["a"] == 2.5
    assert set(scan.arrays) == {"/v"}


# ---------------------------------------------------------------- chunk indexes


def chunked(path: Any, shape: tuple[int, ...], chunks: tuple[int, ...], maxshape: Any, **options: Any) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("v", data=ramp(*shape, dtype="i2"), chunks=chunks, maxshape=maxshape, **options)


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}])
@pytest.mark.parametrize(
    ("shape", "chunks", "maxshape"),
    [
        ((7, 5), (7, 5), None),
        ((7, 5), (2, 3), None),
        ((7, 5), (2, 3), (9, 8)),
        ((3000,), (1,), None),
        ((70, 40), (1, 1), None),
        ((7, 5), (2, 3), (None, 5)),
        ((7, 5), (2, 3), (7, None)),
        ((7, 5), (2, 3), (20, None)),
        ((3, 4, 5), (1, 2, 2), (6, None, 9)),
        ((3, 4, 5), (1, 2, 2), (3, 4, None)),
        ((5000,), (1,), (None,)),
        ((3, 3000), (1, 1), (5, None)),
        ((7, 5), (2, 3), (None, None)),
        ((60, 50), (1, 1), (None, None)),
        ((0, 5), (2, 3), (None, 5)),
    ],
)
def test_every_chunk_index_is_read_whatever_axis_is_unlimited(path, shape, chunks, maxshape, options):
    chunked(path, shape, chunks, maxshape, **options)
    parsed(path)


def test_a_large_extensible_array_has_super_blocks_and_pages(path):
    with h5py.File(path, "w", libver="latest") as file:
        v = file.create_dataset("v", shape=(200_000,), chunks=(1,), maxshape=(None,), dtype="i1", fillvalue=7)
        for i in (0, 3, 4, 100, 5_000, 70_000, 131_071, 199_999):
            v[i] = i % 100
    parsed(path)


def test_a_large_fixed_array_leaves_out_pages_that_were_never_written(path):
    with h5py.File(path, "w", libver="latest") as file:
        v = file.create_dataset("v", shape=(100_000,), chunks=(1,), dtype="i1", fillvalue=7)
        for i in (0, 5_000, 70_000, 99_999):
            v[i] = i % 100
    assert parsed(path).arrays["/v"].references == 4


def test_a_btree_of_several_levels_is_read_level_by_level(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=ramp(9000, dtype="i1"), chunks=(1,))
    rounds: list[int] = []
    hdf5_oracle.drive(path, rounds=rounds)
    assert len(rounds) <= 5
    parsed(path)


def test_a_shrunk_dataset_shows_only_chunks_inside(path):
    with h5py.File(path, "w") as file:
        v = file.create_dataset("v", data=ramp(20, 20), maxshape=(None, None), chunks=(4, 6))
        v.resize((6, 7))
    assert parsed(path).arrays["/v"].references <= 4


# ---------------------------------------------------------------- any dataset

KINDS = ["i1", "<i2", ">i4", "<u8", "<f2", ">f4", "<f8", "S5", "?", "<c8", [("a", "<i2"), ("b", ">f8")]]


@st.composite
def datasets(draw: Any) -> dict[str, Any]:
    rank = draw(st.integers(0, 4))
    shape = tuple(draw(st.integers(1, 9)) for _ in range(rank))
    options: dict[str, Any] = {"shape": shape, "dtype": np.dtype(draw(st.sampled_from(KINDS)))}
    if rank and draw(st.booleans()):
        options["chunks"] = tuple(draw(st.integers(1, n)) for n in shape)
        options["maxshape"] = tuple(draw(st.sampled_from([n, n + 3, None])) for n in shape)
        if draw(st.booleans()):
            options["shuffle"] = True
        if draw(st.booleans()):
            options["compression"] = draw(st.sampled_from(["gzip", "lzf"]))
        if draw(st.booleans()):
            options["fletcher32"] = True
    return options


@given(
    contents=st.lists(datasets(), min_size=1, max_size=5),
    libver=st.sampled_from(LIBVERS),
    part=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_dataset_reads_as_h5py_reads_it(tmp_path, contents, libver, part, seed):
    path = tmp_path / "any.h5"
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w", libver=libver) as file:
        for i, options in enumerate(contents):
            v = file.create_dataset(f"v{i}", **options)
            size = max(int(np.prod(v.shape)), 1)
            raw = rng.integers(1, 100, size * 4)
            values = np.zeros(v.shape, v.dtype)
            if v.dtype.names is None:
                values = raw[:size].reshape(v.shape).astype(v.dtype)
            # only a part is written: the other chunks stay unallocated
            stop = int(part * v.shape[0]) if v.shape else 0
            if v.shape and stop:
                v[:stop] = values[:stop]
            elif not v.shape:
                v[...] = values
    parsed(path)


# ---------------------------------------------------------------- rounds, sizes, damage


def test_rounds_do_not_grow_with_the_file(path):
    counts = []
    for size in (10, 200):
        with h5py.File(path, "w") as file:
            for i in range(size):
                file.create_dataset(f"v{i}", data=ramp(60, 60), chunks=(20, 20), compression=None)
        rounds: list[int] = []
        hdf5_oracle.drive(path, rounds=rounds)
        counts.append(len(rounds))
    assert counts[1] <= 6


def test_a_small_file_takes_one_round(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=ramp(60, 60), chunks=(20, 20))
    rounds: list[int] = []
    hdf5_oracle.drive(path, rounds=rounds)
    assert rounds == [path.stat().st_size]
    assert HEAD <= WHOLE


def test_a_file_of_unknown_size_is_parsed_too(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=ramp(60, 60), chunks=(20, 20))
        file["text"] = "abc"
    data = path.read_bytes()
    parse = FORMAT.parse(Source(path.as_uri()))
    try:
        ranges = next(parse)
        while True:
            ranges = parse.send([data[start : start + size] for start, size in ranges])
    except StopIteration as stop:
        assert set(stop.value.arrays) == {"/v", "/text"}


def parse_bytes(data: bytes) -> ScannedFile:
    parse = FORMAT.parse(Source("file:///nowhere/a.h5", size=len(data)))
    try:
        ranges = next(parse)
        while True:
            ranges = parse.send([data[start : start + size] for start, size in ranges])
    except StopIteration as stop:
        return stop.value


@pytest.mark.parametrize("data", [b"", b"abc", b"CDF\x01" + bytes(100), b"\x89HDF\r\n\x1a\n"])
def test_a_file_of_another_format_is_refused_with_its_url(data):
    with pytest.raises(FormatError, match=r"file:///nowhere/a\.h5"):
        parse_bytes(data)


def test_a_truncated_file_is_refused_with_both_sizes(path):
    with h5py.File(path, "w") as file:
        file["v"] = ramp(10_000)
    data = path.read_bytes()
    with pytest.raises(FormatError, match=rf"truncated: .* {len(data)} bytes, it has {len(data) - 100}"):
        parse_bytes(data[:-100])


def test_a_wrong_checksum_is_refused(path):
    with h5py.File(path, "w", libver="latest") as file:
        file["v"] = ramp(10)
    data = bytearray(path.read_bytes())
    at = data.rfind(b"OHDR")
    data[at + 20] ^= 1
    try:
        reason = parse_bytes(bytes(data)).left_out["/v"]
    except FormatError as exc:
        reason = str(exc)
    assert "checksum" in reason


def test_a_header_that_continues_in_itself_is_refused(path):
    with h5py.File(path, "w") as file:
        v = file.create_dataset("v", data=ramp(3))
        for i in range(6):
            v.attrs[f"attribute_number_{i}"] = "x" * 100
    data = bytearray(path.read_bytes())
    # a continuation message: its number, its size of 16 bytes, flags
    at = data.find(b"\x10\x00\x10\x00")
    assert at > 0
    data[at + 8 : at + 16] = data[at - 0 : at + 0] or (at // 8 * 8).to_bytes(8, "little")
    try:
        scan = parse_bytes(bytes(data))
    except FormatError:
        return
    assert scan.left_out


def test_an_external_link_is_left_to_the_fallback(tmp_path):
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = ramp(3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"] = h5py.ExternalLink("b.h5", "/x")
    with pytest.raises(UnsupportedError, match=r"b\.h5"):
        hdf5_oracle.drive(tmp_path / "a.h5")
    scan, producer = hdf5_oracle.scan_path(tmp_path / "a.h5")
    assert producer == "h5py"
    assert np.array_equal(hdf5_oracle.read_array(scan.arrays["/v"]), ramp(3))


def test_sniff_finds_the_signature_at_each_place_a_user_block_allows():
    signature = b"\x89HDF\r\n\x1a\n"
    assert FORMAT.sniff(signature)
    for at in (512, 1024, 2048, 4096):
        assert FORMAT.sniff(bytes(at) + signature)
    assert not FORMAT.sniff(bytes(100) + signature)
    assert not FORMAT.sniff(io.BytesIO(b"CDF\x01").getvalue())


def test_two_attributes_of_one_name_are_no_failure(path):
    """No library writes that, a damaged file holds it."""
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=ramp(3))
        for name in "first_one", "other_one":
            value = np.empty(1, object)
            value[0] = ramp(2)
            file["v"].attrs.create(name, value, dtype=h5py.vlen_dtype("i4"))
        file["v"].attrs["text"] = "abc"
    path.write_bytes(path.read_bytes().replace(b"other_one", b"first_one"))
    scan = hdf5_oracle.drive(path)
    assert scan.arrays["/v"].attrs == {"text": "abc"}


def test_an_element_of_many_megabytes_is_refused(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("v", (2,), np.dtype(f"V{17 * 2**20}"), chunks=(1,))
        file.create_dataset("w", data=ramp(3))
    scan = hdf5_oracle.drive(path)
    assert list(scan.arrays) == ["/w"]
    assert scan.left_out["/v"] == "/v: one element has 17825792 bytes, more than 16777216"


def test_a_damaged_root_group_is_an_error_that_names_the_file(path):
    with h5py.File(path, "w") as file:
        file["v"] = ramp(3)
    data = bytearray(path.read_bytes())
    at = data.index(b"SNOD") + 8
    data[at : at + 8] = (9999).to_bytes(8, "little")  # the name of the first link lies behind the heap
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"a\.h5: damaged HDF5 file \(name at byte 9999 of a local heap"):
        ivz.scan(path)


def test_a_string_of_another_size_in_a_compound_is_an_error(path):
    """A damaged datatype: the reference of a string takes 16 bytes where addresses take 8."""
    with h5py.File(path, "w") as file:
        values = np.array([(1, "one", 2), (2, "two", 3)], np.dtype([("a", "i8"), ("text", h5py.string_dtype()), ("b", "i8")]))
        file.create_dataset("v", data=values)
        file.create_dataset("w", data=ramp(3))
    data = bytearray(path.read_bytes())
    at = data.index(b"text\0") + 8  # version 1: the name in steps of 8 bytes, then offset, dimensions, and the datatype
    size = data.index((16).to_bytes(4, "little"), at)
    data[size : size + 4] = (8).to_bytes(4, "little")
    scan = parse_bytes(bytes(data))
    assert list(scan.arrays) == ["/w"]
    assert "variable-length strings take [8] bytes in an element, expected 16" in scan.left_out["/v"]
