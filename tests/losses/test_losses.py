"""Parties lost at any moment: the others get the right result, or say why they cannot; never a wrong one, never a hang."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

import tacit
from tacit.errors import CheatingDetected, PartyLost, PeerStopped, TooFewLeft
from tacit.protocols.shamir import resharing
from tacit.protocols.shamir.masked_opening import Sums
from tacit.protocols.shamir.protocol import Shamir
from tacit.protocols.shamir.shares import Shares
from tests.helpers.parties import altered, another_sum_for_party_0
from tests.losses.failing import RIGHT, Failing, Training, X, Y, at, compute, rounds, run, signing


def right(outcome, *survivors):
    assert not outcome.errors
    assert sorted(outcome.results) == list(survivors)
    for result in outcome.results.values():
        assert np.abs(result - RIGHT).max() < 1e-3


def some(total, count):
    return sorted({int(k) for k in np.linspace(2, total - 1, count)})


@pytest.mark.parametrize("what", ["die", "hang"])
def test_a_loss_at_any_round(what):
    total = max(rounds(compute, 5, 1).values())
    for number in some(total, 5 if what == "die" else 3):
        outcome = run(compute, 5, 1, {4: at(number, what)}, timeout=0.4)
        right(outcome, 0, 1, 2, 3)
        assert all(outcome.sessions[i].survivors == (0, 1, 2, 3) for i in range(4))
        assert [loss.party for loss in outcome.sessions[0].lost_parties] == [4]


@pytest.mark.parametrize("what", ["die", "hang"])
@pytest.mark.parametrize("lost", [5, 2])
def test_a_loss_at_any_round_of_sums(lost, what):
    """Of six parties with t = 2: the one that adds, and one that tells it a summand."""
    total = rounds(compute, 6, 2)[lost]
    for number in some(total, 5 if what == "die" else 3):
        outcome = run(compute, 6, 2, {lost: at(number, what)}, timeout=0.4)
        right(outcome, *(i for i in range(6) if i != lost))
        assert all([loss.party for loss in s.lost_parties] == [lost] for i, s in outcome.sessions.items() if i != lost)


@pytest.mark.parametrize("compared", [True, False])
def test_different_sums_before_a_loss(compared, monkeypatch):
    """Found when holders compare, before shares are dealt anew; without that, by what is dealt: nobody gets a wrong result."""
    honest, dealt, away, liar = Sums.masked, [], [], 5  # the one that adds
    deal = resharing.reshare

    def masked(self, z):
        return altered(honest(self, z), another_sum_for_party_0) if self.me == liar else honest(self, z)

    def reshare(*arguments):
        dealt.append(arguments)
        return deal(*arguments)

    def work(session):
        x = session.secret(X, owner=0)
        y = session.materialize((x @ session.secret(Y, owner=1)) * x)
        session.end_step()
        if session.me == liar:
            away.append(liar)
        return session.reveal(y * 0.5)

    monkeypatch.setattr(Sums, "masked", masked)
    monkeypatch.setattr(resharing, "reshare", reshare)
    if not compared:
        monkeypatch.setattr(Shamir, "_compare", lambda self, parties: iter(()))
    outcome = run(work, 6, 2, {liar: lambda round, where: "die" if away else None}, timeout=0.5)
    assert not outcome.results
    found = [str(e) for e in outcome.errors.values() if isinstance(e, CheatingDetected)]
    assert found and bool(dealt) != compared
    assert any("different values of what was opened" in text for text in found) == compared


@pytest.mark.parametrize("sets", [0, 4])
def test_a_loss_where_random_numbers_are_extracted(sets):
    """Pools are thrown away; with 4 sets, those that are left draw from keys of sets, of which five parties had one more."""
    total = max(rounds(compute, 5, 1, sets=sets).values())
    for number in some(total, 5):
        outcome = run(compute, 5, 1, {4: at(number, "die")}, timeout=0.4, sets=sets)
        right(outcome, 0, 1, 2, 3)
        assert all(len(outcome.sessions[i].engine.protocol.group.sets) == sets for i in range(4))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", ["die", "hang"])
def test_a_loss_at_every_round(what):
    total = max(rounds(compute, 5, 1).values())
    for number in range(2, total):
        right(run(compute, 5, 1, {4: at(number, what)}, timeout=0.4), 0, 1, 2, 3)


@pytest.mark.parametrize("protocol", ["shamir", "shamir-corrected"])
def test_a_loss_between_two_portions(protocol):
    """All of the step is undone: what was opened under the material of earlier portions is opened under other masks."""
    dying, counts, fatal = [], [], [3]

    def work(session):
        engine, supply = session.engine, session.engine._supply
        engine.portion = 400
        x = session.materialize(session.secret(X, owner=0))
        y = session.materialize(session.secret(Y, owner=1))
        taken = 0

        def supplied(portion):
            nonlocal taken
            taken += 1
            if session.me == 4 and taken in fatal:
                dying.append(taken)
            supply(portion)

        engine._supply = supplied
        z = session.reveal(((x @ y) * x).relu() + x)
        counts.append(taken)
        return z

    def fate(number, where):
        return "die" if dying else None

    right(run(work, 5, 1, {4: fate}, timeout=2, protocol=protocol), 0, 1, 2, 3)
    with_loss, counts[:], fatal[:], dying[:] = counts[:], [], [], []
    right(run(work, 5, 1, {4: fate}, timeout=2, protocol=protocol), 0, 1, 2, 3, 4)
    assert min(counts) > 4
    assert min(with_loss) >= max(counts) + 3, "three portions, then all of them again"


def test_two_losses_at_once_and_one_after_the_other():
    total = max(rounds(compute, 7, 2).values())
    for first, second in ((20, 20), (20, 35), (total - 5, total - 3)):
        right(run(compute, 7, 2, {5: at(first, "die"), 6: at(second, "hang")}, timeout=0.5), 0, 1, 2, 3, 4)


def test_two_that_die_at_once_are_not_waited_for():
    """Some notice one first, some the other, and call for who they still reach. A call that is false by now is made anew."""
    for turn in range(14, 26):
        outcome = run(compute, 6, 1, {2: at(turn, "die"), 5: at(turn, "die")}, timeout=20)
        right(outcome, 0, 1, 3, 4)
        assert outcome.seconds < 20, turn


def test_the_owner_of_data_is_lost_after_it_gave_them():
    total = max(rounds(compute, 5, 1).values())
    right(run(compute, 5, 1, {0: at(total - 4, "die")}), 1, 2, 3, 4)


def test_the_owner_of_data_is_lost_before_it_gave_them():
    outcome = run(compute, 5, 1, {0: at(3, "die")})
    assert not outcome.results
    assert {i: type(e) for i, e in outcome.errors.items() if isinstance(e, PartyLost)}
    assert all(isinstance(e, PartyLost | PeerStopped) for e in outcome.errors.values())


def test_a_second_loss_while_the_first_is_counted():
    """Party 5 dies when it hears of party 6."""

    def fate(number, where):
        return "die" if where == "counting who is left" else None

    right(run(compute, 7, 2, {6: at(20, "die"), 5: fate}, timeout=0.5), 0, 1, 2, 3, 4)


def test_too_few_are_left():
    fates = {3: at(20, "die"), 4: at(20, "die"), 2: at(20, "die")}
    outcome = run(compute, 5, 1, fates, timeout=0.5)
    assert not outcome.results
    assert all(isinstance(outcome.errors[i], TooFewLeft) for i in (0, 1))
    assert outcome.errors[0].survivors == (0, 1)


def test_what_was_saved_before_too_few_were_left():
    """Two of five have their files only: they are enough, under another protocol."""
    kept = {}

    def work(session):
        x = session.materialize(session.secret(X, owner=0))
        kept[session.me] = pickle.dumps(x)
        compute(session)

    fates = {i: at(40, "die") for i in (2, 3, 4)}
    outcome = run(work, 5, 1, fates, timeout=0.5)
    assert all(isinstance(outcome.errors[i], TooFewLeft) for i in (0, 1))

    def again(session):
        return session.reveal(session.restore(pickle.loads(kept[session.me])))

    for value in tacit.run(again, 2, backend="numpy"):
        assert np.abs(value - X).max() < 1e-3


@pytest.mark.parametrize("round", range(16, 34, 3))
def test_a_loss_in_the_middle_of_a_save(round):
    """The others save without it, and bring back what they saved."""
    kept = {}

    def work(session):
        kept[session.me] = pickle.dumps(session.materialize(session.secret(X, owner=0)))

    outcome = run(work, 5, 1, {4: at(round, "die")}, timeout=0.5)
    assert sorted(outcome.results) == sorted(kept) == [0, 1, 2, 3]

    def again(session):
        return session.reveal(session.restore(pickle.loads(kept[session.me])))

    for value in tacit.run(again, 2, backend="numpy"):
        assert np.abs(value - X).max() < 1e-3


class Parted(Failing):
    """A network that falls apart at a round: what goes to the other side is lost, and nothing comes from there."""

    def __init__(self, channel, fate, others):
        super().__init__(channel, fate)
        self._others = others

    def _round(self, asked):
        self.rounds += 1
        if self.rounds > 20:
            asked = replace(asked, out={peer: v for peer, v in asked.out.items() if peer not in self._others})
        self._inner._round(asked)


def test_a_network_that_falls_apart(monkeypatch):
    """Four of seven go on, three do not: they are not more than half."""
    sides = {0, 1, 2, 3}, {4, 5, 6}
    other = {i: sides[1] if i in sides[0] else sides[0] for i in range(7)}
    monkeypatch.setattr("tests.losses.failing.Failing", lambda channel, fate: Parted(channel, fate, other[channel.me]))
    outcome = run(compute, 7, 1, dict.fromkeys(range(7)), timeout=0.4)
    assert sorted(outcome.results) == [0, 1, 2, 3]
    assert all(np.abs(r - RIGHT).max() < 1e-3 for r in outcome.results.values())
    assert all(isinstance(outcome.errors[i], TooFewLeft) for i in (4, 5, 6))


def test_a_stall_within_the_time_out_is_no_loss():
    outcome = run(compute, 5, 1, {4: at(25, 0.3)}, timeout=2)
    right(outcome, 0, 1, 2, 3, 4)
    assert not outcome.sessions[0].lost_parties


def test_who_was_silent_for_too_long_is_told_so():
    outcome = run(compute, 5, 1, {4: at(25, 2.5)}, timeout=0.4)
    assert sorted(outcome.results) == [0, 1, 2, 3]
    assert isinstance(outcome.errors[4], PartyLost | PeerStopped | TooFewLeft)


def test_a_script_that_decides_by_itself():
    """on_party_lost="raise": every survivor gets the exception in the same step, and goes on when it says so."""

    def work(session):
        x = session.materialize(session.secret(X, owner=0))
        found = []
        for turn in range(8):
            try:
                session.reveal(x * x)
            except PartyLost as loss:
                with pytest.raises(PartyLost):
                    session.reveal(x * x)
                found.append((turn, loss.party, session.continue_without_lost()))
                session.reveal(x * x)
        return found

    total = max(rounds(work, 5, 1).values())
    outcome = run(work, 5, 1, {3: at(total // 2, "die")}, on_party_lost="raise")
    assert not outcome.errors
    assert sorted(outcome.results) == [0, 1, 2, 4]
    first = outcome.results[0]
    assert len(first) == 1 and first[0][1:] == (3, (0, 1, 2, 4))
    assert all(r == first for r in outcome.results.values())


@pytest.mark.parametrize(("parties", "threshold", "kind"), [(5, 1, Shares), (6, 2, Sums)])
def test_nothing_is_opened_twice_under_one_mask(parties, threshold, kind, monkeypatch):
    """What a repeated step opens of the same values is masked anew."""
    opened = []
    original = kind.masked

    def masked(self, z):
        value = yield from original(self, z)
        if self.me == 0 and value.size == 4:
            opened.append(value.reshape(-1))
        return value

    monkeypatch.setattr(kind, "masked", masked)
    total = max(rounds(compute, parties, threshold).values())
    opened.clear()
    for number in some(total, 6):
        run(compute, parties, threshold, {parties - 1: at(number, "die")})
    assert len(opened) > 8
    assert len({int(x) for v in opened for x in v}) == 4 * len(opened)


def test_a_party_that_claims_more_than_is_true(monkeypatch):
    """It says that all were through with a step in which the others still were."""
    signing(monkeypatch, 2, lambda call: replace(call, done=call.done + 1))
    outcome = run(compute, 5, 1, {4: at(20, "die")})
    assert 0 not in outcome.results
    assert any(isinstance(e, CheatingDetected) for e in outcome.errors.values())


def storm(seed, parties, threshold):
    """Each of the last n - 2 t - 1 parties is lost with some probability, at a random round, in one way or another."""
    rng = np.random.default_rng(seed)
    fates = {}
    for i in range(2 * threshold + 1, parties):
        if rng.random() < 0.7:
            fates[i] = at(int(rng.integers(4, 250)), str(rng.choice(["die", "hang"])))
    return fates


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_storms():
    for seed in range(10, 60):
        test_a_training_in_a_storm(seed)


@pytest.mark.parametrize("seed", range(3))
def test_a_training_in_a_storm(seed):
    """The same model as without losses."""
    train = Training(6, 0.3)
    fates = storm(seed, 7, 2)
    outcome = run(train, 7, 2, fates, timeout=0.5)
    assert outcome.seconds < 30
    assert not outcome.errors
    assert len(outcome.results) >= 5
    for result in outcome.results.values():
        assert np.abs(result - train.exact()).max() < 1e-2


@pytest.mark.parametrize("seed", range(4))
def test_a_script_sees_a_loss_at_the_same_line(seed):
    """Whatever each party was doing: `survivors` changes after the same step everywhere."""

    def work(session):
        x = session.materialize(session.secret(X, owner=0))
        seen = []
        for _ in range(12):
            seen.append(session.survivors)
            x = session.materialize(x + x)
        return seen

    total = max(rounds(work, 5, 1).values())
    number = int(np.random.default_rng(seed).integers(total // 3, total - 8))
    outcome = run(work, 5, 1, {4: at(number, "die")})
    assert not outcome.errors
    assert sorted(outcome.results) == [0, 1, 2, 3]
    assert len({str(seen) for seen in outcome.results.values()}) == 1
    assert outcome.results[0][-1] == (0, 1, 2, 3)
