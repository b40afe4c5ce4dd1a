"""A codec pipeline as one function from encoded bytes to values."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr.codecs import filters, hdf5_blosc2, hdf5_filters, hdf5_numeric, hdf5_plugins, hdf5_values, layout  # noqa: F401 - registers the decoders
from intake_virtualzarr.codecs.registry import Buffer, ChunkSpec, bytes_decoder, is_layout, layout_decoder
from intake_virtualzarr.codecs.spec import Pipeline
from intake_virtualzarr.errors import CodecError
from intake_virtualzarr.grid import Shape

__all__ = ["Decoder", "compile_pipeline"]

type Decoder = Callable[[Buffer, Shape], npt.NDArray[Any]]
"""Function from the encoded bytes of a chunk and its stored shape to its values (possibly a read-only view)."""


@lru_cache(maxsize=4096)
def compile_pipeline(codecs: Pipeline, dtype: np.dtype[Any]) -> Decoder:
    """Make the decoder of a pipeline.

    Parameters
    ----------
    codecs : tuple of CodecSpec
        In the order of Zarr v3 metadata: ``transpose`` at most first, one array-to-bytes codec, bytes-to-bytes codecs.
    dtype : numpy.dtype
        Data type of the decoded values, native byte order.

    Raises
    ------
    CodecError
        If the pipeline has no array-to-bytes codec or names an unknown one.
    """
    orders = []
    index = 0
    while index < len(codecs) and codecs[index].name == "transpose":
        orders.append(tuple(codecs[index].configuration["order"]))
        index += 1
    if index >= len(codecs):
        raise CodecError("codec pipeline has no array-to-bytes codec")
    if not is_layout(codecs[index].name):
        raise CodecError(f"codec {codecs[index].name!r} stands where an array-to-bytes codec such as 'bytes' must")
    to_values = layout_decoder(codecs[index].name, codecs[index].configuration)
    assert to_values is not None
    steps = tuple(bytes_decoder(c.name, c.configuration) for c in reversed(codecs[index + 1 :]))
    itemsize = _stored_itemsize(codecs[index].configuration, dtype)

    def decode(data: Buffer, shape: Shape) -> npt.NDArray[Any]:
        count = 1
        for n in shape:
            count *= n
        stored = shape
        for order in orders:
            stored = tuple(stored[i] for i in order)
        chunk = ChunkSpec(dtype, stored, count * itemsize)
        for step in steps:
            data = step(data, chunk)
        values = to_values(data, chunk)
        for order in reversed(orders):
            values = values.transpose(np.argsort(order))
        return values

    return decode


def _stored_itemsize(configuration: dict[str, Any], dtype: np.dtype[Any]) -> int:
    """Bytes of one element as stored; layouts that convert say so in their configuration."""
    return int(configuration.get("itemsize", dtype.itemsize))
