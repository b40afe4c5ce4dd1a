"""Small HDF5 files that together hold every structure the parser knows."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

SEEDS: dict[str, Callable[[h5py.File], None]] = {}
OPTIONS: dict[str, dict[str, Any]] = {}


def seed(**options: Any) -> Callable[[Callable[[h5py.File], None]], Callable[[h5py.File], None]]:
    def add(make: Callable[[h5py.File], None]) -> Callable[[h5py.File], None]:
        SEEDS[make.__name__] = make
        OPTIONS[make.__name__] = options
        return make

    return add


def seed_bytes(name: str) -> bytes:
    """The bytes of one seed."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **OPTIONS[name]) as file:
        SEEDS[name](file)
    return buffer.getvalue()


def _ramp(*shape: int, dtype: str = "i4") -> np.ndarray[Any, Any]:
    return (np.arange(int(np.prod(shape))).reshape(shape) % 120).astype(dtype)


@seed()
def old_groups(file: h5py.File) -> None:
    for i in range(30):
        file.create_group(f"group_{i:02d}")["v"] = _ramp(3)
    file["soft"] = h5py.SoftLink("/group_01/v")
    file["group_00/up"] = file["/"]


@seed(libver="latest")
def new_groups(file: h5py.File) -> None:
    group = file.create_group("many", track_order=True)
    for i in range(40):
        group.create_dataset(f"dataset_with_a_long_name_{i}", data=_ramp(2))
    file["soft"] = h5py.SoftLink("/many")


@seed()
def btree_v1(file: h5py.File) -> None:
    file.create_dataset("a", data=_ramp(20, 30), chunks=(4, 5), compression="gzip", shuffle=True, fletcher32=True)
    file.create_dataset("deep", data=_ramp(100, dtype="i1"), chunks=(1,))


@seed(libver="latest")
def indexes(file: h5py.File) -> None:
    a = _ramp(8, 6)
    file.create_dataset("single", data=a, chunks=(8, 6))
    file.create_dataset("single_gz", data=a, chunks=(8, 6), compression="gzip")
    file.create_dataset("fixed", data=a, chunks=(4, 4), compression="gzip")
    file.create_dataset("extensible", data=_ramp(300, 2), chunks=(1, 2), maxshape=(None, 4))
    file.create_dataset("turned", data=_ramp(2, 40), chunks=(1, 1), maxshape=(4, None))
    file.create_dataset("btree", data=a, chunks=(2, 4), maxshape=(None, None), compression="gzip")


@seed(libver="latest")
def paged(file: h5py.File) -> None:
    file.create_dataset("fixed", data=_ramp(1500, dtype="i1"), chunks=(1,))


@seed(libver="latest")
def btree_v2_deep(file: h5py.File) -> None:
    file.create_dataset("v", data=_ramp(30, 20, dtype="i1"), chunks=(1, 1), maxshape=(None, None))


@seed()
def attributes(file: h5py.File) -> None:
    v = file.create_dataset("v", data=_ramp(3))
    a = v.attrs
    a["text"], a["texts"], a["number"], a["numbers"] = "abc", np.array(["a", "bé"], object), 1.5, np.arange(5)
    a["fixed"], a["complex"], a["ref"] = np.bytes_(b"xyz"), 1 + 2j, file.ref
    a["compound"] = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")])
    a["empty"] = h5py.Empty("f4")


@seed(libver="latest")
def dense_attributes(file: h5py.File) -> None:
    v = file.create_dataset("v", data=_ramp(3))
    for i in range(40):
        v.attrs[f"attribute_{i}"] = f"value {i}" * (i % 5)
    v.attrs["huge"] = np.arange(20000)
    v.attrs["long"] = np.arange(300.0)


@seed()
def strings(file: h5py.File) -> None:
    file.create_dataset("v", data=np.array(["ab", "cdé", "", "x" * 300], object), dtype=h5py.string_dtype(), chunks=(2,))
    file.create_dataset("f", data=np.array([b"ab", b"cd"]))
    file["s"] = "scalar"


@seed()
def scales(file: h5py.File) -> None:
    v = file.create_dataset("v", data=_ramp(3, 4))
    for axis, name in enumerate("xy"):
        s = file.create_dataset(name, data=np.arange(v.shape[axis]))
        s.make_scale(name)
        v.dims[axis].attach_scale(s)
        s.attrs["_Netcdf4Dimid"] = np.int32(axis)


@seed()
def datatypes(file: h5py.File) -> None:
    dtype = np.dtype([("a", "<i1"), ("b", ">f8"), ("c", "S3"), ("d", "<f4", (2, 2)), ("e", [("x", "<i2")])], align=True)
    file["compound"] = np.zeros(4, dtype)
    file["enum"] = np.zeros(4, h5py.enum_dtype({"A": 0, "B": 1}, basetype="i2"))
    file["bool"] = np.ones(4, bool)
    file["complex"] = np.ones(4, "c8")
    file["big"] = _ramp(4, dtype=">i2")
    file["named"] = np.dtype("f4")
    odd = h5py.h5t.STD_I32LE.copy()
    odd.set_precision(20)
    odd.set_offset(3)
    space = h5py.h5s.create_simple((10,))
    h5py.h5d.create(file.id, b"odd", odd, space).write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(-5, 5, dtype="i4"))
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    h5py.h5d.create(file.id, b"compact", h5py.h5t.STD_I32LE, space, dcpl=compact).write(
        h5py.h5s.ALL, h5py.h5s.ALL, np.arange(10, dtype="i4")
    )


@seed()
def filters(file: h5py.File) -> None:
    file.create_dataset("lzf", data=_ramp(40, 60), chunks=(20, 30), compression="lzf")
    file.create_dataset("scaleoffset", data=_ramp(40), chunks=(10,), scaleoffset=0)
    file.create_dataset("decimal", data=_ramp(40, dtype="f4"), chunks=(10,), scaleoffset=2)
    file.create_dataset("szip", data=_ramp(32, 32, dtype="i2"), chunks=(16, 32), compression="szip")
    nbit = h5py.h5t.STD_I32LE.copy()
    nbit.set_precision(20)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((5,))
    plist.set_filter(h5py.h5z.FILTER_NBIT, 0, ())
    h5py.h5d.create(file.id, b"nbit", nbit, h5py.h5s.create_simple((10,)), dcpl=plist).write(
        h5py.h5s.ALL, h5py.h5s.ALL, np.arange(-5, 5, dtype="i4")
    )


@seed(userblock_size=512)
def user_block(file: h5py.File) -> None:
    file.create_dataset("v", data=_ramp(10), chunks=(4,))
    file["c"] = _ramp(10)


@seed()
def strings_in_compounds(file: h5py.File) -> None:
    text = h5py.string_dtype()
    place = np.dtype([("n", "<i2"), ("name", text), ("at", [("note", text, (2,)), ("z", ">f8")])])
    dataset = file.create_dataset("compound", (6,), place, chunks=(2,), compression="gzip")
    dataset[1] = (7, "a name", (["x", "yé"], 2.5))
    file.create_dataset("whole", data=np.array([(1, "one"), (2, "two")], [("n", "i4"), ("s", text)]))
    file.create_dataset("array", (2,), np.dtype((text, (3,))))[0] = np.array(["a", "bb", ""], object)
    file.create_dataset("fill", (3,), text, fillvalue="none")
