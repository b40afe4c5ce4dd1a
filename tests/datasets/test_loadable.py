"""Labels are decoded as xarray decodes them, quickly or by xarray's own steps."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import intake_virtualzarr as ivz
from intake_virtualzarr.datasets.loadable import decoded_labels

UNITS = st.one_of(
    st.builds(
        "{} since {:04}-{:02}-{:02}{}".format,
        st.sampled_from(["days", "hours", "minutes", "seconds", "Days", "day", "milliseconds", "months"]),
        st.integers(1500, 2300),
        st.integers(1, 12),
        st.integers(1, 31),
        st.sampled_from(["", " 00:00:00", "T12:30:15", " 00:00", " 25:00:00", " 00:00:00.5", " 00:00:00Z", " 6:0:0"]),
    ),
    st.sampled_from(["K", "days", "seconds", "since", "days since", "1"]),
)
VALUES = hnp.arrays(
    st.sampled_from(["i2", "i4", "i8", "u1", "u4", "u8", "f4", "f8"]),
    hnp.array_shapes(min_dims=0, max_dims=1, min_side=0, max_side=4),
    elements={"allow_subnormal": False},
)


def outcome(decode):
    try:
        return decode()
    except Exception as exc:
        return type(exc)


@pytest.mark.filterwarnings("ignore")
@settings(deadline=None)
@given(
    values=VALUES | hnp.arrays("f8", 3, elements=st.floats(-1e5, 1e5)) | hnp.arrays("i4", 3, elements=st.integers(-70_000, 70_000)),
    units=UNITS,
    calendar=st.sampled_from([None, "standard", "gregorian", "proleptic_gregorian", "noleap", "360_day", "Standard", ""]),
    fill=st.sampled_from([None, 0, 7]),
    decode_times=st.booleans(),
)
def test_labels_are_decoded_as_xarray_decodes_them(values, units, calendar, fill, decode_times):
    attrs = {"units": units, "long_name": "when"}
    if calendar is not None:
        attrs["calendar"] = calendar
    if fill is not None:
        attrs["_FillValue"] = values.dtype.type(fill)
    variable = xr.Variable(("t",)[: values.ndim], values, attrs, {"source": "a.nc"})

    def plain():
        decoded = xr.conventions.decode_cf_variable("t", variable.copy(deep=False), decode_times=decode_times)
        return xr.Variable(decoded.dims, np.asarray(decoded), decoded.attrs, decoded.encoding, fastpath=True)

    ours, theirs = outcome(lambda: decoded_labels("t", variable, decode_times=decode_times)), outcome(plain)
    if isinstance(theirs, type):
        assert ours is theirs
        return
    xr.testing.assert_identical(ours, theirs)
    assert ours.encoding == theirs.encoding
    assert ours.dtype == theirs.dtype
    if ours.dtype.kind != "O":
        assert ours.to_numpy().tobytes() == theirs.to_numpy().tobytes()
    assert variable.attrs == attrs


def test_datasets_that_are_held_open_share_their_readers(tmp_path):
    paths = [tmp_path / f"{i}.nc" for i in range(3)]
    for i, path in enumerate(paths):
        xr.Dataset({"x": ("t", np.arange(4.0) + i)}, {"t": np.arange(4)}).to_netcdf(path, engine="h5netcdf")
    opened = [ivz.open_virtual_dataset(path) for path in paths]
    assert len({id(dataset.x.data.readers) for dataset in opened}) == 1
    assert [float(dataset.x.sum()) for dataset in opened] == [6.0, 10.0, 14.0]
    signed = ivz.open_virtual_dataset(paths[0], storage_options={"file://": {"anything": 1}})
    assert signed.x.data.readers is not opened[0].x.data.readers


def test_a_variable_named_as_one_of_its_dimensions_is_a_coordinate_without_index(tmp_path):
    path = tmp_path / "a.nc"
    xr.Dataset({"y": (("x", "y"), np.ones((2, 3)))}, {"x": [5, 6]}, {"title": "t"}).to_netcdf(path, engine="h5netcdf")
    opened = ivz.open_virtual_dataset(path)
    with xr.open_dataset(path, engine="h5netcdf") as plain:
        assert set(opened.coords) == set(plain.coords) == {"x", "y"}
        assert list(opened.indexes) == list(plain.indexes) == ["x"]
        np.testing.assert_array_equal(opened.y, plain.y)
