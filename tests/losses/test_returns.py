"""Parties that were lost and come back: their script runs again on what the others tell, then they are full members."""

import threading
import time

import numpy as np
import pytest

from tacit.testing.nodes import Nodes
from tests.losses.failing import RIGHT, X, Y, at


def once(party, number, what="die"):
    """Only `party` is lost, in its first life."""
    return lambda me, life: at(number, what) if (me, life) == (party, 0) else None


def long(session, turns=30, pause=0.05):
    """Enough steps for a party to come back; what the script sees in each."""
    x = session.computed(session.secret(X, owner=0))
    y = session.computed(session.secret(Y, owner=1))
    seen = []
    for _ in range(turns):
        z = session.computed(x @ y * x)
        result = session.reveal(z.relu() + x)
        seen.append((session.survivors, tuple(loss.party for loss in session.losses), result.round(3).tolist()))
        time.sleep(0 if session.returning else pause)
    return seen


@pytest.mark.parametrize("what", ["die", "hang"])
@pytest.mark.parametrize("party", [0, 2, 3])
def test_a_party_comes_back(party, what):
    outcome = Nodes(long, 4, 1, once(party, 60, what), timeout=1.0).run()
    assert not outcome.errors
    seen = outcome.results[party]
    assert len(outcome.sessions[party]) == 2
    assert all(outcome.results[i] == seen for i in range(4))  # its script saw what theirs did, in the same steps
    members = [s for s, _, _ in seen]
    assert members[0] == members[-1] == (0, 1, 2, 3) and tuple(i for i in range(4) if i != party) in members
    assert seen[-1][1] == (party,)
    assert all(np.abs(np.array(r) - RIGHT).max() < 1e-2 for _, _, r in seen)


BACK = 16
"""Rounds after which a party that came back holds shares again."""


class Storm:
    """In each life a party is lost with probability 1/2, at a random round, one way or another; no more than `most` at once.

    Also the parties that gave the data: what they gave is shared by then.
    """

    def __init__(self, seed, parties, most, first=60, last=300):
        self.rng, self.most = np.random.default_rng(seed), most
        self.first, self.last = first, last
        self.away, self.lock = set(), threading.Lock()
        self.lost = 0

    def __call__(self, party, life):
        number = int(self.rng.integers(self.first, self.last)) if self.rng.random() < 0.5 else 1 << 30
        what = str(self.rng.choice(["die", "hang"]))

        def fate(round, where):
            with self.lock:
                if round == BACK:
                    self.away.discard(party)
                if round < number or len(self.away) >= self.most:
                    return None
                self.away.add(party)
                self.lost += 1
                return what

        return fate


def train(session):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(40, 3))
    x = session.computed(session.secret(data, owner=0))
    y = session.computed(session.secret(data @ [[0.5], [-1.0], [0.25]], owner=1))
    w = session.computed(session.secret(np.zeros((3, 1)), owner=2))
    for _ in range(20):
        w = session.computed(w - 0.1 * ((x.T @ (x @ w - y)) / 40))
        time.sleep(0 if session.returning else 0.05)
    return session.reveal(w)


def exact():
    w, data = np.zeros((3, 1)), np.random.default_rng(0).normal(size=(40, 3))
    for _ in range(20):
        w -= 0.1 * data.T @ (data @ w - data @ [[0.5], [-1.0], [0.25]]) / 40
    return w


@pytest.mark.parametrize("seed", range(2))
def test_a_training_in_which_parties_come_and_go(seed):
    storm = Storm(seed, 7, 2)
    outcome = Nodes(train, 7, 2, storm, timeout=1.0).run()
    assert storm.lost
    assert len(outcome.results) >= 5
    for result in outcome.results.values():
        assert np.abs(result - exact()).max() < 1e-2


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_storms():
    for seed in range(10, 60):
        test_a_training_in_which_parties_come_and_go(seed)
