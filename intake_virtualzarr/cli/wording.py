"""Messages of the library in the words of the command line: flags for keywords."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping

__all__ = ["flags_of", "in_flags"]

KEYWORDS = {
    "append_dim": "dim",
    "concat_dim": "dim",
    "drop_variables": "drop",
    "mode": "overwrite",
}
"""Keywords of the library whose flags are called otherwise."""

KEYWORD = re.compile(r"\b([a-z_]+)=(True|None|…|\[[^\]]*\]|'[^']*'|\"[^\"]*\"|[\w.-]+)")

FUNCTIONS = {"update()": "the command update", "ingest()": "the command ingest"}


def flags_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """The flag of each option of a command, by the name of its value."""
    return {
        action.dest: next((one for one in action.option_strings if one.startswith("--")), action.option_strings[0])
        for action in parser._actions
        if action.option_strings
    }


def in_flags(text: str, flags: Mapping[str, str]) -> str:
    """A message with keywords of the library replaced by the flags of a command, where it has them.

    Examples
    --------
    >>> flags = {"overwrite": "--overwrite", "on_error": "--on-error"}
    >>> in_flags("overwrite=True replaces it; on_error='skip' leaves them out", flags)
    '--overwrite replaces it; --on-error skip leaves them out'
    >>> in_flags("join='exact' refuses it", {})
    "join='exact' refuses it"
    """

    def flag(match: re.Match[str]) -> str:
        name, value = match.groups()
        found = flags.get(name) or flags.get(KEYWORDS.get(name, ""))
        if found is None:
            return match.group(0)
        plain = value.strip("'\"[]")
        return found if value == "True" or found == "--overwrite" else f"{found} {plain.strip(chr(39))}"

    text = KEYWORD.sub(flag, text)
    for python, words in FUNCTIONS.items():
        text = text.replace(python, words)
    return text
