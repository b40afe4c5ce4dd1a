"""The *Virtual Zarr* STAC extension: schema, examples, typed access to the fields. Knows only pystac."""

from stac_ext.extension import (
    PREFIX,
    SCHEMA_URI,
    ManifestFormat,
    SourcePrefix,
    SummariesVirtualZarrExtension,
    VirtualZarrExtension,
)
from stac_ext.validation import offline_validator, register_schema, schema

__all__ = [
    "PREFIX",
    "SCHEMA_URI",
    "ManifestFormat",
    "SourcePrefix",
    "SummariesVirtualZarrExtension",
    "VirtualZarrExtension",
    "offline_validator",
    "register_schema",
    "schema",
]
