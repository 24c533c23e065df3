"""Parties that were lost and come back: their script runs again on what the others tell, then they are full members."""

import pickle
import threading

import numpy as np
import pytest

from tacit.engine.history import Entry, History
from tacit.errors import BadInput, Mismatch, PartyLost
from tacit.testing.nodes import Nodes, Shuffled
from tests.losses.failing import RIGHT, Training, X, Y, at, compute, run

ALL = (0, 1, 2, 3)


def once(party, number, what="die"):
    """Only `party` is lost, in its first life."""
    return lambda me, life: at(number, what) if (me, life) == (party, 0) else None


class Long:
    """Steps until all parties are there again after so many `losses`, and a few more. What the script sees in each."""

    def __init__(self, losses=1):
        self.losses, self.noticed = losses, threading.Event()

    def __call__(self, session):
        x = session.materialize(session.secret(X, owner=0))
        y = session.materialize(session.secret(Y, owner=1))
        seen, more = [], 3
        while more:
            z = session.materialize(x @ y * x)
            result = session.reveal(z.relu() + x)
            seen.append(
                (session.survivors, tuple(loss.party for loss in session.lost_parties), result.round(3).tolist())
            )
            if len(session.survivors) < session.parties:
                self.noticed.set()
            elif len(session.lost_parties) >= self.losses:
                more -= 1
            assert len(seen) < 2000
        return seen

    def back(self, party):
        """When some script has seen the loss."""
        assert self.noticed.wait(60)


def without(party):
    return tuple(i for i in ALL if i != party)


@pytest.mark.parametrize(("party", "what"), [(0, "die"), (2, "hang"), pytest.param(3, "die", marks=pytest.mark.slow)])
def test_a_party_comes_back(party, what):
    long = Long()
    outcome = Nodes(long, 4, 1, once(party, 60, what), timeout=3.0 if what == "hang" else 20.0, back=long.back).run()
    assert not outcome.errors
    seen = outcome.results[party]
    assert len(outcome.sessions[party]) == 2
    assert all(outcome.results[i] == seen for i in range(4))  # its script saw what theirs did, in the same steps
    members = [s for s, _, _ in seen]
    assert members[0] == members[-1] == ALL and without(party) in members
    assert seen[-1][1] == (party,)
    assert all(np.abs(np.array(r) - RIGHT).max() < 1e-2 for _, _, r in seen)


@pytest.mark.parametrize("protocol", [pytest.param("shamir", marks=pytest.mark.slow), "shamir-corrected"])
def test_a_party_comes_back_where_random_numbers_are_extracted(protocol):
    outcome = Nodes(Long(), 4, 1, once(2, 60), protocol=protocol, timeout=20.0, sets=0).run()
    assert not outcome.errors
    seen = outcome.results[2]
    assert len(outcome.sessions[2]) == 2 and all(outcome.results[i] == seen for i in range(4))
    assert all(np.abs(np.array(r) - RIGHT).max() < 1e-2 for _, _, r in seen)


def test_a_party_comes_back_where_openings_are_corrected():
    """What was opened under masks before it came is opened again under masks of which it has shares."""

    def work(session):
        x = session.materialize(session.secret(X, owner=0))
        y = session.materialize(session.secret(Y, owner=1))
        while not (session.lost_parties and session.survivors == ALL):
            z = session.materialize(x @ y)
            session.reveal((z * x).relu() + x)
        return session.survivors, session.reveal((session.materialize(x @ y) * x).relu() + x)

    outcome = Nodes(work, 4, 1, once(2, 60), protocol="shamir-corrected", timeout=20.0).run()
    assert not outcome.errors
    assert all(members == ALL and np.abs(result - RIGHT).max() < 1e-2 for members, result in outcome.results.values())
    assert len(outcome.sessions[2]) == 2


def test_who_is_back_is_a_full_member():
    """Without it too few would be left when the next one is lost."""
    back = threading.Event()

    def work(session):
        x = session.materialize(session.secret(X, owner=0))
        seen = []
        while True:
            seen.append(session.survivors)
            if len(session.lost_parties) == 1 and session.survivors == ALL:
                back.set()
            if len(session.lost_parties) == 2 and session.survivors == ALL:
                break
            session.materialize(x * x)
        return seen, session.reveal(x)

    def fate(party, life):
        if party == 3 and life == 0:
            return at(40, "die")
        return (lambda number, where: "die" if back.is_set() else None) if party == 1 and life == 0 else None

    outcome = Nodes(work, 4, 1, fate, timeout=20.0).run()
    assert not outcome.errors
    assert len({str(seen) for seen, _ in outcome.results.values()}) == 1
    seen, _ = outcome.results[1]
    assert seen[-1] == ALL
    assert all(np.abs(result - X).max() < 1e-2 for _, result in outcome.results.values())


def test_two_parties_come_back_at_once():
    outcome = Nodes(
        Long(2), 6, 1, lambda me, life: at(60, "die") if me in (2, 5) and life == 0 else None, timeout=20.0
    ).run()
    assert not outcome.errors
    assert all(outcome.results[i] == outcome.results[0] for i in range(6))
    assert outcome.results[0][-1][0] == (0, 1, 2, 3, 4, 5)
    assert sorted(outcome.results[0][-1][1]) == [2, 5]


