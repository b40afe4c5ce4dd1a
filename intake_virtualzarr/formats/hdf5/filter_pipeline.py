"""HDF5 filter pipelines as Zarr codec pipelines."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from intake_virtualzarr.codecs.spec import CodecSpec, Pipeline
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.formats.hdf5.model import RawFilter

__all__ = ["FILTER_NAMES", "MissingFilterError", "codec_pipeline"]


class MissingFilterError(UnsupportedError):
    """A filter has no decoder here; h5py may have a plug-in for it."""


FILTER_NAMES = {
    1: "deflate",
    2: "shuffle",
    3: "fletcher32",
    4: "szip",
    5: "nbit",
    6: "scaleoffset",
    305: "lzo",
    307: "bzip2",
    32000: "lzf",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32017: "sz",
    32018: "fcidecomp",
    32019: "jpeg",
    32024: "sz3",
    32026: "blosc2",
    32028: "sperr",
}
KEEPS_LENGTH = {"numcodecs.shuffle", "hdf5.shuffle"}
"""Codecs whose output has as many bytes as their input."""


@lru_cache(maxsize=1024)
def codec_pipeline(layout: CodecSpec, itemsize: int, nbytes: int, filters: tuple[RawFilter, ...], mask: int) -> Pipeline:
    """Translate the filters of a dataset.

    Parameters
    ----------
    layout : CodecSpec
        Array-to-bytes codec.
    itemsize : int
        Stored size of one element [bytes].
    nbytes : int
        Size of a chunk before any filter [bytes].
    filters : tuple of RawFilter
        In the order of writing.
    mask : int
        Bit m is set if filter m was skipped.

    Raises
    ------
    MissingFilterError
        If a filter that was applied has no decoder here.
    """
    codecs = [layout]
    plain = True
    for number, filter_ in enumerate(filters):
        if mask >> number & 1:
            continue
        make = _CODECS.get(filter_.id)
        if make is None:
            name = FILTER_NAMES.get(filter_.id) or filter_.name or "not registered"
            raise MissingFilterError(f"uses HDF5 filter {filter_.id} ({name}), which has no codec here; rewrite it with gzip")
        codec = make(filter_.values, itemsize, nbytes, plain)
        if codec is not None:
            codecs.append(codec)
            plain = plain and codec.name in KEEPS_LENGTH
    return tuple(codecs)


type _Make = Callable[[tuple[int, ...], int, int, bool], CodecSpec | None]


def _deflate(values: tuple[int, ...], itemsize: int, nbytes: int, plain: bool) -> CodecSpec:
    return CodecSpec.of("numcodecs.zlib", level=values[0] if values and values[0] <= 9 else 4)


def _shuffle(values: tuple[int, ...], itemsize: int, nbytes: int, plain: bool) -> CodecSpec | None:
    size = values[0] if values and values[0] else itemsize
    if size == 1:
        return None
    # numcodecs refuses bytes past the last whole element; HDF5 passes them through
    name = "numcodecs.shuffle" if plain and nbytes % size == 0 else "hdf5.shuffle"
    return CodecSpec.of(name, elementsize=size)


def _fletcher32(values: tuple[int, ...], itemsize: int, nbytes: int, plain: bool) -> CodecSpec:
    return CodecSpec.of("numcodecs.fletcher32")


def _lzf(values: tuple[int, ...], itemsize: int, nbytes: int, plain: bool) -> CodecSpec:
    return CodecSpec.of("hdf5.lzf")


def _parameters(name: str, minimum: int) -> _Make:
    def make(values: tuple[int, ...], itemsize: int, nbytes: int, plain: bool) -> CodecSpec:
        if len(values) < minimum:
            raise UnsupportedError(f"HDF5 filter {name} has {len(values)} client values, expected {minimum} or more")
        return CodecSpec.of(f"hdf5.{name}", parameters=list(values))

    return make


def _blosc(values: tuple[int, ...], itemsize: int, nbytes: int, plain: bool) -> CodecSpec:
    names = ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd")
    level, shuffle, compressor = ((*values, 5, 1, 0)[4:7]) if len(values) >= 7 else (5, 1, 0)
    cname = names[compressor] if compressor < len(names) else "lz4"
    return CodecSpec.of("numcodecs.blosc", cname=cname, clevel=min(level, 9), shuffle=min(shuffle, 2), blocksize=0)


def _bzip2(values: tuple[int, ...], itemsize: int, nbytes: int, plain: bool) -> CodecSpec:
    return CodecSpec.of("numcodecs.bz2", level=values[0] if values and 1 <= values[0] <= 9 else 9)


def _zstd(values: tuple[int, ...], itemsize: int, nbytes: int, plain: bool) -> CodecSpec:
    level = values[0] if values and values[0] <= 22 else 3
    return CodecSpec.of("zstd", level=level, checksum=False)


def _lz4(values: tuple[int, ...], itemsize: int, nbytes: int, plain: bool) -> CodecSpec:
    return CodecSpec.of("hdf5.lz4")


def _bitshuffle(values: tuple[int, ...], itemsize: int, nbytes: int, plain: bool) -> CodecSpec:
    size = values[2] if len(values) > 2 and values[2] else itemsize
    block = values[3] if len(values) > 3 else 0
    compressor = {2: "lz4", 3: "zstd"}.get(values[4] if len(values) > 4 else 0)
    return CodecSpec.of("hdf5.bitshuffle", elementsize=size, blocksize=block, compressor=compressor)


_CODECS: dict[int, _Make] = {
    1: _deflate,
    2: _shuffle,
    3: _fletcher32,
    4: _parameters("szip", 4),
    5: _parameters("nbit", 5),
    6: _parameters("scaleoffset", 8),
    307: _bzip2,
    32000: _lzf,
    32001: _blosc,
    32004: _lz4,
    32008: _bitshuffle,
    32013: _parameters("zfp", 4),
    32015: _zstd,
    32026: _parameters("blosc2", 4),
}
