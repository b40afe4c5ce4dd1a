"""What NumPy's protocols hand virtual arrays and masks to: a table that `numpy_functions` fills when the package is imported.

The array stands below the functions on it, so it looks them up here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.errors import UnsupportedError

__all__ = ["FUNCTIONS", "array_namespace", "dispatch", "dispatch_ufunc", "provide"]

FUNCTIONS: dict[object, Callable[..., Any]] = {}
"""Implementations by NumPy function."""

_PROVIDED: JsonObject = {}


def provide(*, ufunc: Callable[..., object], namespace: object) -> None:
    """Set what handles universal functions, and what ``__array_namespace__`` returns."""
    _PROVIDED.update(ufunc=ufunc, namespace=namespace)


def dispatch(array: object, function: object, types: object, args: Iterable[object], kwargs: Attrs) -> object:
    """``VirtualZarrArray.__array_function__``.

    Raises
    ------
    UnsupportedError
        If the function needs values.
    """
    implementation = FUNCTIONS.get(function)
    if implementation is None:
        name = getattr(function, "__name__", repr(function))
        raise UnsupportedError(
            f"numpy.{name} cannot work on references alone: it needs values; take those of ds.vzarr.decode(), which are read when "
            "they are asked for"
        )
    return implementation(*args, **kwargs)


def dispatch_ufunc(array: object, ufunc: np.ufunc, method: str, *inputs: object, **kwargs: object) -> object:
    """``VirtualZarrArray.__array_ufunc__``."""
    return _PROVIDED["ufunc"](ufunc, method, inputs, kwargs)


def array_namespace() -> object:
    """What ``__array_namespace__`` returns."""
    return _PROVIDED["namespace"]
