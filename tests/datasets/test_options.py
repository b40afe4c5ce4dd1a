"""Options as values: the public functions spell them out, with the defaults of the values."""

import inspect
from dataclasses import fields
from typing import Any

import pytest

import intake_virtualzarr as ivz
from intake_virtualzarr.datasets.accessor import VirtualZarrAccessor, VirtualZarrTreeAccessor
from intake_virtualzarr.datasets.join_options import CUBE, JoinOptions
from intake_virtualzarr.datasets.open_options import OpenOptions
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.stac.find_sources import find_sources
from intake_virtualzarr.stac.select_options import SelectOptions

OPENING = OpenOptions()
SELECT = SelectOptions()
VALUES: dict[Any, tuple[Any, ...]] = {
    ivz.open_virtual_dataset: (OPENING,),
    ivz.open_virtual_datatree: (OPENING,),
    ivz.open_virtual_mfdataset: (OPENING, JoinOptions()),
    ivz.virtualize: (OPENING, CUBE, SELECT),
    ivz.ingest: (OPENING, CUBE, SELECT),
    ivz.update: (OPENING, CUBE, SELECT),
    find_sources: (SELECT,),
}
WHOLE = (ivz.open_virtual_mfdataset, ivz.virtualize, ivz.ingest, ivz.update)


@pytest.mark.parametrize("function", VALUES, ids=lambda one: one.__name__)
def test_defaults_of_signatures_are_those_of_the_values(function):
    given = inspect.signature(function).parameters
    for value in VALUES[function]:
        for field in fields(value):
            if field.name == "duplicates" and value is CUBE:  # follows from that of the search
                continue
            if field.name in given and field.name != "drop_variables":  # none is an empty set
                assert given[field.name].default == getattr(value, field.name), field.name


@pytest.mark.parametrize("function", WHOLE, ids=lambda one: one.__name__)
def test_every_option_can_be_given(function):
    given = {*inspect.signature(function).parameters, "access", "policy", "decode_times"}  # access, policy: storage_options, allow
    for value in VALUES[function]:
        assert {field.name for field in fields(value)} <= given


@pytest.mark.parametrize(
    "function",
    [
        *VALUES,
        ivz.scan,
        ivz.open_virtual_store,
        *(one for kind in (VirtualZarrAccessor, VirtualZarrTreeAccessor) for one in vars(kind).values() if callable(one)),
    ],
    ids=lambda one: one.__qualname__,
)
def test_keywords_are_spelled_out_and_described(function):
    parameters = inspect.signature(function).parameters
    assert not [name for name, one in parameters.items() if one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]
    doc = inspect.getdoc(function) or ""
    if not function.__name__.startswith("_"):
        assert [name for name in parameters if name not in doc and name != "self"] == []


@pytest.mark.parametrize(("name", "expected"), [("on_error", "'raise' or 'skip'"), ("on_unsupported", "'skip' or 'raise'")])
def test_a_choice_that_is_unknown_is_refused_before_anything_is_opened(name, expected):
    with pytest.raises(VirtualZarrError, match=f"{name} is 'ignore', expected {expected}"):
        ivz.virtualize(["no-such-file.nc"], **{name: "ignore"})


def test_one_name_is_not_a_set_of_letters(tmp_path):
    assert OpenOptions(drop_variables=frozenset({"sst"})).drop_variables == {"sst"}