def test_what_it_alone_was_shown_is_gone():
    long = Long()

    def work(session):
        x = session.materialize(session.secret(X, owner=0))
        alone = session.reveal(x, to=3)
        long(session)
        return alone, session.reveal(x, to=3)

    outcome = Nodes(work, 4, 1, once(3, 80), timeout=20.0).run()
    assert not outcome.errors
    before, after = outcome.results[3]
    assert np.isnan(before).all() and before.shape == X.shape
    assert np.abs(after - X).max() < 1e-2
    assert outcome.results[0] == (None, None)


def test_what_is_saved_on_the_way_back_holds_nothing():
    long = Long()

    def work(session):
        x = session.materialize(session.secret(X, owner=0))
        first, back = pickle.dumps(x), session.returning
        if back:
            with pytest.raises(BadInput, match="on its way back"):
                session.restore(pickle.loads(first))
        long(session)
        return back, session.reveal(session.restore(pickle.loads(pickle.dumps(x))))

    outcome = Nodes(work, 4, 1, once(2, 80), timeout=20.0).run()
    assert not outcome.errors
    assert [outcome.results[i][0] for i in range(4)] == [False, False, True, False]
    assert all(np.abs(result - X).max() < 1e-2 for _, result in outcome.results.values())


def test_another_script_is_not_let_in():
    refused = threading.Event()

    def work(session):
        x = session.materialize(session.secret(X, owner=0))
        if session.returning:
            try:
                session.reveal(x)
            except Mismatch:
                refused.set()
                raise
        while not session.reveal(session.secret(np.array([float(refused.is_set())]), owner=0))[0]:
            session.materialize(x * x)
        return session.survivors

    outcome = Nodes(work, 4, 1, once(2, 60), timeout=20.0).run()
    assert isinstance(outcome.errors[2], Mismatch)
    assert outcome.results == dict.fromkeys([0, 1, 3], without(2))


def test_a_false_past_is_not_believed(monkeypatch):
    """One party tells that party 2's script was shown other values."""
    original = History.since

    def since(self, first):
        entries = [Entry.unpack(e) for e in original(self, first)]
        if threading.current_thread().name == "tacit-visit-2" and self is liars.get(0):
            entries = [
                Entry(e.what, [v + 1 for v in e.result], e.members) if e.what == "reveal" else e for e in entries
            ]
        return [e.pack() for e in entries]

    liars, long = {}, Long()
    monkeypatch.setattr(History, "since", since)

    def work(session):
        if session.me == 1:
            liars[0] = session.engine.recovery.history
        return long(session)

    outcome = Nodes(work, 4, 1, once(2, 60), timeout=20.0).run()
    assert not outcome.errors
    assert outcome.results[2] == outcome.results[0]
    assert np.abs(np.array(outcome.results[2][0][2]) - RIGHT).max() < 1e-2


@pytest.mark.parametrize("seed", range(2))
def test_frames_in_any_order(seed, monkeypatch):
    """What comes from one party is late, or comes before what comes from another: nothing changes."""
    monkeypatch.setattr("tests.losses.failing.Failing", lambda channel, fate: Shuffled(channel, 10 * seed + channel.me))
    outcome = run(compute, 4, 1, dict.fromkeys(range(4)), timeout=5)
    assert not outcome.errors and not outcome.sessions[0].lost_parties
    assert all(np.abs(r - RIGHT).max() < 1e-3 for r in outcome.results.values())


BACK = 16
"""Rounds after which a party that came back holds shares again."""


class Storm:
    """In each life a party is lost with probability 1/2, at a random round, one way or another; no more than `most` at once.

    Also the parties that gave the data: what they gave is shared by then. One of them is lost in any case.
    """

    def __init__(self, seed, parties, most, first=60, last=200):
        self.seed, self.most = seed, most
        self.first, self.last = first, last
        self.away, self.lock = set(), threading.Lock()
        self.victim = int(np.random.default_rng(seed).integers(parties))
        self.lost = 0

    def __call__(self, party, life):
        rng = np.random.default_rng((self.seed, party, life))
        number = int(rng.integers(self.first, self.last)) if rng.random() < 0.5 else 1 << 30
        what = str(rng.choice(["die", "hang"]))
        if (party, life) == (self.victim, 0):
            number = self.first

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


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_training_in_which_parties_come_and_go(seed):
    storm, train = Storm(seed, 7, 2), Training(20, 0.1)
    outcome = Nodes(train, 7, 2, storm, timeout=2.0).run()
    assert storm.lost
    assert len(outcome.results) >= 5
    for result in outcome.results.values():
        assert np.abs(result - train.exact()).max() < 1e-2


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_storms():
    for seed in range(10, 60):
        test_a_training_in_which_parties_come_and_go(seed)


def test_a_script_that_decides_by_itself_is_run_again_as_it_decided():
    """on_party_lost="raise": the way back goes through the exception and `continue_without_lost` as well."""

    def work(session):
        x = session.materialize(session.secret(X, owner=0))
        seen = []
        while not (seen and session.lost_parties and session.survivors == ALL):
            try:
                session.reveal(x * x)
            except PartyLost as loss:
                seen.append(("lost", loss.party, session.continue_without_lost()))
                session.reveal(x * x)
            seen.append(session.survivors)
        return seen, session.reveal(x * x)

    outcome = Nodes(work, 4, 1, once(3, 50), timeout=20.0, on_party_lost="raise").run()
    assert not outcome.errors
    assert len(outcome.sessions[3]) == 2
    assert len({str(seen) for seen, _ in outcome.results.values()}) == 1
    seen, result = outcome.results[3]
    assert ("lost", 3, without(3)) in seen and seen[-1] == ALL
    assert np.abs(result - X * X).max() < 1e-2
