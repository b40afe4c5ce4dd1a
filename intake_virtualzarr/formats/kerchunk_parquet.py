"""kerchunk references in Parquet: ``.zmetadata``, and for each array files of ``record_size`` rows, in C order of the chunks.

Source: `fsspec.implementations.reference.LazyReferenceMapper`, which writes and reads this layout.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.arrays.deferred_manifest import DeferredReferences, DeferredSources, Part
from intake_virtualzarr.arrays.whole_file_manifest import WHOLE, WholeFiles
from intake_virtualzarr.errors import FormatError, MissingExtraError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.kerchunk_table import inline_source
from intake_virtualzarr.formats.kerchunk_urls import source_url
from intake_virtualzarr.formats.zarr_references import scanned_references
from intake_virtualzarr.hierarchy.array_metadata import ArrayMetadata
from intake_virtualzarr.storage.key_value import Keys
from intake_virtualzarr.storage.limits import MAX_TILES
from intake_virtualzarr.storage.parsing import parse_json
from intake_virtualzarr.storage.places import is_network
from intake_virtualzarr.storage.readers import ReaderPool
from intake_virtualzarr.storage.source import Source

__all__ = ["scanned_parquet"]


def scanned_parquet(keys: Keys, document: Any) -> ScannedFile:
    """The scan of a directory of references; files of rows are read when an array is touched.

    Parameters
    ----------
    keys : Keys
        The directory.
    document : object
        Its ``.zmetadata``, parsed.

    Raises
    ------
    FormatError
        If ``.zmetadata`` is not that of references.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("metadata"), Mapping):
        raise FormatError(f"{keys.url}/.zmetadata: has no 'metadata'")
    size = document.get("record_size")
    if type(size) is not int or size < 1:
        raise FormatError(f"{keys.url}/.zmetadata: record_size is {size!r}, expected a number of rows")
    where = f"{keys.url}/.zmetadata"
    if size > MAX_TILES:
        raise FormatError(f"{where}: record_size is {size}; at most {MAX_TILES} rows are read at once")
    documents = {
        key: parse_json(one, f"{where}: {key}") if isinstance(one, str) else one for key, one in document["metadata"].items()
    }

    readers = ReaderPool(keys.access.asked_by(keys.url))

    def references(path: str, metadata: ArrayMetadata) -> tuple[DeferredSources, WholeFiles]:
        shape = metadata.grid.grid_shape
        deferred = DeferredReferences(shape, size, RowFiles(keys, path, size, prod(shape)))
        return deferred.sources, WholeFiles(deferred, deferred.sources, readers)

    return scanned_references(Source(keys.url), "kerchunk", documents, references)


@dataclass(frozen=True)
class RowFiles:
    """The files of rows of one array."""

    keys: Keys
    """The directory."""
    path: str
    """Path of the array."""
    size: int
    """Rows in a file."""
    count: int
    """Chunks of the array."""

    def __call__(self, number: int) -> Part:
        """Read one file. An absent one means that none of its chunks is stored."""
        rows = min(self.size, self.count - number * self.size)
        key = f"{self.path}/refs.{number}.parq"
        raw = self.keys.get(key)
        if raw is None:
            return Part((), np.zeros(rows, np.int64), np.zeros(rows, np.uint64), np.zeros(rows, np.uint32))
        table = _table(raw, f"{self.keys.url}/{key}", self.size)
        if len(table) < rows:
            raise FormatError(f"{self.keys.url}/{key}: has {len(table)} rows, expected {rows}")
        return self._part(table.iloc[:rows], f"{self.keys.url}/{key}")

    def _part(self, table: Any, label: str) -> Part:
        import pandas as pd

        here = len(table)
        row, names = pd.factorize(table["path"]) if "path" in table else (np.full(here, -1), ())
        offset, length = (_numbers(table, name, label) for name in ("offset", "size"))
        access = self.keys.access.asked_by(self.keys.url)
        urls = [source_url(_text(name), self.keys.url) for name in names]
        access.check(*urls)
        sources = [access.source(url) for url in urls]
        row, length = row.astype(np.int64), length.copy()
        length[(row >= 0) & (length == 0)] = WHOLE
        length[row < 0] = 0
        row[row < 0] = 0
        contents = table["raw"].to_numpy(dtype=object) if "raw" in table else np.full(here, None, object)
        for position in np.flatnonzero(~pd.isna(contents)).tolist():
            content = _content(contents[position], f"{label}: row {position}")
            row[position], offset[position], length[position] = len(sources), 0, len(content)
            sources.append(inline_source(f"{label}#{position}", content))
        return Part(sources, row, offset.astype(np.uint64), length.astype(np.uint32))


