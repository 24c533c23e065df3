"""Who goes on: at most one view, and the largest set of parties that all talk to each other."""

import threading
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from tacit.errors import CheatingDetected, PartyLost, PeerStopped, TooFewLeft
from tacit.sessions.options import Options
from tacit.sessions.session import Session
from tacit.testing import virtual
from tacit.transport.calls import FAR, Call, Calls, Equivocation, frame
from tacit.transport.channel import Around
from tacit.transport.cliques import largest, suffices
from tacit.transport.identity import make_identity
from tacit.transport.signing import Signatures
from tests.losses.failing import RIGHT, at, compute, run

# The rule.


def sets(parties):
    return [set(s) for size in range(len(parties) + 1) for s in combinations(parties, size)]


@pytest.mark.parametrize(("m", "t"), [(4, 1), (5, 1), (6, 1), (7, 1), (7, 2), (8, 2), (9, 2), (9, 3)])
def test_two_sets_that_suffice_have_an_honest_party_in_common(m, t):
    base = frozenset(range(2, m + 2))
    enough = [s for s in sets(sorted(base)) if suffices(s, base, t)]
    assert base in enough
    assert all(len(one & other) > t for one, other in combinations(enough, 2))
    for lost in base:
        assert suffices(base - {lost}, base, t) or m - 1 < 2 * t + 1, "one loss is always survived"


def is_clique(found, reaches):
    return all(j in reaches[i] and i in reaches[j] for i, j in combinations(found, 2))


