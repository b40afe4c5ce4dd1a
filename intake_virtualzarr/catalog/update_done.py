"""What an update does to a published store: append, put in place, make anew, or bring its documents up to date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.catalog.compact import COMPACT_AFTER, compact, most_segments
from intake_virtualzarr.catalog.cube import Cube, by_item, join_sources, open_sources
from intake_virtualzarr.catalog.ingest import write_and_publish
from intake_virtualzarr.catalog.patch import patched
from intake_virtualzarr.catalog.publish import Contents, fingerprint, publish_store
from intake_virtualzarr.catalog.update_plan import Plan, Scan, UpdateReport
from intake_virtualzarr.datasets.open import open_virtual_dataset
from intake_virtualzarr.datasets.to_zarr import write_dataset
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.open import open_tree
from intake_virtualzarr.stac.order import order_sources
from intake_virtualzarr.stac.source_item import SourceItem
from intake_virtualzarr.storage.readers import Access, open_reader
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["append_new", "publish_alone", "replace_files", "rewrite_all"]


def append_new(plan: Plan, cube: Cube) -> UpdateReport:
    published, dim = plan.published, str(plan.dim)
    fields: JsonObject = {
        "after": published.length(dim) + int(cube.dataset.sizes[dim]),
        "appended": cube.items,
        "references": cube.dataset.vzarr.n_references,
    }
    if plan.dry_run:
        with_items = any(one.item_id is not None for one in cube.items)
        names = published.document_names(with_items=with_items)
        return plan.report("append", written=(f"{published.name}.vzarr", *names), **fields)
    write_dataset(cube.dataset, published.url, append_dim=dim, storage_options=plan.reading)
    if most_segments(open_tree(published.url, storage_options=plan.reading)) > COMPACT_AFTER:
        compact(published.url, storage_options=plan.reading)
    files = {**published.files, **{one.url: one for one in cube.sources}}
    dims = tuple(dict.fromkeys((*published.concat_dims, dim)))
    written = _publish(plan, _contents(plan, cube.items, files, dims))
    return plan.report("append", written=(f"{published.name}.vzarr", *written), **fields)


def publish_alone(plan: Plan) -> UpdateReport:
    """Bring the catalog up to date with the store: an update was interrupted, or items say more than before."""
    published = plan.published
    behind = published.documents_are_stale([found for found, _ in plan.pairs])
    if not behind and not any(one.state == "touched" for one in plan.differences):
        return plan.report("nothing")
    if plan.dry_run:
        with_items = any(found.item_id is not None for found, _ in plan.pairs)
        return plan.report("publish", written=published.document_names(with_items=with_items))
    dims = published.concat_dims or ((plan.dim,) if plan.dim is not None and len(published.files) > 1 else None)
    contents = _contents(plan, (), published.files, dims)
    written = _publish(plan, contents if behind else replace(contents, software=published.software))
    return plan.report("publish" if written else "nothing", written=tuple(written))


def _publish(plan: Plan, contents: Contents) -> list[str]:
    published = plan.published
    return publish_store(published.target, published.name, published.kind, contents, published.given, plan.reading)


def _contents(plan: Plan, added: Sequence[SourceItem], files: Mapping[str, Source], dims: tuple[str, ...] | None) -> Contents:
    """What the store holds now. Sources that changed stay recorded as they were."""
    published, access = plan.published, plan.reading
    as_recorded = {id(one.source) for one in plan.differences if one.state in ("changed", "unreadable")}
    latest = {id(known): found for found, known in plan.pairs if id(found) not in as_recorded}
    items = order_sources([*(latest.get(id(one), one) for one in published.known), *added], "first", key=lambda one: one.href)
    sources = tuple(files.get(url) or _described(url, access) for url in (absolute_url(one.href) for one in items))
    references = open_virtual_dataset(published.url, storage_options=access).vzarr.n_references
    return Contents(items, sources, references, published.target.size(published.name), dims)


def _described(url: str, access: Access) -> Source:
    """A file that the store has no reference to: its values are fill, or kept in the store."""
    reader = open_reader(url, access)
    try:
        return reader.describe()
    except VirtualZarrError:
        return Source(url)
    finally:
        reader.close()


def replace_files(plan: Plan, scan: Scan, fuse: bool) -> UpdateReport | None:
    """Put late and changed files in their places, without scanning the others; ``None`` if that cannot be done."""
    published, dim = plan.published, str(plan.dim)
    changed = [one.source for one in plan.differences if one.state == "changed"]
    again, skipped = open_sources(changed, scan.options.opening, scan.time_dim, scan.modifier) if changed else ([], {})
    arriving = [*again, *plan.opened]
    if skipped or any(len(files) > 1 for files in by_item(arriving)):
        return None
    now = {one.file.url: one.file for one in again}
    lost = [absolute_url(one.source.href) for one in plan.differences if one.state in ("changed", "missing")]
    if any(
        url in published.objects for url in lost
    ):  # what was recorded of a Zarr store are its objects, and others may be there now
        return None
    gone = {url: now.get(url) for url in lost}
    dataset = patched(published.dataset, [one.dataset for one in arriving], gone, dim, scan.options.joining)
    if dataset is None:
        return None
    items = _items_now(plan)
    files = {**published.files, **{one.file.url: one.file for one in arriving}}
    sources = tuple(files.get(url) or _described(url, plan.reading) for url in (absolute_url(one.href) for one in items))
    return _written(plan, Cube(dataset, items, sources, plan.skipped), "replace", fuse)


def _items_now(plan: Plan) -> tuple[SourceItem, ...]:
    """What the store holds when all that was found is in it, and all that is missing is not."""
    left_out = {id(one.source) for one in plan.differences if one.state == "missing"} | {id(known) for _, known in plan.pairs}
    kept = [one for one in plan.published.known if id(one) not in left_out]
    return tuple(order_sources([*kept, *plan.found], "first", key=lambda one: one.href))


def rewrite_all(plan: Plan, scan: Scan, fuse: bool) -> UpdateReport:
    """Scan what is known and what was found, and replace the store."""
    opened, skipped = open_sources(_items_now(plan), scan.options.opening, scan.time_dim, scan.modifier)
    cube = join_sources(opened, scan.options.joining, scan.time_dim)
    return _written(replace(plan, skipped=skipped), cube, "rewrite", fuse)


def _written(plan: Plan, cube: Cube, action: Literal["replace", "rewrite"], fuse: bool) -> UpdateReport:
    """Replace the store and what describes it."""
    published = plan.published
    fields: JsonObject = {
        "after": int(cube.dataset.sizes.get(plan.dim, 0)),
        "appended": tuple(one for one in cube.items if absolute_url(one.href) not in published.files),
        "references": cube.dataset.vzarr.n_references,
    }
    if plan.dry_run:
        with_items = any(one.item_id is not None for one in cube.items)
        names = published.document_names(with_items=with_items)
        return plan.report(action, written=(f"{published.name}.vzarr", *names), **fields)
    written, _ = write_and_publish(
        cube,
        published.target,
        published.name,
        published.kind,
        published.given,
        plan.reading,
        overwrite=True,
        fuse=fuse,
        digest=fingerprint(cube.sources),
        base=published.root,
    )
    return plan.report(action, written=tuple(written), **fields)
