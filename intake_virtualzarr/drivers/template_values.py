"""Arguments as the templates of a catalog leave them: texts that mean lists, numbers and truth values."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Mapping
from typing import Any

from intake_virtualzarr.errors import ArgumentError

__all__ = ["WHOLE", "parse_chunks", "parse_list_literal", "parse_switch", "plain_url"]


def plain_url(url: str) -> str:
    """Take out the doubled slashes that ``{{ CATALOG_DIR }}/…`` leaves behind.

    Examples
    --------
    >>> plain_url("/data//sst.vzarr"), plain_url("https://host/a//./b.vzarr")
    ('/data/sst.vzarr', 'https://host/a/b.vzarr')
    """
    if "::" in url:
        return url
    scheme, mark, rest = url.rpartition("://")
    slash = "/" if rest.startswith("/") and (not mark or scheme == "file") else ""
    return f"{scheme}{mark}{slash}{re.sub(r'/(\.?/)+', '/', rest).removeprefix('/')}"


def parse_list_literal(value: Any) -> Any:
    """Make lists of texts that are lists: so a catalog's parameters arrive that are put into its templates.

    Examples
    --------
    >>> parse_list_literal("['sst', 'ice']"), parse_list_literal({"lat": "[1, 2]"}), parse_list_literal("sst")
    (['sst', 'ice'], {'lat': [1, 2]}, 'sst')
    """
    if isinstance(value, Mapping):
        return {key: parse_list_literal(one) for key, one in value.items()}
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        with contextlib.suppress(ValueError, SyntaxError):
            return ast.literal_eval(value)
    return value


def parse_switch(name: str, value: Any) -> bool | None:
    """Read a truth value, which a template makes a text of."""
    if isinstance(value, str):
        known = {"true": True, "false": False, "none": None}
        if value.strip().lower() not in known:
            raise ArgumentError(f"{name} is {value!r}, expected true or false")
        return known[value.strip().lower()]
    return value  # type: ignore[no-any-return]


def parse_chunks(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {dim: parse_chunks(one) for dim, one in value.items()}
    return int(value) if isinstance(value, str) and WHOLE.fullmatch(value) else value


WHOLE = re.compile(r"\s*-?\d+\s*")
