"""Material that the parties make: what verifiers who pool their views learn of what one party proves, or adds to a check.

Party 0 is honest. Its numbers x are hidden by K = M + Delta x, of which the verifier's K is fixed (`core.LatticeParty`).
"""

import numpy as np
import pytest

from tests.helpers.settings import full
from tests.model.counting import Told, one_by_one, uniform
from tests.model.world import Heard, in_threads, lines, world

pytestmark = pytest.mark.timeout(900)  # in settings that are slow

PARTIES = 3
COLLUDERS = (1, 2)
KEY = b"of the honest party".ljust(32)


SEED = b"11"
"""With coins of which no weight of a batch is 0 for p = 3, so that the check of a wrong one fails."""


def start(p, seed=SEED):
    w = world(p)
    w.tape.reset(seed)
    w.tape.hidden, w.tape.honest = {KEY}, {0}
    return w


def vole(w, deltas, shared, name):
    """Keys of the owner's numbers, for what the verifiers hold; by verifier, what that is."""
    held = {j: w.tape.public((name, j), shared.value.size, w.p) for j in deltas}
    shared.keys = {j: w.core.sub(k, w.core.scale(shared.value, deltas[j])) for j, k in held.items()}
    return held


def deltas(w):
    return {j: int(w.tape.public(("Delta", j), 1, w.p)[0]) for j in COLLUDERS}


def looked_up(w):
    """Proofs of ranges of two bits, for both verifiers; each of which accepts."""
    ranges = w.module("preprocessing.lattice.ranges")
    lattice = w.module("preprocessing.lattice.shared"), w.module("preprocessing.lattice.randomness")
    by = deltas(w)

    def play():
        random = lattice[1].Randomness(KEY)
        x = np.concatenate([w.tape.digit(2), w.tape.digit(2)])
        proof = ranges.Lookup(0, 0, PARTIES)
        verifiers = {j: ranges.Lookup(0, j, PARTIES) for j in by}
        zeros = np.zeros_like(x)
        for one, value in ((proof, x), *((v, zeros) for v in verifiers.values())):
            one.add(lattice[0].Shared(value, owner=0), 1)
        held(proof.digits(), {j: v.digits() for j, v in verifiers.items()}, "digits")
        made = {j: v.sums(w.core.Prg(b"X, Y"), None) for j, v in verifiers.items()}
        held(proof.sums(w.core.Prg(b"X, Y"), random), made, "sums")
        told = {j: proof.prove(w.core.Prg(b"chi"), j) for j in by}
        for j, v in verifiers.items() if w.tape.cases[0] == 0 else ():
            assert v.accepts(w.core.Prg(b"chi"), by[j], told[j])
        return Told([x], [np.array(u) for u in told.values()])

    def held(arrays, theirs, step):
        for number, shared in enumerate(arrays):
            for j, k in vole(w, by, shared, (step, number)).items():
                theirs[j][number].mac = k

    return one_by_one(w.tape, play)


def squared(w, count=2):
    """Proofs of <chi, a^2>, for both verifiers."""
    module, shared = w.module("preprocessing.lattice.squares"), w.module("preprocessing.lattice.shared")
    by = deltas(w)

    class Link:
        me, parties, alpha = 0, PARTIES, 0
        keys = w.core.LatticeParty(b"", 0, PARTIES, b"")

    def play():
        Link.random = w.module("preprocessing.lattice.randomness").Randomness(KEY)
        a = Link.random.field(count)
        proof = module.Squares(Link, [(shared.Shared(a), shared.Shared(shared.NOTHING))])
        vole(w, by, proof._parts[0], "a")
        proof.sums(w.core.Prg(b"chi"))
        vole(w, by, proof._claims[0], "claims")
        told = {j: proof.prove(w.core.Prg(b"chi"), j) for j in by}
        return Told([a], [np.array(u) for u in told.values()])

    return one_by_one(w.tape, play)


class Makers:
    """The links of all parties, over ideal encryption. Each case begins where they have met."""

    def __init__(self, w):
        self.tape, self.heard = w.tape, Heard()
        channels = lines(PARTIES, self.heard)
        link, checks = w.module("preprocessing.lattice.link"), w.module("interaction.checks")
        keys = [KEY, *(b"of colluder %d".ljust(32) % i for i in COLLUDERS)]
        self.links = in_threads(
            *(
                lambda i=i: link.Link(i, PARTIES, channels[i], b"session", checks.Checks(60.0), keys[i])
                for i in range(PARTIES)
            )
        )
        self._met = [(li.random._next, li.transcript.counter, li._renewed) for li in self.links]
        for li in self.links:
            li.record = None
            # The r of a VOLE follow from what the model fixes.
            li._scaled = lambda *given, li=li: self._fixed(type(li)._scaled, li, *given)
        self._checks = checks.Checks

    def _fixed(self, step, *given):
        with self.tape.aside():
            return step(*given)

    def play(self, work):
        """`work(link)` at all parties, from the beginning."""
        self.heard.clear()
        for li, (li.random._next, li.transcript.counter, li._renewed) in zip(self.links, self._met, strict=True):
            li.order = self._checks(60.0)
        return in_threads(*(lambda li=li: work(li) for li in self.links))

    def view(self, *labels):
        return self.heard.columns(COLLUDERS, 1, labels)


