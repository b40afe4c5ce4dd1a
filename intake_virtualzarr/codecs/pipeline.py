"""A codec pipeline as one function from encoded bytes to values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import prod

import numpy as np

import intake_virtualzarr.codecs.array_to_array
import intake_virtualzarr.codecs.array_to_bytes
import intake_virtualzarr.codecs.bytes_to_bytes
import intake_virtualzarr.codecs.hdf5_blosc2
import intake_virtualzarr.codecs.hdf5_elements
import intake_virtualzarr.codecs.hdf5_filters
import intake_virtualzarr.codecs.hdf5_nbit_scaleoffset
import intake_virtualzarr.codecs.hdf5_szip_zfp
import intake_virtualzarr.codecs.linear  # noqa: F401 - registers its decoders
from intake_virtualzarr._typing import AnyArray, DType, JsonObject, Shape
from intake_virtualzarr.codecs import bytes_to_bytes
from intake_virtualzarr.codecs.registry import (
    ArrayDecoder,
    Buffer,
    BytesDecoder,
    ChunkSpec,
    LayoutDecoder,
    array_decoder,
    bytes_decoder,
    is_layout,
    layout_decoder,
)
from intake_virtualzarr.codecs.spec import CodecSpec, Pipeline
from intake_virtualzarr.errors import CodecError

__all__ = ["Decoder", "compile_pipeline"]

TOGETHER_BYTES = 2 * 1024 * 1024
"""Decoded bytes of the chunks that are decoded together."""
SHUFFLES = frozenset({"hdf5.shuffle", "numcodecs.shuffle"})


class Decoder:
    """From the encoded bytes of a chunk to its values.

    Made by `compile_pipeline`. Calling it gives the values (possibly a read-only view) of a chunk of a given stored shape.
    """

    __slots__ = ("_dtype", "_itemsize", "_orders", "_plain", "_steps", "_to_values", "_woven")

    def __init__(
        self,
        dtype: DType,
        orders: tuple[tuple[int, ...], ...],
        to_values: LayoutDecoder,
        steps: tuple[BytesDecoder, ...],
        itemsize: int,
        woven: bool | None,
        plain: bool | None,
    ) -> None:
        self._dtype = dtype
        self._orders = orders
        self._to_values = to_values
        self._steps = steps
        self._itemsize = itemsize
        # big-endian or not, where a shuffle of whole numbers is undone last; None elsewhere
        self._woven = woven
        # big-endian or not, where numbers lie in bytes as they are; None elsewhere
        self._plain = plain

    def __call__(self, data: Buffer, shape: Shape) -> AnyArray:
        chunk = ChunkSpec(self._dtype, _transposed(shape, self._orders), prod(shape) * self._itemsize)
        for step in self._steps:
            data = step(data, chunk)
        return _restored(self._to_values(data, chunk), self._orders)

    def into(self, data: Buffer, shape: Shape, inside: tuple[slice, ...] | None, target: AnyArray) -> None:
        """Decode a chunk and put its elements ``inside`` (all, if None) into ``target``, of the same data type."""
        if self._woven is None or not shape:
            values = self(data, shape)
            target[...] = values if inside is None else values[inside]
            return
        chunk = ChunkSpec(self._dtype, shape, prod(shape) * self._itemsize)
        for step in self._steps[:-1]:
            data = step(data, chunk)
        bytes_to_bytes.unshuffle_into(data, shape, inside, target, big=self._woven)

    def most_together(self, shape: Shape) -> int:
        """How many chunks `together` decodes best at once; 1 where each is better decoded by itself."""
        size = prod(shape) * self._itemsize
        if (self._woven is None and self._plain is None) or self._orders or not 0 < size <= bytes_to_bytes.WOVEN_BY_BLOSC:
            return 1
        return max(1, TOGETHER_BYTES // size)

    def together(self, blocks: Sequence[Buffer], shape: Shape) -> AnyArray:
        """Decode chunks of one shape, stacked along a new first axis.

        All but inflating is done once for all of them: a chunk of some kB takes as long to hand from call to call as to decode.
        The result is the thread's own memory, and holds until the thread decodes again.

        Raises
        ------
        CodecError
            If a chunk has another size than its shape says; it does not tell which.
        """
        chunk = ChunkSpec(self._dtype, shape, prod(shape) * self._itemsize)
        for step in self._steps if self._woven is None else self._steps[:-1]:
            blocks = bytes_to_bytes.all_through(step, blocks, chunk)
        if self._woven is not None:
            values = bytes_to_bytes.unshuffle_together(blocks, chunk.nbytes, self._dtype.itemsize)
        else:
            values = bytes_to_bytes.join(blocks, chunk.nbytes)
        numbers = values.view(self._dtype).reshape(len(blocks), *shape)
        if (self._woven or self._plain) is np.little_endian:
            numbers.byteswap(inplace=True)
        return numbers


class ArrayStep(Decoder):
    """A decoder whose values another codec turned into values (scale and offset, differences) before they became bytes."""

    __slots__ = ("_inner", "_undo")

    def __init__(self, dtype: DType, orders: tuple[tuple[int, ...], ...], undo: ArrayDecoder, rest: Pipeline) -> None:
        self._dtype = dtype
        self._orders = orders
        self._undo = undo[0]
        self._inner = compile_pipeline(rest, undo[1])

    def __call__(self, data: Buffer, shape: Shape) -> AnyArray:
        return _restored(self._undo(self._inner(data, _transposed(shape, self._orders))), self._orders)

    def into(self, data: Buffer, shape: Shape, inside: tuple[slice, ...] | None, target: AnyArray) -> None:
        """Decode a chunk and put its elements ``inside`` (all, if None) into ``target``, of the same data type."""
        values = self(data, shape)
        target[...] = values if inside is None else values[inside]

    def most_together(self, shape: Shape) -> int:
        """Always 1: what another codec undoes is undone chunk by chunk."""
        return 1


def _transposed(shape: Shape, orders: Iterable[tuple[int, ...]]) -> Shape:
    """The shape as it is stored, after all transpositions."""
    for order in orders:
        shape = tuple(shape[axis] for axis in order)
    return shape


def _restored(values: AnyArray, orders: Sequence[tuple[int, ...]]) -> AnyArray:
    """Values with their transpositions undone."""
    for order in reversed(orders):
        values = values.transpose(np.argsort(order))
    return values


@lru_cache(maxsize=4096)
def compile_pipeline(codecs: Pipeline, dtype: DType) -> Decoder:
    """Make the decoder of a pipeline.

    Parameters
    ----------
    codecs : tuple of CodecSpec
        In the order of Zarr v3 metadata: array-to-array codecs, one array-to-bytes codec, bytes-to-bytes codecs.
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
    undo = array_decoder(codecs[index].name, codecs[index].configuration, dtype)
    if undo is not None:
        return ArrayStep(dtype, tuple(orders), undo, codecs[index + 1 :])
    if not is_layout(codecs[index].name):
        bytes_decoder(codecs[index].name, codecs[index].configuration)  # says so if nothing has that name
        raise CodecError(f"codec {codecs[index].name!r} stands where an array-to-bytes codec such as 'bytes' must")
    to_values = layout_decoder(codecs[index].name, codecs[index].configuration)
    assert to_values is not None
    steps = tuple(bytes_decoder(c.name, c.configuration) for c in reversed(codecs[index + 1 :]))
    itemsize = _stored_itemsize(codecs[index].configuration, dtype)
    return Decoder(dtype, tuple(orders), to_values, steps, itemsize, _woven(codecs, dtype), _plain(codecs[index], dtype))


def _plain(layout: CodecSpec, dtype: DType) -> bool | None:
    """Whether numbers are big-endian, if they lie in the bytes of a chunk as they are; else None."""
    if layout.name != "bytes" or "itemsize" in layout.configuration or dtype.kind not in "iuf":
        return None
    return layout.configuration.get("endian") == "big"


def _woven(codecs: Pipeline, dtype: DType) -> bool | None:
    """Whether numbers are big-endian, if the pipeline begins with ``bytes`` and a shuffle of whole numbers; else None."""
    if len(codecs) < 2 or codecs[0].name != "bytes" or codecs[1].name not in SHUFFLES:
        return None
    order = codecs[0].configuration
    size = codecs[1].configuration.get("elementsize", 4)
    if dtype.kind not in "iuf" or dtype.itemsize not in (2, 4, 8) or size != dtype.itemsize or "itemsize" in order:
        return None
    return order.get("endian") == "big"


def _stored_itemsize(configuration: JsonObject, dtype: DType) -> int:
    """Bytes of one element as stored; layouts that convert say so in their configuration."""
    return int(configuration.get("itemsize", dtype.itemsize))
