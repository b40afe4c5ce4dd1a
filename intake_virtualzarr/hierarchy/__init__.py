"""The on-disk format: Zarr v3 hierarchies of manifests and virtual concatenations."""

__all__: list[str] = []
