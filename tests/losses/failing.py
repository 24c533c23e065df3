"""Networks that fail, in one process and in virtual time: parties that vanish, hang or stall at a given round."""

import contextlib
from dataclasses import dataclass, field

import numpy as np

import tacit
from tacit.errors import TacitError
from tacit.testing import virtual
from tacit.testing.nodes import Failing, Vanished
from tacit.testing.transport import Tampered
from tacit.transport.calls import Calls


@dataclass
class Outcome:
    results: dict = field(default_factory=dict)
    errors: dict = field(default_factory=dict)
    sessions: dict = field(default_factory=dict)
    seconds: float = 0.0
    """Of the clock that all waited by."""


def run(work, parties, threshold, fates, timeout=1.0, protocol="shamir", tampers=None, **options):
    """`fates` {party: fate}, `tampers` {party: what `Tampered` takes}. What became of each party that did not vanish."""
    outcome = Outcome()

    def body(session):
        outcome.sessions[session.me] = session
        try:
            outcome.results[session.me] = work(session)
        except TacitError as error:
            outcome.errors[session.me] = error
            raise

    channels = virtual.network(parties, timeout=timeout)
    clock = channels[0].clock

    def wrap(_, me):
        channel = channels[me]
        if tampers and me in tampers:
            channel = Tampered(channel, tampers[me])
        return Failing(channel, fates[me]) if me in fates else channel

    with contextlib.suppress(TacitError, Vanished):
        tacit.run(
            body,
            parties=parties,
            threshold=threshold,
            protocol=protocol,
            timeout=timeout,
            wrap=wrap,
            backend="numpy",
            **options,
        )
    outcome.seconds = clock.now
    return outcome


def at(number, what):
    return lambda round, where: what if round == number else None


def rounds(work, parties, threshold, **options):
    """How many rounds each party takes when nothing fails."""
    counted = {}

    def note(me):
        def fate(number, where):
            counted[me] = number + 1

        return fate

    outcome = run(work, parties, threshold, {i: note(i) for i in range(parties)}, timeout=10, **options)
    assert not outcome.errors
    return counted


def signing(monkeypatch, party, change):
    """`party` signs change(call) in place of every call that it should."""
    original = Calls.sign

    def sign(self, call):
        return original(self, change(call) if call.party == party else call)

    monkeypatch.setattr(Calls, "sign", sign)


X = np.array([[1.5, -2.0], [0.25, 3.0]])
Y = np.array([[2.0, 0.5], [-1.0, 4.0]])
RIGHT = np.maximum(X @ Y * X, 0) + X


def compute(session):
    """Several steps; the owners of the data may be lost once the data are there."""
    x = session.materialize(session.secret(X, owner=0))
    y = session.materialize(session.secret(Y, owner=1))
    z = session.materialize((x @ y) * x)
    return session.reveal(z.relu() + x)


class Training:
    """Gradient descent on data that owners give who may be lost afterwards."""

    def __init__(self, steps, rate):
        self.steps, self.rate = steps, rate
        self.data = np.random.default_rng(0).normal(size=(40, 3))
        self.right = self.data @ [[0.5], [-1.0], [0.25]]

    def __call__(self, session):
        x = session.materialize(session.secret(self.data, owner=0))
        y = session.materialize(session.secret(self.right, owner=1))
        w = session.materialize(session.secret(np.zeros((3, 1)), owner=2))
        for _ in range(self.steps):
            w = session.materialize(w - self.rate * ((x.T @ (x @ w - y)) / 40))
        return session.reveal(w)

    def exact(self):
        w = np.zeros((3, 1))
        for _ in range(self.steps):
            w -= self.rate * self.data.T @ (self.data @ w - self.right) / 40
        return w
