"""Networks that fail, in one process: parties that vanish, hang or stall at a given round, drawn from a seed."""

import contextlib
import time
from dataclasses import dataclass, field

import numpy as np

import tacit
from tacit.errors import TacitError
from tacit.transport.channel import Channel


class Vanished(Exception):
    """What ends the thread of a party that is lost."""


class Failing(Channel):
    """`channel`, of which `fate(round)` says before each round: None, "die", "hang", or seconds to stall.

    Who dies closes its connections; who hangs keeps them open and says nothing any more.
    """

    def __init__(self, channel, fate):
        super().__init__(channel.me, channel.peers, timeout=channel.timeout, meter=channel.meter, names=channel.names)
        self._inner, self._fate, self.rounds, self._gone = channel, fate, 0, False

    def _round(self, out, expect, frames, where, timeout):
        fate = None if self._gone else self._fate(self.rounds, where)
        self.rounds += 1
        if fate == "die":
            self._inner.close()
        if fate in ("die", "hang"):
            self._gone = True
            raise Vanished(fate)
        if fate is not None:
            time.sleep(fate)
        self._inner._round(out, expect, frames, where, timeout)

    def part(self, peers):
        super().part(peers)
        self._inner.part(peers)

    def stop(self, message):
        if not self._gone:
            self._inner.stop(message)

    def close(self):
        if not self._gone:
            self._inner.close()


@dataclass
class Outcome:
    results: dict = field(default_factory=dict)
    errors: dict = field(default_factory=dict)
    sessions: dict = field(default_factory=dict)


def run(work, parties, threshold, fates, timeout=1.0, protocol="shamir", **options):
    """`fates` {party: fate}. What became of each party that did not vanish."""
    outcome = Outcome()

    def body(session):
        outcome.sessions[session.me] = session
        try:
            outcome.results[session.me] = work(session)
        except TacitError as error:
            outcome.errors[session.me] = error
            raise

    def wrap(channel, me):
        return Failing(channel, fates[me]) if me in fates else channel

    with contextlib.suppress(TacitError, Vanished):
        tacit.run(
            body,
            parties=parties,
            threshold=threshold,
            protocol=protocol,
            timeout=timeout,
            wrap=wrap,
            tensors=False,
            **options,
        )
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


X = np.array([[1.5, -2.0], [0.25, 3.0]])
Y = np.array([[2.0, 0.5], [-1.0, 4.0]])
RIGHT = np.maximum(X @ Y * X, 0) + X


def compute(session):
    """Several steps; the owners of the data may be lost once the data are there."""
    x = session.computed(session.secret(X, owner=0))
    y = session.computed(session.secret(Y, owner=1))
    z = session.computed((x @ y) * x)
    return session.reveal(z.relu() + x)
