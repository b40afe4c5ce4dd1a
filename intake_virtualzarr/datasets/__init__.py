"""Virtual arrays in xarray: opening, joining, decoding, writing and exporting datasets."""

__all__: list[str] = []
