"""Python without one of tacit's checks: `TACIT_WITHOUT=protocols.spdz.protocol.Spdz.check pytest -p tests.attacks.mutant ...`

A check is a statement that raises `CheatingDetected`, or hands it to who does; its name is the module's, the function's, and its
number in that function if there are several. Without it, the statement does nothing: what follows goes on as if all were well.
"""

import ast
import functools
import importlib.abc
import importlib.machinery
import os
import sys
from pathlib import Path

VARIABLE = "TACIT_WITHOUT"
ERRORS = {"CheatingDetected", "CheckFailed", "Equivocation"}
ROOT = Path(__file__).parents[2] / "python" / "tacit"


def of_a_check(node):
    """Return whether the call makes such an error, or ends a session with one that was caught."""
    if not isinstance(node, ast.Call):
        return False
    return getattr(node.func, "id", "") in ERRORS or getattr(node.func, "attr", "") == "cheated"


class Checks(ast.NodeTransformer):
    """The checks of a module, by name; takes out the one that is called `without`."""

    def __init__(self, module, without=None):
        self.found, self._without = [], without
        self._inside, self._counts = [module], {}

    def _named(self, node):
        self._inside.append(node.name)
        self.generic_visit(node)
        self._inside.pop()
        return node

    visit_ClassDef = visit_FunctionDef = _named

    def _statement(self, node):
        if not any(of_a_check(n) for n in ast.walk(node)):
            return node
        place = ".".join(self._inside)
        self._counts[place] = count = self._counts.get(place, 0) + 1
        name = place if count == 1 else f"{place}:{count}"
        self.found.append(name)
        return ast.copy_location(ast.Pass(), node) if name == self._without else node

    visit_Raise = visit_Expr = _statement


@functools.cache
def modules():
    """(name, syntax tree) of each module that takes part in a protocol."""
    paths = ((path, path.relative_to(ROOT)) for path in sorted(ROOT.rglob("*.py")))
    return [
        (".".join(within.with_suffix("").parts), ast.parse(path.read_text()))
        for path, within in paths
        if within.parts[0] not in ("testing", "launch")
    ]


@functools.cache
def checks():
    """The names of all checks."""
    found = []
    for name, tree in modules():
        visitor = Checks(name)
        visitor.visit(tree)
        found += visitor.found
    return found


class Loader(importlib.machinery.SourceFileLoader):
    def source_to_code(self, data, path, *, _optimize=-1):
        visitor = Checks(self.name.removeprefix("tacit."), os.environ[VARIABLE])
        tree = ast.fix_missing_locations(visitor.visit(ast.parse(data, path)))
        return compile(tree, path, "exec", dont_inherit=True, optimize=_optimize)

    def get_code(self, fullname):
        return self.source_to_code(self.get_data(self.path), self.path)  # never from, nor into, the cache


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if not name.startswith("tacit.") or not os.environ[VARIABLE].startswith(name.removeprefix("tacit.") + "."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


if VARIABLE in os.environ:
    assert not any(m.startswith("tacit.") for m in sys.modules), "too late: tacit is there already"
    sys.meta_path.insert(0, Finder())
