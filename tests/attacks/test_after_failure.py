"""A failure ends a session: a script that catches the error and goes on sends no message more and gets no value."""

import re
import threading
from dataclasses import dataclass, field

import numpy as np
import pytest

import tacit
from tacit import _core
from tacit import field as fp
from tacit.errors import CheatingDetected, Mismatch, PartyLost, TacitError
from tacit.field import P
from tacit.testing.transport import Tampered

X = np.array([1.5, -2.75])
OVER = "this session is over"


@dataclass
class Log:
    """What became of party 0, which makes every call of its script whatever became of those before."""

    values: list = field(default_factory=list)
    errors: list = field(default_factory=list)
    sent: list = field(default_factory=list)
    """Labels of the frames that it sent after its first error."""


def play(script, attack=None, tamper=None):
    """`script(session)` is a list of calls. Party 1 makes them too, after `attack(session)`, and nothing ends its session."""
    log, failed = Log(), threading.Event()

    def sending(peer, number, payload, label):
        if failed.is_set():
            log.sent.append(label)
        return payload

    def honest(calls):
        for call in calls:
            try:
                log.values.append(call())
            except TacitError as error:
                log.errors.append(error)
                failed.set()

    def attacker(calls):
        for call in calls:
            try:
                call()
            except TacitError:
                failed.wait(10)

    def body(session):
        calls = script(session)
        if session.me == 0:
            return honest(calls)
        session.engine._alive = session.engine.protocol.burn = lambda: None
        if attack is not None:
            attack(session)
        return attacker(calls)

    def wrap(channel, me):
        return Tampered(channel, tamper or (lambda peer, number, payload, label: payload) if me else sending)

    with pytest.raises(TacitError):
        tacit.run(body, parties=2, timeout=0.6 if tamper else 10, wrap=wrap, backend="numpy")
    return log


def ended(log, kind):
    """Nothing was revealed; the first error is of this kind, all others say that there is no session any more."""
    assert not log.values and not log.sent
    assert isinstance(log.errors[0], kind), log.errors[0]
    assert len(log.errors) > 1
    for error in log.errors[1:]:
        assert type(error) is TacitError and OVER in str(error) and kind.__name__ in str(error)


# What party 1 does.


def alter_the_first_opening(session):
    protocol, errors = session.engine.protocol, [1 << 40]
    right = protocol.open

    def open(share):
        value, mac = share
        return (yield from right((shifted(value, errors.pop() if errors else 0), mac)))

    protocol.open = open


def shifted(value, by):
    return fp.add(value, np.full(value.shape, by % P, np.uint64))


def run_another_script(session):
    session.engine.costs.graphs += 1  # as if it had computed something more


def silent(peer, number, payload, label):
    return None if label == "reveal" else payload


class Withheld:
    """Sends everything but its sigma of the first check."""

    def __init__(self):
        self.frames = 0

    def __call__(self, peer, number, payload, label):
        self.frames += label == "reveal"  # the coin's commitment and opening, the sigma's commitment, the sigma
        return None if label == "reveal" and self.frames == 4 else payload


class Forger:
    """Alters an opening, learns alpha from the check that fails, then answers a check so that it passes with any value.

    That works against a party whose share of alpha is 0, as it is after its keys are burned.
    """

    def __init__(self, session):
        self.protocol, self.errors, self.alpha, self.failed = session.engine.protocol, [], None, False
        self.open_right = self.protocol.open
        self.protocol.open, self.protocol.check = self.open, self.check

    def open(self, share):
        value, mac = share
        error = 1000 << 32 if self.failed else 12345
        opened = yield from self.open_right((shifted(value, error), mac))
        self.errors.append(np.full(opened.size, error, np.uint64))
        return opened

    def check(self):
        protocol = self.protocol
        coin = yield from protocol._transcript.coin()
        prg, a, gamma, error = _core.Prg(coin, 0), 0, 0, 0
        for value, mac, wrong in zip(protocol._values, protocol._macs, self.errors, strict=True):
            sums = prg.combine([np.ascontiguousarray(v).reshape(-1) for v in (value, mac, wrong)])
            a, gamma, error = a + sums[0], gamma + sums[1], error + sums[2]
        self.errors = []
        protocol._checked()
        known = self.alpha * (a - error) if self.failed else protocol.unit[1] * a
        sigmas = yield from protocol._transcript.committed(((gamma - known) % P).to_bytes(8, "little") + bytes(8))
        total = sum(int.from_bytes(s[:8], "little") for s in sigmas) % P
        if total and not self.failed:
            self.alpha, self.failed = -total * pow(error, -1, P) % P, True
            raise CheatingDetected("as all others find")


