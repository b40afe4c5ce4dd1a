"""Decoders against what encodes: numcodecs, zlib, NumPy."""

import gzip
import zlib
from typing import Any

import numcodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from intake_virtualzarr.codecs.pipeline import compile_pipeline
from intake_virtualzarr.codecs.spec import CodecSpec, bytes_codec, pipeline_from_json, pipeline_to_json, same_decoding
from intake_virtualzarr.errors import CodecError

relaxed = settings(deadline=None, max_examples=80)

DTYPES = st.sampled_from(["i1", "u2", "i4", "u8", "f2", "f4", "f8", "c8", "c16", "?", "S3"])
ARRAYS = DTYPES.flatmap(
    lambda d: hnp.arrays(
        np.dtype(d),
        hnp.array_shapes(min_dims=0, max_dims=3, max_side=5),
        elements=None if d != "S3" else st.binary(max_size=3).map(lambda b: b.rstrip(b"\0")),
    )
)


def compressed(name: str, data: bytes) -> tuple[CodecSpec, bytes]:
    """A codec and what it makes of bytes."""
    if name == "numcodecs.zlib":
        return CodecSpec.of(name, level=4), zlib.compress(data)
    if name in ("gzip", "numcodecs.gzip"):
        return CodecSpec.of(name, level=4), gzip.compress(data)
    if name == "numcodecs.fletcher32":
        padded = np.frombuffer(data, np.uint8)
        return CodecSpec.of(name), bytes(numcodecs.Fletcher32().encode(padded))
    if name in ("zstd", "numcodecs.zstd"):
        return CodecSpec.of(name, level=3), bytes(numcodecs.Zstd().encode(data))
    if name in ("blosc", "numcodecs.blosc"):
        return CodecSpec.of(name, cname="lz4", clevel=5, shuffle="noshuffle"), bytes(numcodecs.Blosc().encode(data))
    if name == "numcodecs.lz4":
        return CodecSpec.of(name, acceleration=1), bytes(numcodecs.LZ4().encode(data))
    return CodecSpec.of("numcodecs.bz2", level=1), bytes(numcodecs.BZ2().encode(data))


COMPRESSORS = (
    "numcodecs.zlib", "gzip", "numcodecs.gzip", "zstd", "numcodecs.zstd", "blosc", "numcodecs.blosc", "numcodecs.lz4",
    "numcodecs.bz2", "numcodecs.fletcher32",
)  # fmt: skip


@given(ARRAYS, st.booleans())
@relaxed
def test_bytes_of_either_order_become_the_values(values, big):
    stored = values.astype(values.dtype.newbyteorder(">" if big else "<"))
    spec = bytes_codec(stored.dtype)
    if values.dtype.itemsize > 1 and values.dtype.kind not in "SV":
        assert spec.configuration["endian"] == ("big" if big else "little")
    found = compile_pipeline((spec,), values.dtype)(stored.tobytes(), values.shape)
    assert found.dtype == values.dtype
    assert found.tobytes() == values.tobytes()


@pytest.mark.parametrize("name", COMPRESSORS)
@given(values=hnp.arrays(np.dtype("i4"), st.tuples(st.integers(1, 6), st.integers(1, 6))))
@settings(deadline=None, max_examples=20)
def test_compressed_chunks_become_the_values(name, values):
    spec, data = compressed(name, values.tobytes())
    found = compile_pipeline((bytes_codec(values.dtype), spec), values.dtype)(data, values.shape)
    np.testing.assert_array_equal(found, values)


@given(values=hnp.arrays(st.sampled_from([np.dtype("i2"), np.dtype("f8")]), st.integers(1, 40)), size=st.integers(1, 9))
@relaxed
def test_shuffle_of_any_element_size_is_undone(values, size):
    data = values.tobytes()
    whole = len(data) // size * size
    shuffled = np.frombuffer(data[:whole], np.uint8).reshape(-1, size).T.tobytes() + data[whole:]
    pipeline = (bytes_codec(values.dtype), CodecSpec.of("numcodecs.shuffle", elementsize=size))
    np.testing.assert_array_equal(compile_pipeline(pipeline, values.dtype)(shuffled, values.shape), values)


