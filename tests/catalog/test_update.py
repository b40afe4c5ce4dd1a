"""update: a second search appends what is new, says what has changed, and leaves nothing half done."""

import json
import os
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import intake
import numpy as np
import pystac
import pytest
import xarray as xr
from conftest import sst_dataset, write_sst
from hypothesis import given, settings
from hypothesis import strategies as st
from support.local_schemas import validator

import intake_virtualzarr as ivz
from intake_virtualzarr.catalog import update_done
from intake_virtualzarr.errors import (
    EncodingMismatchError,
    HierarchyError,
    IngestError,
    SourceChangedError,
    VirtualZarrError,
)
from intake_virtualzarr.storage.policy import ENVIRONMENT

BBOX = [-22.5, -60.0, 337.5, 60.0]


@pytest.fixture(autouse=True)
def allowed(monkeypatch):
    """The items say that they come from an API, and their files lie here: without permission that is refused."""
    monkeypatch.setenv(ENVIRONMENT, "file:/// https://example.com/")


def item(month, path, **properties):
    """An item for one month."""
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": f"sst-{month:02}",
        "collection": "sst",
        "geometry": {"type": "Polygon", "coordinates": [[[0, -60], [180, -60], [180, 60], [0, 60], [0, -60]]]},
        "bbox": [0, -60, 180, 60],
        "properties": {"datetime": f"2024-{month:02}-01T00:00:00Z", "updated": "2024-12-01T00:00:00Z", **properties},
        "links": [{"rel": "self", "href": f"https://api.example.com/collections/sst/items/sst-{month:02}"}],
        "assets": {
            "data": {
                "href": str(path),
                "type": "application/x-netcdf",
                "roles": ["data"],
                "file:size": os.path.getsize(path) if os.path.exists(path) else None,
            }
        },
    }


class Archive:
    """Monthly files with items, and a catalog beside them."""

    def __init__(self, root, months):
        self.root = root
        self.catalog = root / "catalog"
        self.months = []
        for month in months:
            self.add(month)

    def path(self, month):
        return self.root / "data" / f"sst_2024{month:02}.nc"

    def add(self, month):
        write_sst(self.path(month), month)
        self.months.append(month)

    def items(self, *months, **properties):
        return [item(month, self.path(month), **properties) for month in months or self.months]

    def ingest(self, **options):
        return ivz.ingest(self.items(), self.catalog, name="sst", **options)

    def direct(self, *months):
        with xr.open_mfdataset([self.path(one) for one in months or sorted(self.months)], engine="h5netcdf") as found:
            return found.load()

    def opened(self):
        return intake.open_catalog(self.catalog / "catalog.yaml").sst.to_dask()

    def document(self, name="collection.json"):
        return json.loads((self.catalog / name).read_text())

    def tree(self):
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in self.catalog.rglob("*") if path.is_file()}


@pytest.fixture
def archive(tmp_path):
    """Two months that are published, and a third that is not."""
    found = Archive(tmp_path, [2, 3])
    found.ingest()
    found.add(4)
    return found


def states(report):
    return [(one.source.item_id, one.state) for one in report.differences]


# What is new


def test_new_items_are_appended_and_read_like_the_files(archive):
    report = ivz.update(archive.items(), archive.catalog)
    assert (report.action, report.before, report.after, report.found, report.unchanged) == ("append", 40, 60, 3, 2)
    assert [one.item_id for one in report.appended] == ["sst-04"]
    assert report.references == 12
    assert report.differences == ()
    xr.testing.assert_equal(archive.opened(), archive.direct())


def test_a_search_of_the_later_items_alone_gives_the_same(archive):
    report = ivz.update(archive.items(4), archive.catalog, name="sst")
    assert (report.found, report.unchanged, report.differences) == (1, 0, ())
    xr.testing.assert_equal(archive.opened(), archive.direct())


