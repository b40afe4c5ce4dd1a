"""Types: how often an annotation of the package says nothing, and that public results say what they are."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import intake_virtualzarr as ivz
from intake_virtualzarr.datasets.accessor import VirtualZarrAccessor, VirtualZarrTreeAccessor

ROOT = Path(ivz.__file__).parent
MOST = 0.1
"""Share of annotations in which ``Any`` may stand."""


def annotations(tree: ast.AST) -> Iterator[ast.expr]:
    """Annotations of parameters, results and variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None:
            yield node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            yield node.returns
        elif isinstance(node, ast.AnnAssign):
            yield node.annotation


def names(annotation: ast.expr | str) -> set[str]:
    """Names in an annotation, that of ``typing.Any`` being ``Any``."""
    tree = ast.parse(annotation) if isinstance(annotation, str) else annotation
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return attributes | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_any_stands_in_few_annotations():
    total: Counter[str] = Counter()
    vague: Counter[str] = Counter()
    for path in ROOT.rglob("*.py"):
        where = path.relative_to(ROOT).as_posix()
        found = [names(one) for one in annotations(ast.parse(path.read_text(encoding="utf-8")))]
        total[where], vague[where] = len(found), sum("Any" in one for one in found)
    share = vague.total() / total.total()
    print(f"Any stands in {vague.total()} of {total.total()} annotations ({share:.1%}); most in {vague.most_common(5)}")
    assert share < MOST


PUBLIC = [getattr(ivz, name) for name in ivz.__all__ if name != "__version__"]
PUBLIC_CLASSES = [one for one in PUBLIC if inspect.isclass(one)] + [type(ivz.config), VirtualZarrAccessor, VirtualZarrTreeAccessor]
PUBLIC_FUNCTIONS = [one for one in PUBLIC if inspect.isfunction(one)]


def results(one: type) -> Iterator[tuple[str, str]]:
    """Names and types of the public members of a class: fields, properties and what methods return."""
    for name, annotation in inspect.get_annotations(one).items():
        if not name.startswith("_"):
            yield name, str(annotation)
    for name, member in vars(one).items():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if inspect.isfunction(function) and (not name.startswith("_") or name == "__getitem__"):
            yield name, str(function.__annotations__["return"])


@pytest.mark.parametrize("one", PUBLIC_CLASSES, ids=lambda one: one.__name__)
def test_members_of_public_classes_say_what_they_are(one):
    assert [f"{name}: {annotation}" for name, annotation in results(one) if "Any" in names(annotation)] == []


@pytest.mark.parametrize("function", PUBLIC_FUNCTIONS, ids=lambda one: one.__name__)
def test_public_functions_say_what_they_take_and_return(function):
    parameters = inspect.signature(function).parameters
    assert set(function.__annotations__) == {*parameters, "return"}
    assert "Any" not in names(function.__annotations__["return"])
