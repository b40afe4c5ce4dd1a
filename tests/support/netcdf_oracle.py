"""What xarray's engine ``netcdf4`` gives for every group of a file, and what ``virtualzarr`` gives, decoded.

netCDF-C dies of some damaged or odd files and runs in circles in others, so it reads in a process of its own.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.open import open_tree

MAX_BYTES = 64 * 1024 * 1024
"""Values of larger variables are not compared here (but bit for bit with h5py elsewhere)."""
SECONDS = 20
ENCODING = ("_FillValue", "missing_value", "scale_factor", "add_offset", "units", "calendar", "coordinates", "dtype", "chunksizes")
"""Parts of the encoding that say what is in the file."""

KNOWN: dict[tuple[str, str], str] = {
    ("f03tst_open_mem.nc", "var2"): "netCDF-C gives bytes of memory that nobody wrote, the file names no chunk",
    ("bad_missing_data.nc", "temp"): "netCDF-C gives bytes of memory that nobody wrote beyond the end of the variable",
    ("compounds_array_vlen1.h5", ""): "netCDF-C leaves out members of compounds of types that it lacks",
    ("h5ex_d_nbit.h5", "DS1"): "netCDF-C takes 16 significant bits for a 16-bit type; h5py shows the 32-bit type of the file",
}
"""(file, variable, or "" for the group) -> why netCDF4 is not followed."""


def known_reason(file: str, variable: str) -> str | None:
    return next((why for (end, name), why in KNOWN.items() if file.endswith(end) and variable == name), None)


@dataclass(frozen=True, eq=False)
class Seen:
    """One variable as an engine shows it."""

    dims: tuple[Any, ...]
    dtype: np.dtype[Any]
    values: Any
    """An array, or an exception."""
    attrs: dict[str, Any] = field(default_factory=dict)
    encoding: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Group:
    """One group as an engine shows it."""

    variables: dict[str, Seen]
    attrs: dict[str, Any]
    coords: frozenset[str]
    unlimited: frozenset[str]


def seen(variable: xr.Variable) -> Seen:
    values: Any = None
    dtype = variable.dtype
    if variable.nbytes <= MAX_BYTES:
        try:
            values = np.asarray(variable.values)
        except Exception as exc:
            values = RuntimeError(f"{type(exc).__name__}: {exc}")
    encoding = {name: variable.encoding[name] for name in ENCODING if variable.encoding.get(name) is not None}
    return Seen(variable.dims, dtype, values, dict(variable.attrs), encoding)


def group_of(dataset: xr.Dataset) -> Group:
    return Group(
        {str(name): seen(variable) for name, variable in dataset.variables.items()},
        dict(dataset.attrs),
        frozenset(map(str, dataset.coords)),
        frozenset(dataset.encoding.get("unlimited_dims") or ()),
    )


def open_groups(path: str | os.PathLike[str], engine: str, groups: list[str]) -> dict[str, Group | str]:
    """Each group, or why it does not open."""
    found: dict[str, Group | str] = {}
    for name in groups:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found[name] = group_of(xr.open_dataset(path, engine=engine, group=name))
        except Exception as exc:
            found[name] = f"{type(exc).__name__}: {exc}"
    return found


def in_a_child(job: Callable[[], Any]) -> Any:
    """The result of a job in a forked process, or why there is none, as text."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException), os.fdopen(there, "wb") as pipe:
            pipe.write(pickle.dumps(job()))
        os._exit(0)
    os.close(there)
    data = bytearray()
    until = time.monotonic() + SECONDS
    with os.fdopen(here, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
            part = pipe.read(1 << 20)
            if not part:
                break
            data += part
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"no end after {SECONDS} s"
    _, status = os.waitpid(child, 0)
    return pickle.loads(bytes(data)) if data else f"the process died (status {status})"


# ---------------------------------------------------------------- comparing


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal, NaN to NaN, text to text."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or (a.dtype.kind in "SUO") != (b.dtype.kind in "SUO"):
        return False
    if a.dtype.names is not None or b.dtype.names is not None:
        return a.dtype.names == b.dtype.names and all(same(a[name], b[name]) for name in a.dtype.names or ())
    if a.dtype.kind in "fc" or b.dtype.kind in "fc":
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc" and b.dtype.kind in "fc"))
    if a.dtype.kind in "mM":
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return bool(a.tolist() == b.tolist())


def _native(dtype: Any) -> Any:
    try:
        return np.dtype(dtype).newbyteorder("=")
    except TypeError:
        return dtype


def _is_text(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "UO"


def difference(ours: Seen, theirs: Seen) -> str | None:
    """The first thing in which two variables differ."""
    if ours.dims != theirs.dims:
        return f"dimensions {ours.dims} instead of {theirs.dims}"
    if _native(ours.dtype) != _native(theirs.dtype) and not (_is_text(ours.dtype) and _is_text(theirs.dtype)):
        return f"type {ours.dtype} instead of {theirs.dtype}"
    found = mapping_difference("attribute", ours.attrs, theirs.attrs)
    if found is not None:
        return found
    for name in ENCODING:
        a, b = ours.encoding.get(name), theirs.encoding.get(name)
        if name == "dtype":
            text = (str, np.dtype(object))
            if _native(a) != _native(b) and not ((a in text or _native(a).kind in "UO") and (b in text or _native(b).kind in "UO")):
                return f"encoding {name} {a!r} instead of {b!r}"
        elif name == "chunksizes":
            if a is not None and b is not None and a != b:
                return f"encoding {name} {a!r} instead of {b!r}"
        elif (a is None) != (b is None) or not same(a, b):
            return f"encoding {name} {a!r} instead of {b!r}"
    if isinstance(ours.values, Exception):
        return f"values: {ours.values}"
    if ours.values is not None and not same(ours.values, theirs.values):
        return "values differ"
    return None


def mapping_difference(what: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    for name in [*ours, *theirs]:
        if name not in theirs:
            return f"{what} {name!r} is {ours[name]!r} here, absent there"
        if name not in ours:
            return f"{what} {name!r} is {theirs[name]!r} there, absent here"
        a, b = np.asarray(ours[name]), np.asarray(theirs[name])
        if not same(a, b) or (a.dtype.kind not in "SUO" and _native(a.dtype) != _native(b.dtype)):
            return f"{what} {name!r} is {ours[name]!r} instead of {theirs[name]!r}"
    return None


# ---------------------------------------------------------------- what differs on purpose

type Rule = Callable[[Seen, Seen], tuple[Seen, Seen]]


def _phony(ours: Seen, theirs: Seen) -> tuple[Seen, Seen]:
    def plain(dims: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple("phony" if str(dim).startswith("phony_dim_") else dim for dim in dims)

    return replace(ours, dims=plain(ours.dims)), replace(theirs, dims=plain(theirs.dims))


def _flags(ours: Seen, theirs: Seen) -> tuple[Seen, Seen]:
    if "flag_meanings" in theirs.attrs:
        return ours, theirs
    attrs = {name: value for name, value in ours.attrs.items() if name not in ("flag_values", "flag_meanings")}
    return replace(ours, attrs=attrs), theirs


def _text_values(ours: Seen, theirs: Seen) -> tuple[Seen, Seen]:
    if ours.dtype.kind != "S" or not _is_text(theirs.dtype) or isinstance(theirs.values, Exception):
        return ours, theirs
    encodings = [{name: value for name, value in s.encoding.items() if name != "dtype"} for s in (ours, theirs)]
    texts = [
        np.array([_stripped(v) for v in np.asarray(s.values).reshape(-1).tolist()], object).reshape(np.shape(s.values))
        for s in (ours, theirs)
    ]
    return (
        replace(ours, dtype=np.dtype(object), values=texts[0], encoding=encodings[0]),
        replace(theirs, dtype=np.dtype(object), values=texts[1], encoding=encodings[1]),
    )


def _stripped(value: Any) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).partition("\0")[0].rstrip()


def _compounds(ours: Seen, theirs: Seen) -> tuple[Seen, Seen]:
    def packed(one: Seen) -> Seen:
        if one.dtype.names is None or not isinstance(one.values, np.ndarray):
            return one
        values = _packed(one.values)
        return replace(one, dtype=values.dtype, values=values, encoding={**one.encoding, "dtype": values.dtype})

    return packed(ours), packed(theirs)


def _packed(values: Any) -> Any:
    """A compound without padding and without strings, of which netCDF-C keeps one character."""
    if values.dtype.names is None:
        return values.astype(values.dtype.newbyteorder("="))
    parts = {name: _packed(values[name]) for name in values.dtype.names if values[name].dtype.kind != "S"}
    out = np.empty(values.shape, [(name, part.dtype, part.shape[values.ndim :]) for name, part in parts.items()])
    for name, part in parts.items():
        out[name] = part
    return out


def _booleans(ours: Seen, theirs: Seen) -> tuple[Seen, Seen]:
    if ours.dtype != np.dtype(bool) or theirs.dtype != np.dtype("i1"):
        return ours, theirs
    values = np.asarray(ours.values).astype("i1")
    return replace(ours, dtype=values.dtype, values=values, encoding={**ours.encoding, "dtype": values.dtype}), theirs


def _complex(ours: Seen, theirs: Seen) -> tuple[Seen, Seen]:
    if ours.dtype.kind != "c" or theirs.dtype.names != ("r", "i"):
        return ours, theirs
    values = theirs.values["r"] + 1j * theirs.values["i"]
    attrs = {n: complex(v["r"], v["i"]) if np.asarray(v).dtype.names == ("r", "i") else v for n, v in theirs.attrs.items()}
    attrs = {n: np.dtype(ours.dtype).type(v) if isinstance(v, complex) else v for n, v in attrs.items()}
    values = values.astype(ours.dtype)
    return ours, replace(theirs, dtype=ours.dtype, values=values, attrs=attrs, encoding={**theirs.encoding, "dtype": ours.dtype})


def _attributes(ours: Seen, theirs: Seen) -> tuple[Seen, Seen]:
    a, b = dict(ours.attrs), dict(theirs.attrs)
    for name in list(a):
        kind = np.asarray(a[name])
        if name not in b and (kind.dtype.kind in "bc" or kind.dtype.names is not None):
            del a[name]  # netCDF-C has no such type
        elif name in b and "\ufffd" in str(b[name]):
            del a[name], b[name]  # text that is not UTF-8, which is Latin-1 here
        elif name in b and kind.dtype.kind == "U" and np.asarray(b[name]).dtype.kind == "U":
            a[name], b[name] = (np.char.rstrip(np.asarray(one), " \0").tolist() for one in (a[name], b[name]))
        elif name in b and kind.dtype.names is not None and np.asarray(b[name]).dtype.names == kind.dtype.names:
            a[name], b[name] = _packed(kind), _packed(np.asarray(b[name]))
    return replace(ours, attrs=a), replace(theirs, attrs=b)


RULES: dict[str, Rule] = {
    "dimensions without a name are numbered as h5netcdf numbers them": _phony,
    "names of an enumeration are CF flags": _flags,
    "fixed-length text stays bytes, as in h5py": _text_values,
    "compounds come without padding, and with whole strings": _compounds,
    "booleans stay booleans, as in h5py": _booleans,
    "complex numbers are complex": _complex,
    "attributes: padding of text, text that is not UTF-8, types that netCDF-C lacks": _attributes,
}
"""Differences on purpose (docs/reference/hdf5.md tells why), each with what undoes it."""


def _next_step(ours: Seen, theirs: Seen, found: str, used: list[str]) -> tuple[str, Seen, Seen, str | None] | None:
    for name, rule in RULES.items():
        if name not in used:
            changed = rule(ours, theirs)
            after = difference(*changed)
            if after != found:
                return name, *changed, after
    return None


def explained(ours: Seen, theirs: Seen) -> tuple[str | None, tuple[str, ...]]:
    """What differs after all rules (None if nothing does), and the rules that were needed."""
    found = difference(ours, theirs)
    used: list[str] = []
    while found is not None:
        step = _next_step(ours, theirs, found, used)
        if step is None:
            break
        name, ours, theirs, found = step
        used.append(name)
    return found, tuple(used)


# ---------------------------------------------------------------- one file


def compare(path: str | os.PathLike[str]) -> list[tuple[str, str, str]]:
    """Compare every group: (group, outcome, detail).

    Outcomes: ``identical``, ``on purpose`` (with the rules needed), ``refused`` (variables of ours with their reasons),
    ``netCDF-C fails``, ``both refuse``, ``differs``, ``ours fails``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = open_tree(path)
        groups = list(tree.groups)[:100]
    except VirtualZarrError as exc:
        theirs = in_a_child(lambda: open_groups(path, "netcdf4", ["/"]))
        opened = isinstance(theirs, dict) and isinstance(theirs["/"], Group)
        return [("/", "ours fails" if opened else "both refuse", f"{exc}")]
    theirs = in_a_child(lambda: open_groups(path, "netcdf4", groups))
    if isinstance(theirs, str):
        return [("/", "netCDF-C fails", theirs)]
    ours = open_groups(path, "virtualzarr", groups)
    name = os.path.basename(path)
    return [(group, *compare_group(name, group, ours[group], theirs[group], tree.left_out)) for group in groups]


def compare_group(file: str, path: str, ours: Group | str, theirs: Group | str, left_out: Mapping[str, str]) -> tuple[str, str]:
    if isinstance(theirs, str):
        return "netCDF-C fails", theirs
    if isinstance(ours, str):
        return "ours fails", ours
    refused: list[str] = []
    notes: set[str] = set()
    for name, there in theirs.variables.items():
        here = ours.variables.get(name)
        if here is None:
            reason = left_out.get(f"{path.rstrip('/')}/{name}")
            if reason is None:
                return "differs", f"{name}: is missing here"
            refused.append(reason)
        elif isinstance(there.values, Exception):
            notes.add("netCDF-C or xarray cannot read the values")
        else:
            found, used = explained(here, there)
            notes.update(used)
            known = known_reason(file, name)
            if found is not None and known is not None:
                notes.add(known)
            elif found is not None:
                return "differs", f"{name}: {found}"
    found = _frame_difference(ours, theirs, notes)
    known = known_reason(file, "")
    if found is not None and known is not None:
        notes.add(known)
    elif found is not None:
        return "differs", found
    if set(ours.variables) - set(theirs.variables):
        notes.add("netCDF-C leaves out variables of types that it lacks")
    if refused:
        return "refused", "; ".join(refused)
    return ("on purpose", "; ".join(sorted(notes))) if notes else ("identical", "")


def _frame_difference(ours: Group, theirs: Group, notes: set[str]) -> str | None:
    empty = np.zeros(())
    frames = [Seen((), empty.dtype, empty, group.attrs) for group in (ours, theirs)]
    found, used = explained(*frames)
    notes.update(used)
    if found is not None:
        return f"group: {found}"
    common = [name for name in theirs.variables if name in ours.variables]
    if common != [name for name in ours.variables if name in theirs.variables]:
        return f"order of variables {list(ours.variables)} instead of {list(theirs.variables)}"
    if {c for c in ours.coords if c in common} != {c for c in theirs.coords if c in common}:
        return f"coordinates {sorted(ours.coords)} instead of {sorted(theirs.coords)}"
    a, b = ({n for n in group.unlimited if not n.startswith("phony_dim_")} for group in (ours, theirs))
    return None if a == b else f"unlimited dimensions {sorted(a)} instead of {sorted(b)}"
