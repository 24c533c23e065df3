"""Parties that are revoked never come back; those that come and go wait longer each time."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

import tacit
from tacit.engine.recovery import STAY, Recovery
from tacit.errors import ConfigurationError, PeerStopped, TooFewLeft
from tacit.testing.nodes import Nodes
from tests.losses.failing import X, Y, at, run


def work(session, revoked=2):
    x = session.materialize(session.secret(X, owner=0))
    y = session.materialize(session.secret(Y, owner=revoked))
    before = session.survivors
    session.revoke(revoked)
    return before, session.survivors, session.reveal(x * y), [loss.party for loss in session.lost_parties]


@pytest.mark.parametrize("on_party_lost", ["continue", "raise"])
def test_the_others_go_on_with_what_it_gave(on_party_lost):
    outcome = run(work, 5, 1, {}, on_party_lost=on_party_lost)
    assert sorted(outcome.results) == [0, 1, 3, 4]
    assert isinstance(outcome.errors[2], ConfigurationError | PeerStopped)
    for before, after, result, lost in outcome.results.values():
        assert before == (0, 1, 2, 3, 4) and after == (0, 1, 3, 4) and lost == [2]
        assert np.abs(result - X * Y).max() < 1e-3


def test_too_few_are_left_without_it():
    outcome = run(work, 3, 1, {})
    assert not outcome.results
    assert isinstance(outcome.errors[0], TooFewLeft) and isinstance(outcome.errors[1], TooFewLeft)


def test_who_revokes_alone_costs_one_party_at_most():
    """It is a claim that it has no line to that party."""

    def alone(session):
        x = session.materialize(session.secret(X, owner=0))
        if session.me == 4:
            session.engine.recovery.revoke(1)
        return session.reveal(x * 1.5)

    outcome = run(alone, 5, 1, {})
    assert sorted(outcome.results) in ([0, 1, 2, 3], [0, 2, 3, 4])


def test_a_protocol_that_needs_all_of_its_parties_revokes_none():
    with pytest.raises(ConfigurationError, match="cannot go on without"):
        tacit.run(lambda session: session.revoke(1), 2, backend="numpy")
    with pytest.raises(ValueError, match="numbered 0 to 3"):
        tacit.run(lambda session: session.revoke(7), 4, protocol="shamir", backend="numpy")


@pytest.mark.parametrize("lost", [False, True])
def test_it_does_not_come_back(lost):
    """It tries with its own key, whether it was lost before it was revoked or not; another that comes back knows of it."""
    refused, back = threading.Event(), threading.Event()

    def script(session):
        x = session.materialize(session.secret(X, owner=0))
        while lost and 2 in session.survivors:
            session.materialize(x * x)
        if session.me == 2 and not lost:
            raise tacit.errors.PartyLost(2, "it ends here")
        session.revoke(2)
        while not session.reveal(session.secret(np.array([float(refused.is_set() and back.is_set())]), owner=0))[0]:
            session.materialize(x * x)
            if session.lost_parties and session.lost_parties[-1].party == 4 and 4 in session.survivors:
                back.set()
        return session.survivors

    def fate(party, life):
        if party == 2 and life == 0 and lost:
            return at(60, "die")
        return at(140, "die") if party == 4 and life == 0 else None

    class Tried(Nodes):
        def _lost(self, context, life):
            again = super()._lost(context, life)
            if context.me == 2 and life == 1:
                refused.set()
                return False
            return again

    outcome = Tried(script, 5, 1, fate, timeout=20.0).run()
    assert isinstance(outcome.errors[2], ConfigurationError) and "knows no party 2" in str(outcome.errors[2])
    assert outcome.results == dict.fromkeys([0, 1, 3, 4], (0, 1, 3, 4))


def test_who_comes_and_goes_waits_twice_as_long_each_time():
    recovery = Recovery.__new__(Recovery)
    recovery._waits, recovery._done, recovery.revoked = {}, 0, set()

    since = {}
    recovery._channel = SimpleNamespace(record=SimpleNamespace(since=since))
    waits = []
    for _ in range(5):
        recovery._missed(3)
        waits.append(recovery._waits[3][1])
        recovery._done += waits[-1] + 1
        since[3] = recovery._done
        recovery._done += 5
    assert waits == [0, 2, 4, 8, 16]
    recovery._done += STAY
    recovery._missed(3)
    assert recovery._waits[3] == (recovery._done, 0)
