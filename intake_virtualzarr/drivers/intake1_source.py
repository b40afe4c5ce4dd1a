"""Intake 1: the driver ``virtualzarr``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from intake.source.base import DataSource, Schema

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr._version import __version__
from intake_virtualzarr.arrays.repr_html import table_html
from intake_virtualzarr.catalog.intake_yaml import literal
from intake_virtualzarr.drivers.intake2_readers import VirtualZarrData, VirtualZarrReader
from intake_virtualzarr.drivers.open_entry import Location, given
from intake_virtualzarr.drivers.storage_options import access_rules, public_options
from intake_virtualzarr.drivers.template_values import plain_url
from intake_virtualzarr.errors import CatalogError
from intake_virtualzarr.storage.options import Access, StorageOptions
from intake_virtualzarr.storage.places import is_network
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.url_secrets import redact
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["VirtualZarrSource"]


class VirtualZarrSource(DataSource):  # type: ignore[misc]
    """A virtual store, an archive file, kerchunk references or an Icechunk repository, as an xarray dataset.

    Parameters
    ----------
    urlpath : path or URL
        What to open.
    metadata : mapping, optional
        Further information, for catalogs.
    variables : str or list of str, optional
        Data variables to keep; coordinates stay.
    time : str, list or mapping, optional
        Times to keep; the dimension stays: ``"2024"``, ``"2024-01"`` or a date (all of that span), ``"2024-01/2024-03"``
        (an interval, ends included, ``..`` for an open one), or as a value of ``sel``.
    sel : mapping, optional
        Labels by dimension: one label (the dimension goes), a list of labels, or ``{"start": …, "stop": …, "step": …}``,
        whose ends are included whichever way the coordinate runs.
    isel : mapping, optional
        Positions by dimension, after ``sel``; in the same forms.
    group : str, optional
        Path of the group in the store.
    chunks : int, mapping or "auto", optional
        dask chunks, as for `xarray.open_dataset`; default: those that suit the files.
    drop_variables : str or list of str, optional
        Variables to drop unread.
    mask_and_scale, decode_times : bool, optional
        As for `xarray.open_dataset`.
    format : str, optional
        Name of the format; default: detected automatically.
    on_unsupported : {"skip", "raise"}, optional
        What to do about variables that cannot be stored by reference; default: ``"skip"``.
    storage_options : mapping, optional
        Options for opening, by URL prefix; without prefixes, those of the place of the store, under fsspec's names.
    allow : str or list of str, optional
        URL prefixes and paths that a store from a network may name, beside its own place.

    Raises
    ------
    ArgumentError
        For an argument that is not known, with the nearest known one; nothing is opened yet.

    Examples
    --------
    >>> import intake
    >>> catalog = intake.open_catalog("catalog.yaml")  # doctest: +SKIP
    >>> catalog.sst(time="2024-01", variables=["sst"]).to_dask()  # doctest: +SKIP
    """

    name = "virtualzarr"
    container = "xarray"
    version = __version__
    partition_access = False

    _ipython_display_: ClassVar[None] = None
    """Notebooks show `_repr_html_` instead."""

    def __init__(
        self,
        urlpath: Location,
        metadata: JsonObject | None = None,
        *,
        variables: str | Iterable[str] | None = None,
        time: Any = None,
        sel: Attrs | None = None,
        isel: Attrs | None = None,
        group: str | None = None,
        chunks: Any = None,
        drop_variables: str | Iterable[str] | None = None,
        mask_and_scale: bool | None = None,
        decode_times: bool | None = None,
        format: str | None = None,
        on_unsupported: str | None = None,
        storage_options: StorageOptions = None,
        allow: Allow = None,
        **unknown: Any,
    ) -> None:
        arguments = given(
            unknown,
            variables=variables,
            time=time,
            sel=sel,
            isel=isel,
            group=group,
            chunks=chunks,
            drop_variables=drop_variables,
            mask_and_scale=mask_and_scale,
            decode_times=decode_times,
            format=format,
            on_unsupported=on_unsupported,
            storage_options=storage_options,
            allow=allow,
        )
        super().__init__(storage_options=storage_options, metadata=metadata)
        self.metadata: JsonObject = dict(metadata or {})  # a copy: what is found out is added to it
        self.urlpath = urlpath
        self.reader = VirtualZarrReader(VirtualZarrData(urlpath), **arguments)

    def to_dask(self) -> Any:
        """Open lazily, as dask arrays.

        Returns
        -------
        xarray.Dataset
            Opened anew by each call, so that what was appended meanwhile is there.
        """
        self._check_parameters()
        return self._asking_reader().to_dask()

    def read(self) -> Any:
        """Read everything into memory.

        Returns
        -------
        xarray.Dataset
        """
        self._check_parameters()
        return self._asking_reader().read().load()

    def _asking_reader(self) -> VirtualZarrReader:
        """The reader, told which catalog names the store: one from a network may not permit itself anything."""
        where = _catalog_url(self)
        if where is None or not is_network(where):
            return self.reader
        arguments = dict(self.reader.kwargs)
        allow = arguments.pop("allow", None)
        access = Access.of(
            access_rules(arguments.get("storage_options"), self.plain_urlpath),
            allow=allow if "allow" in getattr(self, "_passed_kwargs", ()) else None,
        )
        return VirtualZarrReader(VirtualZarrData(self.urlpath), **{**arguments, "storage_options": access.asked_by(where)})

    def discover(self) -> JsonObject:
        """Sizes, types and attributes, as they are now."""
        self._schema = None
        found: JsonObject = super().discover()
        return found

    def read_chunked(self) -> Any:
        """Open lazily, as `to_dask`."""
        return self.to_dask()

    @property
    def plain_urlpath(self) -> str:
        """What is opened, without the doubled slashes of catalog templates."""
        return plain_url(str(self.urlpath))

    def describe(self) -> JsonObject:
        """What the catalog says of the entry, or, without a catalog, what the source says of itself."""
        if self._entry is not None:
            described: JsonObject = self._entry.describe()
            return described
        return {
            "name": self.name,
            "container": self.container,
            "driver": ["virtualzarr"],
            "description": self.description or "",
            "metadata": self.metadata,
            "args": self._arguments(),
        }

    def _arguments(self) -> JsonObject:
        args: JsonObject = super()._yaml()["sources"][self.name]["args"]
        return _public(args)

    def _yaml(self) -> JsonObject:
        """Write the source as a catalog of one entry. Its values are not templates, and do not become any when it is read."""
        document: JsonObject = super()._yaml()
        for source in document["sources"].values():
            source["args"], source["metadata"] = literal(_public(source["args"])), literal(source["metadata"])
        return document

    def _get_schema(self) -> Schema:
        dataset = self.to_dask()
        variables = dataset.data_vars
        return Schema(
            dtype={str(name): str(one.dtype) for name, one in variables.items()},
            shape={str(name): tuple(one.shape) for name, one in variables.items()},
            npartitions=1,
            extra_metadata={
                "dims": dict(dataset.sizes),
                "data_vars": {str(name): [str(dim) for dim in one.dims] for name, one in variables.items()},
                "coords": tuple(map(str, dataset.coords)),
                **dataset.attrs,
            },
        )

    def _get_partition(self, i: int) -> Any:
        return self.read()

    def _close(self) -> None:
        self._schema = None

    def _check_parameters(self) -> None:
        """Refuse an entry whose declared parameters go nowhere: Intake drops them, and their values, without a word."""
        unused = _unused_parameters(self._entry, getattr(self, "_passed_kwargs", ()))
        if unused:
            raise CatalogError(
                f"catalog entry {self.name!r} declares the parameter {unused!r}, but none of its arguments uses it, so its "
                f'value would be dropped; write e.g. {unused}: "{{{{ {unused} }}}}" under args, or leave the declaration out'
            )

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        state["name"], state["description"] = self.name, self.description
        return state

    def __setstate__(self, state: JsonObject) -> None:
        state = {**state, "args": tuple(state["args"])}  # a list, and the source would not equal its original
        name, description = state.pop("name", self.name), state.pop("description", None)
        super().__setstate__(state)
        self.name, self.description = name, description

    def _repr_html_(self) -> str:
        args = self._arguments()
        rows = {"description": self.description or "", **args, **{f"metadata: {k}": v for k, v in self.metadata.items()}}
        return table_html(f"{self.name} (virtualzarr)", rows)


def _public(args: JsonObject) -> JsonObject:
    """Arguments as they may be shown, and written to a catalog: secrets stay out of both."""
    found = {name: one for name, one in args.items() if name not in ("storage_options", "urlpath")}
    if "urlpath" in args:
        url = args["urlpath"]
        found["urlpath"] = redact(url, mark="") if isinstance(url, str) else url
    options = public_options(args.get("storage_options"))
    return {**found, "storage_options": options} if options else found


def _catalog_url(source: Any) -> str | None:
    """Where the catalog that names a source was read; None if it is in no catalog, or in one that was made here."""
    catalog = getattr(source, "cat", None) or getattr(getattr(source, "_entry", None), "_catalog", None)
    path = getattr(catalog, "path", None) or getattr(catalog, "urlpath", None)
    path = path[0] if isinstance(path, list | tuple) and path else path
    return absolute_url(path) if isinstance(path, str) else None


def _unused_parameters(entry: Any, passed: Any) -> str | None:
    """Name a parameter that the entry declares (or that was passed) and no argument takes."""
    if entry is None or not hasattr(entry, "_open_args"):
        return None
    from jinja2 import Environment, meta

    declared = {one.name for one in entry._captured_init_kwargs.get("parameters", ())}
    declared |= {one.name for one in entry._user_parameters if one.name in passed}
    used = set(entry._open_args) | meta.find_undeclared_variables(Environment().parse(_texts(entry._open_args)))
    return min(declared - used, default=None)


def _texts(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(_texts(one) for one in value.values())
    if isinstance(value, list | tuple):
        return "\n".join(_texts(one) for one in value)
    return value if isinstance(value, str) else ""
