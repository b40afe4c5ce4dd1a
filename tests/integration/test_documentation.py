"""What is written for readers runs: doctests, the code of pages, the examples."""

import ast
import doctest
import importlib
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import intake_virtualzarr
import stac_ext

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))
ANY_BLOCK = re.compile(r"^```(python|bash) *([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python *([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for page in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*/*.md")))
    if page.parent.name != "design" and any("no-run" not in flags for flags, _ in BLOCK.findall(page.read_text(encoding="utf-8")))
]
WRITTEN = sorted(
    path
    for pattern in ("*.md", "*/*.md", "docs/**/*.md", "examples/*/*.md", "js/test/**/*.md")
    for path in REPOSITORY.glob(pattern)
    if "node_modules" not in path.parts
)
PUBLIC = {"intake_virtualzarr": intake_virtualzarr, "stac_ext": stac_ext}
TEST_FILE = re.compile(r"\b(?:js/)?tests?/[\w./-]+\.(?:py|js)\b")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def modules_with_doctests():
    for package in (intake_virtualzarr, stac_ext):
        root = Path(package.__file__).parent
        for path in sorted(root.rglob("*.py")):
            if any(">>> " in line and "+SKIP" not in line for line in path.read_text(encoding="utf-8").splitlines()):
                parts = path.relative_to(root.parent).with_suffix("").parts
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("name", list(modules_with_doctests()))
def test_doctests_hold(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


def shell_lines(code):
    """The commands of a block that need neither another machine nor somebody to end them."""
    for line in code.splitlines():
        if line.startswith("intake-virtualzarr ") and not re.search(r"https://|s3://|intake-virtualzarr (serve|demo)", line):
            yield line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_runs_and_runs_again(page, tmp_path, monkeypatch, capsys):
    """Python and shell commands as they are pasted, in their order, twice in one folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    blocks = [found for found in ANY_BLOCK.findall(page.read_text(encoding="utf-8")) if "no-run" not in found[1]]
    for _ in range(2):
        names = {"__name__": page.stem}
        for language, _, code in blocks:
            if language == "python":
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    exec(compile(code, page.name, "exec"), names)
                continue
            for line in shell_lines(code):
                done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=120)
                assert done.returncode == 0, f"{line}: {done.stderr}"
    assert capsys.readouterr().out


def own_names(code):
    """Names of our packages that a program imports, with the module that each is taken from."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name.split(".")[0] in PUBLIC)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PUBLIC:
            yield from ((node.module, alias.name) for alias in node.names)


def programs():
    for path in EXAMPLES:
        yield pytest.param(path.read_text(encoding="utf-8"), id=path.name)
    for path in WRITTEN:
        code = "\n".join(block for _, block in BLOCK.findall(path.read_text(encoding="utf-8")))
        if code:
            yield pytest.param(code, id=str(path.relative_to(REPOSITORY)))


@pytest.mark.parametrize("code", list(programs()))
def test_what_readers_copy_uses_public_names_only(code):
    for module, name in own_names(code):
        assert module in PUBLIC, f"{module} is not public"
        assert name is None or name in PUBLIC[module].__all__, f"{module}.{name} is not public"
    tree = ast.parse(code)
    aliases = {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_"), f"{node.attr} is private"
            if isinstance(node.value, ast.Name) and node.value.id == "ivz" and "ivz" in aliases:
                assert node.attr in intake_virtualzarr.__all__, f"ivz.{node.attr} is not public"


def test_the_example_of_the_readme_is_short():
    first = BLOCK.search(PAGES[0].read_text(encoding="utf-8")).group(2)
    assert len([line for line in first.splitlines() if line.strip()]) <= 15


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example, tmp_path):
    run = subprocess.run([sys.executable, "-W", "error", example], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("page", WRITTEN, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_between_pages_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", WRITTEN, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_tests_that_a_page_names_are_there(page):
    for name in TEST_FILE.findall(page.read_text(encoding="utf-8")):
        assert any((folder / name).exists() for folder in (REPOSITORY, page.parent)), f"{page.name} names {name}"


def test_the_page_of_errors_names_each():
    page = (REPOSITORY / "docs/reference/errors.md").read_text(encoding="utf-8")
    for name in intake_virtualzarr.errors.__all__:
        assert not name[0].isupper() or f"`{name}`" in page, f"{name} is not explained"
