"""Our arrays for zarr-python: the store, storage transformers, and a fast codec pipeline."""

__all__: list[str] = []