OPEN = ("MACs", "products", "sacrifice", "proofs", "check")
"""Messages whose numbers colluders see. Ciphertexts and commitments show nothing, and coins are the same in all cases."""


def batch(w, error=0):
    """A whole batch, of one square a^2, and its check: a = a_0 + ..., of which a^2 is public. What is seen ends with its verdict.

    `error`: what a colluder adds to its share of a^2; party 0's share of alpha is hidden then, too.
    """
    makers, sigmas = Makers(w), w.module("preprocessing.lattice.sigmas")
    honest, cheater, other = makers.links

    def wrong(units):
        type(cheater).multiply(cheater, units)
        share = units[0].answers[0].out
        share[:] = w.core.add_scalar(share, error)

    cheater.multiply = wrong

    def work(link):
        made = w.module("preprocessing.lattice.batch").Batch(link, None)
        a, square = made.squared(1)
        try:
            sigmas.settle(link, made.run())
        except sigmas.CheckFailed:
            return a.value, square.value, 1
        return a.value, square.value, 0

    def play():
        if error:
            alpha = w.tape.digit(w.p)
            honest.alpha = int(alpha[0])
            cheater._alphas[0] = other._alphas[0] = alpha
        (a, square, failed), *_ = makers.play(work)
        return Told([a], [*makers.view(*OPEN), np.array([failed])], [square])

    return one_by_one(w.tape, play)


def settled(w, at_once=True):
    """Two sigmas of party 0, which an error may have made to be anything, and the one combination of them that is opened."""
    makers = Makers(w)
    sigmas = w.module("preprocessing.lattice.sigmas")
    failed = sigmas.CheckFailed

    def play():
        s = [w.tape.digit(w.p), w.tape.digit(w.p)]
        weighed = []

        def work(link):
            pads = [sigmas.Pads(link) for _ in s]
            link.authenticate([u for pad in pads for u in pad.numbers])
            mine = [int(x[0]) if link.me == 0 else 1 for x in s]
            held = [pad.bind(link, x) for pad, x in zip(pads, mine, strict=True)]
            for part in [held] if at_once else [[h] for h in held]:
                coin = link.coin()
                link.coin = lambda coin=coin: coin
                weighed.append(w.core.Prg(coin, 0).field(2))
                try:
                    sigmas.settle(link, part)
                except failed:
                    link.order = makers._checks(60.0)
                finally:
                    del link.coin

        makers.play(work)
        shown = w.core.weighted([int(x) for x in weighed[0]], s)
        return Told(s, makers.view(*OPEN), [shown])

    return one_by_one(w.tape, play)


def one_mask(module, monkeypatch):
    """A broken proof: all verifiers have the first one's masks."""
    monkeypatch.setattr(module, "turn", lambda owner, verifier: 0)


@pytest.mark.parametrize("p", full([3, 5, 7], 5))
def test_proofs_of_squares_for_verifiers_that_pool(p, monkeypatch):
    assert uniform(squared(start(p)))
    one_mask(world(p).module("preprocessing.lattice.squares"), monkeypatch)
    assert not uniform(squared(start(p)))


@pytest.mark.parametrize("p", full([3, 5]))
def test_proofs_of_ranges_for_verifiers_that_pool(p, monkeypatch):
    """Two digits share an inverse, where they are four in the product: fewer masks, fewer cases."""
    ranges = world(p).module("preprocessing.lattice.ranges")
    monkeypatch.setattr(ranges, "GROUP", 2)
    assert uniform(looked_up(start(p)))
    one_mask(ranges, monkeypatch)
    assert not uniform(looked_up(start(p)))


@pytest.mark.slow
def test_a_batch(monkeypatch):
    """Colluders know that the square's root is one of two, and not which."""
    told = batch(start(3))
    assert uniform(told)
    assert not told.view[-1].any()
    one_mask(world(3).module("preprocessing.lattice.squares"), monkeypatch)
    assert not uniform(batch(start(3)))


@pytest.mark.parametrize("p", full([3, 5]))
def test_one_combination_of_sigmas(p):
    assert uniform(settled(start(p, b"1")))


@pytest.mark.slow
def test_a_batch_whose_check_fails():
    told = batch(start(3), error=1)
    assert uniform(told)
    assert told.view[-1].any()


def test_broken_checks_of_batches_are_counted():
    assert not uniform(settled(start(3, b"1"), at_once=False)), "each sigma is opened by itself"
    w = start(3, b"1")
    w.tape.restarted = True
    assert not uniform(settled(w)), "one number hides both sigmas"
