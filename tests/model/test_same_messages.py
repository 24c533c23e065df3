"""The model runs what the product runs: the same messages, in the same order, of the same length, under the same labels.

Only ciphertexts, which are ideal in the model, have other lengths there.
"""

import importlib

import numpy as np
import pytest

from tests.model.test_spdz import PARTIES, ran, square_of_a_square
from tests.model.world import Heard, in_threads, lines, together, world


class Product:
    @staticmethod
    def module(name):
        return importlib.import_module(f"tacit.{name}")


def both():
    w = world(97)
    w.tape.reset(b"1")
    return Product(), w


CIPHERTEXTS = ("keys", "ciphertexts", "products", "alpha", "MACs")
"""Labels of what is encrypted."""


def told(heard):
    """Of each message who sends it to whom, its label, and its length; threads have no order among them."""
    lengths = [(*who, label, 0 if label in CIPHERTEXTS else len(data)) for *who, label, data in heard]
    return sorted(lengths, key=lambda m: m[0])


def same(play):
    product, model = (told(play(w)) for w in both())
    assert product == model
    assert len(product) > 10


def test_spdz():
    def play(w):
        heard = Heard()
        values = [np.arange(5, dtype=np.uint64), np.ones(5, np.uint64)]

        def work(product, x, y):
            return product(square_of_a_square(product, x), y)

        ran(w, lines(PARTIES, heard), lines(PARTIES + 1, heard), values, (0, 1), work)
        return heard

    same(play)


@pytest.mark.parametrize(("n", "t", "summed"), [(3, 1, True), (5, 2, True), (4, 1, False)])
def test_shamir(n, t, summed):
    def play(w):
        heard = Heard()
        groups = {i: w.module("protocols.shamir.shares").Group(i, range(n), t, b"session") for i in range(n)}
        together({i: g.agree() for i, g in groups.items()}, heard)
        kind = (
            w.module("protocols.shamir.masked_opening").Sums if summed else w.module("protocols.shamir.shares").Shares
        )
        shares = {i: kind(g, "online") for i, g in groups.items()}

        def steps(i, s):
            x = (yield from s.deal([0], np.arange(6, dtype=np.uint64) if i == 0 else None, (6,)))[0]
            z = yield from s.reduce(w.module("field").mul(x, x))
            yield from s.masked(w.module("field").add(z, (yield from s.random((6,)))))
            new = yield from w.module("protocols.shamir.resharing").reshare(s, range(n), z, 6)
            return (yield from s.open(new))

        results = together({i: steps(i, s) for i, s in shares.items()}, heard)
        assert all((value == np.arange(6) ** 2).all() for value in results.values())
        return heard

    same(play)


def test_lattice():
    def play(w):
        heard = Heard()
        channels = lines(2, heard)

        def party(me):
            link = w.module("preprocessing.lattice.link").Link(
                me, 2, channels[me], b"session", w.module("interaction.checks").Checks(60.0), bytes([me]) * 32
            )
            batch = w.module("preprocessing.lattice.batch").Batch(link, None)
            batch.squared(2)
            for owner in range(2):
                batch.below(owner, 2, 3, np.array([1, 6], np.uint64) if owner == me else None)
            e = batch.joint(3)
            batch.elementwise(e, [batch.joint(3)])
            w.module("preprocessing.lattice.sigmas").settle(link, batch.run())

        in_threads(*(lambda me=me: party(me) for me in range(2)))
        return heard

    same(play)
