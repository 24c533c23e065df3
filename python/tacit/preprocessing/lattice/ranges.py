"""Numbers below a power of two, proved to whoever holds their MACs: their digits are looked up (LogUp, Haboeck 2022).

A digit x of w bits is in the table {(w, t): t < 2^w} of all widths in use; so are all digits iff, as functions of X and Y,
    sum 1 / u = sum_(w, t) m_wt / (X - Y w - t),     u = X - Y w - x,     m_wt: how many digits are (w, t)
X and Y come from a coin tossed when digits and counts have MACs. G digits share one s = sum_g 1 / u_g, which gets a MAC; that
    s prod_g u_g - sum_g prod_(h != g) u_h = 0   and   sum of all s - sum_(w, t) m_wt / (X - Y w - t) = 0
is proved as polynomials of any degree are (QuickSilver, Yang et al. 2021, section 5). The prover knows each number x and an M,
the verifier Delta and K = M + Delta x, and so, for u, -M and K_u = Delta (X - Y w) - K:
    K_s prod K_u - Delta^2 sum prod K_u = sum_(h <= G) A_h Delta^h + Delta^(G + 1) (s prod u - sum prod u)
    Delta^G (sum K_s - sum K_m / ...)   = Delta^G (sum M_s - ...)  + Delta^(G + 1) (sum of all s - ...)
The prover sends the U_h = sum chi_j A_hj + (the coefficients of mask), chi from a coin tossed after all K are fixed; the verifier
checks that sum_h U_h Delta^h is sum chi_j (the left sides) + mask, mask = sum_g Delta^(g - 1) K'_g for G random x'_g, which are
for this verifier alone: with the same x'_g for two of them the difference of what they are told would depend on the digits.

Errors: a sum that is wrong is right at X, Y with probability (D + T) / p for D digits and tables of T entries, or some group has
two digits with u = 0, D / p: at both of two independent pairs X, Y, below (2 (D + T) / p)^2; (G + 2) / p for the polynomials.
X and Y at which a table's entry has X - Y w - t = 0, and so some u might be 0, are passed over: an honest proof never fails.
The U_h are uniform but for what the verifier knows anyway.
"""

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tacit import _core, field
from tacit.field import Field, P
from tacit.preprocessing.lattice.randomness import Randomness
from tacit.preprocessing.lattice.shared import Shared, turn
from tacit.steps import protocol_step

GROUP = 4
"""Digits that share one s: fewer MACs, more products."""
TURNS = 2
"""Pairs X, Y."""
WIDEST = 16
"""Bits of a digit at most; what is `narrow` for a MAC."""
SENT = GROUP + 1
"""Numbers that a proof sends."""