@pytest.mark.parametrize("seed", range(30))
def test_the_largest_clique(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    reaches = {i: {j for j in range(n) if rng.random() < 0.8} for i in range(n)}
    found = largest(reaches, dict.fromkeys(range(n), 1))
    cliques = [tuple(sorted(s)) for s in sets(range(n)) if is_clique(s, reaches)]
    most = max(map(len, cliques))
    assert tuple(sorted(found)) == min(s for s in cliques if len(s) == most)


def test_the_largest_clique_of_many_parties():
    """Forty parties: two halves, a few broken lines, and cheaters that reach whom they like."""
    rng = np.random.default_rng(0)
    n = 40
    halves = {i: {j for j in range(n) if (i < 19) == (j < 19)} for i in range(n)}
    assert largest(halves, dict.fromkeys(range(n), 1)) == frozenset(range(19, 40))
    lines = {i: set(range(n)) for i in range(n)}
    for i in range(0, 20, 2):
        lines[i].discard(i + 1)
    assert largest(lines, dict.fromkeys(range(n), 1)) == frozenset([*range(0, 20, 2), *range(20, 40)])
    claims = {i: set(range(n)) if i >= 13 else {j for j in range(n) if rng.random() < 0.5} for i in range(n)}
    found = largest(claims, dict.fromkeys(range(n), 1))
    assert is_clique(found, claims) and len(found) >= 27


def test_those_that_hold_shares_come_first():
    reaches = {0: {1, 2, 3}, 1: {0, 2, 3}, 2: {0, 1}, 3: {0, 1}}
    assert largest(reaches, dict.fromkeys(range(4), 1)) == {0, 1, 2}
    assert largest(reaches, {0: 5, 1: 5, 2: 1, 3: 5}) == {0, 1, 3}


# Calls.


def records(n, session=b"session"):
    identities = [make_identity(str(i)) for i in range(n)]
    certificates = {i: identity.certificate for i, identity in enumerate(identities)}
    return [Calls(i, session, Signatures(identity, certificates)) for i, identity in enumerate(identities)]


def a_call(party, turn=1, **changes):
    return replace(Call(party, 0, turn, 0, False, True, frozenset({0, 1, 2}), frozenset({0, 1, 2})), **changes)


def test_calls_that_are_not_believed():
    zero, one, two = records(3)
    signed = one.sign(a_call(1))
    assert [s.call for s in zero.take(frame([signed]), 2, {0, 1, 2})] == [a_call(1)], "whoever brings it"
    assert not zero.take(frame([signed]), 1, {0, 1, 2}), "no news"
    with pytest.raises(CheatingDetected, match="party 2 sent a call that party 1 did not sign"):
        two.take(frame([replace(signed, body=a_call(1, done=1).pack())]), 2, {0, 1, 2})
    with pytest.raises(Equivocation, match="party 1 told"):
        zero.take(frame([one.sign(a_call(1, members=frozenset({0, 1})))]), 2, {0, 1, 2})
    elsewhere = Calls(1, b"another session", one._signatures)
    with pytest.raises(CheatingDetected, match="party 1 did not sign"):
        two.take(frame([elsewhere.sign(a_call(1))]), 1, {0, 1, 2})


def test_a_call_for_a_turn_that_no_count_comes_to():
    """Else the others would go on to it, and keep what is said of all turns up to it."""
    zero, one, _ = records(3)
    with pytest.raises(CheatingDetected, match=f"party 1 calls for turn {FAR + 1} of a count"):
        zero.take(frame([one.sign(a_call(1, FAR + 1))]), 2, {0, 1, 2})
    assert zero.take(frame([one.sign(a_call(1, FAR))]), 2, {0, 1, 2})


def test_calls_of_an_earlier_life_and_of_counts_that_are_over():
    zero, one, two = records(3)
    earlier = one.sign(a_call(1, 5))
    zero.since[1] = 7
    assert not zero.take(frame([earlier]), 2, {0, 1, 2})
    assert zero.take(frame([one.sign(a_call(1, 5, since=7))]), 2, {0, 1, 2})
    two.settle(5)
    assert not two.take(frame([earlier]), 1, {0, 1, 2})


def test_a_call_that_is_held_back_until_the_count_is_over_is_a_proof_still():
    zero, one, _ = records(3)
    zero.take(frame([one.sign(a_call(1, 3))]), 1, {0, 1, 2})
    zero.settle(4)
    with pytest.raises(Equivocation):
        zero.take(frame([one.sign(a_call(1, 3, done=9))]), 2, {0, 1, 2})


# Networks.


class Cut(Around):
    """`channel` without lines to `others` from round `first` on: what is sent there is lost."""

    def __init__(self, channel, others, first=20):
        super().__init__(channel)
        self._others, self._first, self._rounds = others, first, 0

    def _round(self, asked):
        self._rounds += 1
        if self._rounds > self._first:
            asked = replace(asked, out={p: v for p, v in asked.out.items() if p not in self._others})
        self._inner._round(asked)


def cut(monkeypatch, parties, threshold, broken, **options):
    """`broken`: {line: the round after which it is}."""
    others = {i: {} for i in range(parties)}
    for (a, b), first in broken.items():
        others[a][b] = others[b][a] = first

    def failing(channel, fate):
        for other, first in others[channel.me].items():
            channel = Cut(channel, {other}, first)
        return channel

    monkeypatch.setattr("tests.losses.failing.Failing", failing)
    return run(compute, parties, threshold, dict.fromkeys(range(parties)), timeout=1.0, **options)


def went_on(outcome, *parties):
    assert sorted(outcome.results) == list(parties)
    assert all(np.abs(r - RIGHT).max() < 1e-3 for r in outcome.results.values())
    assert all(outcome.sessions[i].survivors == parties for i in parties)


@pytest.mark.parametrize(("n", "t"), [(4, 1), (5, 1), (7, 2)])
@pytest.mark.parametrize("line", [(0, 1), (1, 3), (2, 3)])
def test_a_broken_line_costs_one_party(n, t, line, monkeypatch):
    outcome = cut(monkeypatch, n, t, {line: 20})
    went_on(outcome, *(i for i in range(n) if i != line[1]))
    assert isinstance(outcome.errors[line[1]], PeerStopped)
    assert f"its lines to {line[0]} are broken" in str(outcome.errors[line[1]])


def test_two_broken_lines_cost_two_parties_or_the_one_that_they_share(monkeypatch):
    """The parties that are left out agree: with three of five alone, two views could go on."""
    went_on(cut(monkeypatch, 5, 1, {(0, 1): 20, (2, 3): 20}), 0, 2, 4)
    went_on(cut(monkeypatch, 5, 1, {(0, 1): 20, (0, 3): 20}), 1, 2, 3, 4)


def test_lines_that_break_one_after_the_other(monkeypatch):
    went_on(cut(monkeypatch, 7, 2, {(0, 6): 15, (1, 2): 40}), 0, 1, 3, 4, 5)


def test_a_network_that_falls_apart_goes_on_in_one_part_at_most(monkeypatch):
    for far, go_on in [({3, 4}, True), ({0, 1}, False), ({2, 3}, False), ({4}, True), ({0}, True)]:
        near = set(range(5)) - far
        outcome = cut(monkeypatch, 5, 1, {(a, b): 20 for a in near for b in far})
        if go_on:
            went_on(outcome, *sorted(near))
        assert sorted(outcome.results) == (sorted(near) if go_on else [])
        assert all(isinstance(e, TooFewLeft) for e in outcome.errors.values())


@pytest.mark.parametrize(("n", "t", "cheaters"), [(7, 2, (0, 1)), (7, 2, (5, 6)), (5, 1, (0,)), (5, 1, (4,))])
def test_claims_of_broken_lines_cost_as_many_parties_as_there_are_cheaters(n, t, cheaters, monkeypatch):
    """Each names an honest party of its own in its calls, or all of them."""
    honest = [i for i in range(n) if i not in cheaters]
    for claims in ({c: {honest[-1 - k]} for k, c in enumerate(cheaters)}, {c: set(honest) for c in cheaters}):
        original = Calls.sign

        def sign(self, call, original=original, claims=claims):
            return original(self, replace(call, reaches=call.reaches - claims.get(call.party, set())))

        with monkeypatch.context() as patch:
            patch.setattr(Calls, "sign", sign)
            outcome = run(compute, n, t, {n // 2: at(20, 2.5)}, timeout=2.0)
        left = [i for i in honest if i in outcome.results]
        assert not left or len(left) >= len(honest) - len(cheaters)
        assert left or any(isinstance(e, TooFewLeft) for e in outcome.errors.values())
        assert all(np.abs(outcome.results[i] - RIGHT).max() < 1e-3 for i in left)


def two_minds(n, t, liar, sides, intact):
    """Party `liar` runs twice, once with each of `sides`, for which the other is lost. `intact`: the sides reach each other.

    Results by (party, side) of the liar, and by party.
    """
    channels = virtual.network(n + 1, timeout=1.0)
    other = n  # the second mind: party `liar` for the second side
    seen = {i: {p: p for p in range(n) if p != i} for i in range(n)}
    for i in sides[1]:
        seen[i][liar] = other
    seen[other] = {p: p for p in range(n) if p != liar}
    identities = [make_identity(f"party {i}") for i in range(n)]
    certificates = {i: identity.certificate for i, identity in enumerate(identities)}

    class Seen(Around):
        """The network as one of them sees it: numbers of parties for channels, and whom it wants to lose."""

        def __init__(self, channel, here):
            super().__init__(channel)
            self.me = liar if here == other else here
            self.peers = tuple(sorted(seen[here]))
            self.here, self.rounds = here, 0
            away = sides[1] if here == liar else sides[0] if here == other else ()
            if not intact and here < n and here != liar:
                away = sides[1] if here in sides[0] else sides[0]
            self.away = set(away)

        def part(self, peers):
            self.peers = tuple(p for p in self.peers if p not in peers)

        def _round(self, asked):
            self.rounds += 1
            gone = self.away if self.rounds > 1 or self.here in (liar, other) else set()
            if self.here in (liar, other) and (lost := sorted(gone & set(self.peers) & {*asked.out, *asked.expect})):
                raise PartyLost(lost[0], "a lie", asked.where)
            names = seen[self.here]
            came = {}
            try:
                sending = {names[p]: v for p, v in asked.out.items() if p not in gone}
                expect = {names[p]: limit for p, limit in asked.expect.items()}
                self._inner._round(replace(asked, out=sending, expect=expect, came=came))
            except PartyLost as error:
                back = {c: p for p, c in names.items()}
                raise PartyLost(back[int(error.party)], error.why, error.operation, error.silent) from None
            except PeerStopped as error:
                back = {c: p for p, c in names.items()}
                raise PeerStopped(back[int(error.party)], error.message) from None
            finally:
                asked.came.update({p: came[c] for p, c in names.items() if c in came})

    outcome = {}
    options = Options(protocol="shamir", threshold=t, timeout=1.0, backend="numpy")

    def party(here):
        me = liar if here == other else here
        channel = Seen(channels[here], here)
        try:
            signatures = Signatures(identities[me], certificates)
            session = Session(me, n, options, channel, None, b"one session", signatures=signatures)
            with session:
                outcome[here] = session.reveal(session.materialize(session.secret(np.array([3.0]), owner=liar)))
        except Exception as error:
            outcome[here] = error
        finally:
            channels[here].close()

    threads = [threading.Thread(target=party, args=(i,), daemon=True) for i in range(n + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    return outcome


@pytest.mark.parametrize(("n", "t"), [(5, 1), (7, 1), (8, 2)])
def test_a_cheater_with_two_minds(n, t):
    """It tells either half that it lost the other half: the halves talk to each other, and find that out."""
    liar = n // 2
    sides = [i for i in range(n) if i < liar], [i for i in range(n) if i > liar]
    outcome = two_minds(n, t, liar, sides, True)
    honest = [outcome[i] for i in range(n) if i != liar]
    assert not any(isinstance(o, np.ndarray) for o in honest) or all(isinstance(o, np.ndarray) for o in honest)
    assert any(isinstance(o, CheatingDetected) and f"party {liar} told different parties" in str(o) for o in honest)


@pytest.mark.parametrize(("n", "t"), [(5, 1), (7, 1), (8, 2), (9, 2)])
def test_a_cheater_in_the_middle_of_a_network_that_falls_apart(n, t):
    """It talks to both halves, which do not talk to each other: one of them goes on at most."""
    liar = n // 2
    sides = [i for i in range(n) if i < liar], [i for i in range(n) if i > liar]
    outcome = two_minds(n, t, liar, sides, False)
    going = [any(isinstance(outcome[i], np.ndarray) for i in side) for side in sides]
    assert sum(going) <= 1, outcome
