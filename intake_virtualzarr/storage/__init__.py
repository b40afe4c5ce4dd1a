"""Bytes: readers of files, object stores and http; key-value stores, options and credentials, sources, threads."""

__all__: list[str] = []
