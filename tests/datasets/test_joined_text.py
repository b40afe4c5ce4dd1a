"""Text of stations that not all files have: the join has gaps in it, or is made of what files hold in different ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.datasets import joined_text
from intake_virtualzarr.errors import EncodingMismatchError, JoinError

NESTED: dict[str, Any] = {"combine": "nested", "concat_dim": "time", "join": "outer"}
WAYS: dict[str, dict[str, Any]] = {
    "all": {"data_vars": "all", "coords": "minimal", "compat": "override"},
    "minimal": {"data_vars": "minimal", "coords": "minimal", "compat": "override"},
    "compared": {"data_vars": "minimal", "coords": "minimal", "compat": "no_conflicts"},
}
KINDS: dict[str, tuple[str, Any]] = {"characters": ("S", "S1"), "texts": ("U", str), "UTF-8": ("U", "S1")}


def write(path: Path, hour: int, words: dict[int, str], kind: str = "characters", *, dims: Any = ("gauge",)) -> Path:
    """Levels at gauges, and the names of their rivers."""
    letter, dtype = KINDS[kind]
    names = np.array(list(words.values()), letter).astype(object if letter == "U" else letter)
    names = names if dims == ("gauge",) else names[None]
    level = (("time", "gauge"), np.full((1, len(words)), hour, "f4"))
    dataset = xr.Dataset({"level": level, "river": (dims, names, {}, {"dtype": dtype})}, {"time": [hour], "gauge": list(words)})
    dataset.to_netcdf(path, engine="h5netcdf")
    return path


def pair(folder: Path, kind: str = "characters", **how: Any) -> list[Path]:
    first, second = {1: "Elbe", 2: "Po", 3: "Don"}, {2: "Po", 3: "Don", 4: "Guadiana"}
    return [write(folder / "0.nc", 0, first, kind, **how), write(folder / "1.nc", 1, second, kind, **how)]


def plainly(paths: list[Path], **how: Any) -> xr.Dataset:
    with xr.open_mfdataset(paths, engine="h5netcdf", **how) as direct:
        return direct.load()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_gaps_in_text_are_those_of_xarray_also_when_written(tmp_path, kind, way):
    paths, how = pair(tmp_path, kind), NESTED | WAYS[way]
    expected = plainly(paths, **how)
    joined = ivz.open_virtual_mfdataset(paths, **how)
    joined.vzarr.to_zarr(tmp_path / "s.vzarr")
    for found in (joined.vzarr.decode(), xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr")):
        xr.testing.assert_equal(found.load(), expected)
        assert not {str(dim) for dim in found.dims} - {"time", "gauge"}


@pytest.mark.parametrize("word", ["", "<NA>"])
def test_a_marker_of_gaps_is_no_word(tmp_path, word):
    """Empty text would be taken for a gap, as xarray's own files have it."""
    paths = [write(tmp_path / "0.nc", 0, {1: word, 2: ""}), write(tmp_path / "1.nc", 1, {2: "Po", 3: "<NA>"})]
    how = NESTED | WAYS["all"]
    ivz.open_virtual_mfdataset(paths, **how).vzarr.to_zarr(tmp_path / "s.vzarr")
    found = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr")
    xr.testing.assert_equal(found.load(), plainly(paths, **how))


def test_a_variable_of_one_file_leaves_gaps_in_the_times_of_the_other(tmp_path):
    paths = [write(tmp_path / "0.nc", 0, {1: "Elbe"}, dims=("time", "gauge")), tmp_path / "1.nc"]
    xr.Dataset({"level": (("time", "gauge"), [[2.0]])}, {"time": [1], "gauge": [1]}).to_netcdf(paths[1], engine="h5netcdf")
    how = NESTED | WAYS["all"]
    found = ivz.open_virtual_mfdataset(paths, **how).vzarr.decode().load()
    xr.testing.assert_equal(found, plainly(paths, **how))


@pytest.mark.parametrize("other", [{"dims": ("time", "gauge")}, {"kind": "texts"}], ids=["dimensions", "kind"])
def test_text_that_files_hold_in_different_ways_is_joined_as_words(tmp_path, other):
    words = {1: "Elbe", 2: "Po"}
    paths = [write(tmp_path / "0.nc", 0, words), write(tmp_path / "1.nc", 1, {1: "Elbe", 2: "Guadiana"}, **other)]
    how = NESTED | WAYS["all"]
    found = ivz.open_virtual_mfdataset(paths, **how).vzarr.decode().load()
    xr.testing.assert_equal(found.transpose("time", "gauge"), plainly(paths, **how).transpose("time", "gauge"))


@pytest.mark.parametrize("how", [NESTED, {"combine": "by_coords", "join": "outer"}], ids=["nested", "by coords"])
def test_text_without_gaps_stays_where_it_is(tmp_path, how):
    paths = [write(tmp_path / f"{hour}.nc", hour, {1: "Elbe", 2: "Po"}, dims=("time", "gauge")) for hour in range(2)]
    river = ivz.open_virtual_mfdataset(paths, **how, data_vars="minimal", coords="minimal", compat="override")["river"]
    assert isinstance(river.variable._data, ivz.VirtualZarrArray)


def test_files_by_coordinates_that_overlap_leave_gaps_too(tmp_path):
    paths = [write(tmp_path / f"{n}.nc", 0, words) for n, words in enumerate(({1: "Elbe", 2: "Po"}, {2: "Po", 3: "Don"}))]
    with xr.open_dataset(paths[1], engine="h5netcdf") as opened:
        other = opened.load().rename(river="stream")
    other.to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    how: dict[str, Any] = {"combine": "by_coords", "join": "outer", "compat": "no_conflicts", "data_vars": "all"}
    found = ivz.open_virtual_mfdataset([paths[0], tmp_path / "other.nc"], **how).vzarr.decode().load()
    xr.testing.assert_equal(found, plainly([paths[0], tmp_path / "other.nc"], **how))


def test_too_much_text_is_refused_with_the_ways_out(tmp_path, monkeypatch):
    monkeypatch.setattr(joined_text, "LIMIT", 10)
    with pytest.raises(JoinError, match=r"0\.nc and 1 more: river: text with gaps .* 36 bytes .*drop_variables=\['river'\]"):
        ivz.open_virtual_mfdataset(pair(tmp_path), **NESTED)


def test_words_that_follow_a_store_with_gaps_are_appended_or_refused(tmp_path):
    paths, store = pair(tmp_path, "texts", dims=("time", "gauge")), tmp_path / "s.vzarr"
    ivz.open_virtual_mfdataset(paths, **NESTED, **WAYS["all"]).vzarr.to_zarr(store)
    later = write(tmp_path / "2.nc", 2, {1: "", 2: "Po", 3: "Don", 4: "x"}, "texts", dims=("time", "gauge"))
    with pytest.raises(EncodingMismatchError, match="river: _FillValue"):  # the empty word would read as a gap
        ivz.open_virtual_dataset(later).vzarr.to_zarr(store, append_dim="time")
