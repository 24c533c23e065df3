"""Lies of a party while the parties make their material: each is well formed, and alters the party's `Link`."""

import numpy as np

from tacit.field import P
from tacit.graph.forms import Elementwise, MatMul
from tacit.preprocessing.lattice.shared import Shared
from tacit.preprocessing.lattice.sigmas import NUMBER, OPENED
from tacit.protocols.plan import Plan
from tests.attacks.keys import LIAR, Keys, more, product


def plan():
    p = Plan(0)
    (a, _), (b, _) = p.mask((30, 4)), p.mask((4, 3))
    (c, _) = p.mask((30, 4))
    p.product(MatMul(), a, b)
    p.product(Elementwise(), a, c)
    p.truncation((20,), 1 << 16, 3)
    p.input_mask((7,), LIAR)
    return p


def keys(**changes):
    def alter(link):
        honest = link.renew

        def renew():
            honest()
            link.operands = Keys(link.operands, **changes)

        link.keys, link.renew = Keys(link.keys, **changes), renew

    return alter


def opening(which):
    """Alter an opening of the sacrifice."""

    def alter(link):
        honest = link.open

        def open(shares, name):
            if name == "sacrifice":
                shares = [Shared(more(s.value), s.mac, s.owner) if i == which else s for i, s in enumerate(shares)]
            return honest(shares, name)

        link.open = open

    return alter


def commitment(label):
    """To one number more: shares of what will be public."""

    def alter(link):
        honest = link.commit
        link.commit = lambda value, name: honest(more(value) if name == label else value, name)

    return alter


def sigmas(*errors):
    """Add these errors to the statements that fix the sigmas, one after the other."""

    def alter(link):
        honest, left = link.everyone, list(errors)

        def everyone(message, expect, label):
            if label != "check" or not left:
                return honest(message, expect, label)
            error = left.pop(0)

            def off(number):
                return NUMBER.pack((NUMBER.unpack(number)[0] + error) % P)

            came = honest(off(message), expect, label)
            # It goes by what it said, as the others do.
            return {i: np.frombuffer(off(frame.data), np.uint8) for i, frame in came.items()}

        link.everyone = everyone

    return alter


def settled(at):
    """Alter the last opening of the check: the combination that hides the sigmas, or its MAC."""

    def alter(link):
        honest = link.exchange

        def exchange(out, expect, label):
            if label == "check" and set(expect.values()) == {OPENED.size}:
                told = {i: list(OPENED.unpack(message)) for i, (message,) in out.items()}
                for numbers in told.values():
                    numbers[at] = (numbers[at] + 1) % P
                out = {i: [OPENED.pack(*numbers)] for i, numbers in told.items()}
            return honest(out, expect, label)

        link.exchange = exchange

    return alter


LIES = {
    "another share is encrypted than has a MAC": keys(
        encrypt=lambda real, layouts, operands: real(layouts, [more(operands[0]), *operands[1:]])
    ),
    "another operand is multiplied": keys(respond=lambda real, i, layout, c, f, r: real(i, layout, c, more(f), r)),
    "an operand is another for the last product only": keys(
        respond=lambda real, i, layout, c, f, r: real(i, layout, c, more(f, len(f) - 1), r)
    ),
    "another number gets the MAC": keys(scale=lambda real, i, alpha, x, r, narrow: real(i, alpha, more(x), r, narrow)),
    "an error in one product": product(0),
    "an error in the random product": product(-1),
    "a wrong rho": opening(1),
    "a wrong combination of all": opening(0),
    "a wrong square": commitment("opened products"),
    "a wrong sigma": sigmas(1),
}
