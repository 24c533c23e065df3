"""A party that lies about who has come back: who is let in is the same for all, or all stop, and no honest party is named."""

import re
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from tacit.engine.recovery import NEXT, PARTIES, THROUGH, Recovery
from tacit.errors import CheatingDetected, TacitError
from tacit.testing.nodes import Nodes
from tacit.testing.transport import Tampered
from tests.losses.failing import X, at

LIAR, LOST = 1, 2
NOTE = len(THROUGH) + 8
BITS = PARTIES // 8


def nobody(payload):
    return bytes(payload[:-BITS]) + bytes(BITS)


def no_proposal(payload):
    return bytes(payload[:NOTE]) + bytes(NEXT) + bytes(payload[NOTE + NEXT :])


def a_proposal(payload):
    return bytes(payload[:NOTE]) + (1 + LOST).to_bytes(NEXT, "little") + bytes(payload[NOTE + NEXT :])


def lied(lie, peers, parties=4, first=lambda session, enough: None):
    """A party is lost and comes back, while the liar tells `peers` something else at the ends of steps.

    `first(session, enough)` is called at the liar; the script goes on until it ends with an error, or `enough` is set.
    """
    enough = threading.Event()

    def tamper(peer, number, payload, label):
        return lie(payload) if label == "through" and peer in peers and number > 80 else payload

    def work(session):
        if session.me == LIAR:
            session._channel._inner = Tampered(session._channel._inner, tamper)
            first(session, enough)
        x = session.materialize(session.secret(X, owner=0))
        for _ in range(2000):
            y = session.reveal((x * x).relu())
            if session.reveal(session.secret(np.array([float(enough.is_set())]), owner=0))[0]:
                break
        return session.survivors, y

    def fate(me, life):
        return at(60, "die") if (me, life) == (LOST, 0) else None

    return Nodes(work, parties, 1, fate, timeout=20.0).run()


def no_honest_party_is_named(outcome, honest):
    ends = [e for i in honest for e in [*outcome.ended[i], *([outcome.errors[i]] if i in outcome.errors else [])]]
    assert all(isinstance(e, TacitError) for e in ends), ends
    for error in ends:
        if isinstance(error, CheatingDetected):
            assert {int(i) for i in re.findall(r"party (\d+)", str(error))} <= {LIAR}, error


@pytest.mark.parametrize(
    ("lie", "peers"),
    [
        (nobody, (0,)),
        pytest.param(nobody, (3,), marks=pytest.mark.slow),
        (no_proposal, (0,)),
        pytest.param(a_proposal, (3,), marks=pytest.mark.slow),
    ],
)
def test_who_has_come_back_told_differently(lie, peers):
    outcome = lied(lie, peers)
    honest = (0, 3)
    assert not set(outcome.results) & set(honest)
    assert any(isinstance(outcome.errors.get(i), CheatingDetected) for i in honest)
    no_honest_party_is_named(outcome, honest)


@pytest.mark.parametrize(("lie", "proposed"), [(no_proposal, (LOST,)), (a_proposal, ())])
def test_at_the_end_of_a_step_another_is_awaited(lie, proposed):
    """The comparison by itself: found in the very step in which one of the others says so."""

    def exchange(out, expect, label):
        return {i: lie(whole) if i == LIAR else bytes(whole) for i, (whole,) in out.items()}

    channel = SimpleNamespace(me=0, peers=(LIAR, 3), exchange=exchange)
    engine = SimpleNamespace(protocol=SimpleNamespace(parties=4, members=(0, LIAR, 3)))
    at_end = SimpleNamespace(_engine=engine, _channel=channel, _done=7, _proposed=proposed, _coming=())
    with pytest.raises(CheatingDetected, match="different things about who has come back"):
        Recovery._through(at_end, None)


def test_a_party_that_sees_nobody_keeps_the_other_out():
    """As it may: all have to let it in. The others go on."""

    def blind(session, enough):
        door, seen = session.engine.recovery.door, []
        look = door.ready

        def ready(members, proposed=()):
            seen.extend(look(members, proposed))
            if len(seen) > 5:
                enough.set()
            return ()

        door.ready = ready

    outcome = lied(nobody, (), first=blind)
    assert not outcome.errors.keys() & {0, 1, 3}, outcome.errors
    for i in (0, 3):
        members, y = outcome.results[i]
        assert members == (0, 1, 3) and np.abs(y - X * X).max() < 1e-3
