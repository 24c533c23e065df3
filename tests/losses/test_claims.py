"""What parties say of the values they hold when all shares are dealt anew: no old share serves on, honest ones are not named."""

import re
import threading

import numpy as np
import pytest

from tacit.errors import CheatingDetected, Mismatch, PeerStopped
from tacit.protocols.shamir.polynomials import on_polynomial, point
from tests.losses.failing import X, run


def lose(script, parties, threshold, **options):
    """The last party dies in its third turn of the script."""
    dying = []

    def work(session):
        def turn(number):
            if session.me == parties - 1 and number == 2:
                dying.append(number)

        return script(session, turn)

    fates = {parties - 1: lambda round, where: "die" if dying else None}
    return run(work, parties, threshold, fates, timeout=2.0, **options)


def work(lies=None, liar=3):
    """A value that lives on while a party is lost: what each party held of it before and after, and the last result."""

    def script(session, turn):
        x = session.materialize(session.secret(X, owner=0))
        if lies and session.me == liar:
            live = session.engine.live
            session.engine.live = lambda: lies(live())
        before, seen = x.number.wire.share[0].reshape(-1).copy(), []
        for number in range(6):
            turn(number)
            session.materialize(x * x)
            seen.append(session.survivors)
        wire = x.number.wire
        return before, None if wire.share is None else wire.share[0].reshape(-1).copy(), seen, session.reveal(x)

    return script


def nothing(live):
    return {}


def but_one(live):
    return dict(list(live.items())[1:])


def others(live):
    return {serial + 1: wire for serial, wire in live.items()}


def accused(errors, *honest):
    """The parties that the others say have cheated."""
    texts = [str(errors[i]) for i in honest if isinstance(errors.get(i), CheatingDetected)]
    return {int(i) for text in texts for i in re.findall(r"party (\d+)", text)}


@pytest.mark.parametrize(("parties", "threshold"), [(5, 1), (6, 1), (7, 2)])
@pytest.mark.parametrize("protocol", ["shamir", "shamir-corrected"])
def test_an_old_share_is_of_no_use(parties, threshold, protocol):
    outcome = lose(work(), parties, threshold, protocol=protocol)
    assert sorted(outcome.results) == list(range(parties - 1)), outcome.errors
    assert any(len(members) == parties - 1 for members in outcome.results[0][2])
    old, new = ({i: r[k] for i, r in outcome.results.items()} for k in (0, 1))
    for place in range(X.size):
        mixed = {point(0): int(old[0][place]), **{point(i): int(new[i][place]) for i in range(1, threshold + 2)}}
        assert not on_polynomial(mixed, threshold)
        assert on_polynomial({point(i): int(s[place]) for i, s in new.items()}, threshold)


@pytest.mark.parametrize("lies", [nothing, but_one, others], ids=lambda f: f.__name__)
@pytest.mark.parametrize(("parties", "threshold", "liar"), [(5, 1, 3), (5, 1, 0), (7, 2, 5)])
@pytest.mark.parametrize("protocol", ["shamir", "shamir-corrected"])
def test_a_party_that_does_not_say_what_it_holds(protocol, lies, parties, threshold, liar):
    """The values are dropped at all alike; who said so, and computes with them, is named, and nobody else."""
    outcome = lose(work(lies, liar), parties, threshold, protocol=protocol)
    honest = [i for i in range(parties - 1) if i != liar]
    assert not set(outcome.results) & set(honest)
    assert all(isinstance(outcome.errors[i], CheatingDetected | PeerStopped) for i in honest), outcome.errors
    assert accused(outcome.errors, *honest) == {liar}
    for i in honest:
        old = [w for w in outcome.sessions[i].engine.live().values() if w.gone]
        assert old and all(w.share is None for w in old)


def test_what_only_one_party_keeps_is_dropped():
    """A script that holds a value at one party alone: nothing is wrong as long as nobody computes with it."""

    def script(session, turn):
        x = session.materialize(session.secret(X, owner=0))
        y = session.materialize(x + x)
        if session.me != 2:
            del y
        for number in range(6):
            turn(number)
            session.materialize(x * x)
        return session.reveal(x), y.number.wire.gone if session.me == 2 else None

    outcome = lose(script, 5, 1)
    assert not outcome.errors
    assert all(np.abs(result - X).max() < 1e-3 for result, _ in outcome.results.values())
    assert outcome.results[2][1] == (0, 1, 3)


def test_what_only_cycles_hold_does_not_live():
    """Python collects a cycle sooner at one party than at another."""
    one_by_one = threading.Lock()

    def script(session):
        x = session.materialize(session.secret(X, owner=0))
        y = session.materialize(x + x)
        if session.me != 1:
            cycle = [y]
            cycle.append(cycle)
            del cycle
        del y
        with one_by_one:  # a collection while another thread's is under way does nothing
            before = len(session.engine.live())
        return before, session.reveal(x)

    outcome = run(script, 4, 1, {}, timeout=5.0)
    assert not outcome.errors
    assert len({before for before, _ in outcome.results.values()}) == 1


def equivocated(payload):
    return bytes(payload[8:])


def unordered(payload):
    return 2 * bytes(payload)


def cut(payload):
    return bytes(payload[:-3])


@pytest.mark.parametrize("number", [0, 1], ids=["list", "echo"])
@pytest.mark.parametrize("peers", [(0,), (1, 2), (0, 1, 2)])
def test_lists_told_differently(number, peers):
    """Nobody can tell who lied: nobody is named but the liar, if all got it."""
    rounds = []

    def tamper(peer, at, payload, label):
        if label == "view" and at not in rounds:
            rounds.append(at)
        hit = label == "view" and at == rounds[number] if len(rounds) > number else False
        return (equivocated(payload) if number == 0 else bytes(32)) if hit and peer in peers else payload

    outcome = lose(work(), 5, 1, tampers={3: tamper})
    assert not set(outcome.results) & {0, 1, 2}
    assert all(isinstance(outcome.errors[i], CheatingDetected | PeerStopped) for i in (0, 1, 2)), outcome.errors
    assert any(isinstance(outcome.errors[i], CheatingDetected) for i in (0, 1, 2))
    assert accused(outcome.errors, 0, 1, 2) <= {3}


@pytest.mark.parametrize("alter", [unordered, cut])
def test_malformed_lists(alter):
    def tamper(peer, at, payload, label):
        return alter(payload) if label == "view" and len(payload) != 32 else payload

    outcome = lose(work(), 5, 1, tampers={3: tamper})
    assert not set(outcome.results) & {0, 1, 2}
    assert all(isinstance(outcome.errors[i], Mismatch | PeerStopped | CheatingDetected) for i in (0, 1, 2))
    assert accused(outcome.errors, 0, 1, 2) <= {3}