def test_an_updated_catalog_says_what_a_new_one_would(archive):
    ivz.update(archive.items(), archive.catalog)
    ivz.ingest(archive.items(), archive.root / "anew", name="sst")
    anew = json.loads((archive.root / "anew" / "collection.json").read_text())
    updated = archive.document()
    for document in (anew, updated):
        assert document["assets"]["virtual"].pop("file:size") > 1000
    assert updated == anew
    for name in ("catalog.yaml", "items.json", "thumbnail.png"):
        assert (archive.catalog / name).read_bytes() == (archive.root / "anew" / name).read_bytes()


def test_the_documents_follow_the_store(archive):
    before = archive.document()
    ivz.update(archive.items(), archive.catalog)
    after = archive.document()
    assert before["extent"]["temporal"]["interval"] == [["2024-02-01T00:00:00Z", "2024-03-20T00:00:00Z"]]
    assert after["extent"]["temporal"]["interval"] == [["2024-02-01T00:00:00Z", "2024-04-20T00:00:00Z"]]
    assert [len([one for one in d["links"] if one["rel"] == "derived_from"]) for d in (before, after)] == [2, 3]
    asset = after["assets"]["virtual"]
    assert asset["vzarr:source_count"] == 3
    assert asset["vzarr:chunk_count"] == 36
    assert asset["vzarr:fingerprint"] != before["assets"]["virtual"]["vzarr:fingerprint"]
    size = sum(path.stat().st_size for path in (archive.catalog / "sst.vzarr").rglob("*") if path.is_file())
    assert asset["file:size"] == size
    assert after["cube:variables"]["sst"]["shape"] == [60, 6, 8]
    assert "time 60" in after["description"]
    assert pystac.validation.validate_dict(after, validator=validator())


def test_an_ingest_after_an_update_finds_nothing_to_do(archive):
    ivz.update(archive.items(), archive.catalog)
    before = archive.tree()
    assert ivz.ingest(archive.items(), archive.catalog, name="sst").written == ()
    assert archive.tree() == before


@pytest.mark.parametrize("again", ["all", "known", "none"])
def test_without_anything_new_nothing_is_written(archive, again):
    ivz.update(archive.items(), archive.catalog)
    before = archive.tree()
    items = {"all": archive.items(), "known": archive.items(3), "none": []}[again]
    report = ivz.update(items, archive.catalog)
    assert (report.action, report.written, report.differences) == ("nothing", (), ())
    assert archive.tree() == before


def test_a_dry_run_writes_nothing_and_says_what_the_update_does(archive):
    before = archive.tree()
    dry = ivz.update(archive.items(), archive.catalog, dry_run=True)
    assert archive.tree() == before
    real = ivz.update(archive.items(), archive.catalog)
    assert dry.dry_run
    assert not real.dry_run
    assert dry.written == ("sst.vzarr", "collection.json", "items.json")
    assert set(dry.written) == set(real.written)
    for name in ("action", "before", "after", "found", "unchanged", "appended", "references", "differences"):
        assert getattr(dry, name) == getattr(real, name), name


def test_updates_follow_one_another(archive):
    ivz.update(archive.items(), archive.catalog)
    for month in (5, 6, 7):
        archive.add(month)
        ivz.update(archive.items(month), archive.catalog)
    assert archive.document()["assets"]["virtual"]["vzarr:source_count"] == 6
    xr.testing.assert_equal(archive.opened(), archive.direct())


def test_several_new_items_come_in_any_order(archive):
    archive.add(5)
    report = ivz.update(archive.items(5, 4), archive.catalog)
    assert [one.item_id for one in report.appended] == ["sst-04", "sst-05"]
    xr.testing.assert_equal(archive.opened(), archive.direct())


