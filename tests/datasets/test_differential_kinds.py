"""Random series of what users bring, against plain xarray; ``tests/fuzz/run_series.py`` runs as many as one likes."""

from __future__ import annotations

import pytest
from support.random_series import check_series


@pytest.mark.parametrize("seed", [*range(1, 17), 36])
def test_a_random_series_of_odd_kinds_gives_what_xarray_makes_of_it(seed, tmp_path):
    assert check_series(tmp_path, seed).startswith(("equal", "refused"))