def _table(raw: bytes, label: str, most_rows: int) -> Any:
    """The rows of a file, by pyarrow, or of a local one by fastparquet, where damaged bytes can end the process.

    Raises
    ------
    FormatError
        If it is damaged, or longer than expected.
    MissingExtraError
        If neither is installed, or fastparquet alone for a file of a network.
    """
    open_table = _engine(label)
    try:
        rows, read = open_table(io.BytesIO(raw))
        if rows > most_rows:
            raise FormatError(f"{label}: has {rows} rows, expected at most {most_rows}")
        table = read()
        texts = [name for name in ("path", "raw") if name in table]
        return table.astype(dict.fromkeys(texts, object))  # pandas decodes text when it is touched, and damaged text must fail here
    except FormatError:
        raise
    except Exception as exc:  # both have errors of many kinds
        raise FormatError(f"{label}: is not a Parquet file, or damaged: {exc}") from exc


type _OpenTable = Callable[[io.BytesIO], tuple[int, Callable[[], Any]]]
"""Gives the number of rows, and what reads them."""


def _engine(label: str) -> _OpenTable:
    with suppress(ImportError):
        from pyarrow import parquet

        def by_pyarrow(raw: io.BytesIO) -> tuple[int, Callable[[], Any]]:
            file = parquet.ParquetFile(raw)
            return int(file.metadata.num_rows), lambda: file.read().to_pandas()

        return by_pyarrow
    if not is_network(label):
        with suppress(ImportError):
            from fastparquet import ParquetFile

            def by_fastparquet(raw: io.BytesIO) -> tuple[int, Callable[[], Any]]:
                file = ParquetFile(raw)
                return int(file.count()), file.to_pandas

            return by_fastparquet
        raise MissingExtraError(f"{label}: Parquet references need fastparquet: pip install 'intake-virtualzarr[kerchunk]'")
    raise MissingExtraError(
        f"{label}: Parquet references of a network are read by pyarrow only, as damaged ones can end a process otherwise: "
        "pip install pyarrow"
    )


def _numbers(table: Any, name: str, label: str) -> npt.NDArray[np.int64]:
    if name not in table:
        return np.zeros(len(table), np.int64)
    values: AnyArray = table[name].to_numpy()
    if values.dtype.kind not in "iu" or (values.size and not 0 <= int(values.min()) <= int(values.max()) < 2**63):
        raise FormatError(f"{label}: column {name!r} holds {values.dtype} values that are not sizes")
    if name == "size" and values.size and int(values.max()) >= WHOLE:
        raise FormatError(f"{label}: a chunk of {int(values.max())} bytes is longer than {WHOLE - 1}")
    return values.astype(np.int64)


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _content(value: Any, label: str) -> bytes:
    if not isinstance(value, str | bytes):
        raise FormatError(f"{label}: 'raw' is {value!r}, expected bytes")
    raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    if not raw.startswith(b"base64:"):
        return raw
    try:
        return base64.b64decode(raw[7:], validate=True)
    except ValueError as exc:
        raise FormatError(f"{label}: is not base64: {exc}") from exc