@pytest.mark.parametrize("count", [30])
def test_the_list_of_many_items_grows_and_changes_its_format(tmp_path, count):
    pytest.importorskip("rustac")
    paths = []
    for day in range(count):
        paths.append(tmp_path / f"{day:02}.nc")
        one = sst_dataset(1, count).isel(time=[day])
        one.to_netcdf(paths[-1], engine="h5netcdf")

    def day_item(day):
        times = {"datetime": f"2024-01-{day + 1:02}T00:00:00Z", "updated": "2024-12-01T00:00:00.123456Z"}
        return {**item(1, paths[day], **times), "id": f"day-{day:02}", "links": []}

    days = [day_item(day) for day in range(count)]
    ivz.ingest(days[:18], tmp_path / "c", name="sst")
    for stop in (25, count):
        report = ivz.update(days[:stop], tmp_path / "c")
        assert (report.unchanged, report.differences) == (stop - len(report.appended), ())
        assert {path.name for path in (tmp_path / "c").iterdir()} == {
            *("preview.html", "preview.js"),
            *("sst.vzarr", "collection.json", "catalog.yaml", "thumbnail.png", "items.parquet"),
        }
    assert ivz.update(days, tmp_path / "c").action == "nothing"
    days[4]["properties"]["updated"] = "2025-01-01T00:00:00Z"
    assert states(ivz.update(days[:9], tmp_path / "c", check_files=False, dry_run=True)) == [("day-04", "changed")]
    xr.testing.assert_equal(intake.open_catalog(tmp_path / "c" / "catalog.yaml").sst.to_dask().load(), sst_dataset(1, count))


def test_files_without_items_are_told_by_their_place(tmp_path):
    archive = Archive(tmp_path, [2, 3])
    ivz.ingest([archive.path(2), archive.path(3)], archive.catalog, name="sst")
    archive.add(4)
    paths = [archive.path(month) for month in (2, 3, 4)]
    assert ivz.update(paths, archive.catalog).after == 60
    assert ivz.update(paths, archive.catalog).action == "nothing"
    xr.testing.assert_equal(archive.opened(), archive.direct())


def test_an_item_document_is_updated_as_a_collection_is(tmp_path):
    archive = Archive(tmp_path, [2, 3])
    archive.ingest(publish="item")
    archive.add(4)
    report = ivz.update(archive.items(), archive.catalog)
    assert set(report.written) == {"sst.vzarr", "sst.json", "sst-items.json"}
    assert archive.document("sst.json")["properties"]["end_datetime"] == "2024-04-20T00:00:00Z"
    xr.testing.assert_equal(archive.opened(), archive.direct())


def test_what_people_said_of_the_store_stays(tmp_path):
    archive = Archive(tmp_path, [2, 3])
    about = {
        "title": "A title",
        "description": "Two lines\n\nabout `sst` (time 40).",
        "license": "CC-BY-4.0",
        "providers": [{"name": "Example", "roles": ["producer"], "url": "https://example.com"}],
        "keywords": ["ocean"],
        "base_href": "https://example.com/catalog",
        "preview_href": "https://example.com/preview.html",
    }
    archive.ingest(**about)
    archive.add(4)
    ivz.update(archive.items(), archive.catalog)
    ivz.ingest(archive.items(), tmp_path / "anew", name="sst", **about)
    anew, updated = json.loads((tmp_path / "anew" / "collection.json").read_text()), archive.document()
    for document in (anew, updated):
        del document["assets"]["virtual"]["file:size"]
    assert updated == anew
    assert (archive.catalog / "catalog.yaml").read_bytes() == (tmp_path / "anew" / "catalog.yaml").read_bytes()


def test_what_others_added_to_the_documents_stays(archive):
    document = archive.document()
    document["assets"]["paper"] = {"href": "https://example.com/paper.pdf"}
    document["sci:doi"] = "10.1/2"
    (archive.catalog / "collection.json").write_text(json.dumps(document))
    ivz.update(archive.items(), archive.catalog)
    assert archive.document()["assets"]["paper"] == {"href": "https://example.com/paper.pdf"}
    assert archive.document()["sci:doi"] == "10.1/2"


