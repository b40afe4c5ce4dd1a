"""The hierarchy on disk: what readers that do not know it make of it, documents that are not right, writing in one step."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path
from typing import Any

import h5py
import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr
from support.helpers import write_root

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import HierarchyError, SourceError, VirtualZarrError
from intake_virtualzarr.hierarchy.reader import read_tree
from intake_virtualzarr.hierarchy.writer import NodeArray, NodeGroup, write_hierarchy
from intake_virtualzarr.storage.key_value import LocalKeys, StoreKeys
from intake_virtualzarr.storage.readers import Access

MANY = 300
"""More chunks than a readable manifest holds."""


def write_file(path: Path, first: int = 0, rows: int = 6) -> Path:
    """A file with a small variable ``v`` and one of many chunks, ``w``."""
    with h5py.File(path, "w") as file:
        x = file.create_dataset("x", data=np.arange(4.0))
        x.make_scale("x")
        v = file.create_dataset("v", data=first + np.arange(rows * 4.0).reshape(rows, 4), chunks=(4, 3))
        v.dims[1].attach_scale(x)
        file.create_dataset("w", data=first + np.arange(MANY, dtype="i4"), chunks=(1,))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_file(tmp_path / "a.h5")


@pytest.fixture
def store(source: Path, tmp_path: Path) -> Path:
    ivz.open_virtual_dataset(source).vzarr.to_zarr(tmp_path / "s.vzarr")
    return tmp_path / "s.vzarr"


@pytest.fixture
def joined(source: Path, tmp_path: Path) -> Path:
    """A store with a concatenation of two files."""
    datasets = [ivz.open_virtual_dataset(p)[["v"]] for p in (source, write_file(tmp_path / "b.h5", 100))]
    dim = datasets[0]["v"].dims[0]
    xr.concat(datasets, dim).vzarr.to_zarr(tmp_path / "j.vzarr", fuse=False)
    return tmp_path / "j.vzarr"


def edit(store: Path, change: Any, name: str = "v") -> None:
    """Change the document of an array, in both places where it stands."""
    root = json.loads((store / "zarr.json").read_text())
    document = root["consolidated_metadata"]["metadata"][name]
    change(document)
    (store / name / "zarr.json").write_text(json.dumps(document))
    write_root(store / "zarr.json", root)


def configuration(document: dict[str, Any]) -> dict[str, Any]:
    return document["storage_transformers"][0]["configuration"]


def values(store: Path, name: str = "v") -> np.ndarray:
    tree = read_tree(store, Access())
    if f"/{name}" in tree.left_out:
        raise HierarchyError(tree.left_out[f"/{name}"])
    return np.asarray(tree.group("/").variables[name].data)


# ---------------------------------------------------------------------- readers that do not know the format


@pytest.mark.parametrize("name", ["v", "w"])
def test_plain_zarr_refuses_a_virtual_array(store, name):
    with pytest.raises(Exception, match="virtual"):
        zarr.open_array(store / name, mode="r")
    with pytest.raises(Exception, match="virtual"):
        zarr.open(store / name, mode="r")


@pytest.mark.parametrize("consolidated", [True, False])
def test_plain_zarr_refuses_the_group(store, consolidated):
    with pytest.raises(Exception, match="virtual"):
        zarr.open_group(store, mode="r", use_consolidated=consolidated)["v"]


@pytest.mark.parametrize("kind", ["store", "joined"])
@pytest.mark.parametrize("consolidated", [True, False, None])
@pytest.mark.filterwarnings("ignore:Object at generations is not recognized")
def test_plain_xarray_refuses_the_store(kind, consolidated, request):
    # grids that its zarr does not open by default are refused even before
    with zarr.config.set({"array.rectilinear_chunks": True}), pytest.raises(Exception, match="virtual"):
        xr.open_zarr(request.getfixturevalue(kind), consolidated=consolidated)


def objects_of(store, name):
    """Metadata, directory and number of pages of an array's manifest."""
    manifest = configuration(json.loads((store / name / "zarr.json").read_text()))["manifest"]
    checks = base64.b64decode(manifest["objects"]["checks"])
    return manifest["zarr.json"], store / name / manifest["objects"]["path"], len(checks) // 8


