"""How much a file or document may make this package do: every cap that is not the property of one format, with its reason.

Documents come from archives, web servers and other people's software. Each cap lies far above what archives hold and far
below what fills a machine; what is beyond it is an error that names the cap.
"""

from __future__ import annotations

__all__ = [
    "DECODED_SLACK",
    "MAX_AXES",
    "MAX_AXIS_CHUNKS",
    "MAX_DECODED",
    "MAX_DOCUMENT",
    "MAX_EXTENT",
    "MAX_FIELDS",
    "MAX_GENERATED",
    "MAX_GRID",
    "MAX_JSON_DEPTH",
    "MAX_MEMBERS",
    "MAX_NESTING",
    "MAX_NODES",
    "MAX_PAGE",
    "MAX_TEMPLATE_TEXT",
    "MAX_TEXT_CHUNK",
    "MAX_TILES",
]

# ---------------------------------------------------------------- decompression

DECODED_SLACK = 4096
"""Bytes beyond the size of a chunk (and an eighth of it) that one step of its pipeline may give: checksums and headers of
other codecs, and streams that grow where data cannot be compressed [bytes]."""
MAX_DECODED = 2**36
"""No chunk decodes to more [bytes]: HDF5 and manifests end at 4 GiB encoded, and memory ends long before."""
MAX_TEXT_CHUNK = 256 * 1024 * 1024
"""A chunk of text, whose size its shape does not tell, decodes to no more [bytes]."""

# ---------------------------------------------------------------- documents

MAX_DOCUMENT = 2**31
"""No document of JSON is longer [bytes]; references of a hundred million chunks are."""
MAX_JSON_DEPTH = 256
"""Brackets within brackets; GeoJSON has 6, metadata of Zarr 10. Python's parser gives up at some thousands."""
MAX_NODES = 1_000_000
"""Groups and arrays of one hierarchy."""
MAX_NESTING = 32
"""Groups within groups, and concatenations within concatenations; each level costs requests and stack."""

# ---------------------------------------------------------------- arrays

MAX_EXTENT = 2**63 - 1
"""Elements along one axis: positions are 64-bit integers."""
MAX_AXES = 32
"""Axes of an array: HDF5 ends at 32, NumPy at 64."""
MAX_AXIS_CHUNKS = 2**26
"""Chunks along an axis whose edges a document lists (run lengths count as what they stand for): 1 GiB of edges."""
MAX_GRID = 2**48
"""Chunks of one array. A petabyte in chunks of a megabyte has 2**30."""
MAX_TILES = 2**26
"""Chunks of one array whose references are held in memory: a GiB of them."""
MAX_PAGE = 2**22
"""References in a page of a manifest; pages that are written here have 2**14."""
MAX_FIELDS = 4096
"""Fields of a structured data type, nested ones included."""

# ---------------------------------------------------------------- joins and references

MAX_MEMBERS = 2**22
"""Members of one virtual concatenation."""
MAX_GENERATED = 2**24
"""References that the generators of one kerchunk document may make, all together."""
MAX_TEMPLATE_TEXT = 64 * 1024
"""Characters that a kerchunk template may grow to; no URL is longer."""
