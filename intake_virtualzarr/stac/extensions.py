"""Identifiers of the STAC extensions whose fields are written."""

from __future__ import annotations

__all__ = ["DATACUBE", "FILE", "PROCESSING", "STORAGE", "ZARR"]

DATACUBE = "https://stac-extensions.github.io/datacube/v2.2.0/schema.json"
FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
STORAGE = "https://stac-extensions.github.io/storage/v2.0.0/schema.json"
ZARR = "https://stac-extensions.github.io/zarr/v1.1.0/schema.json"
