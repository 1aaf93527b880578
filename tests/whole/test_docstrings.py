"""Docstrings in numpy's format: every parameter is documented with its type, and every return."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "rbridge_mi"

Definition = ast.FunctionDef | ast.ClassDef


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def public_definitions(path: Path) -> Iterator[Definition]:
    """Functions, classes and methods whose names do not begin with an underscore."""
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        for node in ast.iter_child_nodes(pending.pop()):
            if isinstance(node, Definition) and not node.name.startswith("_"):
                yield node
                if isinstance(node, ast.ClassDef):
                    pending.append(node)


def sections(docstring: str) -> dict[str, list[str]]:
    """The lines of each section of a docstring, by its title."""
    lines = inspect.cleandoc(docstring).splitlines()
    titles = [i - 1 for i, x in enumerate(lines) if re.fullmatch("-{3,}", x) and lines[i - 1]]
    return {lines[i]: lines[i + 2 : end] for i, end in pairwise([*titles, len(lines)])}


def entries(lines: list[str]) -> list[str]:
    """The lines that are not indented: each begins an entry of its section."""
    return [x for x in lines if x and not x.startswith(" ")]


def mistakes(node: Definition) -> list[str]:
    docstring = ast.get_docstring(node)
    parts = sections(docstring or "")
    problems = [
        f"{node.name}: {x!r} has no type"
        for title in ("Parameters", "Attributes")
        for x in entries(parts.get(title, []))
        if not re.fullmatch(r".+ : \S.*", x)
    ]
    if "Returns" in parts:
        first, second = (*parts["Returns"], "")[:2]
        if first.endswith(".") or not second.startswith(" "):
            problems.append(f"{node.name}: Returns begins with {first!r}, not with a type")
    if isinstance(node, ast.FunctionDef) and "Parameters" in parts:
        listed = [
            name.lstrip("*")
            for x in entries(parts["Parameters"])
            for name in x.split(" : ")[0].split(", ")
        ]
        arguments = node.args
        positional = [*arguments.posonlyargs, *arguments.args, arguments.vararg]
        every = [*positional, *arguments.kwonlyargs, arguments.kwarg]
        names = [x.arg for x in every if x is not None and x.arg not in ("self", "cls")]
        if listed != names:
            problems.append(f"{node.name}: documents {listed}, but takes {names}")
    return problems


@pytest.mark.parametrize("path", files(), ids=lambda x: str(x.relative_to(PACKAGE)))
def test_parameters_and_returns_have_types(path: Path) -> None:
    assert [x for node in public_definitions(path) for x in mistakes(node)] == []


def test_mistakes_are_noticed() -> None:
    source = (
        "def f(a, b):\n"
        '    """Do.\n\n    Parameters\n    ----------\n    a : int\n        One.\n    c\n'
        "        Another.\n\n    Returns\n    -------\n    What it makes.\n"
        '    """\n'
    )
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    no_type, returns, names = mistakes(node)
    assert "'c' has no type" in no_type
    assert "not with a type" in returns
    assert "documents ['a', 'c'], but takes ['a', 'b']" in names
