"""Filters and compressor of Zarr v2 metadata as a codec pipeline in the words of Zarr v3, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from intake_virtualzarr._typing import Attrs, DType, JsonObject
from intake_virtualzarr.codecs.spec import CodecSpec, Pipeline, bytes_codec
from intake_virtualzarr.errors import UnsupportedError

__all__ = ["PipelineV2", "pipeline_of_v2", "pipeline_to_v2"]

ARRAY_TO_ARRAY = frozenset({"fixedscaleoffset", "delta", "quantize", "bitround", "astype"})
ARRAY_TO_BYTES = {"vlen-utf8": "vlen-utf8", "json2": "numcodecs.json2"}
BYTES_TO_BYTES = frozenset({"zlib", "shuffle", "fletcher32", "bz2", "lz4", "lzma", "crc32", "adler32", "crc32c"})
DTYPES = ("dtype", "astype", "encode_dtype", "decode_dtype")
"""Parameters that are data types."""
BLOSC_SHUFFLES = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle"}
AUTOMATIC = -1


def pipeline_of_v2(filters: Any, compressor: Any, dtype: DType, order: str, ndim: int) -> Pipeline:
    """The codec pipeline of an array.

    Parameters
    ----------
    filters : list of mapping, or None
        As in ``.zarray``, in the order of encoding.
    compressor : mapping or None
        As in ``.zarray``; encodes last.
    dtype : numpy.dtype
        Data type with the byte order of the metadata; ``object`` for text.
    order : {"C", "F"}
        Order of the elements of a chunk.
    ndim : int
        Number of axes.

    Raises
    ------
    UnsupportedError
        If a codec has no counterpart here, or stands where it cannot.
    """
    entries = [_entry(one) for one in [*(filters or ()), *([compressor] if compressor is not None else ())]]
    codecs = [CodecSpec.of("transpose", order=list(reversed(range(ndim))))] if order == "F" and ndim > 1 else []
    current = dtype
    at = 0
    while at < len(entries) and entries[at][0] in ARRAY_TO_ARRAY:
        spec, current = _array_to_array(*entries[at], current)
        codecs.append(spec)
        at += 1
    if at < len(entries) and entries[at][0] in ARRAY_TO_BYTES:
        name, configuration = entries[at]
        codecs.append(CodecSpec.of(ARRAY_TO_BYTES[name], **(configuration if name == "json2" else {})))
        at += 1
    elif dtype.kind == "O":
        raise UnsupportedError(f"objects are encoded by {entries[0][0]!r}" if entries else "objects have no codec")
    else:
        codecs.append(bytes_codec(current))
    codecs += [_bytes_to_bytes(name, configuration, current) for name, configuration in entries[at:]]
    return tuple(codecs)


def _entry(document: Any) -> tuple[str, JsonObject]:
    if not isinstance(document, Mapping) or not isinstance(document.get("id"), str):
        raise UnsupportedError(f"{document!r} is not a codec of Zarr v2; expected an object with an id")
    return document["id"], {name: value for name, value in document.items() if name != "id"}


def _array_to_array(name: str, configuration: JsonObject, dtype: DType) -> tuple[CodecSpec, DType]:
    """A codec, and the data type of what it makes."""
    encoded = dtype
    given = "encode_dtype" if name == "astype" else "astype"
    if name != "bitround":
        text = configuration.get(given) or configuration.get("dtype")
        encoded = np.dtype(text) if text is not None else dtype
    # byte order belongs to the codec `bytes`
    types = {key: np.dtype(value).newbyteorder("<").str for key, value in configuration.items() if key in DTYPES and value}
    return CodecSpec.of(f"numcodecs.{name}", **{**configuration, **types}), encoded


def _bytes_to_bytes(name: str, configuration: JsonObject, dtype: DType) -> CodecSpec:
    special: Callable[[Attrs, DType], CodecSpec] | None = SPECIAL.get(name)
    if special is not None:
        return special(configuration, dtype)
    if name in BYTES_TO_BYTES:
        return CodecSpec.of(f"numcodecs.{name}", **configuration)
    if name in ARRAY_TO_ARRAY or name in ARRAY_TO_BYTES:
        raise UnsupportedError(f"codec {name!r} takes values, and stands after one that gives bytes")
    raise UnsupportedError(f"codec {name!r} has no counterpart here; known are {', '.join(_known())}")


def _known() -> Sequence[str]:
    return sorted({*ARRAY_TO_ARRAY, *ARRAY_TO_BYTES, *BYTES_TO_BYTES, *SPECIAL})


def _gzip(configuration: Attrs, dtype: DType) -> CodecSpec:
    return CodecSpec.of("gzip", level=int(configuration.get("level", 1)))


def _zstd(configuration: Attrs, dtype: DType) -> CodecSpec:
    return CodecSpec.of("zstd", level=int(configuration.get("level", 0)), checksum=bool(configuration.get("checksum", False)))


def _blosc(configuration: Attrs, dtype: DType) -> CodecSpec:
    shuffle = configuration.get("shuffle", 1)
    if shuffle == AUTOMATIC:
        shuffle = 2 if dtype.itemsize == 1 else 1
    return CodecSpec.of(
        "blosc",
        cname=configuration.get("cname", "lz4"),
        clevel=int(configuration.get("clevel", 5)),
        shuffle=BLOSC_SHUFFLES.get(shuffle, shuffle),
        typesize=max(dtype.itemsize, 1),
        blocksize=int(configuration.get("blocksize", 0)),
    )


SPECIAL: dict[str, Callable[[Attrs, DType], CodecSpec]] = {"gzip": _gzip, "zstd": _zstd, "blosc": _blosc}
"""Codecs whose Zarr v3 form is another than that of numcodecs."""


# ---------------------------------------------------------------------- the other way


@dataclass(frozen=True)
class PipelineV2:
    """A codec pipeline in the words of Zarr v2."""

    dtype: DType
    """Data type with its byte order."""
    order: str
    """Order of the elements of a chunk, ``"C"`` or ``"F"``."""
    filters: tuple[JsonObject, ...]
    """In the order of encoding."""
    compressor: JsonObject | None
    """Encodes last."""


def pipeline_to_v2(codecs: Pipeline, dtype: DType, ndim: int) -> PipelineV2:
    """A codec pipeline as filters and compressor.

    Raises
    ------
    UnsupportedError
        If Zarr v2 has no word for a codec.
    """
    rest = list(codecs)
    order = "C"
    if rest and rest[0].name == "transpose":
        axes = rest.pop(0).configuration["order"]
        if axes != list(reversed(range(ndim))):
            raise UnsupportedError(f"chunks are stored with their axes in the order {axes}, and Zarr v2 knows C and F order only")
        order = "F"
    filters: list[JsonObject] = []
    while rest and rest[0].name.removeprefix("numcodecs.") in ARRAY_TO_ARRAY:
        filters.append(_document(rest.pop(0)))
    if not rest or rest[0].name not in ("bytes", *ARRAY_TO_BYTES.values()):
        raise UnsupportedError(f"codec {rest[0].name if rest else None!r} has no counterpart in Zarr v2")
    layout = rest.pop(0)
    if layout.name != "bytes":
        filters.append({"id": next(v2 for v2, v3 in ARRAY_TO_BYTES.items() if v3 == layout.name), **layout.configuration})
    elif layout.configuration.get("endian") == "big":
        dtype = dtype.newbyteorder(">")
    elif dtype.kind not in "OSV":
        dtype = dtype.newbyteorder("<")
    last = [_document(codec) for codec in rest]
    return PipelineV2(dtype, order, (*filters, *last[:-1]), last[-1] if last else None)


def _document(codec: CodecSpec) -> JsonObject:
    name, configuration = codec.name.removeprefix("numcodecs."), codec.configuration
    if name == "blosc":
        names = {text: number for number, text in BLOSC_SHUFFLES.items()}
        configuration["shuffle"] = names.get(configuration.get("shuffle", 1), configuration.get("shuffle", 1))
        configuration.pop("typesize", None)
    if name not in ARRAY_TO_ARRAY | BYTES_TO_BYTES | set(SPECIAL):
        raise UnsupportedError(f"codec {codec.name!r} has no counterpart in Zarr v2")
    return {"id": name, **configuration}
