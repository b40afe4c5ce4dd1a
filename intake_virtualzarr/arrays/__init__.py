"""Virtual arrays: chunk grids, manifests, segments, NumPy's functions on them, and reading."""