def the_one(store, pattern):
    (found,) = store.glob(f"generations/*/{pattern}")
    return found


def test_plain_zarr_reads_the_manifest(store, source):
    document, folder, pages = objects_of(store, "w")
    assert pages == len(list(folder.rglob("c/*/0"))) == 1
    (folder / "zarr.json").write_text(json.dumps(document))
    refs = zarr.open_array(folder, mode="r")
    assert refs.attrs["fields"] == ["source", "offset", "length"]
    with h5py.File(source) as file:
        expected = [file["w"].id.get_chunk_info(i) for i in range(MANY)]
    found = refs[...]
    assert found.dtype == np.dtype("uint64")
    assert found[:, 1].tolist() == [info.byte_offset for info in expected]
    assert found[:, 2].tolist() == [info.size for info in expected]
    table = json.loads(the_one(store, "sources/0.json").read_text())
    assert set(found[:, 0].tolist()) == {0}
    assert table["list"][0]["url"].endswith("a.h5")


def test_a_coordinate_stands_in_its_document(store):
    chunks = configuration(json.loads((store / "x" / "zarr.json").read_text()))["chunks"]
    assert list(chunks) == ["0"]
    encoded = base64.b64decode(chunks["0"]["inline"])
    plain = numcodecs.Zstd().decode(numcodecs.CRC32C(location="end").decode(encoded))
    np.testing.assert_array_equal(np.frombuffer(plain, "<f8")[:4], np.arange(4.0))


# ---------------------------------------------------------------------- documents that are not right


def set_transformer(name: str) -> Any:
    return lambda d: d["storage_transformers"][0].update(name=name)


def set_chunk(key: str, **entry: Any) -> Any:
    return lambda d: configuration(d)["chunks"].update({key: entry})


def without(*names: str) -> Any:
    return lambda d: [d.pop(name) for name in names]


def configured(**changes: Any) -> Any:
    return lambda d: configuration(d).update(changes)


