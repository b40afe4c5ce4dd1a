"""kerchunk references as a directory of Parquet files, in the layout of `fsspec.implementations.reference.LazyReferenceMapper`."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from intake_virtualzarr._typing import JsonObject, Shape
from intake_virtualzarr.errors import HierarchyError, MissingExtraError

__all__ = ["write_parquet"]

RECORD_SIZE = 100_000
"""References in a file, kerchunk's own number; fewer if no array has as many chunks (files are written at full length)."""
DOCUMENTS = (".zarray", ".zattrs", ".zgroup")


def write_parquet(target: Path, refs: Mapping[str, Any]) -> None:
    """Write references beside their final place and move them there.

    Parameters
    ----------
    target : pathlib.Path
        The directory.
    refs : mapping
        References as in JSON: documents as text, ``"base64:…"``, or ``[url, offset, length]``.

    Raises
    ------
    HierarchyError
        If there is something that is not such a directory.
    MissingExtraError
        If nothing is installed that writes Parquet.
    """
    if target.exists() and not (target / ".zmetadata").is_file():
        raise HierarchyError(f"{target}: is there and holds no Parquet references; choose another place")
    write = _engine(target)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        _write(temporary, refs, write)
        if target.exists():
            shutil.rmtree(target)
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _engine(target: Path) -> Callable[[str, Any], None]:
    """What writes a table; pandas' own function warns of one of the two."""
    try:
        import fastparquet
    except ImportError:
        pass
    else:
        how: JsonObject = {"object_encoding": {"raw": "bytes", "path": "utf8"}, "has_nulls": ["path", "raw"], "stats": False}
        return lambda path, table: fastparquet.write(path, table, compression="zstd", write_index=False, **how)
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as exc:
        raise MissingExtraError(
            f"{target}: Parquet references need fastparquet or pyarrow: pip install intake-virtualzarr[kerchunk]"
        ) from exc
    return lambda path, table: parquet.write_table(pyarrow.Table.from_pandas(table, preserve_index=False), path)


def _write(folder: Path, refs: Mapping[str, Any], write: Callable[[str, Any], None]) -> None:
    documents = {key: json.loads(refs[key]) for key in refs if key.endswith(DOCUMENTS)}
    grids = {key.removesuffix("/.zarray"): _grid(one) for key, one in documents.items() if key.endswith("/.zarray")}
    chunks: dict[str, dict[int, Any]] = {path: {} for path in grids}
    for key in refs.keys() - documents.keys():
        path, _, name = key.rpartition("/")
        coords = tuple(map(int, name.split("."))) if grids[path] else ()
        chunks[path][int(np.ravel_multi_index(coords, grids[path])) if coords else 0] = refs[key]
    size = max(1, min(RECORD_SIZE, max(map(prod, grids.values()), default=1)))
    folder.mkdir(parents=True)
    for path, grid in grids.items():
        (folder / path).mkdir(parents=True, exist_ok=True)
        # a file even if none of its chunks is stored: the mapper of fsspec opens it
        for number, first in enumerate(range(0, prod(grid), size)):
            rows = [chunks[path].get(position) for position in range(first, first + size)]
            write(str(folder / path / f"refs.{number}.parq"), _table(rows))
    (folder / ".zmetadata").write_text(json.dumps({"metadata": documents, "record_size": size}))


def _table(rows: Sequence[Any]) -> Any:
    import pandas as pd

    places = [row if isinstance(row, list) else (None, 0, 0) for row in rows]
    raw = [base64.b64decode(row.removeprefix("base64:")) if isinstance(row, str) else None for row in rows]
    return pd.DataFrame(
        {
            "path": pd.Series([place[0] for place in places], dtype=object),
            "offset": np.array([place[1] for place in places], np.int64),
            "size": np.array([place[2] for place in places], np.int64),
            "raw": pd.Series(raw, dtype=object),
        }
    )


def _grid(array: Mapping[str, Any]) -> Shape:
    return tuple(-(-n // c) for n, c in zip(array["shape"], array["chunks"], strict=True))