def test_files_joined_without_a_coordinate_go_by_the_times_of_their_items(tmp_path):
    def bare(month):
        path = tmp_path / f"{month:02}.nc"
        xr.Dataset({"x": (("step", "y"), np.full((4, 3), month, "int16"))}).to_netcdf(path, engine="h5netcdf")
        return item(month, path)

    months = {month: bare(month) for month in (1, 2, 3, 4)}
    options = {"combine": "nested", "concat_dim": "step", "time_dim": "step"}
    ivz.ingest([months[1], months[3]], tmp_path / "c", name="x", **options)
    del options["time_dim"]
    refused = ivz.update([months[2]], tmp_path / "c", dry_run=True, **options)
    assert states(refused) == [("sst-02", "earlier")]
    assert ivz.update([months[4]], tmp_path / "c", **options).after == 12
    values = xr.open_dataset(tmp_path / "c" / "x.vzarr", engine="virtualzarr").x
    np.testing.assert_array_equal(values[:, 0], [1] * 4 + [3] * 4 + [4] * 4)


# What has changed


def rewrite(path, month, offset=1.0):
    """Replace a file by another of the same size in time."""
    dataset = sst_dataset(month)
    dataset["sst"] = dataset.sst + np.float32(offset)
    encoding = {name: {"zlib": True, "chunksizes": (7, 3, 8)} for name in ("sst", "ice")}
    dataset.to_netcdf(path, engine="h5netcdf", encoding=encoding, unlimited_dims=["time"])


def test_a_changed_file_is_refused_by_its_id_and_nothing_is_written(archive):
    rewrite(archive.path(3), 3)
    before = archive.tree()
    with pytest.raises(IngestError, match=r"(?s)'sst' is not updated.*sst-03: changed: .*conflicts='skip'.*conflicts='rewrite'"):
        ivz.update(archive.items(), archive.catalog)
    assert archive.tree() == before
    report = ivz.update(archive.items(), archive.catalog, dry_run=True)
    assert (report.action, states(report)) == ("refuse", [("sst-03", "changed")])
    assert archive.tree() == before


def test_a_changed_file_can_be_left_as_it_is_and_is_never_mixed_in(archive):
    rewrite(archive.path(3), 3)
    report = ivz.update(archive.items(), archive.catalog, conflicts="skip")
    assert (report.action, states(report)) == ("append", [("sst-03", "changed")])
    dataset = archive.opened()
    xr.testing.assert_equal(dataset.isel(time=slice(0, 20)), archive.direct(2))
    xr.testing.assert_equal(dataset.isel(time=slice(40, 60)), archive.direct(4))
    with pytest.raises(SourceChangedError, match="sst_202403"):
        dataset.sst.isel(time=25).load()
    assert states(ivz.update(archive.items(), archive.catalog, conflicts="skip")) == [("sst-03", "changed")]


def test_the_thumbnail_stays_where_the_file_that_it_shows_has_changed(archive):
    rewrite(archive.path(2), 2)
    before = (archive.catalog / "thumbnail.png").read_bytes()
    assert ivz.update(archive.items(), archive.catalog, conflicts="skip").after == 60
    assert (archive.catalog / "thumbnail.png").read_bytes() == before
    assert archive.document()["assets"]["thumbnail"]["href"] == "./thumbnail.png"


def test_a_changed_file_can_be_scanned_again_with_all_others(archive):
    rewrite(archive.path(3), 3)
    before = archive.tree()
    dry = ivz.update(archive.items(4, 3), archive.catalog, conflicts="rewrite", dry_run=True)
    assert archive.tree() == before
    real = ivz.update(archive.items(4, 3), archive.catalog, conflicts="rewrite")
    assert (dry.action, dry.after, dry.references) == (real.action, real.after, real.references) == ("replace", 60, 36)
    assert [one.item_id for one in real.appended] == ["sst-04"]
    xr.testing.assert_equal(archive.opened(), archive.direct())
    assert ivz.update(archive.items(), archive.catalog).action == "nothing"
    assert ivz.ingest(archive.items(), archive.catalog, name="sst").written == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"properties": {"updated": "2025-01-01T00:00:00Z"}}, "updated 2025-01-01T00:00:00Z, was 2024-12-01T00:00:00Z"),
        ({"asset": {"file:size": 12}}, "size is 12 now, was"),
        ({"asset": {"file:checksum": "1220" + "ab" * 32}}, "checksum is 1220abab"),
        ({"asset": {"href": "https://example.com/other.nc"}}, "is https://example.com/other.nc now, was"),
    ],
)
def test_what_an_item_says_of_its_file_is_compared(tmp_path, change, reason):
    archive = Archive(tmp_path, [2, 3])
    items = archive.items()
    for one in items:
        one["assets"]["data"]["file:checksum"] = "1220" + "cd" * 32
    ivz.ingest(items, archive.catalog, name="sst")
    items[1]["properties"] |= change.get("properties", {})
    items[1]["assets"]["data"] |= change.get("asset", {})
    report = ivz.update(items, archive.catalog, check_files=False, dry_run=True)
    assert states(report) == [("sst-03", "changed")]
    assert reason in report.differences[0].reason


