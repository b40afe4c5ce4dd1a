"""What NumPy's protocols hand virtual arrays and masks to: a table that `numpy_functions` fills when the package is imported.

The array stands below the functions on it, so it looks them up here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import UnsupportedError

__all__ = ["FUNCTIONS", "array_namespace", "dispatch", "dispatch_ufunc", "provide"]

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""Implementations by NumPy function."""

_PROVIDED: JsonObject = {}


def provide(*, ufunc: Callable[..., Any], namespace: object) -> None:
    """Set what handles universal functions, and what ``__array_namespace__`` returns."""
    _PROVIDED.update(ufunc=ufunc, namespace=namespace)


def dispatch(array: Any, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
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


def dispatch_ufunc(array: Any, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """``VirtualZarrArray.__array_ufunc__``."""
    return _PROVIDED["ufunc"](ufunc, method, inputs, kwargs)


def array_namespace() -> Any:
    """What ``__array_namespace__`` returns."""
    return _PROVIDED["namespace"]
