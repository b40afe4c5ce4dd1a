"""How the values of an image are encoded, as a codec pipeline; what has no decoder is refused by name.

Codecs have the names that the package imagecodecs-zarr registers with Zarr, wherever their meaning is the same.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from intake_virtualzarr._typing import DType
from intake_virtualzarr.codecs.spec import CodecSpec, Pipeline, bytes_codec
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.formats.tiff.directories import Directory

__all__ = ["COMPRESSION", "Samples", "pipeline_of", "samples_of"]

BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, PREDICTOR, SAMPLE_FORMAT = 258, 259, 262, 266, 317, 339
JPEG_TABLES, SUBSAMPLING, LERC_PARAMETERS = 347, 530, 50674

BYTES = {
    1: (),
    5: (CodecSpec.of("imagecodecs_lzw"),),
    8: (CodecSpec.of("numcodecs.zlib", level=6),),
    32946: (CodecSpec.of("numcodecs.zlib", level=6),),
    32773: (CodecSpec.of("imagecodecs_packbits"),),
    34925: (CodecSpec.of("numcodecs.lzma"),),
    50000: (CodecSpec.of("zstd", level=9, checksum=False),),
}
"""Compressions of bytes, whatever these are."""
JPEG, LERC, WEBP = 7, 34887, 50001
JPEG_XL = frozenset({50002, 52546})
JPEG_2000 = frozenset({33003, 33004, 33005, 34712})
FAX = {2: "ccittrle", 3: "ccittfax3", 4: "ccittfax4"}
NAMES = {
    6: "old JPEG",
    32766: "NeXT",
    32809: "ThunderScan",
    34661: "JBIG",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv24",
    50013: "Pixtiff",
}
"""Compressions that are known and not read."""
KINDS = {1: "u", 2: "i", 3: "f", 4: "u", 6: "c"}
WHOLE = {(k, b) for k in "ui" for b in (8, 16, 32, 64)} | {("f", 16), ("f", 32), ("f", 64), ("c", 64), ("c", 128)}
YCBCR, RGB = 6, 2


@dataclass(frozen=True)
class Samples:
    """How single values are stored."""

    dtype: DType
    """Data type of the decoded values."""
    bits: int
    """Bits of each, stored."""

    @property
    def is_packed(self) -> bool:
        """Whether values lie bit by bit beside each other."""
        return self.bits != self.dtype.itemsize * 8

    def row_bytes(self, values: int) -> int:
        """Size of a row [bytes]: rows begin at whole bytes."""
        return -(-values * self.bits // 8)


def samples_of(directory: Directory) -> Samples:
    """The data type of the values.

    Raises
    ------
    UnsupportedError
        If there is none.
    """
    bits, formats = directory.numbers(BITS), directory.numbers(SAMPLE_FORMAT)
    widths = {1} if bits is None or not bits.size else set(bits.tolist())
    kinds = {1} if formats is None or not formats.size else set(formats.tolist())
    if len(widths) > 1 or len(kinds) > 1:
        raise UnsupportedError(f"its samples are of different types ({sorted(widths)} bits, sample formats {sorted(kinds)})")
    (width,), (number,) = widths, kinds
    kind = KINDS.get(int(number))
    if kind is None:
        raise UnsupportedError(f"sample format {number} (complex integers or unknown) has no data type in Zarr")
    if (kind, width) in WHOLE:
        return Samples(np.dtype(f"{kind}{width // 8}"), int(width))
    if kind == "u" and 0 < width < 32:
        return Samples(np.dtype("u1" if width < 8 else "u2" if width <= 16 else "u4"), int(width))
    raise UnsupportedError(f"values of {width} bits of kind {kind!r} have no data type in Zarr")


def pipeline_of(directory: Directory, samples: Samples, together: int, width: int, big_endian: bool) -> Pipeline:
    """The codecs of a tile or strip.

    Parameters
    ----------
    directory : Directory
        Tags of the image.
    samples : Samples
        How values are stored.
    together : int
        Samples of a cell that lie beside each other (1 if each band has tiles of its own).
    width : int
        Columns of a tile or strip.
    big_endian : bool
        Byte order of the file.

    Raises
    ------
    UnsupportedError
        If a compression or predictor has no decoder.
    """
    # bands come first in the array, and last in a tile
    order = (CodecSpec.of("transpose", order=[1, 2, 0]),) if together > 1 else ()
    compression = directory.number(COMPRESSION, 1)
    if compression in BYTES:
        plain = _plain(directory, samples, together, width, big_endian)
        reverse = (CodecSpec.of("tiff.bitorder"),) if directory.number(FILL_ORDER, 1) == 2 else ()
        return (*order, *plain, *BYTES[compression], *reverse)
    return (*order, _image_codec(directory, compression, samples, together, width))


def _plain(directory: Directory, samples: Samples, together: int, width: int, big_endian: bool) -> Pipeline:
    if directory.number(PHOTOMETRIC, 1) == YCBCR:
        subsampling = directory.numbers(SUBSAMPLING)
        if subsampling is None or set(subsampling.tolist()) != {1}:
            raise UnsupportedError("its YCbCr colours are subsampled without JPEG, which no codec here undoes")
    predictor = directory.number(PREDICTOR, 1)
    if predictor not in (1, 2, 3):
        raise UnsupportedError(f"predictor {predictor} is unknown")
    if samples.is_packed:
        if predictor != 1:
            raise UnsupportedError(f"predictor {predictor} of values of {samples.bits} bits has no codec here")
        return (CodecSpec.of("imagecodecs_packints", bitspersample=samples.bits, runlen=width * together),)
    axis = -2 if together > 1 else -1
    if predictor == 3:
        if samples.dtype.kind != "f":
            raise UnsupportedError(f"predictor 3 is of floats, the values are {samples.dtype}")
        return (CodecSpec.of("imagecodecs_floatpred", axis=axis, dist=1),)
    as_bytes = bytes_codec(samples.dtype.newbyteorder(">" if big_endian else "<"))
    if predictor == 1:
        return (as_bytes,)
    if samples.dtype.kind == "c":
        raise UnsupportedError("predictor 2 of complex numbers has no codec here")
    return (CodecSpec.of("imagecodecs_delta" if samples.dtype.kind in "iu" else "tiff.delta", axis=axis), as_bytes)


def _image_codec(directory: Directory, compression: int, samples: Samples, together: int, width: int) -> CodecSpec:
    if compression == JPEG:
        return _jpeg(directory, samples, together)
    if compression == LERC:
        return _lerc(directory)
    if compression == WEBP:
        return CodecSpec.of("imagecodecs_webp", hasalpha=together == 4)
    if compression in JPEG_XL:
        return CodecSpec.of("imagecodecs_jpegxl")
    if compression in JPEG_2000:
        return CodecSpec.of("imagecodecs_jpeg2k")
    if compression in FAX:
        if samples.bits != 1 or together != 1:
            raise UnsupportedError(f"CCITT fax of {together} samples of {samples.bits} bits")
        return CodecSpec.of("tiff.fax", kind=FAX[compression], options=int(directory.number(292, 0)))
    name = NAMES.get(compression)
    raise UnsupportedError(
        f"compression {compression} ({name}) has no codec here" if name else f"compression {compression} is unknown"
    )


def _jpeg(directory: Directory, samples: Samples, together: int) -> CodecSpec:
    if samples.dtype.kind != "u" or samples.bits not in (8, 12):
        raise UnsupportedError(f"JPEG of {samples.bits} bits has no codec here")
    configuration: dict[str, object] = {}
    tables = directory.tags.get(JPEG_TABLES)
    if isinstance(tables, np.ndarray):
        tables = tables.astype(np.uint8).tobytes()
    if isinstance(tables, bytes) and tables:
        configuration["tables"] = base64.standard_b64encode(tables).decode()
    photometric = directory.number(PHOTOMETRIC, 1)
    if photometric == YCBCR and together == 3:
        configuration |= {"colorspace_jpeg": "YCBCR", "colorspace_data": "RGB"}
    elif photometric == RGB and together == 3:
        configuration |= {"colorspace_jpeg": "RGB", "colorspace_data": "RGB"}
    return CodecSpec.of("tiff.jpeg", **configuration)


def _lerc(directory: Directory) -> CodecSpec:
    parameters = directory.numbers(LERC_PARAMETERS)
    number = int(parameters[1]) if parameters is not None and parameters.size > 1 else 0
    inner = {0: None, 1: "deflate", 2: "zstd"}.get(number, "")
    if inner == "":
        raise UnsupportedError(f"LERC inside compression {number} is unknown")
    return CodecSpec.of("tiff.lerc", **({} if inner is None else {"compression": inner}))