def test_an_updated_item_whose_file_is_the_same_is_no_conflict_and_is_recorded(archive):
    items = archive.items(updated="2025-01-01T00:00:00Z")
    report = ivz.update(items[:2], archive.catalog)
    assert (report.action, states(report)) == ("publish", [("sst-02", "touched"), ("sst-03", "touched")])
    assert report.written == ("items.json", "collection.json")
    assert ivz.update(items[:2], archive.catalog).action == "nothing"


def test_a_file_that_is_touched_without_a_word_of_its_item_is_noticed(archive):
    os.utime(archive.path(2), (1, 1))
    report = ivz.update(archive.items(), archive.catalog, dry_run=True)
    assert states(report) == [("sst-02", "changed")]
    assert "modification time" in report.differences[0].reason


# What is earlier


@pytest.mark.parametrize(("month", "reason"), [(1, "the store ends at 2024-03-20"), (2, "the store holds that already")])
def test_what_does_not_come_after_the_store_is_refused(archive, month, reason):
    write_sst(archive.root / "late.nc", month)
    late = {**item(month, archive.root / "late.nc"), "id": "late"}
    before = archive.tree()
    with pytest.raises(IngestError, match=f"late: earlier: .*{reason}"):
        ivz.update([late, *archive.items(4)], archive.catalog)
    assert archive.tree() == before
    report = ivz.update([late, *archive.items(4)], archive.catalog, conflicts="skip")
    assert (report.after, states(report)) == (60, [("late", "earlier")])
    xr.testing.assert_equal(archive.opened(), archive.direct(2, 3, 4))


def test_an_earlier_item_goes_in_with_a_rewrite(archive):
    archive.add(1)
    report = ivz.update(archive.items(1), archive.catalog, conflicts="rewrite")
    assert (report.action, report.after) == ("replace", 60)
    xr.testing.assert_equal(archive.opened(), archive.direct(1, 2, 3))
    archive.ingest(overwrite=True)
    assert ivz.update(archive.items(), archive.catalog).action == "nothing"


def test_times_that_fall_go_on_downwards(tmp_path):
    for day in range(4):
        one = xr.Dataset({"x": ("depth", np.arange(3.0) + day)}, coords={"depth": -3.0 * day - np.arange(3.0)})
        one.to_netcdf(tmp_path / f"{day}.nc", engine="h5netcdf")
    paths = [tmp_path / f"{day}.nc" for day in range(4)]
    ivz.ingest(paths[:2], tmp_path / "c", name="x", combine="nested", concat_dim="depth")
    assert ivz.update(paths[:3], tmp_path / "c", combine="nested", concat_dim="depth").after == 9
    report = ivz.update(paths[3:], tmp_path / "c")
    assert (report.dim, report.after) == ("depth", 12)
    opened = xr.open_dataset(tmp_path / "c" / "x.vzarr", engine="virtualzarr")
    np.testing.assert_array_equal(opened.depth, -np.arange(12.0))


# What is gone


def listing(items):
    """As a search gives it when it is collected."""
    return {"type": "FeatureCollection", "features": items}


