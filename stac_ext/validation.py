"""The JSON Schema of the extension, and validation that never goes online."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from stac_ext.hooks import SCHEMA_URI

if TYPE_CHECKING:
    from pystac.validation import JsonSchemaSTACValidator

__all__ = ["offline_validator", "register_schema", "schema"]


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft-07) of the extension, as shipped with the package.

    Examples
    --------
    >>> schema()["title"]
    'Virtual Zarr Extension'
    """
    text = files("stac_ext").joinpath("json-schema", "schema.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def register_schema(validator: JsonSchemaSTACValidator | None = None) -> None:
    """Let pystac find the extension's schema here instead of on the web.

    Parameters
    ----------
    validator : JsonSchemaSTACValidator, optional
        Default: the one pystac uses for ``item.validate()``.

    Raises
    ------
    TypeError
        If a validator of another kind is registered with pystac.
    """
    from pystac.validation import JsonSchemaSTACValidator, RegisteredValidator

    chosen = validator if validator is not None else RegisteredValidator.get_validator()
    if not isinstance(chosen, JsonSchemaSTACValidator):
        raise TypeError(f"{type(chosen).__name__} validates without JSON schemas; cannot add one to it")
    chosen.schema_cache[SCHEMA_URI] = schema()


def offline_validator(schemas: Mapping[str, Mapping[str, Any]] | None = None) -> JsonSchemaSTACValidator:
    """Make a validator for `pystac.validation.validate_dict` that reads local schemas only.

    Parameters
    ----------
    schemas : mapping of str to mapping, optional
        Schemas of further extensions by URI. The core schemas of pystac's STAC version and our own are there.

    Returns
    -------
    JsonSchemaSTACValidator
        Raises ``GetSchemaError`` for a schema it does not have.
    """
    from pystac.validation import GetSchemaError, JsonSchemaSTACValidator

    class OfflineValidator(JsonSchemaSTACValidator):
        def _get_schema(self, schema_uri: str) -> dict[str, Any]:
            uri = schema_uri.removesuffix("#")
            if uri not in self.schema_cache:
                raise GetSchemaError(uri, LookupError("not among the local schemas"))
            return self.schema_cache[uri]

    validator = OfflineValidator()
    register_schema(validator)
    for uri, document in (schemas or {}).items():
        validator.schema_cache[uri] = dict(document)
    return validator
