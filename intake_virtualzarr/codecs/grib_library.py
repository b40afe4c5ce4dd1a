"""The libraries that know GRIB: ecCodes and gribberish, both of the extra ``grib``."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from intake_virtualzarr.errors import MissingExtraError

__all__ = ["EXTRA", "eccodes", "gribberish", "no_eccodes"]

EXTRA = "pip install 'intake-virtualzarr[grib]'"


@cache
def _imported(name: str) -> Any:
    if name == "eccodes" and find_spec("pyproj") is not None:
        # where ecCodes 2.50 is loaded before PROJ, the process ends with "free(): invalid pointer"
        import_module("pyproj")
    try:
        return import_module(name)
    except (ImportError, RuntimeError):  # the shared library behind it may be missing, too
        return None


def no_eccodes() -> bool:
    """Whether ecCodes is not installed."""
    return _imported("eccodes") is None


def eccodes(what: str) -> Any:
    """ecCodes, which does ``what``.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    found = _imported("eccodes")
    if found is None:
        raise MissingExtraError(f"{what} needs ecCodes: {EXTRA}")
    return found


def gribberish() -> Any:
    """gribberish, or None if it is not installed."""
    return _imported("gribberish")
