"""What makes ``.load()`` and ``.compute()`` read: xarray's chunk manager for virtual arrays (entry point
``xarray.chunkmanagers``).

xarray asks the chunk manager of an array's type to compute it, to apply functions lazily and to make masks. Lazy functions
(CF decoding of an undecoded dataset) continue as dask arrays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from xarray.namedarray.parallelcompat import ChunkManagerEntrypoint

from intake_virtualzarr._typing import DType, Shape
from intake_virtualzarr.errors import UnsupportedError

__all__ = ["VirtualZarrChunkManager"]


class VirtualZarrChunkManager(ChunkManagerEntrypoint[Any]):
    """xarray's view of `VirtualZarrArray`."""

    available = True

    def __init__(self) -> None:
        pass

    def is_chunked_array(self, data: object) -> bool:
        """Whether it is a virtual array. Does not import the class for others."""
        module = sys.modules.get("intake_virtualzarr.arrays.array")
        return module is not None and isinstance(data, module.VirtualZarrArray)

    def chunks(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Edges of the chunks, per axis."""
        return data.chunks  # type: ignore[no-any-return]

    def normalize_chunks(
        self,
        chunks: Any,
        shape: Shape | None = None,
        limit: int | None = None,
        dtype: DType | None = None,
        previous_chunks: Any = None,
    ) -> Any:
        """As dask does it."""
        from dask.array.core import normalize_chunks

        return normalize_chunks(chunks, shape=shape, limit=limit, dtype=dtype, previous_chunks=previous_chunks)  # type: ignore[no-untyped-call]

    def from_array(self, data: Any, chunks: object, **kwargs: object) -> Any:
        """Listed elements of an indexer become a lazy mask; anything else stays what it is."""
        from intake_virtualzarr.arrays.outer_mask import AxisIndexer

        return AxisIndexer(data) if isinstance(data, np.ndarray) else data

    def rechunk(self, data: Any, chunks: Any, **kwargs: object) -> Any:
        """A dask array with the chunks asked for."""
        return to_dask(data, chunks)

    def compute(self, *data: Any, **kwargs: object) -> tuple[Any, ...]:
        """Read the values of virtual arrays."""
        return tuple(np.asarray(d) if self.is_chunked_array(d) else d for d in data)

    def persist(self, *data: Any, **kwargs: object) -> tuple[Any, ...]:
        """Read the values of virtual arrays."""
        return self.compute(*data)

    @property
    def array_api(self) -> object:
        """Functions on these arrays."""
        return np

    def map_blocks(self, func: Callable[..., object], *args: object, **kwargs: Any) -> Any:
        """Continue lazily as a dask array."""
        import dask.array

        if not _is_cf_decoding(func):
            _refuse_encoded(args, func)
        return dask.array.map_blocks(func, *(to_dask(a) if self.is_chunked_array(a) else a for a in args), **kwargs)  # type: ignore[no-untyped-call]

    def apply_gufunc(self, func: Callable[..., object], signature: str, *args: object, **kwargs: Any) -> Any:
        """Continue lazily as a dask array."""
        import dask.array

        _refuse_encoded(args, func)
        arrays = [to_dask(a) if self.is_chunked_array(a) else a for a in args]
        return dask.array.apply_gufunc(func, signature, *arrays, **kwargs)  # type: ignore[no-untyped-call]

    def store(self, sources: Any, targets: Any, **kwargs: Any) -> Any:
        """What ``to_zarr`` and ``to_netcdf`` of a virtual dataset end in: stored numbers would be written as if they were values.

        Raises
        ------
        UnsupportedError
            Always; names the ways to write.
        """
        raise UnsupportedError(
            "a virtual dataset is written by reference with ds.vzarr.to_zarr(…); to copy its values, write "
            "ds.vzarr.decode() with to_zarr or to_netcdf"
        )


def _is_cf_decoding(func: Callable[..., Any]) -> bool:
    """Whether a function is a step of xarray's own decoding, which knows what stored numbers are."""
    return getattr(getattr(func, "func", func), "__module__", "").startswith("xarray.coding.")


def _refuse_encoded(arrays: Sequence[Any], func: Callable[..., Any]) -> None:
    """Raise if a calculation would take stored numbers for values."""
    module = sys.modules.get("intake_virtualzarr.arrays.array")
    for array in arrays:
        if module is not None and isinstance(array, module.VirtualZarrArray) and array.encoded:
            name = getattr(getattr(func, "func", func), "__name__", "this calculation")
            raise UnsupportedError(
                f"{name} needs values, and these are stored numbers (scale_factor, add_offset, _FillValue or units of time are not "
                "applied); take the values of ds.vzarr.decode(), which are read when they are asked for"
            )


def to_dask(array: Any, chunks: Any = None) -> Any:
    """A virtual array as a dask array: its own chunks, merged to blocks of a useful size.

    Raises
    ------
    UnsupportedError
        If the array is mixed.
    """
    import dask.array

    if array.mixed:
        np.asarray(array[tuple(slice(0, 1) for _ in array.shape)])  # raises with the way out
    return dask.array.from_array(array, chunks="auto" if chunks is None else chunks)  # type: ignore[no-untyped-call]
