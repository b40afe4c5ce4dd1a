"""Arguments that nobody knows: an error that tells the nearest known one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from intake_virtualzarr.errors import ArgumentError

__all__ = ["refuse_unknown"]


def refuse_unknown(given: Iterable[str], known: Iterable[str], what: str, otherwise: str = "") -> None:
    """Refuse arguments that are not known.

    Parameters
    ----------
    given, known : iterable of str
        Names of arguments.
    what : str
        Who was called, e.g. ``"driver 'virtualzarr'"``.
    otherwise : str
        What to say instead where no known name is near; ``{name}`` stands for the name that was given.

    Raises
    ------
    ArgumentError
        Names the first that is not known, the nearest known one, and all that are known.

    Examples
    --------
    >>> refuse_unknown(["grup"], ["group", "format"], "engine 'x'")
    Traceback (most recent call last):
    intake_virtualzarr.errors.ArgumentError: engine 'x' has no argument 'grup'; did you mean 'group'? Known are group, format
    """
    names = tuple(known)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]!r}? Known are" if near else f"{otherwise.format(name=name)}known are"
            raise ArgumentError(f"{what} has no argument {name!r}; {hint} {', '.join(names)}")
