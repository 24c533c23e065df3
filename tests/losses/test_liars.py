"""A party that lies while the others count who is left, or change the view: no wrong result, and no wait without end."""

import time

import numpy as np
import pytest

from tacit.errors import CheatingDetected, Mismatch, PartyLost, PeerStopped, TooFewLeft
from tacit.transport.views import Call, Viewed
from tests.attacks.test_messages import dropped, empty, header, longer, low_bit, repeated, shorter
from tests.losses.failing import RIGHT, at, compute, run

ENDS = (CheatingDetected, Mismatch, PartyLost, PeerStopped, TooFewLeft)
LIAR, DEAD = 3, 4
KINDS = ("counting who is left", "start", "view", "reshare", "through")


def lied(tamper, timeout=0.4):
    """Party 4 dies in the middle, and from then on `tamper` changes what party 3 sends."""
    started = time.monotonic()
    outcome = run(compute, 5, 1, {DEAD: at(20, "die")}, timeout=timeout, tampers={LIAR: tamper})
    assert time.monotonic() - started < 60
    for party, result in outcome.results.items():
        assert party == LIAR or np.abs(result - RIGHT).max() < 1e-3
    assert all(isinstance(e, ENDS) for e in outcome.errors.values())
    return outcome


@pytest.mark.parametrize(
    "alteration", [low_bit, header, shorter, longer, empty, dropped, repeated], ids=lambda a: a.__name__
)
@pytest.mark.parametrize("kind", KINDS)
def test_each_message_after_a_loss(kind, alteration):
    """The first of its kind that is sent once somebody is lost, to all."""
    lost, altered = [], []

    def tamper(peer, number, payload, label):
        if label == "counting who is left":
            lost.append(number)
        if not lost or label != kind or (altered and altered[0] != number):
            return payload
        altered.append(number)
        return alteration(bytearray(payload))

    outcome = lied(tamper)
    assert altered
    if kind != "counting who is left" and alteration not in (dropped, repeated):
        assert any(i != LIAR for i in outcome.errors)


def test_calls_that_are_never_the_same(monkeypatch):
    """Each time that the others answer, it names another turn."""
    original = Viewed.calls

    def calls(self, mine, peers, known):
        if self.me == LIAR:
            mine = Call(mine.turn + 3, mine.done, mine.finished, mine.members)
        return original(self, mine, peers, known)

    monkeypatch.setattr(Viewed, "calls", calls)
    outcome = lied(lambda peer, number, payload, label: payload)
    assert isinstance(outcome.errors[0], CheatingDetected | PeerStopped)


def test_calls_for_nothing():
    """It calls for a count in every round, though nobody is lost."""
    turn = [0]

    def tamper(peer, number, payload, label):
        if number > 20 and label not in ("counting who is left", "agree"):
            turn[0] += 5
            return [Call(turn[0], 0, False, (0, 1, 2, 3, 4)).pack(), bytes(payload)]
        return payload

    started = time.monotonic()
    outcome = run(compute, 5, 1, {}, timeout=0.4, tampers={LIAR: tamper})
    assert time.monotonic() - started < 60
    assert not any(np.abs(r - RIGHT).max() > 1e-3 for i, r in outcome.results.items() if i != LIAR)


@pytest.mark.parametrize("turn", [0, 1 << 31])
def test_calls_without_end(turn):
    """Two hundred of them in place of every frame: of counts that are over, or far ahead."""

    def tamper(peer, number, payload, label):
        if number > 20:
            return [Call(turn, 0, False, (0, 1, 2, 3, 4)).pack()] * 200
        return payload

    started = time.monotonic()
    outcome = run(compute, 5, 1, {}, timeout=0.4, tampers={LIAR: tamper})
    assert time.monotonic() - started < 30
    assert not any(np.abs(r - RIGHT).max() > 1e-3 for i, r in outcome.results.items() if i != LIAR)
    assert outcome.errors