ODD = {
    "transformer": (set_transformer("secret"), "storage transformer 'secret' is unknown"),
    "version": (configured(version="9.9"), "format version '9.9'"),
    "two transformers": (lambda d: d["storage_transformers"].append({"name": "x"}), "2 storage transformers"),
    "no transformer": (without("storage_transformers"), "0 storage transformers"),
    "encoding": (lambda d: d.update(chunk_key_encoding={"name": "default"}), "chunk_key_encoding"),
    "no configuration": (lambda d: d["storage_transformers"][0].pop("configuration"), "v"),
    "key outside": (set_chunk("7.0", source=0, offset=0, length=8), r"chunk key '7.0' lies outside chunk grid \(2, 2\)"),
    "key of another rank": (set_chunk("0", source=0, offset=0, length=8), "chunk key '0' lies outside"),
    "key of letters": (set_chunk("a.b", source=0, offset=0, length=8), "chunk 'a.b'"),
    "negative length": (set_chunk("0.0", source=0, offset=0, length=-8), "chunk '0.0'"),
    "huge length": (set_chunk("0.0", source=0, offset=0, length=2**40), "chunk '0.0'"),
    "no offset": (set_chunk("0.0", source=0, length=8), "chunk '0.0'"),
    "entry of another kind": (lambda d: configuration(d)["chunks"].update({"0.0": 3}), "chunk '0.0'"),
    "inline no base64": (set_chunk("0.0", inline="***"), "chunk '0.0'"),
    "source outside": (set_chunk("0.0", source=5, offset=0, length=8), "chunk '0.0': names source 5, there are 1"),
    "codec outside": (set_chunk("0.0", source=0, offset=0, length=8, codec=3), "chunk '0.0'.*codec 3"),
    "source without url": (lambda d: configuration(d)["sources"].update(list=[{}]), "has no url"),
    "sources of another kind": (configured(sources=3), "v"),
    "grid": (lambda d: d["chunk_grid"].update(name="hexagonal"), "chunk_grid 'hexagonal' is unknown"),
    "grid of another rank": (
        lambda d: d["chunk_grid"]["configuration"].update(chunk_shape=[2]),
        "chunk grid of 1 axes for an array of 2",
    ),
    "edge of 0": (lambda d: d["chunk_grid"]["configuration"].update(chunk_shape=[0, 3]), "chunk edge 0 is below 1"),
    "sums": (
        lambda d: d.update(chunk_grid={"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [[4, 1], 3]}}),
        "chunk edges sum to 5, the axis has 6 elements",
    ),
    "stored less": (configured(stored_chunk_shapes=[[4, 1], 3]), "chunk 1 shows 2 elements but stores 1"),
    "stored of another rank": (configured(stored_chunk_shapes=[4]), "chunk grid of 2 axes"),
    "no codecs": (lambda d: d.update(codecs=[]), "codecs are"),
    "alternatives": (configured(codec_alternatives=[[]]), "codecs are"),
    "data type": (lambda d: d.update(data_type="float1024"), "data_type 'float1024' is unknown"),
    "fill value": (lambda d: d.update(fill_value="x"), "fill_value 'x' does not fit"),
    "negative shape": (lambda d: d.update(shape=[-1, 4]), "v"),
    "shape of words": (lambda d: d.update(shape=["a", 4]), "v"),
    "no shape": (without("shape"), "shape"),
    "no grid": (without("chunk_grid"), "chunk_grid"),
    "no data type": (without("data_type"), "data_type"),
    "no fill value": (without("fill_value"), "fill_value"),
    "names of another rank": (lambda d: d.update(dimension_names=["a"]), "dimension_names"),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_document_is_an_error_that_names_the_array(store, case):
    change, message = ODD[case]
    edit(store, change)
    with pytest.raises(VirtualZarrError, match=message) as caught:
        values(store)
    assert re.search(r"s\.vzarr/v\b|^v\b", str(caught.value)), caught.value


def first(**changes: Any) -> Any:
    return lambda d: configuration(d)["members"][0].update(changes)


ODD_JOINS = {
    "lengths": (first(length=5), "members sum to 11 along axis 0, the array has 12"),
    "axis": (configured(axis=3), "concatenation axis 3 for an array of 2 axes"),
    "no axis": (lambda d: configuration(d).pop("axis"), "axis"),
    "no members": (lambda d: configuration(d).pop("members"), "members"),
    "no length": (lambda d: configuration(d)["members"][0].pop("length"), "length"),
    "absent member": (first(array="parts/9"), "parts/9/zarr.json is absent"),
    "member elsewhere": (first(array="file:///nowhere/at/all"), r"has no zarr.json; is the member's store still there\?"),
    "shape of a member": (first(select=[[0, 4, 1], [0, 4, 1]]), r"member 0 has shape \(4, 4\), expected \(6, 4\)"),
    "selection outside": (first(select=[[0, 6, 1], [2, 6, 1]]), "member 0 selects .* of an axis of 4"),
    "selection of another rank": (first(select=[[0, 6, 1]]), "member 0 selects on 1 axes of 2"),
    "step of 0": (first(select=[[0, 6, 0], [0, 4, 1]]), "member 0"),
    "axes of another rank": (first(axes=[0]), "member 0"),
    "axes twice": (first(axes=[0, 0]), "member 0"),
    "axes outside": (first(axes=[0, 7]), "member 0"),
    "transposed to another shape": (first(axes=[1, 0]), "member 0"),
    "decode without type": (first(decode={}), "member 0"),
    "data type of the array": (lambda d: d.update(data_type="float32", fill_value=0.0), "member 0 has data type float64"),
    "broken promise": (
        lambda d: (configuration(d).update(uniform=True), d.update(codecs=[{"name": "bytes"}, {"name": "gzip"}])),
        "promises uniform members, but of member 0 codecs are",
    ),
}


@pytest.mark.parametrize("case", ODD_JOINS)
def test_an_odd_concatenation_is_an_error_that_names_the_array(joined, case):
    change, message = ODD_JOINS[case]
    edit(joined, change)
    with pytest.raises(VirtualZarrError, match=message) as caught:
        values(joined)
    assert "j.vzarr/v" in str(caught.value) or case == "member elsewhere"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("generations/*/w/refs/c/0/0", "w/refs/c/0/0 is absent; the store is incomplete"),
        ("generations/*/sources/0.json", "sources/0.json is absent; the store is incomplete"),
        ("zarr.json", "has no zarr.json|is not a file"),
    ],
)
def test_an_absent_document_is_an_error(store, path, message):
    (found,) = store.glob(path)
    found.unlink()
    with pytest.raises(VirtualZarrError, match=message):
        values(store, "w")


@pytest.mark.parametrize("path", ["generations/*/sources/0.json", "zarr.json", "generations/*/w/refs/c/0/0"])
@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}"])
def test_a_damaged_document_is_an_error(store, path, text):
    (found,) = store.glob(path)
    found.write_text(text)
    with pytest.raises(VirtualZarrError):
        values(store, "w")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["attributes"].update(fields=["offset", "source", "length"]), "refs hold"),
        (lambda d: d.update(shape=[7, 3]), r"refs of shape \(7, 3\) for a chunk grid of shape \(300,\)|tells of 1 manifest pages"),
        (lambda d: d.update(data_type="int64"), "refs have data_type 'int64'"),
        (lambda d: d["chunk_grid"]["configuration"].update(chunk_shape=[300, 1]), "split a reference"),
        (
            lambda d: d["chunk_grid"]["configuration"].update(chunk_shape=[10, 3]),
            "tells of 1 manifest pages",
        ),
        (lambda d: d.pop("codecs"), "w"),
    ],
)
def test_odd_refs_are_an_error_that_names_the_array(store, change, message):
    edit(store, lambda d: change(configuration(d)["manifest"]["zarr.json"]), "w")
    with pytest.raises(VirtualZarrError, match=message) as caught:
        values(store, "w")
    assert "/w" in str(caught.value)


