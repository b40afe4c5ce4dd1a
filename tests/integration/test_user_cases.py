"""Every input that a user brought has a test of its kind; the page of the documentation says which."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "user-cases.md"
CASES = Path(os.environ.get("IVZ_SHARED", ROOT.parent / "shared")) / "cases" / "user_cases.py"
ROWS = {
    cells[1].strip().strip("`"): re.findall(r"`(tests/[\w/.]+)` `(test_\w+)`", cells[3])
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| `") and (cells := line.split("|"))
}


def functions(path: Path) -> dict[str, ast.FunctionDef]:
    found = ast.parse(path.read_text(encoding="utf-8")).body
    return {node.name: node for node in found if isinstance(node, ast.FunctionDef)}


@pytest.mark.skipif(not CASES.exists(), reason="the cases are not here")
def test_the_page_lists_every_case():
    cases = [name for name, node in functions(CASES).items() if any(ast.unparse(d) == "case" for d in node.decorator_list)]
    assert sorted(ROWS) == sorted(cases)


@pytest.mark.parametrize("case", ROWS)
def test_a_case_has_a_test_of_its_kind(case):
    assert ROWS[case]
    for file, name in ROWS[case]:
        assert name in functions(ROOT / file)
