"""``completion``: what a shell needs to complete commands and options."""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from types import ModuleType

from intake_virtualzarr.cli.arguments import Subparsers
from intake_virtualzarr.errors import MissingExtraError

__all__ = ["add_parser", "complete", "run"]

SHELLS = ("bash", "zsh", "fish")


def add_parser(subparsers: Subparsers) -> None:
    """Say what the command takes."""
    parser = subparsers.add_parser("completion", help="print what lets a shell complete commands and options")
    parser.add_argument("shell", choices=SHELLS, help="which shell; put the output where it looks for completions, or eval it")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the code for a shell."""
    print(_argcomplete().shellcode(["intake-virtualzarr"], shell=options.shell), end="")
    return 0


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions; it says so in the environment. Does not come back then."""
    if "_ARGCOMPLETE" in os.environ:
        _argcomplete().autocomplete(parser)


def _argcomplete() -> ModuleType:
    try:
        return import_module("argcomplete")
    except ImportError as exc:
        raise MissingExtraError("completion needs argcomplete: pip install 'intake-virtualzarr[completion]'") from exc