def test_refs_that_name_a_source_beyond_the_table_are_an_error(store):
    edit(store, lambda d: configuration(d)["sources"].update(count=0, checks=""), "w")
    with pytest.raises(VirtualZarrError, match="manifest names source 0, the table has 0 rows"):
        values(store, "w")
    edit(store, lambda d: configuration(d).update(sources={"list": []}), "w")
    with pytest.raises(VirtualZarrError, match="source 0"):
        values(store, "w")


def test_a_group_that_holds_no_hierarchy_is_an_error(tmp_path):
    (tmp_path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "array"}')
    with pytest.raises(HierarchyError, match="the root is 'array', expected a group"):
        read_tree(tmp_path, Access())
    (tmp_path / "zarr.json").write_text('{"zarr_format": 2}')
    with pytest.raises(HierarchyError, match="zarr_format is 2, expected 3"):
        read_tree(tmp_path, Access())


def test_a_directory_without_a_store_is_an_error_that_says_so(tmp_path):
    with pytest.raises(VirtualZarrError, match=re.escape(str(tmp_path))):
        ivz.open_virtual_dataset(tmp_path)


def test_a_store_without_consolidated_metadata_is_walked(store):
    expected = values(store)
    root = json.loads((store / "zarr.json").read_text())
    del root["consolidated_metadata"]
    write_root(store / "zarr.json", root)
    np.testing.assert_array_equal(values(store), expected)


# ---------------------------------------------------------------------- writing in one step


