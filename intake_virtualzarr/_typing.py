"""Names of types that stand in many signatures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["AnyArray", "Attrs", "DType", "FormatLike", "JsonObject", "ParserOfVirtualiZarr", "Shape", "ShapeLike"]

type AnyArray = npt.NDArray[Any]
"""An array in memory whose dtype is known at run time only."""

type DType = np.dtype[Any]
"""A dtype that is known at run time only."""

type JsonObject = dict[str, Any]
"""A parsed JSON object, or keywords; values are checked where they are read."""

type Attrs = Mapping[str, Any]
"""Attributes or a JSON object that is only read; values are checked where they are read."""

type Shape = tuple[int, ...]

type ShapeLike = int | Iterable[int]
"""What NumPy takes as a shape."""


class ParserOfVirtualiZarr(Protocol):
    """A parser as VirtualiZarr has them."""

    def __call__(self, url: str, registry: Any) -> Any:
        """The contents of a file as a ``ManifestStore``; ``registry`` gives obstore stores by URL."""


type FormatLike = str | ParserOfVirtualiZarr | None
"""Name of a format, or a parser of VirtualiZarr; ``None``: detected automatically."""
