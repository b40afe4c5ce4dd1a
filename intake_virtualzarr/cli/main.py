"""The command line: ``intake-virtualzarr <command>``.

Exit codes: 0 fine, 1 a problem was found, 2 wrong usage, 130 interrupted. Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module

from intake_virtualzarr._version import __version__
from intake_virtualzarr.cli.completion import complete
from intake_virtualzarr.cli.examples import add_examples
from intake_virtualzarr.cli.wording import flags_of, in_flags
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.storage.url_secrets import redact

__all__ = ["command_parsers", "main"]

COMMANDS = (
    *(
        "scan",
        "search",
        "ingest",
        "update",
        "append",
        "compact",
        "describe",
        "check",
        "validate",
        "clean",
        "export",
        "serve",
        "demo",
    ),
    "completion",
)
"""In the order of the help text; each is a module of this package."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        Exit code.
    """
    parser = _parser()
    complete(parser)
    options = parser.parse_args(arguments)
    flags = flags_of(_command_parser(parser, options.command))
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _show_warning
        try:
            code: int = options.run(options)
            sys.stdout.flush()
            return code
        except VirtualZarrError as exc:
            _complain(exc, str(exc), flags, debug=options.debug)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as exc:  # of a disk, a socket: the system says what and where
            _complain(exc, _system_text(exc), flags, debug=options.debug)
            return 1
        except Exception as exc:
            text = f"{type(exc).__name__}: {exc} (not expected: please report it with what intake-virtualzarr --debug shows)"
            _complain(exc, text, flags, debug=options.debug)
            return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="intake-virtualzarr",
        description="Read archives of netCDF4/HDF5 files as Zarr, without copying them.",
        epilog="Exit codes: 0 fine, 1 a problem was found, 2 wrong usage, 130 interrupted. Results go to stdout.",
    )
    parser.add_argument("--version", action="version", version=f"intake-virtualzarr {__version__}")
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        import_module(f"intake_virtualzarr.cli.{name}").add_parser(subparsers)
        add_examples(subparsers.choices[name], name)
    return parser


def command_parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser of the command line, and those of its commands by name, in the order of the help text."""
    parser = _parser()
    return parser, {name: _command_parser(parser, name) for name in COMMANDS}


def _command_parser(parser: argparse.ArgumentParser, command: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    (commands,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    found: argparse.ArgumentParser = commands.choices[command]
    return found


def _system_text(exc: OSError) -> str:
    where = " -> ".join(str(one) for one in (exc.filename, exc.filename2) if one is not None)
    return f"{where}: {exc.strerror}" if where and exc.strerror else f"{type(exc).__name__}: {exc}"


def _complain(exc: Exception, text: str, flags: Mapping[str, str], *, debug: bool) -> None:
    if debug:
        import traceback

        print(redact("".join(traceback.format_exception(exc))), end="", file=sys.stderr)
        return
    notes = "".join(f" ({note})" for note in getattr(exc, "__notes__", ()))
    print(f"error: {redact(in_flags(text + notes, flags))}", file=sys.stderr)


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    if issubclass(category, UserWarning):
        print(f"warning: {redact(message)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