def test_an_item_that_a_listing_leaves_out_is_reported(archive):
    report = ivz.update(listing(archive.items(2, 4)), archive.catalog)
    assert (report.action, states(report)) == ("append", [("sst-03", "missing")])
    xr.testing.assert_equal(archive.opened(), archive.direct())


def test_a_whole_catalog_tells_what_is_missing_and_a_list_of_later_items_does_not(archive, tmp_path):
    collection = pystac.Collection.from_dict(
        {
            "type": "Collection",
            "stac_version": "1.1.0",
            "id": "sst",
            "description": "x",
            "license": "other",
            "links": [],
            "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
        }
    )
    collection.add_items(pystac.Item.from_dict(one) for one in archive.items(3, 4))
    assert states(ivz.update(collection, archive.catalog, dry_run=True)) == [("sst-02", "missing")]
    collection.normalize_and_save(str(tmp_path / "stac"), pystac.CatalogType.SELF_CONTAINED)
    path = str(tmp_path / "stac" / "collection.json")
    for items in (path, [path]):
        assert states(ivz.update(items, archive.catalog, dry_run=True)) == [("sst-02", "missing")]
    assert states(ivz.update(path, archive.catalog, dry_run=True, datetime="2024-03/..")) == []
    assert states(ivz.update(listing(archive.items(3, 4)), archive.catalog, dry_run=True)) == []
    assert states(ivz.update(archive.items(2, 4), archive.catalog, dry_run=True)) == []


def test_a_rewrite_leaves_out_what_is_missing(archive):
    rewrite(archive.path(2), 2)
    report = ivz.update(listing(archive.items(2, 4)), archive.catalog, conflicts="rewrite")
    assert states(report) == [("sst-02", "changed"), ("sst-03", "missing")]
    xr.testing.assert_equal(archive.opened(), archive.direct(2, 4))
    assert ivz.update(archive.items(2, 4), archive.catalog).action == "nothing"


def test_a_file_that_is_gone_is_reported_and_does_not_stop_the_others(archive):
    archive.path(3).unlink()
    report = ivz.update(archive.items(), archive.catalog)
    assert states(report) == [("sst-03", "unreadable")]
    assert "sst_202403.nc" in report.differences[0].reason
    assert report.after == 60


def test_a_new_file_that_cannot_be_scanned_is_refused_or_skipped(archive):
    archive.path(4).write_bytes(b"no HDF5" * 100)
    archive.add(5)
    with pytest.raises(IngestError, match="sst_202404"):
        ivz.update(archive.items(), archive.catalog)
    with pytest.warns(UserWarning, match="1 of 2 files skipped"):
        report = ivz.update(archive.items(), archive.catalog, on_error="skip")
    assert list(report.skipped) == ["sst-04"]
    assert (report.action, report.after) == ("append", 60)


# What is interrupted


class KilledError(Exception):
    """Stands for a power cut."""


@pytest.mark.parametrize("after", range(4))
def test_an_interrupted_update_is_completed_by_the_next(archive, monkeypatch, after):
    """The store is written, and ``after`` of the files beside it."""
    import intake_virtualzarr.catalog.publish as publishing
    import intake_virtualzarr.stac.publish as publish
    import intake_virtualzarr.stac.source_list as source_list
    from intake_virtualzarr.storage.atomic_write import write_if_changed

    left = [after]

    def failing(path, content):
        if left[0] == 0:
            raise KilledError(path)
        left[0] -= 1
        return write_if_changed(path, content)

    def merged(*arguments):
        if left[0] == 0:
            raise KilledError("catalog.yaml")
        return real(*arguments)

    real = publishing.catalog_text
    with monkeypatch.context() as patch:
        patch.setattr(publish, "write_if_changed", failing)
        patch.setattr(source_list, "write_if_changed", failing)
        patch.setattr(publishing, "catalog_text", merged)
        if after < 3:
            with pytest.raises(KilledError):
                ivz.update(archive.items(), archive.catalog)
        else:
            ivz.update(archive.items(), archive.catalog)
    xr.testing.assert_equal(archive.opened(), archive.direct())  # the store is whole, whatever the catalog says
    dry = ivz.update(archive.items(), archive.catalog, dry_run=True)
    report = ivz.update(archive.items(), archive.catalog)
    assert report.differences == ()
    assert (report.action, dry.action) == (("publish", "publish") if after < 3 else ("nothing", "nothing"))
    ivz.ingest(archive.items(), archive.root / "anew", name="sst")
    anew, repaired = json.loads((archive.root / "anew" / "collection.json").read_text()), archive.document()
    for document in (anew, repaired):
        del document["assets"]["virtual"]["file:size"]
    assert repaired == anew
    assert ivz.update(archive.items(), archive.catalog).action == "nothing"


