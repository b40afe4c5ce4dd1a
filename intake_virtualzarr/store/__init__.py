"""Our arrays for zarr-python: the store, views, storage transformers, and a fast codec pipeline."""

__all__: list[str] = []
