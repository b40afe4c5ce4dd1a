"""Virtual arrays: chunk grids, manifests, segments, NumPy's functions on them, and reading."""

import intake_virtualzarr.arrays.numpy_functions  # noqa: F401 - NumPy finds them through `numpy_protocol`

__all__: list[str] = []
