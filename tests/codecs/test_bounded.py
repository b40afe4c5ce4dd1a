"""Bombs: chunks of a few bytes that claim, or become, far more than their shape says."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import tracemalloc
import zlib
from collections.abc import Callable

import numcodecs
import numpy as np
import pytest

from intake_virtualzarr.codecs import bytes_to_bytes
from intake_virtualzarr.codecs.pipeline import compile_pipeline
from intake_virtualzarr.codecs.spec import CodecSpec
from intake_virtualzarr.errors import CodecError
from intake_virtualzarr.storage.limits import MAX_DECODED

DECLARED = 2 * 1024 * 1024
"""Bytes that the shape of the chunk says."""
BOMB = 24 * 1024 * 1024
U1 = np.dtype("u1")


def zstd_without_size(size: int) -> bytes:
    """A zstd frame of repeated bytes that does not say how long it is."""
    block, blocks = 128 * 1024, size // (128 * 1024)
    heads = [(block << 3 | 1 << 1 | int(i == blocks - 1)).to_bytes(3, "little") + b"A" for i in range(blocks)]
    return b"\x28\xb5\x2f\xfd\x00\x58" + b"".join(heads)


def szip_claim(size: int) -> bytes:
    return struct.pack("<I", size) + bytes(64)


def lz4_claim(size: int) -> bytes:
    return struct.pack("<I", size) + bytes(64)


BOMBS: dict[str, tuple[CodecSpec, Callable[[int], bytes]]] = {
    "zlib": (CodecSpec.of("numcodecs.zlib"), lambda n: zlib.compress(bytes(n))),
    "gzip": (CodecSpec.of("gzip"), lambda n: gzip.compress(bytes(n))),
    "gzip members": (CodecSpec.of("gzip"), lambda n: gzip.compress(bytes(n // 64)) * 64),
    "bz2": (CodecSpec.of("numcodecs.bz2"), lambda n: bz2.compress(bytes(n))),
    "bz2 streams": (CodecSpec.of("numcodecs.bz2"), lambda n: bz2.compress(bytes(n // 64)) * 64),
    "xz": (CodecSpec.of("numcodecs.lzma"), lambda n: lzma.compress(bytes(n), preset=0)),
    "lzma": (CodecSpec.of("numcodecs.lzma", format=2), lambda n: lzma.compress(bytes(n), lzma.FORMAT_ALONE, preset=0)),
    "zstd": (CodecSpec.of("zstd"), lambda n: bytes(numcodecs.Zstd().encode(bytes(n)))),
    "zstd frames": (CodecSpec.of("zstd"), lambda n: bytes(numcodecs.Zstd().encode(bytes(n // 64))) * 64),
    "zstd without size": (CodecSpec.of("zstd"), zstd_without_size),
    "lz4": (CodecSpec.of("numcodecs.lz4"), lambda n: bytes(numcodecs.LZ4().encode(bytes(n)))),
    "lz4 that claims": (CodecSpec.of("numcodecs.lz4"), lz4_claim),
    "blosc": (CodecSpec.of("blosc"), lambda n: bytes(numcodecs.Blosc("zstd").encode(bytes(n)))),
    "bitshuffle zstd": (
        CodecSpec.of("hdf5.bitshuffle", elementsize=1, compressor="zstd"),
        lambda n: _bitshuffle(bytes(numcodecs.Zstd().encode(bytes(n)))),
    ),
    "hdf5 lz4": (CodecSpec.of("hdf5.lz4"), lambda n: struct.pack(">QI", n, n) + bytes(64)),
    "lzf": (CodecSpec.of("hdf5.lzf"), lambda n: b"\x00A" + b"\xe0\xff\x00" * (n // 264)),
    "szip": (CodecSpec.of("hdf5.szip", parameters=[141, 8, 8, 64]), szip_claim),
}


def _bitshuffle(block: bytes) -> bytes:
    return struct.pack(">QI", DECLARED, DECLARED) + struct.pack(">I", len(block)) + block


@pytest.mark.parametrize("name", [*BOMBS, "zlib of Python"])
def test_a_bomb_is_refused_within_twice_the_declared_size(name, monkeypatch):
    if name == "zlib of Python":
        monkeypatch.setattr(bytes_to_bytes, "_fast", None)
    spec, make = BOMBS[name.partition(" of ")[0]]
    data = make(BOMB)
    if name in ("szip", "lzf"):
        pytest.importorskip("imagecodecs")
    decode = compile_pipeline((CodecSpec.of("bytes"), spec), U1)
    decode_once(decode, name)
    tracemalloc.start()
    try:
        with pytest.raises(CodecError):
            decode(data, (DECLARED,))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * DECLARED + len(data), f"{peak} bytes for a chunk of {DECLARED}"


def decode_once(decode, name: str) -> None:
    """Import what the decoder needs, before memory is counted."""
    with pytest.raises(CodecError):
        decode(b"no stream at all, of any codec", (DECLARED,))


@pytest.mark.parametrize("name", [n for n in BOMBS if "claim" not in n and n not in ("bitshuffle zstd", "hdf5 lz4", "lzf", "szip")])
@pytest.mark.parametrize("size", [4096, 16 * 128 * 1024])
def test_chunks_of_the_declared_size_are_decoded(name, size):
    spec, make = BOMBS[name]
    made = make(size)
    wanted = size // 64 * 64 if name.endswith(("members", "streams", "frames")) else size
    if name == "zstd without size":
        wanted = size // (128 * 1024) * 128 * 1024
    if wanted:
        values = compile_pipeline((CodecSpec.of("bytes"), spec), U1)(made, (wanted,))
        assert values.shape == (wanted,)
        assert len(np.unique(values)) == 1


def test_truncated_streams_are_damage_and_no_hang():
    for name in ("zlib", "gzip", "bz2", "xz", "lzma", "zstd"):
        spec, make = BOMBS[name]
        data = make(DECLARED)
        with pytest.raises(CodecError):
            compile_pipeline((CodecSpec.of("bytes"), spec), U1)(data[: len(data) // 2], (DECLARED,))


def test_zeros_behind_a_stream_are_padding():
    for name in ("gzip", "bz2", "xz"):
        spec, make = BOMBS[name]
        values = compile_pipeline((CodecSpec.of("bytes"), spec), U1)(make(1000) + bytes(16), (1000,))
        assert values.size == 1000


def test_a_checksum_before_the_compressor_still_fits():
    raw = bytes(numcodecs.CRC32().encode(np.arange(1000, dtype="u4").view("u1")))
    specs = (CodecSpec.of("bytes", endian="little"), CodecSpec.of("numcodecs.crc32"), CodecSpec.of("numcodecs.bz2"))
    values = compile_pipeline(specs, np.dtype("u4"))(bz2.compress(raw), (1000,))
    np.testing.assert_array_equal(values, np.arange(1000, dtype="u4"))


def test_chunks_beyond_any_size_are_refused_before_a_byte_is_decoded():
    decode = compile_pipeline((CodecSpec.of("bytes"), CodecSpec.of("gzip")), U1)
    with pytest.raises(CodecError, match="at most"):
        decode(gzip.compress(b"a"), (MAX_DECODED + 1,))


def test_a_chunk_of_text_that_claims_more_strings_than_its_shape_is_refused():
    decode = compile_pipeline((CodecSpec.of("vlen-utf8"),), np.dtype(object))
    with pytest.raises(CodecError, match="claims 4294967295 strings"):
        decode(b"\xff\xff\xff\xff" + bytes(8), (2,))


def test_a_large_dictionary_of_lzma_is_refused():
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**30}]
    spec = CodecSpec.of("numcodecs.lzma", format=lzma.FORMAT_RAW, filters=filters)
    with pytest.raises(CodecError, match="dictionary"):
        compile_pipeline((CodecSpec.of("bytes"), spec), U1)(b"\x00", (10,))


# ---------------------------------------------------------------------- zfp, whose decoder reads on behind the end of a stream


def zfp_parameters(shape, dtype, least=1, most=16658, precision=64):
    """What HDF5's filter keeps of a zfp stream: a version, then the stream's header with all four parameters of the mode."""
    # (type, rank, shape) in 52 bits; then least and most bits of a block, precision and smallest exponent in 64 bits
    width = 48 // len(shape)
    meta = (
        {"i4": 0, "i8": 1, "f4": 2, "f8": 3}[dtype]
        | len(shape) - 1 << 2
        | sum(n - 1 << 4 + axis * width for axis, n in enumerate(reversed(shape)))
    )
    mode = 0xFFF | least - 1 << 12 | most - 1 << 27 | precision - 1 << 42 | (-1074 + 16495) << 49
    number = int.from_bytes(b"zfp\x05", "little") | meta << 32 | mode << 84
    return [0x10F05, *np.frombuffer(number.to_bytes(24, "little"), "<u4").tolist()]


@pytest.mark.parametrize("dtype", ["i4", "i8", "f4", "f8"])
@pytest.mark.parametrize("shape", [(DECLARED // 8,), (5, DECLARED // 40), (512, 512), (5, 5, 5, 99)])
def test_a_zfp_stream_that_is_cut_short_is_read_within_twice_the_declared_size(dtype, shape):
    pytest.importorskip("imagecodecs")
    spec = CodecSpec.of("hdf5.zfp", parameters=zfp_parameters(shape, dtype))
    decode = compile_pipeline((CodecSpec.of("bytes", endian="little"), spec), np.dtype(dtype))
    declared = int(np.prod(shape)) * np.dtype(dtype).itemsize
    blocks = int(np.prod([-(-n // 4) for n in shape]))
    cut = bytes(blocks // 8 + 1)  # a bit for each block, and nothing in it
    tracemalloc.start()
    try:
        values = decode(cut, shape)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert values.shape == shape
    assert peak < 2 * declared + 8192, f"{peak / declared:.2f} times the chunk"


def test_a_zfp_header_that_asks_for_longer_blocks_than_the_chunk_holds_is_refused_before_it_is_decoded():
    pytest.importorskip("imagecodecs")
    for least in (513, 32768):
        spec = CodecSpec.of("hdf5.zfp", parameters=zfp_parameters((4096,), "f8", least))
        decode = compile_pipeline((CodecSpec.of("bytes", endian="little"), spec), np.dtype("f8"))
        with pytest.raises(CodecError, match="it is damaged"):
            decode(bytes(1024), (4096,))


def test_a_zfp_header_of_another_shape_is_refused():
    pytest.importorskip("imagecodecs")
    spec = CodecSpec.of("hdf5.zfp", parameters=zfp_parameters((2**30,), "f8"))
    with pytest.raises(CodecError, match="zfp header says"):
        compile_pipeline((CodecSpec.of("bytes", endian="little"), spec), np.dtype("f8"))(bytes(64), (1024,))
