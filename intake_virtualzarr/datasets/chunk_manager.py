"""What makes ``.load()`` and ``.compute()`` read: xarray's chunk manager for virtual arrays (entry point
``xarray.chunkmanagers``).

xarray asks the chunk manager of an array's type to compute it, to apply functions lazily and to make masks. Lazy functions
(CF decoding of an undecoded dataset) continue as dask arrays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from xarray.namedarray.parallelcompat import ChunkManagerEntrypoint

__all__ = ["VirtualZarrChunkManager"]


class VirtualZarrChunkManager(ChunkManagerEntrypoint[Any]):
    """xarray's view of `VirtualZarrArray`."""

    available = True

    def __init__(self) -> None:
        pass

    def is_chunked_array(self, data: Any) -> bool:
        """Whether it is a virtual array. Does not import the class for others."""
        module = sys.modules.get("intake_virtualzarr.arrays.array")
        return module is not None and isinstance(data, module.VirtualZarrArray)

    def chunks(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Edges of the chunks, per axis."""
        return data.chunks  # type: ignore[no-any-return]

    def normalize_chunks(
        self, chunks: Any, shape: Any = None, limit: Any = None, dtype: Any = None, previous_chunks: Any = None
    ) -> Any:
        """As dask does it."""
        from dask.array.core import normalize_chunks

        return normalize_chunks(chunks, shape=shape, limit=limit, dtype=dtype, previous_chunks=previous_chunks)  # type: ignore[no-untyped-call]

    def from_array(self, data: Any, chunks: Any, **kwargs: Any) -> Any:
        """Listed elements of an indexer become a lazy mask; anything else stays what it is."""
        from intake_virtualzarr.arrays.outer_mask import AxisIndexer

        return AxisIndexer(data) if isinstance(data, np.ndarray) else data

    def rechunk(self, data: Any, chunks: Any, **kwargs: Any) -> Any:
        """A dask array with the chunks asked for."""
        return to_dask(data, chunks)

    def compute(self, *data: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Read the values of virtual arrays."""
        return tuple(np.asarray(d) if self.is_chunked_array(d) else d for d in data)

    def persist(self, *data: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Read the values of virtual arrays."""
        return self.compute(*data)

    @property
    def array_api(self) -> Any:
        """Functions on these arrays."""
        return np

    def map_blocks(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Continue lazily as a dask array."""
        import dask.array

        return dask.array.map_blocks(func, *(to_dask(a) if self.is_chunked_array(a) else a for a in args), **kwargs)  # type: ignore[no-untyped-call]

    def apply_gufunc(self, func: Callable[..., Any], signature: str, *args: Any, **kwargs: Any) -> Any:
        """Continue lazily as a dask array."""
        import dask.array

        arrays = [to_dask(a) if self.is_chunked_array(a) else a for a in args]
        return dask.array.apply_gufunc(func, signature, *arrays, **kwargs)  # type: ignore[no-untyped-call]


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
