"""Habits of prose that a machine can see."""

import ast
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "python" / "tacit"
FILES = sorted([*SOURCES.rglob("*.py"), *SOURCES.rglob("*.pyi")])
FRAGMENTS = ("Of", "What", "Whether")
"""Openings of sentences that have no subject."""


def docstrings(tree):
    """(line, text) of each string that is a statement: of modules, classes, functions and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


@pytest.mark.quick()
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_docstrings_begin_with_their_subject(path):
    found = [
        f"{path}:{line}: {text[:60]!r}"
        for line, text in docstrings(ast.parse(path.read_text()))
        if text.split(maxsplit=1)[:1] and text.split(maxsplit=1)[0] in FRAGMENTS
    ]
    assert not found, "\n".join(found)


def test_a_fragment_is_found():
    assert [text for _, text in docstrings(ast.parse('x = 1\n"""Of a thing."""'))] == ["Of a thing."]
