"""What the functions that begin with a search are told: which files, how they are opened, and how they are joined."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.datasets.join_options import FILE_POLICIES, JoinOptions
from intake_virtualzarr.datasets.open_options import OpenOptions, name_set, names_or_none
from intake_virtualzarr.stac.select_options import SelectOptions
from intake_virtualzarr.storage.options import Access

__all__ = ["SearchOptions"]


@dataclass(frozen=True, eq=False)
class SearchOptions:
    """The options of `virtualize`, `ingest` and `update`, which spell them out in their signatures."""

    select: SelectOptions
    """Which files are taken."""
    opening: OpenOptions
    """How each is opened."""
    joining: JoinOptions
    """How they are joined."""

    @classmethod
    def of(cls, given: Attrs) -> Self:
        """The options among the arguments of a function, by name: those of the fields of the three values, and of `Access.of`."""
        access = Access.of(given["storage_options"], allow=given["allow"], keep_query=given["keep_query"])
        duplicates = given["duplicates"]
        return cls(
            SelectOptions(**_named(SelectOptions, given, policy=access.policy, keep_query=access.keep_query)),
            OpenOptions(
                **_named(
                    OpenOptions,
                    given,
                    access=access,
                    loadable_variables=names_or_none(given["loadable_variables"]),
                    drop_variables=name_set(given["drop_variables"]),
                )
            ),
            JoinOptions(**_named(JoinOptions, given, duplicates=FILE_POLICIES.get(duplicates, "raise"))),
        )


def _named(kind: type[SelectOptions | OpenOptions | JoinOptions], given: Attrs, **changed: Any) -> JsonObject:
    """The arguments that are fields of a value; some in another form."""
    return {**{field.name: given[field.name] for field in fields(kind) if field.name in given}, **changed}
