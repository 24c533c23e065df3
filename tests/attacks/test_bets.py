"""A party that bets on what another one holds: whether it is stopped must not depend on whether it guessed right.

Party 0 lies, and may have opened what the protocol opens. What it guesses is party 1's, and was opened under a mask before.
"""

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tacit
from tacit import field
from tacit.errors import CheatingDetected, PeerStopped, TacitError
from tacit.graph.forms import Conv2d, Conv2dInput, Conv2dWeight, MatMul
from tacit.preprocessing.lattice.forms import Layouts, Way
from tacit.testing import cheating
from tacit.testing.protocol import product, secret
from tests.attacks import bets
from tests.attacks.keys import LIAR
from tests.attacks.packing import Planter

FORMS = {
    "matrix": (MatMul(), (4, 3), (3, 2)),
    "transposed": (MatMul(True, True), (3, 4), (2, 3)),
    "convolution": (Conv2d((1, 1), (1, 1)), (2, 1, 4, 4), (2, 1, 3, 3)),
    "gradient of images": (Conv2dInput((1, 1), (1, 1), (4, 4)), (2, 2, 4, 4), (2, 1, 3, 3)),
    "gradient of filters": (Conv2dWeight((1, 1), (1, 1), (3, 3)), (2, 2, 4, 4), (2, 1, 4, 4)),
}


def outcomes(form, x, y, left, guess, ahead=False):
    """Each party's error, or None. The other operand than the encrypted one stays; the encrypted one is new in each step.

    `ahead`: party 0 lies in what is made ahead only.
    """
    rng = np.random.default_rng(0)
    shapes = (y, x) if left else (x, y)
    stays = rng.integers(0, 1 << 20, shapes[0]).astype(np.uint64)
    planter = Planter(Way(form, x, y, left))

    def step(e, held):
        fresh = secret(e, rng.integers(0, 1 << 20, shapes[1]).astype(np.uint64), 1)
        z = product(e, form, *((fresh, held) if left else (held, fresh)))
        e.force(z)
        return z

    def body(session):
        e = session.engine
        held = secret(e, stays, 1)
        step(e, held)
        if session.me == LIAR:
            # The other party's share of the mask that it was opened under, if the guess is right.
            planter.plant(e.source._maker.link, field.sub(guess(stays), held.value()[0]))
            if ahead:
                only_ahead(e.source, planter)
        try:
            for _ in range(4 if ahead else 1):
                z = step(e, held)
            e.reveal([z])
        except TacitError as error:
            found[session.me] = type(error)
            raise

    found = {}
    with contextlib.suppress(TacitError):
        tacit.run(body, parties=2, dealer=False, backend="numpy", timeout=60)
    return found.get(LIAR), found.get(1 - LIAR)


def only_ahead(source, planter):
    honest, planter.active = source._ahead, False

    def lying(copies):
        planter.active = True
        try:
            return honest(copies)
        finally:
            planter.active = False

    source._ahead = lying


def wrong(x):
    return field.add(x, np.ones_like(x))


@pytest.mark.quick(2)
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("name", FORMS)
def test_a_guess_of_what_was_opened_does_not_matter(name, left, monkeypatch):
    """A number where the packing has no place adds numbers of the other operand to a product: no guess of a value undoes that."""
    cheapest = Layouts.cheapest
    monkeypatch.setattr(Layouts, "cheapest", lambda self, form, x, y, sides: cheapest(self, form, x, y, (left,)))
    for guess in (lambda x: x, wrong):
        liar, honest = outcomes(*FORMS[name], left, guess)
        assert honest is CheatingDetected and liar in (CheatingDetected, PeerStopped)


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["matrix", "gradient of filters"])
def test_a_guess_does_not_matter_in_what_is_made_ahead(name, monkeypatch):
    cheapest = Layouts.cheapest
    monkeypatch.setattr(Layouts, "cheapest", lambda self, form, x, y, sides: cheapest(self, form, x, y, (True,)))
    for guess in (lambda x: x, wrong):
        liar, honest = outcomes(*FORMS[name], True, guess, ahead=True)
        assert honest is CheatingDetected and liar in (CheatingDetected, PeerStopped)


def slow(step):
    """Preprocessing by lattices takes seconds; one of each kind is quick enough."""
    return [pytest.mark.slow] if "attice" in step and step != bets.MULTIPLY else []


steps = pytest.mark.parametrize("step", [pytest.param(step, marks=slow(step)) for step in bets.BETS])


@steps
def test_right_and_wrong_guesses_fail_alike(step):
    """In every step in which a guess of another party's numbers could decide anything; with two values of these."""
    bet, (one, other) = bets.BETS[step], bets.SECRETS
    (kinds,) = {tuple(bets.ends(bet, y, guess).items()) for y in (one, other) for guess in (one, other)}
    assert dict(kinds).keys() == set(range(bet.parties)) - {bets.LIAR}
    assert "CheatingDetected" in dict(kinds).values() and all(isinstance(kind, str) for _, kind in kinds)


@steps
def test_a_guess_would_decide_if_nobody_looked(step):
    """So that these are bets: the right guess undoes the error."""
    bet, (one, other) = bets.BETS[step], bets.SECRETS
    honest = bets.ends(replace(bet, lies={}), one, one)[bets.VICTIM]
    assert bets.ends(bet, one, one, checked=False)[bets.VICTIM] == honest
    assert bets.ends(bet, one, other, checked=False)[bets.VICTIM] != honest


def test_every_step_has_a_bet_or_a_reason_why_there_is_none():
    steps = set(cheating.steps())
    assert set(bets.BETS) | set(bets.TESTED) | set(bets.NOTHING) == steps
    assert not (set(bets.BETS) | set(bets.TESTED)) & set(bets.NOTHING)
    for test in bets.TESTED.values():
        path, _, name = test.partition("::")
        assert f"def {name}" in (Path(__file__).parents[1] / path).read_text(), test
