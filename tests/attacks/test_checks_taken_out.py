"""Every check of the code is taken out, one at a time: a test that is named for it fails, and passes with it."""

import ast
import os
import subprocess
import sys

import pytest

from tests.attacks import mutant
from tests.attacks.checks import FAILS_WITHOUT, PAGE, TESTS, TITLE, printed


def test_every_check_has_a_test():
    assert sorted(FAILS_WITHOUT) == sorted(mutant.checks()), "name a test that fails without it"


def test_every_kind_of_error_is_looked_for():
    classes = [node for _, tree in mutant.modules() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert {c.name for c in classes if mutant.ERRORS & {getattr(b, "id", "") for b in c.bases}} <= mutant.ERRORS


def test_no_check_is_overlooked():
    """Each statement that `mutant` can take out makes one error, and no error is made elsewhere, to be raised from there."""
    made = [node for _, tree in mutant.modules() for node in ast.walk(tree) if mutant.of_a_check(node)]
    both = [
        node
        for node in made
        if any(mutant.of_a_check(inside) for argument in node.args for inside in ast.walk(argument))
    ]
    assert len(made) - len(both) == len(mutant.checks())


@pytest.mark.quick()
@pytest.mark.parametrize("test", sorted(set(FAILS_WITHOUT.values())))
def test_the_test_exists(test):
    path, _, name = test.partition("::")
    functions = {node.name: node for node in ast.parse((TESTS / path).read_text()).body if hasattr(node, "name")}
    assert name.partition("[")[0] in functions


def test_the_page_has_the_list():
    assert PAGE.read_text().partition(TITLE)[1:] == printed().partition(TITLE)[1:], "python -m tests.attacks.checks"


def ended(test, without=None):
    """pytest's exit status and what it wrote, when this test ran alone, without a check."""
    environment = {k: v for k, v in os.environ.items() if k != mutant.VARIABLE and not k.startswith("PYTEST")}
    if without is not None:
        environment[mutant.VARIABLE] = without
    command = [sys.executable, "-m", "pytest", "-p", "tests.attacks.mutant", "-p", "no:cacheprovider", "-x", "-m", ""]
    done = subprocess.run(
        [*command, f"tests/{test}"], cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.parametrize("test", sorted(set(FAILS_WITHOUT.values())))
def test_with_all_checks_it_passes(test):
    status, said = ended(test)
    assert status == 0, said


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(600)
@pytest.mark.parametrize("check", FAILS_WITHOUT)
def test_without_the_check_its_test_fails(check):
    status, said = ended(FAILS_WITHOUT[check], check)
    assert status == 1 and "1 failed" in said, said
    assert "from pytest-timeout" not in said, f"a test that waits for its end tells nothing: {said}"
