"""Arrays from columns of references that somebody else made."""

import zlib

import numpy as np
import pytest
import zarr
from numcodecs import Blosc

import intake_virtualzarr as ivz

VALUES = np.arange(24, dtype=">i4").reshape(4, 6)
PIECES = [VALUES[row : row + 1, column : column + 3].tobytes() for row in range(4) for column in (0, 3)]


def write(path, pieces):
    """Pieces one after the other; where each begins, and its length."""
    lengths = np.array([len(piece) for piece in pieces])
    path.write_bytes(b"".join(pieces))
    return np.cumsum(lengths) - lengths, lengths


def test_values_are_found_in_the_files_that_columns_name(tmp_path):
    offset, length = write(tmp_path / "a.bin", PIECES[:4])
    more, longer = write(tmp_path / "b.bin", PIECES[4:])
    columns = np.concatenate([offset, more]), np.concatenate([length, longer]), [0] * 4 + [1] * 4
    array = ivz.VirtualZarrArray.from_references((4, 6), (1, 3), ">i4", [tmp_path / "a.bin", str(tmp_path / "b.bin")], *columns)
    assert np.array_equal(array, VALUES)
    assert array.dtype == "int32"
    assert array.n_references == 8


@pytest.mark.parametrize(
    ("encode", "codec"),
    [
        (zlib.compress, {"name": "numcodecs.zlib", "configuration": {"level": 6}}),
        (Blosc(cname="lz4").encode, zarr.codecs.BloscCodec(cname="lz4", shuffle="shuffle", typesize=4)),
    ],
)
def test_codecs_are_those_of_zarr(tmp_path, encode, codec):
    offset, length = write(tmp_path / "a.bin", [bytes(encode(piece)) for piece in PIECES])
    codecs = [{"name": "bytes", "configuration": {"endian": "big"}}, codec]
    array = ivz.VirtualZarrArray.from_references((4, 6), (1, 3), "i4", [tmp_path / "a.bin"], offset, length, codecs=codecs)
    assert np.array_equal(array, VALUES)


def test_a_chunk_of_length_0_reads_as_fill_value_whatever_its_file(tmp_path):
    offset, length = write(tmp_path / "a.bin", PIECES)
    length[0], source = 0, np.array([9, 0, 0, 0, 0, 0, 0, 0])
    array = ivz.VirtualZarrArray.from_references((4, 6), (1, 3), ">i4", [tmp_path / "a.bin"], offset, length, source, fill_value=-1)
    assert np.asarray(array)[0].tolist() == [-1, -1, -1, 3, 4, 5]


def test_columns_of_the_types_of_a_manifest_are_not_copied():
    offset, length = np.zeros((100, 10), "u8"), np.ones((100, 10), "u4")
    array = ivz.VirtualZarrArray.from_references((100, 10), (1, 1), "i1", ["a.bin"], offset, length)
    manifest = array.segments[0].stored.manifest
    assert np.shares_memory(manifest.offset, offset)
    assert np.shares_memory(manifest.length, length)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            (np.zeros(3), 1),
            r"'offset' has shape \(3,\); .* broadcasts to the chunk grid \(4, 2\)",
        ),
        ((0, 1, [[0], [1], [2], [0]]), r"chunk \(2, 0\) lies in file number 2, there are 2 URLs"),
        ((-1, 1), "'offset' holds -1"),
        ((0, 2**32), "is longer than"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, message):
    with pytest.raises(ivz.ManifestError, match=message):
        ivz.VirtualZarrArray.from_references((4, 6), (1, 3), "i4", ["a.bin", "b.bin"], *columns)