def cut(bits: int, width: int) -> list[tuple[int, int]]:
    """(place, width) of as few digits as make up `bits`, of as equal widths as can be."""
    count = -(-bits // width)
    widths = [bits // count + (i < bits % count) for i in range(count)]
    return [(sum(widths[:i]), w) for i, w in enumerate(widths)]


def best_width(numbers: Sequence[tuple[int, int]]) -> int:
    """The largest width with which (count, bits) of all numbers take fewest MACs."""
    by_bits: Counter[int] = Counter()
    for count, bits in numbers:
        by_bits[bits] += count

    def cost(width: int) -> int:
        cuts = {bits: [w for _, w in cut(bits, width)] for bits in by_bits}
        digits = sum(count * len(cuts[bits]) for bits, count in by_bits.items())
        tables = sum(1 << w for w in {w for widths in cuts.values() for w in widths})
        return (GROUP + TURNS) * digits + GROUP * tables

    return min(range(1, WIDEST + 1), key=cost)


class Lookup:
    """One owner's proof in a batch: `add`, `digits`, `joined`, `sums`, then `prove` or `accepts`."""

    def __init__(self, owner: int, me: int, parties: int) -> None:
        self.owner, self.me, self.parties, self.mine = owner, me, parties, owner == me
        self._numbers: list[tuple[Shared, int]] = []

    def add(self, number: Shared, bits: int) -> None:
        """`number` has its value at the owner; `joined` gives it a MAC."""
        self._numbers.append((number, bits))

    @property
    def empty(self) -> bool:
        return not self._numbers

    def digits(self) -> list[Shared]:
        """Digits and their counts, which are to get MACs."""
        width = best_width([(number.value.size, bits) for number, bits in self._numbers])
        self._cuts = [cut(bits, width) for _, bits in self._numbers]
        self._digits = [
            [self._digit(number.value, *at) for at in c]
            for (number, _), c in zip(self._numbers, self._cuts, strict=True)
        ]
        self._flat = [d for digits in self._digits for d in digits]
        self._widths = [w for c in self._cuts for _, w in c]
        self._padding = -sum(d.value.size for d in self._flat) % GROUP
        self._counts = {w: self._counted(w) for w in sorted(set(self._widths))}
        return [*self._flat, *self._counts.values()]

    def _digit(self, x: Field, place: int, width: int) -> Shared:
        return Shared((x >> np.uint64(place)) & np.uint64((1 << width) - 1), owner=self.owner, narrow=True)

    def _counted(self, width: int) -> Shared:
        counts = np.zeros(1 << width, np.int64)
        if self.mine:
            for d, w in zip(self._flat, self._widths, strict=True):
                if w == width:
                    counts += np.bincount(d.value.astype(np.int64), minlength=1 << width)
            if width == self._widths[0]:
                counts[0] += self._padding
        return Shared(counts.astype(np.uint64), owner=self.owner)

    def joined(self) -> None:
        """Once the digits have MACs: so have the numbers."""
        for (number, _), c, digits in zip(self._numbers, self._cuts, self._digits, strict=True):
            number.mac = _core.weighted([1 << place for place, _ in c], [d.mac for d in digits])

    def sums(self, challenge: _core.Prg, random: Randomness) -> list[Shared]:
        """The s, and the masks of the proof, which are to get MACs."""
        self._points = [self._point(challenge) for _ in range(TURNS)]
        sizes = [d.value.size for d in self._flat]
        sizes[0] += self._padding  # zeros of the first width, to fill the last group
        self._shifts = [
            np.repeat(np.array([(x - y * w) % P for w in self._widths], np.uint64), sizes) for x, y in self._points
        ]
        groups = sum(sizes) // GROUP
        self._s = Shared(np.zeros(TURNS * groups, np.uint64), owner=self.owner)
        self._masks = Shared(np.zeros((self.parties - 1) * GROUP, np.uint64), owner=self.owner)
        if self.mine:
            product, others = _products(
                self._grouped([field.sub(c, self._all([d.value for d in self._flat])) for c in self._shifts])
            )
            self._s.value = field.mul(others, _core.inverse(product))
            self._masks.value = random.field(self._masks.value.size)
        return [self._s, self._masks]

    def _point(self, challenge: _core.Prg) -> tuple[int, int]:
        """X, Y that no entry of a table fits."""
        while True:
            x, y = challenge.field(2).tolist()
            if all((x - y * w) % P >> w for w in self._counts):
                return x, y

    def _turn(self, verifier: int) -> slice:
        """Where the masks for one of the verifiers are."""
        at = turn(self.owner, verifier) * GROUP
        return slice(at, at + GROUP)

    def _all(self, parts: Sequence[Field]) -> Field:
        """One array of all digits, zeros after the first ones to fill the last group."""
        return np.concatenate([parts[0], np.zeros(self._padding, np.uint64), *parts[1:]])

    @staticmethod
    def _grouped(turns: Sequence[Field]) -> list[Field]:
        """The g-th digit of each group, for g = 0 ... G - 1, of all turns one after another."""
        return list(np.concatenate([t.reshape(GROUP, -1) for t in turns], axis=1))

    def _table(self, turn: int, macs: Sequence[Field]) -> int:
        """sum_(w, t) of what stands for m_wt, divided by X - Y w - t"""
        x, y = self._points[turn]
        total = 0
        for w, mac in zip(self._counts, macs, strict=True):
            entries = _core.add_scalar(_core.neg(np.arange(1 << w, dtype=np.uint64)), (x - y * w) % P)
            total += _core.dot(_core.inverse(entries), mac)
        return total % P

    def _rest(self, weights: Sequence[int], s: Field, counts: Sequence[Field]) -> int:
        """The sums of all s less those of the table, weighted, of what stands for them."""
        totals = [int(_core.sum(part, 1, part.size, 1)[0]) for part in np.split(s, TURNS)]
        return (
            sum(
                k * (total - self._table(turn, counts))
                for turn, (k, total) in enumerate(zip(weights, totals, strict=True))
            )
            % P
        )

    @protocol_step
    def prove(self, prg: _core.Prg, peer: int) -> list[int]:
        """U_0 ... U_G, for one of those who have keys."""
        weights = prg.field(TURNS).tolist()
        x = self._all([d.value for d in self._flat])
        m = _core.neg(self._all([d.keys[peer] for d in self._flat]))
        u = self._grouped([field.sub(c, x) for c in self._shifts])
        product, others = _polynomials(u, self._grouped([m] * TURNS))
        s, m_s = self._s.value, self._s.keys[peer]
        whole = [field.mul(product[0], m_s), *(_both(b, m_s, a, s) for a, b in itertools.pairwise(product))]
        sums = prg.combine([*whole, *others[: GROUP - 1]])
        found = [a - b for a, b in zip(sums[: GROUP + 1], [0, 0, *sums[GROUP + 1 :]], strict=True)]
        found[GROUP] += self._rest(weights, m_s, [c.keys[peer] for c in self._counts.values()])
        here = self._turn(peer)
        xs, ms = self._masks.value[here].tolist(), self._masks.keys[peer][here].tolist()
        return [(f + a + b) % P for f, a, b in zip(found, [0, *xs], [*ms, 0], strict=True)]

    def accepts(self, prg: _core.Prg, delta: int, sent: Sequence[int]) -> bool:
        """Return whether the equation holds for what the owner sent."""
        weights = prg.field(TURNS).tolist()
        k = self._all([d.mac for d in self._flat])
        product, others = _products(self._grouped([field.sub(field.scale(c, delta), k) for c in self._shifts]))
        whole = field.sub(field.mul(self._s.mac, product), field.scale(others, delta * delta % P))
        (total,) = prg.combine([whole])
        total += pow(delta, GROUP, P) * self._rest(weights, self._s.mac, [c.mac for c in self._counts.values()])
        total += sum(mask * pow(delta, g, P) for g, mask in enumerate(self._masks.mac[self._turn(self.me)].tolist()))
        return total % P == sum(u * pow(delta, h, P) for h, u in enumerate(sent)) % P


def _both(a: Field, b: Field, c: Field, d: Field, add: Field | None = None) -> Field:
    """a b + c d + add"""
    return _core.multiply_open(a, b, c, d, 0, add)


def _products(u: Sequence[Field]) -> tuple[Field, Field]:
    """prod_g u_g,  sum_g prod_(h != g) u_h"""
    product, others = field.mul(u[0], u[1]), field.add(u[0], u[1])
    for next in u[2:]:
        others = field.add(field.mul(others, next), product)
        product = field.mul(product, next)
    return product, others


def _polynomials(u: Sequence[Field], m: Sequence[Field]) -> tuple[list[Field], list[Field]]:
    """The same of the polynomials m_g + u_g Delta: their coefficients."""
    product, others = [m[0], u[0]], [np.ones_like(u[0])]
    for a, b in zip(m[1:], u[1:], strict=True):
        others = [
            field.add(field.mul(others[0], a), product[0]),
            *(_both(y, a, x, b, z) for x, y, z in zip(others, others[1:], product[1:], strict=False)),
            field.add(field.mul(others[-1], b), product[-1]),
        ]
        product = [
            field.mul(product[0], a),
            *(_both(y, a, x, b) for x, y in itertools.pairwise(product)),
            field.mul(product[-1], b),
        ]
    return product, others