# Attacks on a script that tries again.


def try_twice(session):
    x, one = session.secret(X, owner=0, shape=(2,)), session.secret(np.ones(2), owner=0, shape=(2,))
    product = (x * x) * one
    return [lambda: session.reveal(product)] * 2


def test_a_sigma_withheld_after_an_altered_opening():
    """The second reveal would find nothing left to check, and show the altered product."""
    ended(play(try_twice, alter_the_first_opening, Withheld()), PartyLost)


def test_a_forged_output_after_a_failed_check():
    def script(session):
        x = session.secret(X, owner=0, shape=(2,))
        square = x * x
        return [lambda: session.reveal(square)] * 2

    ended(play(script, Forger), CheatingDetected)


def test_an_input_after_a_failed_check():
    """Without its seeds the party would hide it under a pad that everyone knows: nothing of it is sent."""

    def script(session):
        x = session.secret(X, owner=0, shape=(2,))

        def enter():
            session.engine.force(session.secret(np.array([1234.5]), owner=0, shape=(1,)).number.wire)

        return [lambda: session.reveal(x * x), enter]

    ended(play(script, alter_the_first_opening), CheatingDetected)


# Every call, after every kind of failure.


def everything(session):
    """First what fails if party 1 does its part, then all that a session can be asked for."""
    engine = session.engine
    x, y = session.secret(X, owner=0, shape=(2,)), session.secret(X, owner=1, shape=(2,))
    old = x * y
    engine.force(old.number.wire)
    return [
        lambda: session.reveal(old * x * y),
        lambda: session.reveal(old),
        lambda: session.reveal(x, to=0),
        lambda: session.reveal([x, y]),
        lambda: engine.force((x * x * y).number.wire),
        lambda: engine.force(old.number.wire),
        lambda: engine.prepare((x + y).number.wire),
        lambda: engine.force(session.random((2,)).number.wire),
        lambda: engine.step(),
        lambda: list(session.steps(1)),
        lambda: session.close(),
    ]


@pytest.mark.parametrize(
    ("attack", "tamper", "kind"),
    [
        (alter_the_first_opening, None, CheatingDetected),
        (run_another_script, None, Mismatch),
        (None, silent, PartyLost),
    ],
    ids=["cheating", "mismatch", "lost"],
)
def test_every_later_call_says_that_the_session_is_over(attack, tamper, kind):
    ended(play(everything, attack, tamper), kind)


# What a mismatch tells a peer of the script's numbers.

SECRET = (1041, 1057)
"""By party: what a script uses as public and should not have."""

USES = {
    "factor": lambda session, x, n: x * n,
    "fraction": lambda session, x, n: x * (n + 0.5),
    "divisor": lambda session, x, n: x / n,
    "addend": lambda session, x, n: x + n,
    "subtrahend": lambda session, x, n: n - x,
    "array": lambda session, x, n: x * np.linspace(1, n, 2000),
    "matrix": lambda session, x, n: x @ np.linspace(1, n, 2000),
    "index": lambda session, x, n: x[n],
    "slice": lambda session, x, n: x[n : n + 5],
    "rows": lambda session, x, n: x[[0, n, 3]],
    "batch": lambda session, x, n: session.rows(x, [n, 7]),
    "bound": lambda session, x, n: x > n,
}


@pytest.mark.parametrize("use", USES)
def test_a_mismatch_shows_no_number_of_the_script(use):
    told = {}

    def body(session):
        x = session.secret(np.zeros(2000), owner=0, shape=(2000,))
        y = USES[use](session, x, SECRET[session.me])
        try:
            session.reveal(y)
        except Mismatch as error:
            told[session.me] = str(error)
            raise

    with pytest.raises(Mismatch):
        tacit.run(body, parties=2, timeout=5, backend="numpy")
    assert len(told) == 2
    for message in told.values():
        shown = re.sub(r"[0-9a-f]{32}", "", message)
        assert shown != message, "the numbers are compared by digest"
        for number in SECRET:
            forms = [number, 2 * number + 1, number << 16, -number << 16, number + 0.5, 1 / number]
            assert not [f for f in forms if str(f) in shown], shown