@given(values=hnp.arrays(np.dtype("i2"), hnp.array_shapes(min_dims=2, max_dims=3, max_side=4)), data=st.data())
@relaxed
def test_transposed_chunks_become_the_values(values, data):
    order = data.draw(st.permutations(range(values.ndim)))
    pipeline = (CodecSpec.of("transpose", order=order), bytes_codec(values.dtype))
    found = compile_pipeline(pipeline, values.dtype)(values.transpose(order).tobytes(), values.shape)
    np.testing.assert_array_equal(found, values)


@given(values=hnp.arrays(np.dtype("i2"), (3, 4, 2)), first=st.permutations(range(3)), second=st.permutations(range(3)))
@relaxed
def test_two_transpositions_are_undone_in_their_order(values, first, second):
    pipeline = (
        CodecSpec.of("transpose", order=first),
        CodecSpec.of("transpose", order=second),
        bytes_codec(values.dtype),
    )
    stored = values.transpose(first).transpose(second).tobytes()
    np.testing.assert_array_equal(compile_pipeline(pipeline, values.dtype)(stored, values.shape), values)


@given(st.lists(st.text(max_size=5), max_size=6))
@relaxed
def test_strings_become_objects(texts):
    values = np.array(texts, dtype=object)
    data = bytes(numcodecs.VLenUTF8().encode(values)) if texts else b"\0\0\0\0"
    found = compile_pipeline((CodecSpec.of("vlen-utf8"),), np.dtype(object))(data, values.shape)
    assert found.tolist() == texts


@pytest.mark.parametrize("name", COMPRESSORS)
def test_damaged_chunks_are_errors(name):
    values = np.arange(64, dtype="i4")
    spec, data = compressed(name, values.tobytes())
    decode = compile_pipeline((bytes_codec(values.dtype), spec), values.dtype)
    broken: list[Any] = [data[: len(data) // 2], b"", data[:-6] + bytes(6)]
    for bad in broken:
        try:
            found = decode(bad, values.shape)
        except CodecError:
            continue
        # a compressor without a checksum may not notice; what it returns then has the right size
        assert found.shape == values.shape


@pytest.mark.parametrize("size", [0, 3, 5, 8])
def test_chunks_of_another_size_are_errors(size):
    decode = compile_pipeline((CodecSpec.of("bytes"),), np.dtype("i1"))
    with pytest.raises(CodecError, match=rf"chunk decodes to {size} bytes, expected 4 for \(4,\) int8"):
        decode(bytes(size), (4,))


@pytest.mark.parametrize(
    ("codecs", "message"),
    [
        ((CodecSpec.of("transpose", order=[0]),), "no array-to-bytes codec"),
        ((CodecSpec.of("numcodecs.zlib"),), "'numcodecs.zlib' stands where an array-to-bytes codec"),
        ((CodecSpec.of("bytes"), CodecSpec.of("secret")), "codec 'secret' is unknown here; known are"),
        ((CodecSpec.of("bytes"), CodecSpec.of("numcodecs.shuffle", elementsize=0)), "elements of 0 bytes"),
    ],
)
def test_pipelines_that_cannot_be_are_errors(codecs, message):
    with pytest.raises(CodecError, match=message):
        compile_pipeline(codecs, np.dtype("i4"))


@pytest.mark.parametrize("document", [None, [], {}, [3], [{"configuration": {}}], [{"name": "a", "configuration": 3}]])
def test_documents_that_are_no_pipeline_are_errors(document):
    with pytest.raises(CodecError):
        pipeline_from_json(document)


def test_a_pipeline_survives_its_json():
    document = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "numcodecs.zlib", "configuration": {"level": 1}}]
    assert pipeline_to_json(pipeline_from_json(document)) == document
    assert pipeline_from_json(["bytes"]) == (CodecSpec.of("bytes"),)


def test_only_what_a_decoder_looks_at_makes_pipelines_differ():
    def zlib_of(level: int, size: int = 4) -> tuple[CodecSpec, ...]:
        return (
            CodecSpec.of("bytes", endian="little"),
            CodecSpec.of("numcodecs.shuffle", elementsize=size),
            CodecSpec.of("numcodecs.zlib", level=level),
        )

    assert same_decoding(zlib_of(1), zlib_of(9))
    assert not same_decoding(zlib_of(1), zlib_of(1, size=2))
    assert not same_decoding(zlib_of(1), zlib_of(1)[:2])
