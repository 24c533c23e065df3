"""spdz with a dealer: openings under masks, products, and the MAC check. Party 0 is honest, all others pool what they see."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.helpers.settings import full
from tests.model.counting import Told, at_once, one_by_one, uniform
from tests.model.world import HEADER, Heard, in_threads, lines, together, world

PARTIES = 3
COLLUDERS = (1, 2)


def ran(w, channels, material, values, owners, compute, hidden=lambda dealer: None):
    """A graph on secrets of `owners`, run by the engines of all parties and a dealer.

    `compute(product, *secrets)` returns the value that is needed, which is not revealed.
    """
    forms, operations = w.module("graph.forms"), w.module("graph.operations")
    dealer = w.module("preprocessing.dealer").Dealer(material[PARTIES], PARTIES)
    hidden(dealer)

    def party(me):
        source = w.module("preprocessing.dealer").DealerSource(me, PARTIES, material[me])
        protocol = w.module("protocols.spdz.protocol").Spdz(me, PARTIES, source, b"session")
        engine = w.module("engine.engine").Engine(protocol, source, channels[me], b"session")

        def product(x, y):
            return engine.record(operations.Bilinear(forms.Elementwise()), (x, y), x.shape, "product")

        engine.start()
        secrets = [
            engine.record(operations.Input(i, (lambda v=v: v) if i == me else None), (), v.shape, "input")
            for i, v in zip(owners, values, strict=True)
        ]
        engine.force(compute(product, *secrets))
        source.close()

    in_threads(*(lambda i=i: party(i) for i in range(PARTIES)), dealer.serve)


def computed(w, owners, compute, blank=lambda dealer: ()):
    """All cases of such a graph: the secrets of party 0, and what the others see."""
    tape = w.tape

    def play():
        heard, values = Heard(), []
        for owner in owners:
            values.append(tape.digit(w.p) if owner == 0 else np.full(tape.lanes, 2, np.uint64))

        def hidden(dealer):
            tape.hidden = {dealer._seeds[0], dealer._owner_seeds[0]}
            tape.blank = set(blank(dealer))

        ran(w, lines(PARTIES, heard), lines(PARTIES + 1, heard), values, owners, compute, hidden)
        view = heard.columns(COLLUDERS, tape.lanes, only=["online"], header=HEADER)
        view += heard.columns(COLLUDERS, tape.lanes, only=["corrections"])
        return Told([v for v, owner in zip(values, owners, strict=True) if owner == 0], view)

    return at_once(tape, play)


def square_of_a_square(product, x):
    y = product(x, x)
    return product(y, y)


GRAPHS = {
    "a colluder's number": (5, (0, 1), lambda product, x, y: product(x, y)),
    "two secrets": (3, (0, 0), lambda product, x, y: product(x, y)),
    "a result": (3, (0,), square_of_a_square),
}


@pytest.mark.parametrize("graph", GRAPHS)
def test_products(graph):
    p, *work = GRAPHS[graph]
    w = world(p)
    w.tape.reset(b"1")
    assert uniform(computed(w, *work))


def test_broken_openings_are_counted():
    w = world(3)
    _, *two = GRAPHS["two secrets"]
    w.tape.reset(b"1")
    assert not uniform(computed(w, *two, lambda dealer: [dealer._owner_seeds[0]])), "an input without a mask"
    assert not uniform(computed(w, *two, lambda dealer: [dealer._seeds[0]])), "a mask whose shares others know"
    w.tape.restarted = True
    assert not uniform(computed(w, *two)), "a mask that opens two values"


def checked(w, error, masks="AC"):
    """z = x y from x - A, y - B, [A B]; z - C is opened; the MAC check. A colluder adds `error` to its shares of the three.

    x is of party 0, y of a colluder; alpha's share of party 0 is hidden, too. `masks`: what A and C are. What the others see ends
    with whether party 0 stopped.
    """
    tape, p = w.tape, w.p
    elementwise = w.module("graph.forms").Elementwise()
    module, failed = w.module("protocols.spdz.protocol"), w.module("protocols.spdz.protocol").CheatingDetected
    checks = w.module("interaction.checks").Checks

    def play():
        x, alpha, drawn = tape.digit(p), tape.digit(p), {name: tape.digit(p) for name in sorted(set(masks))}
        a, c = (drawn[name] if name != "0" else np.zeros(1, np.uint64) for name in masks)
        y, b = np.array([p - 1], np.uint64), tape.public("B", 1, p)
        keys = {0: alpha, **{i: tape.public(("alpha", i), 1, p) for i in COLLUDERS}}
        whole = sum(keys.values()) % p

        def shares(name, value):
            """(value share, MAC share) of each party; those of colluders are fixed."""
            both = [value, value * whole % p]
            found = {i: [tape.public((name, i, k), 1, p) for k in range(2)] for i in COLLUDERS}
            found[0] = [(v + sum(p - found[i][k] for i in COLLUDERS)) % p for k, v in enumerate(both)]
            return found

        named = {"x": x, "y": y, "A": a, "B": b, "AB": a * b % p, "C": c}
        held = {name: shares(name, value) for name, value in named.items()}

        def party(me):
            source = SimpleNamespace(
                key=int(keys[me][0]),
                binary=False,
                binary_key=0,
                summands=1,
                late=True,
                order=checks(60.0),
                opening=lambda: None,
            )
            spdz = module.Spdz(me, PARTIES, source, b"session")
            mine = {name: held[name][me] for name in held}

            def opened(number, value, mask):
                wrong = error[number] if me == COLLUDERS[0] else 0
                d, mac = (w.core.sub(v, m) for v, m in zip(value, mask, strict=True))
                return (yield from spdz.open((w.core.add_scalar(d, wrong), mac)))

            d, e = (yield from opened(0, mine["x"], mine["A"])), (yield from opened(1, mine["y"], mine["B"]))
            z = [
                elementwise.masked(d, y_k, x_k, e, u, ab)
                for x_k, y_k, ab, u in zip(mine["x"], mine["y"], mine["AB"], spdz.unit, strict=True)
            ]
            yield from opened(2, z, mine["C"])
            try:
                yield from spdz.check()
            except failed:
                return 1
            return 0

        heard = Heard()
        stopped = together({i: party(i) for i in range(PARTIES)}, heard)[0]
        view = heard.columns(COLLUDERS, 1, size=8)
        view += [sigma[:1] for sigma in heard.columns(COLLUDERS, SIGMA // 8, size=SIGMA)]
        return Told([x], [*view, np.array([stopped])])

    return one_by_one(tape, play)


SIGMA = 8 + 8 + 32 + 32
"""Bytes that open a sigma: over F_p, over GF(2), the salt of its commitment, and the echo."""
ERRORS = {"none": (0, 0, 0), "an operand": (1, 0, 0), "both": (1, 2, 0), "a result": (0, 0, 1)}
PRIMES = full([3, 5])
SEED = b"2"
"""With a coin of which no weight is 0."""


@pytest.mark.parametrize("p", PRIMES)
@pytest.mark.parametrize("error", ERRORS)
def test_a_mac_check_and_whether_it_fails(error, p):
    w = world(p)
    w.tape.reset(SEED)
    told = checked(w, ERRORS[error])
    assert uniform(told)
    assert told.view[-1].any() == any(ERRORS[error])


@pytest.mark.parametrize("p", PRIMES)
@pytest.mark.parametrize("error", ["none", "an operand"])
def test_broken_mac_checks_are_counted(error, p):
    w = world(p)
    w.tape.reset(SEED)
    assert not uniform(checked(w, ERRORS[error], "AA")), "a mask that opens two values"
    assert not uniform(checked(w, ERRORS[error], "A0")), "a result without a mask"
