"""One codec of a pipeline as a frozen value, in the words of Zarr v3 metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from intake_virtualzarr._typing import DType, JsonObject
from intake_virtualzarr.errors import CodecError

__all__ = ["CodecSpec", "Pipeline", "bytes_codec", "pipeline_from_json", "pipeline_to_json", "same_decoding"]

ENCODE_ONLY = {
    "numcodecs.zlib": {"level"},
    "gzip": {"level"},
    "zstd": {"level", "checksum"},
    "numcodecs.zstd": {"level", "checksum"},
    "numcodecs.bz2": {"level"},
    "numcodecs.lz4": {"acceleration"},
    "blosc": {"clevel", "cname", "shuffle", "typesize", "blocksize"},
    "numcodecs.blosc": {"clevel", "cname", "shuffle", "blocksize"},
    "hdf5.blosc": {"clevel", "cname", "shuffle", "typesize"},
    "hdf5.blosc2": {"clevel", "cname", "shuffle", "typesize"},
}
"""Parameters that a decoder does not look at; pipelines that differ in nothing else decode alike."""


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """A codec's name and configuration."""

    name: str
    """Name in Zarr v3 metadata, e.g. ``"numcodecs.zlib"``."""
    configuration_json: str = "{}"
    """Configuration as canonical JSON, so that the value can be hashed."""

    @classmethod
    def of(cls, name: str, **configuration: Any) -> Self:
        """Build from keyword arguments."""
        return cls(name, json.dumps(configuration, sort_keys=True, separators=(",", ":")))

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Read from metadata.

        Raises
        ------
        CodecError
            If the document is neither a name nor ``{"name": …, "configuration": {…}}``.
        """
        if isinstance(document, str):
            return cls(document)
        if not isinstance(document, Mapping) or not isinstance(document.get("name"), str):
            raise CodecError(f"{document!r} is not a codec; expected an object with a name")
        configuration = document.get("configuration") or {}
        if not isinstance(configuration, Mapping):
            raise CodecError(f"codec {document['name']!r}: configuration is {configuration!r}, expected an object")
        return cls.of(document["name"], **configuration)

    @property
    def configuration(self) -> JsonObject:
        """The configuration, a new dict."""
        return dict(json.loads(self.configuration_json))

    def to_json(self) -> JsonObject:
        """The form of Zarr v3 metadata."""
        configuration = self.configuration
        # zarr-python refuses the codecs of numcodecs without a configuration, even an empty one
        bare = not configuration and not self.name.startswith("numcodecs.")
        return {"name": self.name} if bare else {"name": self.name, "configuration": configuration}

    def decoding(self) -> CodecSpec:
        """The same codec without what only matters for encoding."""
        ignored = ENCODE_ONLY.get(self.name)
        if not ignored:
            return self
        return CodecSpec.of(self.name, **{k: v for k, v in self.configuration.items() if k not in ignored})


type Pipeline = tuple[CodecSpec, ...]


def bytes_codec(dtype: DType) -> CodecSpec:
    """The codec of plain values: ``bytes`` with its byte order where it has one, ``vlen-utf8`` for text (objects)."""
    if dtype.kind == "O":
        return CodecSpec.of("vlen-utf8")
    if dtype.itemsize == 1 or dtype.kind in "SV":
        return CodecSpec.of("bytes")
    big = dtype.byteorder == ">" or (dtype.byteorder == "=" and np.little_endian is False)
    return CodecSpec.of("bytes", endian="big" if big else "little")


def pipeline_from_json(document: object) -> Pipeline:
    """Read the ``codecs`` list of an array."""
    if not isinstance(document, list | tuple) or not document:
        raise CodecError(f"codecs are {document!r}, expected a list that is not empty")
    return tuple(CodecSpec.from_json(entry) for entry in document)


def pipeline_to_json(codecs: Iterable[CodecSpec]) -> list[JsonObject]:
    """Write the ``codecs`` list of an array."""
    return [codec.to_json() for codec in codecs]


def same_decoding(a: Pipeline, b: Pipeline) -> bool:
    """Whether both pipelines decode alike (deflate level and the like do not matter)."""
    return a is b or a == b or tuple(c.decoding() for c in a) == tuple(c.decoding() for c in b)