def test_an_interrupted_update_is_completed_by_a_search_of_other_items(archive, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(update_done, "publish_store", lambda *_: (_ for _ in ()).throw(KilledError()))
        with pytest.raises(KilledError):
            ivz.update(archive.items(), archive.catalog)
    archive.add(5)
    assert ivz.update(archive.items(5), archive.catalog).action == "append"
    assert archive.document()["assets"]["virtual"]["vzarr:source_count"] == 4
    report = ivz.update(archive.items(), archive.catalog)  # only now is the item of the fourth file known
    assert (report.action, report.differences) == ("publish", ())
    assert [one["id"] for one in archive.document("items.json")["features"]] == ["sst-02", "sst-03", "sst-04", "sst-05"]
    xr.testing.assert_equal(archive.opened(), archive.direct())


def test_the_page_beside_a_store_is_renewed_with_it(archive):
    page = archive.catalog / "preview.html"
    page.write_text("of an earlier version")
    report = ivz.update(archive.items(), archive.catalog)
    assert "preview.html" in report.written
    assert page.read_text() != "of an earlier version"
    (preview,) = [one["href"] for one in archive.document()["links"] if one["rel"] == "preview"]
    assert preview == "./preview.html?store=sst.vzarr"


def test_a_lost_catalog_file_is_written_again(archive):
    ivz.update(archive.items(), archive.catalog)
    (archive.catalog / "catalog.yaml").unlink()
    assert ivz.update(archive.items(), archive.catalog).written == ("catalog.yaml",)
    xr.testing.assert_equal(archive.opened(), archive.direct())


# Any order


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """Items of eight files of differing length."""
    root = tmp_path_factory.mktemp("days")
    lengths = [1, 3, 2, 5, 1, 1, 4, 2]
    steps = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
    items = []
    for number, part in enumerate(steps):
        path = root / f"{number}.nc"
        encoding = {"sst": {"chunksizes": (2, 3, 8), "zlib": True}}
        sst_dataset(1, sum(lengths)).isel(time=part).to_netcdf(path, engine="h5netcdf", encoding=encoding, unlimited_dims=["time"])
        items.append({**item(1, path, datetime=f"2024-01-{part[0] + 1:02}T00:00:00Z"), "id": f"part-{number}"})
    return items


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_items_that_arrive_in_any_order_end_as_one_ingest_of_all(days, data):
    order = data.draw(st.permutations(days))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(days) - 1), max_size=4)))
    batches = [order[start:stop] for start, stop in pairwise([0, *cuts, len(days)])]
    with tempfile.TemporaryDirectory() as name:
        directory, anew = Path(name) / "c", Path(name) / "anew"
        ivz.ingest(batches[0], directory, name="sst")
        for batch in batches[1:]:
            ivz.update(batch, directory, conflicts="rewrite")
        ivz.ingest(days, anew, name="sst")
        found, expected = (xr.open_dataset(one / "sst.vzarr", engine="virtualzarr").load() for one in (directory, anew))
        xr.testing.assert_identical(found, expected)
        for one in ("items.json", "thumbnail.png", "catalog.yaml"):
            assert (directory / one).read_bytes() == (anew / one).read_bytes(), one
        documents = [json.loads((one / "collection.json").read_text()) for one in (directory, anew)]
        for document in documents:
            del document["assets"]["virtual"]["file:size"]
        assert documents[0] == documents[1]
        assert ivz.update(days, directory).action == "nothing"


