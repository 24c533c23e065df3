"""Saved shares: altered ones fail, whatever was saved, and what is opened then shows nothing.

The relation between whole values is counted, as an engine computes it in the clear; openings of shares are counted elsewhere. A
cheater's file can be altered by known numbers, which add to the wholes (docs/security/saved-shares.md).
"""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from tests.helpers.settings import full
from tests.model.counting import Told, one_by_one, uniform
from tests.model.world import world

pytestmark = pytest.mark.timeout(900)  # in settings that are slow

HONEST, CHEATER = 0, 1
KEY = b"weights"
WORDS = "values", "blind", "key", "tags", "tags"
"""What a cheater alters: the value, the blind, the key, the tag of the value and that of the blind."""


class Whole:
    """An engine of two parties that computes on whole values. One party's file has them, the cheater's has zeros."""

    returning = dry = False
    session = bytes(64)
    members = HONEST, CHEATER

    def __init__(self, w):
        self.w, self.entered = w, []
        self.protocol = SimpleNamespace(me=HONEST, parties=2, needed=2, kept=lambda share: share[0])
        self.wire = w.module("graph.wires").Wire
        self.revealed = []

    def record(self, operation, inputs, shape, name):
        wire, given = self.wire(operation, inputs, shape, name), [i.share[0] for i in inputs]
        wire.share, wire.serial = (self._made(operation, given),), 0
        return wire

    def _made(self, operation, given):
        match type(operation).__name__:
            case "Linear":
                return operation.map(*given)
            case "Bilinear":
                return operation.form(*given)
            case "Input":
                return operation.value() if operation.owner == HONEST else self.entered.pop(0)
        raise AssertionError(operation)

    def force(self, *wires, purpose=""):
        pass

    def check(self):
        pass

    def reveal(self, wires, detail=""):
        self.revealed = [w.share[0] for w in wires]
        return self.revealed

    def cheated(self, error):
        raise error


def restored(w, altered, monkeypatch, blind=True):
    """A value is saved, the cheater's file altered, and all of it restored. What is seen: what was opened, and whether it passed.

    `blind`: whether the relation has the part of the blind.
    """
    tape, saving = w.tape, w.module("numbers.saving")
    array = w.module("numbers.arithmetic").Number
    tape.hidden = {KEY}
    test = saving._test

    def random(engine, name, shape):
        drawn = np.concatenate([tape.digit(w.p) for _ in range(int(np.prod(shape)))]).reshape(shape)
        wire = engine.wire(None, (), shape, name)
        wire.share = (drawn,)
        return wire

    def without(engine, wires):
        cut = saving.Slice(0, 0, 1)
        test(engine, [[*(saving._linear(engine, cut, both) for both in (v, t)), key] for v, t, key in wires])

    monkeypatch.setattr(saving, "_random", random)
    monkeypatch.setattr(saving, "_coin", lambda engine, label: KEY)
    monkeypatch.setattr(saving, "_test", test if blind else without)

    def play():
        engine = Whole(w)
        x = tape.digit(w.p)
        secret = engine.wire(None, (), (1,), "secret")
        secret.share = (x,)
        a = SimpleNamespace(engine=engine)
        (mine,) = saving.export(a, [(array(secret, 0, 5), "array", saving.in_bytes)])
        errors = {"values": altered[:1], "blind": altered[1:2], "tags": altered[3:], "key": altered[2:3]}
        part = saving._part(mine | {name: saving.in_bytes(np.array(e, np.int64)) for name, e in errors.items()})
        engine.entered = [np.array([CHEATER], np.uint64), *part.words()]
        try:
            (number,) = saving.restore(a, [mine])
        except saving.CheatingDetected:
            return Told([x], [*engine.revealed, np.array([1])])
        assert any(altered) or (number.wire.share[0] == x).all()
        return Told([x], [*engine.revealed, np.array([0])])

    return one_by_one(tape, play)


BET = (0, 0, 1, 2, 0)
"""Another key, and a tag that fits it if what was saved is 2."""
ALTERED = [BET, (0, 0, 0, 1, 0), (1, 0, 0, 0, 0), (1, 2, 1, 0, 2)]


def passes(told):
    """The part of the cases with each secret that passed."""
    (x,), stopped = told.secret, told.view[-1]
    return [1 - stopped[x == value].mean() for value in range(int(x.max()) + 1)]


def bound(p):
    """u = 0, or the weights miss what is wrong, or it is 0 for the blind and the key that were drawn (2 / p)."""
    return 1 - (1 - 1 / p) * (1 - 1 / p) * (1 - 2 / p)


ALL = [*ALTERED, *(a for a in product(range(2), repeat=5) if any(a) and a not in ALTERED)]


@pytest.mark.parametrize("altered", full(((a,) for a in ALL), *ALTERED))
def test_altered_shares_fail_whatever_was_saved(altered, monkeypatch):
    w = world(3)
    w.tape.reset(b"1")
    told = restored(w, altered, monkeypatch)
    assert max(passes(told)) <= bound(3)
    (x,), (opened, stopped) = told.secret, told.view
    assert uniform(Told([opened[stopped == 1]], [x[stopped == 1]])), "what is opened shows what was saved"


def test_what_was_saved_passes(monkeypatch):
    w = world(3)
    w.tape.reset(b"1")
    told = restored(w, (0, 0, 0, 0, 0), monkeypatch)
    assert uniform(told)
    assert not told.view[-1].any()


def test_a_bet_on_tags_without_a_blind_is_counted(monkeypatch):
    w = world(3)
    w.tape.reset(b"1")
    chances = passes(restored(w, BET, monkeypatch, blind=False))
    assert chances[2] == 1
    assert max(chances[:2]) < bound(3)
