"""Every filter the package decodes, against h5py with its plug-ins."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest
from support import hdf5_oracle

from intake_virtualzarr.codecs.hdf5_filters import expand_lzf
from intake_virtualzarr.codecs.pipeline import compile_pipeline
from intake_virtualzarr.codecs.spec import CodecSpec, bytes_codec
from intake_virtualzarr.errors import CodecError

hdf5plugin = pytest.importorskip("hdf5plugin")
pytest.importorskip("imagecodecs")

SHAPES = [((1000,), (333,)), ((60, 70), (25, 33)), ((20, 30, 40), (7, 11, 13)), ((5, 6, 7, 8), (3, 4, 5, 6))]
DTYPES = ["u1", "i2", "i4", "f4", "f8"]

PLUGINS = {
    "blosc": hdf5plugin.Blosc(cname="zlib", shuffle=2),
    "blosc2": hdf5plugin.Blosc2(),
    "blosc2_zstd": hdf5plugin.Blosc2(cname="zstd", filters=0),
    "bitshuffle": hdf5plugin.Bitshuffle(),
    "bitshuffle_zstd": hdf5plugin.Bitshuffle(cname="zstd"),
    "bitshuffle_alone": hdf5plugin.Bitshuffle(cname="none"),
    "lz4": hdf5plugin.LZ4(),
    "lz4_small_blocks": hdf5plugin.LZ4(nbytes=64),
    "zstd": hdf5plugin.Zstd(),
    "bzip2": hdf5plugin.BZip2(),
    "lzf": {"compression": "lzf", "shuffle": True},
    "deflate_fletcher32": {"compression": "gzip", "shuffle": True, "fletcher32": True},
}


def values(shape: tuple[int, ...], dtype: str, kind: str) -> np.ndarray[Any, Any]:
    size = int(np.prod(shape))
    if kind == "zeros":
        return np.zeros(shape, dtype)
    if kind == "ramp":
        return (np.arange(size).reshape(shape) % 100).astype(dtype)
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def check(path: Any) -> None:
    for name, outcome, detail in hdf5_oracle.compare(path):
        assert (outcome, detail) == ("identical", "parser"), (name, detail)


@pytest.mark.parametrize("name", sorted(PLUGINS))
def test_a_lossless_filter_decodes_to_the_same_bits(tmp_path, name):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for shape, chunks in SHAPES:
            for dtype in DTYPES:
                for kind in ("zeros", "ramp", "noise"):
                    data = values(shape, dtype, kind)
                    file.create_dataset(f"{dtype}_{len(shape)}_{kind}", data=data, chunks=chunks, **PLUGINS[name])
    check(tmp_path / "a.h5")


@pytest.mark.parametrize(
    "options",
    [{"reversible": True}, {"accuracy": 0.01}, {"precision": 12}, {"rate": 8}],
    ids=lambda options: next(iter(options)),
)
def test_zfp_decodes_in_every_mode(tmp_path, options):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for shape, chunks in SHAPES[:3]:
            for dtype in ("f4", "f8"):
                data = values(shape, dtype, "noise") / 7
                file.create_dataset(f"{dtype}_{len(shape)}", data=data.astype(dtype), chunks=chunks, **hdf5plugin.Zfp(**options))
    check(tmp_path / "a.h5")


@pytest.mark.parametrize("fill", [None, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_scaleoffset_decodes_for_every_number(tmp_path, order, fill):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for dtype in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
            for digits, scale in ((0, 1), (5, 0)):
                data = values((60, 70), "i2", "noise") % (16 if not scale else 100)
                file.create_dataset(
                    f"{dtype}_{digits}", data=data.astype(order + dtype), chunks=(25, 33), scaleoffset=digits, fillvalue=fill
                )
        for dtype in ("f4", "f8"):
            data = (values((60, 70), dtype, "noise") / 7).astype(order + dtype)
            file.create_dataset(dtype, data=data, chunks=(25, 33), scaleoffset=3, fillvalue=fill)
    check(tmp_path / "a.h5")


@pytest.mark.parametrize("method", ["nn", "ec"])
def test_szip_decodes_in_both_modes(tmp_path, method):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for dtype in ("u1", "i2", "i4", "f4", "f8", ">i4"):
            data = values((60, 70), "i2", "noise").astype(dtype) // 2
            file.create_dataset(
                dtype.strip(">") + ("be" if ">" in dtype else ""),
                data=data,
                chunks=(25, 33),
                compression="szip",
                compression_opts=(method, 8),
            )
    check(tmp_path / "a.h5")


@pytest.mark.parametrize("order", ["LE", "BE"])
@pytest.mark.parametrize(("precision", "offset"), [(20, 0), (12, 4), (17, 1), (31, 1)])
def test_nbit_decodes_any_precision_and_offset(tmp_path, order, precision, offset):
    datatype = getattr(h5py.h5t, f"STD_I32{order}").copy()
    datatype.set_precision(precision)
    datatype.set_offset(offset)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((7,))
    plist.set_filter(h5py.h5z.FILTER_NBIT, 0, ())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = h5py.h5d.create(file.id, b"v", datatype, h5py.h5s.create_simple((30,)), dcpl=plist)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(-15, 15, dtype="i4") * 3)
    check(tmp_path / "a.h5")


def test_a_small_variable_with_an_unknown_filter_is_read_through_h5py(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("v", data=values((64, 64), "f4", "ramp"), chunks=(32, 32), **hdf5plugin.Sperr(rate=8))
    assert hdf5_oracle.compare(tmp_path / "a.h5") == [("/v", "identical", "h5py")]


def test_a_large_variable_with_an_unknown_filter_is_left_out_by_its_number(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("v", data=np.zeros((600, 600), "f4"), chunks=(600, 600), **hdf5plugin.Sperr(rate=8))
        file["ok"] = 1
    scan = hdf5_oracle.drive(tmp_path / "a.h5")
    assert set(scan.arrays) == {"/ok"}
    assert "HDF5 filter 32028 (sperr)" in scan.left_out["/v"]
    assert "rewrite it with gzip" in scan.left_out["/v"]


@pytest.mark.parametrize("data", [b"\x05ab", b"\x20\x00", b"\xe0", b"\x00a\xff\xff\xff"])
def test_a_damaged_lzf_stream_is_refused(data):
    with pytest.raises(CodecError, match="lzf"):
        expand_lzf(data, 100)


def test_an_lzf_reference_may_overlap_what_it_produces():
    assert expand_lzf(b"\x00a\xe0\x01\x00", 100) == b"a" * 11


@pytest.mark.parametrize("factor", [40, 400, -400, 2**31])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_scaleoffset_by_a_power_beyond_the_type_is_no_failure(dtype, factor):
    """What a damaged file may say: C divides by infinity or by zero and goes on."""
    size = np.dtype(dtype).itemsize
    parameters = [0, factor % 2**32, 4, 1, size, 1, 0, 0, *[0] * 12]
    minimum = np.array([1.5], dtype).tobytes().ljust(8, b"\0")
    chunk = (4).to_bytes(4, "little") + b"\x08" + minimum + bytes(8) + b"\x12\x34"
    codecs = bytes_codec(np.dtype(dtype)), CodecSpec.of("hdf5.scaleoffset", parameters=parameters)
    values = compile_pipeline(codecs, np.dtype(dtype))(chunk, (4,))
    assert values.shape == (4,)
    if 0 < factor < 2**31:
        assert np.allclose(values, 1.5)
