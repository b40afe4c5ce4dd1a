"""Templates of kerchunk's version 1: ``{{name}}``, ``{{name(key='text')}}`` and whole-number arithmetic.

kerchunk renders them with Jinja2. What references need is far less, and no text of a document should be able to run.
"""

from __future__ import annotations

import ast
import operator
import re
from typing import Any

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.storage.limits import MAX_TEMPLATE_TEXT

__all__ = ["render"]

FIELD = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
DEPTH = 8
"""Templates may use templates; deeper than this they go in circles."""


MAX_FIELD = 1024
"""Characters of one field: sums and calls, no programs."""
MAX_FIELDS = 1024
"""Fields that one text may come to through templates of templates."""


class _Room:
    """What is left of the fields and characters that one text may become."""

    def __init__(self) -> None:
        self.fields = MAX_FIELDS

    def take(self, text: str) -> str:
        self.fields -= 1
        if self.fields < 0 or len(text) > MAX_TEMPLATE_TEXT:
            raise UnsupportedError(
                f"a template comes to more than {MAX_FIELDS} fields or {MAX_TEMPLATE_TEXT} characters; it is damaged or a bomb"
            )
        return text


def render(text: str, values: Attrs) -> str:
    """Fill the fields of a template.

    Parameters
    ----------
    text : str
        With fields between double braces.
    values : mapping
        Templates (text) and dimensions (int) by name.

    Raises
    ------
    UnsupportedError
        If a field is more than a name, a call of a template, or sums and products of whole numbers; or names nothing.

    Examples
    --------
    >>> render("{{u}}/{{f(c='a')}}_{{i * 2 + 1}}.nc", {"u": "s3://bucket", "f": "{{c}}x", "i": 3})
    's3://bucket/ax_7.nc'
    """
    return _render(text, values, DEPTH, _Room())


def _render(text: str, values: Attrs, depth: int, room: _Room) -> str:
    if "{%" in text:
        raise UnsupportedError(f"template {text[:200]!r} holds statements; only fields are read here")
    return room.take(FIELD.sub(lambda match: _text(_value(match.group(1), values, depth, room), room), room.take(text)))


def _text(value: Any, room: _Room) -> str:
    try:
        return room.take(str(value))
    except ValueError as exc:  # a number of thousands of digits
        raise UnsupportedError(f"a template gives a number that is too long: {exc}") from exc


def _value(expression: str, values: Attrs, depth: int, room: _Room) -> Any:
    if len(expression) > MAX_FIELD:
        raise UnsupportedError(
            f"template field {expression[:80]!r}… has {len(expression)} characters; at most {MAX_FIELD} are read"
        )
    if depth == 0:
        raise UnsupportedError(f"template {expression!r} uses templates that use it")
    try:
        node = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
        raise UnsupportedError(f"template field {expression!r} cannot be read") from exc
    return _evaluate(node, expression, values, depth, room)


def _evaluate(node: ast.expr, expression: str, values: Attrs, depth: int, room: _Room) -> Any:
    if isinstance(node, ast.Name):
        if node.id not in values:
            raise UnsupportedError(f"template field {expression!r} names {node.id!r}; known are {', '.join(values) or 'none'}")
        found = values[node.id]
        return _render(found, values, depth - 1, room) if isinstance(found, str) else found
    if isinstance(node, ast.Constant) and type(node.value) in (int, str):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = (_evaluate(side, expression, values, depth, room) for side in (node.left, node.right))
        if type(left) is int and type(right) is int and not (right == 0 and isinstance(node.op, ast.FloorDiv | ast.Mod)):
            return OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args and node.func.id in values:
        arguments = {str(one.arg): _evaluate(one.value, expression, values, depth, room) for one in node.keywords}
        return _render(str(values[node.func.id]), {**values, **arguments}, depth - 1, room)
    raise UnsupportedError(f"template field {expression!r} is more than names, calls of templates and whole-number arithmetic")
