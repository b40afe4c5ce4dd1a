"""Virtual arrays in xarray: opening, joining, decoding, writing and exporting datasets."""
