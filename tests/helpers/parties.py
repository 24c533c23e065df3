"""Runs a small computation of which one party or several are attackers, and tells how each of the others ended."""

from dataclasses import dataclass, field

import numpy as np

import tacit
from tacit.errors import CheatingDetected, OutOfRange, PeerStopped, TacitError
from tacit.field import P
from tacit.testing.transport import Tampered

X = np.array([[1.5, -2.0], [0.25, 3.0]])
Y = np.array([[2.0, 0.5], [-1.0, 4.0]])
RIGHT = np.maximum(X @ Y * X, 0) + X


@dataclass
class Outcome:
    """By party: what it got, or the error that it ended with; and its session."""

    results: dict = field(default_factory=dict)
    errors: dict = field(default_factory=dict)
    sessions: dict = field(default_factory=dict)


def several(attacker):
    return {attacker} if isinstance(attacker, int) else set(attacker or ())


def compute(session):
    """Inputs of two parties, matrix product, truncation, elementwise product, comparison, reveal: every kind of message."""
    x = session.secret(X, owner=0)
    y = session.secret(Y, owner=1)
    return session.reveal(((x @ y) * x).relu() + x)


def attacked(parties, attacker=None, tamper=None, work=compute, timeout=10.0, **options):
    """`tamper(peer, round, payload, label)` changes the frames of `attacker`, or of each of several. Nothing may hang."""
    outcome = Outcome()

    def body(session):
        outcome.sessions[session.me] = session
        try:
            outcome.results[session.me] = work(session)
        except TacitError as error:
            outcome.errors[session.me] = error
            raise

    def wrap(channel, me):
        return Tampered(channel, tamper) if me in several(attacker) and tamper else channel

    try:
        tacit.run(body, parties=parties, timeout=timeout, wrap=wrap, backend="numpy", **options)
    except TacitError as error:
        outcome.errors["first"] = error
    return outcome


def altered(steps, change):
    """The rounds of a primitive, and its result, but for what is sent: `change(exchange)` alters each exchange in place."""
    exchange = next(steps)
    try:
        while True:
            change(exchange)
            exchange = steps.send((yield exchange))
    except StopIteration as end:
        return end.value


def another_sum_for_party_0(exchange):
    """Of one that tells all others the same: party 0 gets another number."""
    if 0 in exchange.out and len(exchange.out) > 1:
        exchange.out[0] = [(part + np.uint64(1)) % np.uint64(P) for part in exchange.out[0]]


def honest(outcome, parties, attacker):
    """(results, errors) of the parties that are not the attacker."""
    others = [i for i in range(parties) if i not in several(attacker)]
    return [outcome.results[i] for i in others if i in outcome.results], {
        i: outcome.errors[i] for i in others if i in outcome.errors
    }


def script(parties, attacker=None, **options):
    """What a party (the last one if not said) sends in an honest run: {(round, peer): label}."""
    attacker = parties - 1 if attacker is None else attacker
    frames = {}

    def note(peer, number, payload, label):
        frames[number, peer] = label
        return payload

    outcome = attacked(parties, attacker, note, **options)
    assert not outcome.errors
    return frames


def rounds_of(parties, *words, attacker=None):
    """The rounds whose label has one of `words`."""
    found = {number for (number, _), label in script(parties, attacker).items() if any(w in label for w in words)}
    assert found
    return sorted(found)


def opened_wrong(outcome, honest):
    """Each of the honest parties got a wrong value, or one that is so wrong that it is beyond the contract of its format."""
    for i in honest:
        if i in outcome.results:
            assert np.abs(outcome.results[i] - RIGHT).max() > 1e-3, i
        else:
            assert isinstance(outcome.errors[i], OutOfRange), outcome.errors


def nothing(peer, number, payload, label):
    return payload


def found(outcome, parties, attacker, *words):
    """Nobody got a result, and every honest party ended by an error: one noticed the cheat, or was told by who did first.

    The attacker's process may be that, since it is honest in all but one thing.
    """
    results, errors = honest(outcome, parties, attacker)
    assert not results
    assert all(isinstance(e, CheatingDetected | PeerStopped) for e in errors.values()), errors
    texts = [str(e) for e in errors.values()]
    assert all(any(word in text for text in texts) for word in words or ("the session's keys are destroyed",)), texts
    return errors


def at_party(monkeypatch, who, kind, name, changed):
    """`changed(self, original, *arguments)` instead of the method, at the party `who`."""
    original = getattr(kind, name)

    def method(self, *arguments):
        me = self.me if hasattr(self, "me") else self.shares.me
        return changed(self, original, *arguments) if me == who else original(self, *arguments)

    monkeypatch.setattr(kind, name, method)


def added(value, by=1 << 35):
    out = value.copy()
    out.reshape(-1)[0] = (int(out.reshape(-1)[0]) + by) % P
    return out
