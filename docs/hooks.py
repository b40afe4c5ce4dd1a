"""What the pages do not hold themselves: the first page from the README, the command line from its parser, links out of `docs/`."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).parents[1]
LINK = re.compile(r"\]\(((?!https?:|#|mailto:)[^)\s]+)\)")
COPIED = {
    "index.md": "README.md",
    "reference/stac-extension-specification.md": "stac_ext/README.md",
    "reference/javascript.md": "js/README.md",
    "changelog.md": "CHANGELOG.md",
}
"""Pages of the site that are written for another place, too."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    for page, origin in COPIED.items():
        files.append(File.generated(config, page, content=(REPOSITORY / origin).read_text(encoding="utf-8")))
    files.append(File.generated(config, "reference/command-line.md", content=command_line()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links as the repository has them into links of the site."""
    here = page.file.src_uri
    origin = REPOSITORY / COPIED.get(here, f"docs/{here}")
    markdown = re.sub(r"^```(\w+) no-run$", r"```\1", markdown, flags=re.MULTILINE)  # a word for the tests
    return LINK.sub(lambda match: f"]({_target(match[1], here, origin, config)})", markdown)


def _target(link: str, here: str, origin: Path, config: MkDocsConfig) -> str:
    path, _, anchor = link.partition("#")
    wanted = (origin.parent / path).resolve()
    if not wanted.is_relative_to(REPOSITORY):
        return link
    place = wanted.relative_to(REPOSITORY).as_posix()
    pages = {written: page for page, written in COPIED.items()}
    page = pages.get(place) or (place.removeprefix("docs/") if place.startswith("docs/") and place.endswith(".md") else None)
    if page is None:
        return f"{str(config.repo_url).rstrip('/')}/blob/main/{place}"
    return os.path.relpath(page, Path(here).parent).replace(os.sep, "/") + (f"#{anchor}" if anchor else "")


def command_line() -> str:
    """A page of all commands, as their parsers know them."""
    from intake_virtualzarr.cli.main import command_parsers

    os.environ["COLUMNS"] = "100"
    parser, commands = command_parsers()
    parts = ["# Command line", "", _first_words(parser), "", _help(parser)]
    for name, command in commands.items():
        parts += ["", f"## {name}", "", _help(command)]
    return "\n".join(parts) + "\n"


def _first_words(parser: argparse.ArgumentParser) -> str:
    return f"{parser.description} This page is made from the parser of the command; `{parser.prog} COMMAND --help` shows the same."


def _help(parser: argparse.ArgumentParser) -> str:
    return f"```text\n{parser.format_help().rstrip()}\n```"
