"""HDF5 filters that have no Zarr name: registered as ``hdf5.*``."""

__all__: list[str] = []