def test_a_place_that_is_not_empty_is_refused(store, source):
    before = {p: p.read_bytes() for p in store.rglob("*") if p.is_file()}
    with pytest.raises(HierarchyError, match="is not empty; choose another place, or mode='w'"):
        ivz.open_virtual_dataset(source).vzarr.to_zarr(store)
    assert {p: p.read_bytes() for p in store.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("mode", [None, "w-", "w"])
def test_a_file_is_never_replaced_by_a_store(source, tmp_path, mode):
    path = tmp_path / "precious.txt"
    path.write_text("precious")
    with pytest.raises(HierarchyError, match="is a file"):
        ivz.open_virtual_dataset(source).vzarr.to_zarr(path, mode=mode)
    assert path.read_text() == "precious"


def test_a_directory_that_is_no_store_is_never_replaced(source, tmp_path):
    # the directory of the source files, say
    with pytest.raises(HierarchyError, match="holds no Zarr hierarchy"):
        ivz.open_virtual_dataset(source).vzarr.to_zarr(tmp_path, mode="w")
    assert source.exists()


def test_an_empty_directory_is_a_place_for_a_store(source, tmp_path):
    (tmp_path / "empty").mkdir()
    ivz.open_virtual_dataset(source).vzarr.to_zarr(tmp_path / "empty")
    assert values(tmp_path / "empty").shape == (6, 4)


class Stop(Exception):  # noqa: N818
    """Raised while writing."""


@pytest.mark.parametrize("after", [0, 1, 3, 5])
@pytest.mark.parametrize("mode", ["w", None])
def test_a_write_that_fails_leaves_what_was_there(store, source, monkeypatch, after, mode):
    target = store if mode == "w" else store.with_name("new.vzarr")
    before = {p: p.read_bytes() for p in store.rglob("*") if p.is_file()}
    names = {p.name for p in store.parent.iterdir()}
    count = []

    def stopping(name):
        real = getattr(LocalKeys, name)

        def failing(self, key, *values):
            if len(count) == after or name == "switch":
                raise Stop
            count.append(key)
            return real(self, key, *values)

        return failing

    for name in ("create", "switch"):
        monkeypatch.setattr(LocalKeys, name, stopping(name))
    with pytest.raises(Stop):
        ivz.open_virtual_dataset(source).vzarr.to_zarr(target, mode=mode)
    monkeypatch.undo()
    assert before.items() <= {p: p.read_bytes() for p in store.rglob("*") if p.is_file()}.items()
    ivz.open_virtual_dataset(source).vzarr.to_zarr(target, mode=mode)  # what was left does not stand in the way
    np.testing.assert_array_equal(values(target), values(store))
    assert {p.name for p in store.parent.iterdir()} <= {*names, target.name}


def test_a_store_can_be_replaced_by_a_part_of_itself(store):
    expected = values(store)[1:]
    dataset = ivz.open_virtual_dataset(store)
    dataset.isel({dataset["v"].dims[0]: slice(1, None)}).vzarr.to_zarr(store, mode="w")
    np.testing.assert_array_equal(values(store), expected)
    assert not [p for p in store.parent.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("fuse", [True, False])
def test_a_store_in_memory_can_be_replaced_by_a_part_of_itself(source, fuse):
    memory = zarr.storage.MemoryStore()
    dataset = ivz.open_virtual_dataset(source).assign(grid=(("p", "q"), np.arange(12.0).reshape(3, 4)))
    dataset.vzarr.to_zarr(memory)
    again = ivz.open_virtual_dataset(memory)
    again.isel(q=slice(1, None)).vzarr.to_zarr(memory, mode="w", fuse=fuse)
    found = ivz.open_virtual_dataset(memory).load()
    np.testing.assert_array_equal(found["grid"], np.arange(12.0).reshape(3, 4)[:, 1:])
    np.testing.assert_array_equal(found["w"], np.arange(MANY))


def test_a_failed_write_leaves_a_store_in_memory_as_it_was(source):
    memory = zarr.storage.MemoryStore()
    dataset = ivz.open_virtual_dataset(source)
    dataset.vzarr.to_zarr(memory)
    before = {key: bytes(value.to_bytes()) for key, value in memory._store_dict.items()}
    with pytest.raises(HierarchyError):
        dataset.assign({"": dataset["v"]}).vzarr.to_zarr(memory, mode="w")
    assert {key: bytes(value.to_bytes()) for key, value in memory._store_dict.items()} == before


# ---------------------------------------------------------------------- places and names


@pytest.mark.parametrize("kind", ["memory", "zip", "local"])
def test_a_hierarchy_can_be_kept_in_any_zarr_store(source, tmp_path, kind):
    def opened(mode: str) -> zarr.abc.store.Store:
        if kind == "zip":
            return zarr.storage.ZipStore(tmp_path / "s.zip", mode=mode)
        return zarr.storage.LocalStore(tmp_path / "s.vzarr")

    memory = zarr.storage.MemoryStore()
    target = memory if kind == "memory" else opened("w")
    ivz.open_virtual_dataset(source).vzarr.to_zarr(target)
    target.close()
    back = memory if kind == "memory" else opened("r")
    found = ivz.open_virtual_dataset(back).load()
    with h5py.File(source) as direct:
        np.testing.assert_array_equal(found["v"], direct["v"])
        np.testing.assert_array_equal(found["w"], direct["w"])
    np.testing.assert_array_equal(zarr.open_group(ivz.VirtualZarrStore(back), mode="r")["w"][...], found["w"])


NAMES = ["a b", "ä", "a#b", "a?b", "50%", "%41", "a:b", "sources", "parts", "generations", "c", "consolidated", "a&b", "0"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fuse", [True, False])
def test_variables_may_have_any_name(name, fuse, tmp_path):
    for number in (0, 1):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file.create_dataset(name, data=number * MANY + np.arange(MANY, dtype="i4"), chunks=(1,))
    datasets = [ivz.open_virtual_dataset(tmp_path / f"{number}.h5") for number in (0, 1)]
    dim = datasets[0][name].dims[0]
    xr.concat(datasets, dim).vzarr.to_zarr(tmp_path / "s.vzarr", fuse=fuse)
    np.testing.assert_array_equal(ivz.open_virtual_dataset(tmp_path / "s.vzarr")[name].load(), np.arange(2 * MANY))
    group = zarr.open_group(ivz.VirtualZarrStore(tmp_path / "s.vzarr"), mode="r")
    np.testing.assert_array_equal(group[name][...], np.arange(2 * MANY))


@pytest.mark.parametrize("directory", ["with space", "ü", "a#b", "50%", "a?b"])
def test_files_and_stores_may_lie_anywhere(directory, tmp_path):
    place = tmp_path / directory
    place.mkdir()
    source = write_file(place / "a #1?.h5")
    ivz.open_virtual_dataset(source).vzarr.to_zarr(place / "s %.vzarr")
    expected = np.arange(MANY)
    np.testing.assert_array_equal(ivz.open_virtual_dataset(place / "s %.vzarr")["w"].load(), expected)
    moved = tmp_path / "moved"
    shutil.move(place, moved)
    np.testing.assert_array_equal(ivz.open_virtual_dataset(moved / "s %.vzarr")["w"].load(), expected)


@pytest.mark.parametrize("name", ["", ".", "..", "zarr.json", "a/b"])
def test_names_that_no_hierarchy_can_hold_are_refused(name, source, tmp_path):
    dataset = ivz.open_virtual_dataset(source)
    with pytest.raises(HierarchyError, match="is not a name for an array"):
        dataset.assign({name: dataset["v"]}).vzarr.to_zarr(tmp_path / "n.vzarr")
    assert not (tmp_path / "n.vzarr").exists()


def test_members_of_another_store_are_named_and_not_copied(store, tmp_path):
    opened = ivz.open_virtual_dataset(store)
    dim = opened["v"].dims[0]
    xr.concat([opened[["v"]]] * 2, dim).vzarr.to_zarr(tmp_path / "both.vzarr", fuse=False)
    document = json.loads((tmp_path / "both.vzarr" / "v" / "zarr.json").read_text())
    assert [m["array"] for m in configuration(document)["members"]] == ["../../s.vzarr/v"] * 2
    np.testing.assert_array_equal(values(tmp_path / "both.vzarr"), np.concatenate([values(store)] * 2))
    shutil.rmtree(store)
    with pytest.raises(VirtualZarrError, match=r"is the member's store still there\?"):
        values(tmp_path / "both.vzarr")


def test_a_member_with_fill_of_its_own_keeps_it(tmp_path):
    for number, fill in enumerate((5, 7)):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            made = file.create_dataset("v", (4,), "i4", chunks=(2,), fillvalue=fill)
            made[:2] = [1, 2]
    datasets = [ivz.open_virtual_dataset(tmp_path / f"{number}.h5") for number in (0, 1)]
    dim = datasets[0]["v"].dims[0]
    for fuse in (True, False):
        xr.concat(datasets, dim).vzarr.to_zarr(tmp_path / f"{fuse}.vzarr", fuse=fuse)
        assert values(tmp_path / f"{fuse}.vzarr").tolist() == [1, 2, 5, 5, 1, 2, 7, 7]


def test_small_manifests_are_readable_and_large_ones_packed(store):
    small, large = (json.loads((store / name / "zarr.json").read_text()) for name in ("v", "w"))
    assert set(configuration(small)["chunks"]) == {"0.0", "0.1", "1.0", "1.1"}
    assert configuration(large)["manifest"]["objects"]["path"].endswith("/w/refs")
    assert not list(store.glob("generations/*/v"))


def test_groups_are_written_and_read_as_a_tree(source, tmp_path):
    tree = xr.DataTree.from_dict(
        {"/": xr.Dataset(attrs={"title": "t"}), "/a/b": ivz.open_virtual_dataset(source), "/c": xr.Dataset({"z": 3})}
    )
    tree.vzarr.to_zarr(tmp_path / "t.vzarr")
    again = ivz.open_virtual_datatree(tmp_path / "t.vzarr")
    assert again.attrs == {"title": "t"}
    assert set(again.groups) == {"/", "/a", "/a/b", "/c"}
    np.testing.assert_array_equal(again["/a/b/w"].load(), np.arange(MANY))
    assert int(again["/c/z"]) == 3


def test_a_node_may_hold_plain_values_of_any_kind(tmp_path):
    arrays = {
        "text": np.array(["a", "bcä", ""], dtype=object),
        "bytes": np.array([b"ab", b"c"], "S2"),
        "flag": np.array([True, False]),
        "complex": np.array([1 + 2j, 3], "c8"),
        "big": np.arange(5, dtype=">i4"),
        "scalar": np.array(3.5),
        "word": np.array(b"ab", "S5"),
        "none": np.empty((0, 3), "f4"),
        "wide": np.arange(12.0).reshape(3, 4)[:, ::-1],
        "pairs": np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "<i4"), ("b", "<f8")]),
    }
    nodes = {n: NodeArray(tuple(f"{n}{i}" for i in range(v.ndim)), v, {}) for n, v in arrays.items()}
    keys = StoreKeys(zarr.storage.MemoryStore())
    write_hierarchy(keys, {"": NodeGroup({}, nodes)})
    group = read_tree(keys, Access()).group("/")
    for name, expected in arrays.items():
        found = np.asarray(group.variables[name].data)
        assert found.dtype == expected.dtype.newbyteorder("=") or expected.dtype.names
        assert found.tolist() == expected.tolist()


def test_a_source_that_vanished_is_an_error_with_its_name(store, source):
    source.unlink()
    with pytest.raises(SourceError, match=r"a\.h5: no such file"):
        values(store)