# What cannot be


def test_what_does_not_fit_the_store_is_refused_even_by_a_dry_run(archive):
    one = sst_dataset(4).drop_vars("ice")
    one.to_netcdf(archive.path(4), engine="h5netcdf")
    before = archive.tree()
    for dry_run in (True, False):
        with pytest.raises(HierarchyError, match="ice would not grow with the others"):
            ivz.update(archive.items(), archive.catalog, dry_run=dry_run)
        assert archive.tree() == before


def test_another_packing_is_refused_or_taken_in_with_a_rewrite(archive):
    packed = {"dtype": "int16", "scale_factor": 0.01, "_FillValue": -1}
    sst_dataset(4).to_netcdf(archive.path(4), engine="h5netcdf", encoding={"sst": packed})
    before = archive.tree()
    for dry_run in (True, False):
        with pytest.raises((EncodingMismatchError, HierarchyError), match="sst") as caught:
            ivz.update(archive.items(), archive.catalog, dry_run=dry_run)
        assert caught.value.__notes__ == ["conflicts='rewrite' scans all files again and joins them anew"]
        assert archive.tree() == before
    report = ivz.update(archive.items(), archive.catalog, conflicts="rewrite")
    assert (report.action, report.after, report.differences) == ("rewrite", 60, ())
    xr.testing.assert_equal(archive.opened(), archive.direct())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"name": "other"}, HierarchyError, "'other' was not published there"),
        ({"append_dim": "depth"}, HierarchyError, "no dimension 'depth' to append along; there are time, lat, lon"),
        ({"conflicts": "ignore"}, VirtualZarrError, "conflicts is 'ignore'"),
        ({"overwrite": True}, TypeError, "unexpected keyword argument 'overwrite'"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(archive, options, error, message):
    with pytest.raises(error, match=message):
        ivz.update(archive.items(), archive.catalog, **options)


def test_a_directory_without_a_store_is_refused(tmp_path):
    with pytest.raises(HierarchyError, match="holds no store"):
        ivz.update([], tmp_path)


def test_of_several_stores_one_must_be_named(archive):
    shutil.copytree(archive.catalog / "sst.vzarr", archive.catalog / "two.vzarr")
    with pytest.raises(HierarchyError, match="holds 'sst', 'two'; name the one"):
        ivz.update(archive.items(), archive.catalog)


def test_a_list_of_items_that_is_gone_or_broken_is_named(archive):
    path = archive.catalog / "items.json"
    text = path.read_text()
    path.write_text("[]")
    with pytest.raises(VirtualZarrError, match=r"items\.json: is not a list of STAC items"):
        ivz.update(archive.items(), archive.catalog)
    path.unlink()
    with pytest.raises(HierarchyError, match=r"items\.json: the list of source items is not there"):
        ivz.update(archive.items(), archive.catalog)
    path.write_text(text)
    assert ivz.update(archive.items(), archive.catalog).after == 60


def test_archive_and_catalog_can_be_moved_together_and_updated(archive, tmp_path):
    moved = Path(tmp_path) / "moved"
    moved.mkdir()
    shutil.move(archive.root / "data", moved / "data")
    shutil.move(archive.catalog, moved / "catalog")
    archive.root, archive.catalog = moved, moved / "catalog"
    report = ivz.update(archive.items(), archive.catalog)
    assert (report.after, report.differences) == (60, ())
    xr.testing.assert_equal(archive.opened(), archive.direct())


def test_coordinates_that_are_kept_by_reference_need_not_be_loaded(tmp_path):
    archive = Archive(tmp_path, [2, 3])
    archive.ingest(loadable_variables=["time"])
    archive.add(4)
    assert ivz.update(archive.items(), archive.catalog, loadable_variables=["time"]).after == 60
    xr.testing.assert_equal(archive.opened(), archive.direct())
