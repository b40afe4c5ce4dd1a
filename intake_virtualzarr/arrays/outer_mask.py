"""Masks that are an outer product of one mask per axis: what xarray's reindex makes, without the memory of the full mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, Shape
from intake_virtualzarr.arrays.numpy_protocol import array_namespace
from intake_virtualzarr.errors import UnsupportedError

__all__ = ["AxisIndexer", "OuterMask", "masks_by_axis"]

type AxisMasks = tuple[npt.NDArray[np.bool_] | None, ...]
"""One mask per axis, None for one that is all true."""


@dataclass(frozen=True, eq=False)
class AxisIndexer:
    """Listed elements along one axis of an outer indexer; compares with -1, xarray's mark for "missing"."""

    values: AnyArray
    """Shape ``(1, …, n, …, 1)``."""

    def __eq__(self, other: object) -> Any:
        hit = self.values == other
        return OuterMask(tuple(_varies(hit, axis) for axis in range(hit.ndim)), negated=True)

    __hash__ = None  # type: ignore[assignment]


def _varies(hit: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.bool_]:
    if hit.shape[axis] == 1 and hit.size > 1:
        return np.ones(1, dtype=bool)
    return ~hit.reshape(-1) if hit.shape[axis] == hit.size else np.ones(hit.shape[axis], dtype=bool)


@dataclass(frozen=True, eq=False)
class OuterMask:
    """``keep[0][:, None, …] & keep[1][None, :, …] & …``, or the negation of that."""

    keep: tuple[npt.NDArray[np.bool_], ...]
    """One mask for each axis, of its length or of length 1."""
    negated: bool
    """Whether the mask is the complement: true where some axis says false."""

    @property
    def shape(self) -> Shape:
        """Shape of the mask."""
        return tuple(mask.size for mask in self.keep)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.keep)

    @property
    def dtype(self) -> np.dtype[np.bool_]:
        """Always bool."""
        return np.dtype(bool)

    def __or__(self, other: OuterMask) -> OuterMask:
        if not (self.negated and other.negated):
            raise UnsupportedError("only masks of missing elements are joined by 'or'")
        return OuterMask(tuple(a & b for a, b in zip(self.keep, other.keep, strict=True)), negated=True)

    def __invert__(self) -> OuterMask:
        return OuterMask(self.keep, not self.negated)

    def astype(self, dtype: npt.DTypeLike, copy: bool = True) -> OuterMask:
        """Itself: a mask is bool."""
        return self

    def __array_namespace__(self, *, api_version: str | None = None) -> object:
        return array_namespace()

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> AnyArray:
        full = np.ones(self.shape, dtype=bool)
        for axis, mask in enumerate(self.keep):
            full &= mask.reshape(tuple(-1 if n == axis else 1 for n in range(self.ndim)))
        return ~full if self.negated else full


def masks_by_axis(keep: OuterMask | AnyArray, shape: Shape) -> AxisMasks | None:
    """One mask per axis whose outer product is ``keep``, or None if there is no such thing."""
    if isinstance(keep, OuterMask) and not keep.negated:
        return tuple(
            None if mask.all() else np.broadcast_to(mask, (extent,)) for mask, extent in zip(keep.keep, shape, strict=True)
        )
    full = np.asarray(keep, dtype=bool)
    full = full.reshape((1,) * (len(shape) - full.ndim) + full.shape)
    masks: list[npt.NDArray[np.bool_] | None] = []
    product = 1
    for axis in range(full.ndim):
        mask = full.any(axis=tuple(n for n in range(full.ndim) if n != axis))
        product *= int(mask.sum())
        masks.append(None if mask.all() else np.broadcast_to(mask, (shape[axis],)))
    return None if int(full.sum()) != product else tuple(masks)
