"""Schemas for validation without a network: stand-ins for other extensions lie beside this file."""

import json
from pathlib import Path

from stac_ext import offline_validator

HERE = Path(__file__).parent


def local_schemas():
    """Return the stand-in schemas by URI."""
    found = [json.loads(path.read_text()) for path in sorted((HERE / "schemas").glob("*.json"))]
    return {schema["$id"]: schema for schema in found}


def validator():
    """Make a pystac validator that knows every extension we write."""
    return offline_validator(local_schemas())
