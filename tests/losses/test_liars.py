"""A party that lies while the others count who is left, or change the view: no wrong result, and no wait without end."""

from dataclasses import replace

import numpy as np
import pytest

from tacit.engine import recovery
from tacit.engine.recovery import Recovery
from tacit.errors import CheatingDetected, Mismatch, PartyLost, PeerStopped, TooFewLeft
from tacit.transport.calls import Call, Calls, frame
from tacit.transport.membership import CALLED
from tests.helpers.alterations import dropped, empty, header, longer, low_bit, repeated, shorter
from tests.losses.failing import RIGHT, X, at, compute, run, signing

ENDS = (CheatingDetected, Mismatch, PartyLost, PeerStopped, TooFewLeft)
LIAR, DEAD = 3, 4
KINDS = ("counting who is left", "start", "view", "reshare", "through")


def lied(tamper, timeout=0.4):
    """Party 4 dies in the middle, and from then on `tamper` changes what party 3 sends."""
    outcome = run(compute, 5, 1, {DEAD: at(20, "die")}, timeout=timeout, tampers={LIAR: tamper})
    assert outcome.seconds < 60
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
    signing(monkeypatch, LIAR, lambda call: replace(call, turn=call.turn + 3))
    outcome = lied(lambda peer, number, payload, label: payload)
    assert all(i in outcome.results or isinstance(outcome.errors[i], ENDS) for i in range(3))


EVERYBODY = frozenset(range(5))


def caller(monkeypatch):
    """call(turn): a frame of a call that the liar signs."""
    records = {}
    original = Calls.__init__

    def made(self, me, session, signatures):
        original(self, me, session, signatures)
        records[me] = self

    monkeypatch.setattr(Calls, "__init__", made)
    return lambda turn: frame([records[LIAR].sign(Call(LIAR, 0, turn, 0, False, True, EVERYBODY - {LIAR}, EVERYBODY))])


def test_calls_for_nothing(monkeypatch):
    """It calls for a count in every round, though nobody is lost."""
    call, turn = caller(monkeypatch), [0]

    def tamper(peer, number, payload, label):
        if number > 20 and label not in ("counting who is left", "agree"):
            turn[0] += 5
            return [call(turn[0]), bytes(payload)]
        return payload

    outcome = run(compute, 5, 1, {}, timeout=0.4, tampers={LIAR: tamper})
    assert outcome.seconds < 60
    assert not any(np.abs(r - RIGHT).max() > 1e-3 for i, r in outcome.results.items() if i != LIAR)


@pytest.mark.parametrize("turn", [0, 1 << 31])
def test_calls_without_end(turn, monkeypatch):
    """Two hundred of them in place of every frame: of counts that are over, or far ahead."""
    call = caller(monkeypatch)

    def tamper(peer, number, payload, label):
        return [call(turn)] * 200 if number > 20 else payload

    outcome = run(compute, 5, 1, {}, timeout=0.4, tampers={LIAR: tamper})
    assert outcome.seconds < 30
    assert not any(np.abs(r - RIGHT).max() > 1e-3 for i, r in outcome.results.items() if i != LIAR)
    assert outcome.errors


def test_a_count_that_one_party_never_lets_end(monkeypatch):
    """In every turn it says that it heard other calls than the others in the one before: they stop, and do not count for ever."""
    signing(monkeypatch, LIAR, lambda call: replace(call, heard=bytes([call.turn % 256] * 16)))
    outcome = run(compute, 5, 1, {DEAD: at(20, "die")}, timeout=0.4)
    assert any("never says the same twice" in str(outcome.errors.get(i)) for i in range(3)), outcome.errors


def test_counts_again_and_again_though_nobody_is_lost(monkeypatch):
    """At the end of a step it says each time that it lost somebody: the others do not repeat the step for ever."""
    through, counts, begun = Recovery._through, [], []

    def lost(self, door):
        if self._channel.me == LIAR and begun and len(counts) < 20:
            self._counts = 0
            counts.append(self._done)
            raise PartyLost(0, CALLED, "nothing")
        return through(self, door)

    monkeypatch.setattr(Recovery, "_through", lost)
    monkeypatch.setattr(recovery, "COUNTS", 4)

    def work(session):
        if session.me == LIAR:
            begun.append(session)
        return session.reveal(session.secret(X, owner=0))

    outcome = run(work, 4, 1, {}, timeout=2.0)
    assert len(counts) > 4
    assert any("again and again" in str(outcome.errors.get(i)) for i in range(3)), outcome.errors
