"""How elements of HDF5 datatypes become NumPy values, and the layout codec ``hdf5.datatype`` that does it.

What NumPy can read as it lies needs no codec of ours (`Storage.codec` is then plain ``bytes``). The rest is converted as
h5py shows it: integers of odd precision, space-padded strings, padded or mixed-endian compounds, enumerated booleans.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, Attrs, DType
from intake_virtualzarr.codecs.hdf5_datatype import Datatype, parse_datatype
from intake_virtualzarr.codecs.registry import Buffer, ChunkSpec, LayoutDecoder, register_layout
from intake_virtualzarr.codecs.spec import CodecSpec
from intake_virtualzarr.errors import CodecError, UnsupportedError

__all__ = ["Storage", "convert", "native_dtype", "storage_of", "unwrap"]

IEEE = {2: (15, 10, 5, 0, 10, 15, 2), 4: (31, 23, 8, 0, 23, 127, 2), 8: (63, 52, 11, 0, 52, 1023, 2)}
"""Size -> float format of IEEE 754: sign, exponent position and size, mantissa position and size, bias, implied bit."""


MAX_SIZE = 2**31 - 1
"""Bytes of one element that NumPy allows."""


@dataclass(frozen=True, slots=True)
class Storage:
    """How elements of a datatype are stored, and what they are shown as."""

    dtype: DType
    """Data type of the values, native byte order; of the base type for array datatypes."""
    codec: CodecSpec
    """Array-to-bytes codec."""
    itemsize: int
    """Stored size of one value [bytes]."""
    inner: tuple[int, ...] = ()
    """Axes that an array datatype adds behind those of the dataset."""


@lru_cache(maxsize=1024)
def storage_of(datatype: Datatype) -> Storage:
    """Find the array-to-bytes codec of a datatype.

    Raises
    ------
    UnsupportedError
        If elements of the datatype have no NumPy form, or point elsewhere in the file. The message says what it is.
    """
    inner, datatype = unwrap(datatype)
    dtype = native_dtype(datatype)
    plain = _as_it_lies(datatype)
    if plain is None:
        codec = CodecSpec.of("hdf5.datatype", itemsize=datatype.size, message=datatype.encoded.hex())
    elif plain.itemsize == 1 or (plain.names is None and plain.kind in "SV"):
        codec = CodecSpec.of("bytes")
    else:
        codec = CodecSpec.of("bytes", endian="big" if _is_big(plain) else "little")
    return Storage(dtype, codec, datatype.size, inner)


def _is_big(dtype: DType) -> bool:
    if dtype.names is not None:
        return False  # compounds that NumPy reads as they lie are little-endian throughout
    return dtype.base.byteorder == ">"


def _order(datatype: Datatype) -> str:
    return ">" if datatype.big else "<"


def _as_it_lies(datatype: Datatype) -> DType | None:
    """The dtype with which NumPy reads the bytes as they are; None if they must be converted."""
    kind, size = datatype.kind, datatype.size
    if kind in ("integer", "bitfield"):
        sign = "i" if datatype.signed else "u"
        return np.dtype(f"{_order(datatype)}{sign}{size}") if datatype.is_plain_integer else None
    if kind == "float":
        return np.dtype(f"{_order(datatype)}f{size}") if _is_ieee(datatype) else None
    if kind == "string":
        same = datatype.padding == "nullpad" or (size == 1 and datatype.padding == "nullterm")
        return np.dtype(f"S{size}") if same else None
    if kind == "opaque":
        return _opaque_dtype(datatype)
    if kind == "enum":
        assert datatype.base is not None
        base = _as_it_lies(datatype.base)
        return None if base is None else np.dtype("?") if _is_bool(datatype) else base
    if kind == "complex" or _is_complex(datatype):
        part = datatype.base or datatype.members[0].type
        assert part is not None
        return np.dtype(f"{_order(part)}c{size}") if _is_ieee(part) and 2 * part.size == size else None
    if kind == "compound":
        return _struct_as_it_lies(datatype)
    return None


def _struct_as_it_lies(datatype: Datatype) -> DType | None:
    fields: list[tuple[str, DType]] = []
    at = 0
    for member in datatype.members:
        assert member.type is not None
        inner, base = unwrap(member.type)
        below = _as_it_lies(base)
        if below is None or member.offset != at or (below.names is None and below.byteorder == ">"):
            return None
        fields.append((member.name, np.dtype((below, inner)) if inner else below))
        at += member.type.size
    return np.dtype(fields) if fields and at == datatype.size else None


def unwrap(datatype: Datatype) -> tuple[tuple[int, ...], Datatype]:
    """Axes of array datatypes, and the datatype below them."""
    inner: tuple[int, ...] = ()
    while datatype.kind == "array":
        assert datatype.base is not None
        inner, datatype = inner + datatype.dims, datatype.base
    return inner, datatype


def _is_ieee(datatype: Datatype) -> bool:
    return datatype.tag == "" and datatype.offset == 0 and IEEE.get(datatype.size) == datatype.float_format


def _is_bool(datatype: Datatype) -> bool:
    names = {m.name: m.offset for m in datatype.members}
    return datatype.size == 1 and names == {"FALSE": 0, "TRUE": 1}


def _is_complex(datatype: Datatype) -> bool:
    if datatype.kind != "compound" or len(datatype.members) != 2:
        return False
    real, imaginary = datatype.members
    a, b = real.type, imaginary.type
    if a is None or b is None or a.kind != "float" or a.encoded != b.encoded:
        return False
    names = (real.name, imaginary.name)
    return names == ("r", "i") and real.offset == 0 and imaginary.offset == a.size and datatype.size == 2 * a.size


def _opaque_dtype(datatype: Datatype) -> DType:
    if datatype.tag.startswith("NUMPY:"):
        try:
            dtype = np.dtype(datatype.tag.removeprefix("NUMPY:"))
        except TypeError:
            dtype = np.dtype(f"V{datatype.size}")
        if dtype.itemsize == datatype.size and dtype.kind in "mMV" and dtype.names is None:
            return dtype
    return np.dtype(f"V{datatype.size}")


@lru_cache(maxsize=1024)
def native_dtype(datatype: Datatype) -> DType:
    """The data type in which values are shown: native byte order, no padding.

    Raises
    ------
    UnsupportedError
        If there is none.
    """
    kind, size = datatype.kind, datatype.size
    if size > MAX_SIZE:
        raise UnsupportedError(f"elements of {size} bytes, which NumPy lacks")
    if kind in ("integer", "bitfield"):
        if size not in (1, 2, 4, 8):
            raise UnsupportedError(f"{size}-byte integers, which NumPy lacks")
        return np.dtype(f"{'i' if datatype.signed else 'u'}{size}")
    if kind == "float":
        return _float_dtype(datatype)
    if kind == "string":
        return np.dtype(f"S{size}")
    if kind == "opaque":
        if size == 0:
            raise UnsupportedError("an opaque datatype of 0 bytes")
        return _opaque_dtype(datatype).newbyteorder("=")
    if kind == "enum":
        assert datatype.base is not None
        return np.dtype("?") if _is_bool(datatype) else native_dtype(datatype.base)
    if kind == "complex" or _is_complex(datatype):
        part = datatype.base or datatype.members[0].type
        assert part is not None
        if part.size not in (4, 8):
            raise UnsupportedError(f"complex numbers of {8 * part.size}-bit floats, which NumPy lacks")
        return np.dtype(f"c{2 * native_dtype(part).itemsize}")
    if kind == "compound":
        return _struct_dtype(datatype)
    raise UnsupportedError(_DESCRIPTIONS.get(kind, f"{kind} datatype").format(tag=datatype.tag))


_DESCRIPTIONS = {
    "vlen": "variable-length sequences, which Zarr lacks",
    "vlen-string": "variable-length strings inside another datatype, which Zarr lacks",
    "reference": "{tag} references into the file, which mean nothing outside of it",
    "time": "the HDF5 time datatype, which nothing writes or reads",
}


def _float_dtype(datatype: Datatype) -> DType:
    if _is_ieee(datatype):
        return np.dtype(f"f{datatype.size}")
    if datatype.tag == "vax":
        raise UnsupportedError("VAX floats, which nothing reads")
    _, _, exponent, _, mantissa, bias, norm = datatype.float_format
    if (exponent, mantissa, bias) == (8, 7, 127) and datatype.size == 2:
        raise UnsupportedError("bfloat16, which NumPy lacks; rewrite it as float32")
    if datatype.size > 8 or norm != 2:
        raise UnsupportedError(f"floats of {datatype.precision} bits, which Zarr lacks; rewrite them as float64")
    for size in (2, 4, 8):
        info = np.finfo(f"f{size}")
        # any bias may stand in the file: the largest power and the smallest step must be numbers of the IEEE type
        largest, step = (1 << exponent) - 2 - bias, 1 - bias - mantissa
        if size >= datatype.size and mantissa <= info.nmant and largest < info.maxexp and step >= info.minexp - info.nmant:
            return np.dtype(f"f{size}")
    raise UnsupportedError(f"floats of {exponent} exponent bits (bias {bias}) and {mantissa} mantissa bits, which NumPy lacks")


def _struct_dtype(datatype: Datatype) -> DType:
    fields: list[Any] = []
    for member in datatype.members:
        assert member.type is not None
        inner, base = unwrap(member.type)
        fields.append((member.name, native_dtype(base), inner) if inner else (member.name, native_dtype(base)))
    if not fields:
        raise UnsupportedError("a compound without members")
    try:
        dtype = np.dtype(fields)
    except ValueError as exc:
        raise UnsupportedError(f"a compound that NumPy cannot name ({exc})") from exc
    if dtype.names != tuple(member.name for member in datatype.members):
        raise UnsupportedError("a compound with a member without a name")
    return dtype


def convert(datatype: Datatype, raw: npt.NDArray[np.uint8]) -> AnyArray:
    """Convert stored elements.

    Parameters
    ----------
    datatype : Datatype
        Not an array datatype.
    raw : numpy.ndarray of uint8, shape (n, size)
        The bytes of ``n`` elements.

    Returns
    -------
    numpy.ndarray, shape (n,)
        Values of `native_dtype`.
    """
    dtype = native_dtype(datatype)
    lies = _as_it_lies(datatype)
    if lies is not None:
        return np.ascontiguousarray(raw).view(lies)[:, 0].astype(dtype, copy=False)
    return _CONVERTERS[datatype.kind](datatype, raw, dtype)


def _words(raw: npt.NDArray[np.uint8], *, big: bool) -> npt.NDArray[np.uint64]:
    """Elements of up to 8 bytes as unsigned integers."""
    size = raw.shape[1]
    padded = np.zeros((raw.shape[0], 8), np.uint8)
    padded[:, :size] = raw[:, ::-1] if big else raw
    return padded.view("<u8")[:, 0].astype(np.uint64, copy=False)


def _bits(words: npt.NDArray[np.uint64], at: int, size: int) -> npt.NDArray[np.uint64]:
    mask = np.uint64((1 << size) - 1)
    return (words >> np.uint64(at)) & mask


def _convert_integer(datatype: Datatype, raw: npt.NDArray[np.uint8], dtype: DType) -> AnyArray:
    values = _bits(_words(raw, big=datatype.big), datatype.offset, datatype.precision)
    if datatype.signed:
        shift = np.int64(64 - datatype.precision)
        return ((values.view(np.int64) << shift) >> shift).astype(dtype)
    return values.astype(dtype)


def _convert_float(datatype: Datatype, raw: npt.NDArray[np.uint8], dtype: DType) -> AnyArray:
    sign_at, exp_at, exp_size, man_at, man_size, bias, _ = datatype.float_format
    words = _words(raw, big=datatype.big)
    exponent = _bits(words, exp_at, exp_size).astype(np.int64)
    mantissa = _bits(words, man_at, man_size).astype(np.float64)
    fraction = np.ldexp(mantissa, -man_size)
    with np.errstate(over="ignore", invalid="ignore"):
        power = np.clip(exponent - bias, -5000, 5000).astype(np.int32)
        values = np.ldexp(1.0 + fraction, power)
        tiny = np.ldexp(fraction, np.int32(1 - max(min(bias, 4000), -4000)))
        values = np.where(exponent == 0, tiny, values)
        top = (1 << exp_size) - 1
        values = np.where(exponent == top, np.where(mantissa == 0, np.inf, np.nan), values)
        values = np.where(_bits(words, sign_at, 1) != 0, -values, values)
        return values.astype(dtype)


def _convert_string(datatype: Datatype, raw: npt.NDArray[np.uint8], dtype: DType) -> AnyArray:
    if datatype.padding == "spacepad":
        # HDF5 cuts the spaces at the end; bytes before them stay
        tail = np.logical_and.accumulate((raw == ord(" "))[:, ::-1], axis=1)[:, ::-1]
    else:
        tail = np.logical_or.accumulate(raw == 0, axis=1)
    return np.where(tail, np.uint8(0), raw).view(dtype)[:, 0]


def _convert_enum(datatype: Datatype, raw: npt.NDArray[np.uint8], dtype: DType) -> AnyArray:
    assert datatype.base is not None
    return convert(datatype.base, raw).astype(dtype)


def _convert_compound(datatype: Datatype, raw: npt.NDArray[np.uint8], dtype: DType) -> AnyArray:
    if dtype.names is None:  # complex numbers of odd parts
        real, imaginary = (m for m in datatype.members)
        assert real.type is not None
        out = np.empty(raw.shape[0], dtype)
        out.real = convert(real.type, raw[:, : real.type.size])
        out.imag = convert(real.type, raw[:, imaginary.offset : imaginary.offset + real.type.size])
        return out
    out = np.zeros(raw.shape[0], dtype)
    for member in datatype.members:
        assert member.type is not None
        inner, base = unwrap(member.type)
        part = raw[:, member.offset : member.offset + member.type.size]
        values = convert(base, np.ascontiguousarray(part).reshape(-1, base.size))
        out[member.name] = values.reshape(raw.shape[0], *inner)
    return out


def _convert_complex(datatype: Datatype, raw: npt.NDArray[np.uint8], dtype: DType) -> AnyArray:
    assert datatype.base is not None
    out = np.empty(raw.shape[0], dtype)
    out.real = convert(datatype.base, raw[:, : datatype.base.size])
    out.imag = convert(datatype.base, raw[:, datatype.base.size :])
    return out


_CONVERTERS: dict[str, Callable[[Datatype, npt.NDArray[np.uint8], DType], AnyArray]] = {
    "integer": _convert_integer,
    "bitfield": _convert_integer,
    "float": _convert_float,
    "string": _convert_string,
    "enum": _convert_enum,
    "compound": _convert_compound,
    "complex": _convert_complex,
}


@register_layout("hdf5.datatype")
def _hdf5_datatype(configuration: Attrs) -> LayoutDecoder:
    try:
        datatype = parse_datatype(bytes.fromhex(configuration["message"]))
    except (KeyError, TypeError, ValueError) as exc:
        raise CodecError(f"codec 'hdf5.datatype' has no readable datatype message ({exc})") from exc

    def decode(data: Buffer, chunk: ChunkSpec) -> AnyArray:
        raw = np.frombuffer(data, np.uint8)
        if raw.size != chunk.nbytes:
            raise CodecError(f"chunk decodes to {raw.size} bytes, expected {chunk.nbytes} for {chunk.shape}")
        return convert(datatype, raw.reshape(-1, datatype.size)).reshape(chunk.shape)

    return decode
