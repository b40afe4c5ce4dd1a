"""STAC: from a search to source files, and from a virtual store to a published collection."""
