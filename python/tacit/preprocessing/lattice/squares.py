"""Squares of uniform numbers, for everybody to see:  a = sum_i a_i,  a_i of party i;  s = a^2 = sum_i a_i^2 + sum_(i<j) 2 a_i a_j

In each pair of parties one encrypts a_i and the other answers with 2 a_j: half of what arrays known to nobody take. The
sacrifice has random b'_j, of party j alone, and c' = sum_(i<j) a_i b'_j:
    rho_j = 2 r a_j - b'_j is opened;    r (<chi, s> - sum_i q_i) - <chi, c'> - <chi, sum_(i<j) a_i rho_j> = 0
q_i = <chi, a_i^2> is party i's, a single number with a MAC, and proved (QuickSilver, Yang et al. 2021): of the a_i, of q_i and of
a random number x' for this verifier alone, the owner has x and M, the verifier Delta and K = M + Delta x;
    <chi, K^2> - Delta K_q + K' = U_0 + Delta U_1,     U_0 = <chi, M^2> + M',  U_1 = 2 <chi, M a_i> - M_q + x'
for the right q_i, and for another one with a chance of 2 / p. U_1 is uniform, and U_0 follows from it. (One x' for all verifiers
would leave differences of their U_1 that depend on the a_i: Weng et al. 2021 prove to one verifier.)
In the second half of the places the parties change sides: j encrypts, and i answers.
"""

from collections.abc import Sequence

import numpy as np

from tacit import _core, field
from tacit.field import Field, P
from tacit.preprocessing.lattice.link import Answer, Link, Unit
from tacit.preprocessing.lattice.products import TILE
from tacit.preprocessing.lattice.shared import NOTHING, Shared, turn
from tacit.steps import protocol_step


class Half:
    """The places where the pairs have one `order` (`Unit`), and the b' of those who answer there."""

    def __init__(self, link: Link, order: int, here: slice) -> None:
        self.order, self.here = order, here
        count, parties = here.stop - here.start, range(link.parties)
        pairs = [(i, j) for i in parties for j in parties if (j - i) * order > 0]
        self.spares = {j: _private(link, j, count) for j in sorted({j for _, j in pairs})}
        self.met = {i: [j for k, j in pairs if k == i] for i in sorted({i for i, _ in pairs})}


class Squares:
    """Squares s = a^2 of all a of a batch, with the sacrifice's steps as a `Bank` has them. `numbers`: (a, where s is to go)."""

    public = True

    def __init__(self, link: Link, numbers: Sequence[tuple[Shared, Shared]]) -> None:
        self.link, self._numbers = link, numbers
        self._own = np.concatenate([a.value for a, _ in numbers])
        self._share, count = field.mul(self._own, self._own), self._own.size
        self._parts = [
            Shared(self._own if i == link.me else np.zeros(count, np.uint64), owner=i) for i in range(link.parties)
        ]
        self._c = np.zeros(count, np.uint64)
        # Whole polynomials change sides.
        middle = min(count, -(-count // (2 * link.keys.slots)) * link.keys.slots)
        cuts = [(1, slice(0, middle)), (-1, slice(middle, count))]
        self._halves = [Half(link, order, here) for order, here in cuts if here.start < here.stop]

    def units(self) -> list[Unit]:
        twice = field.add(self._own, self._own)
        tiles: list[tuple[int, Unit]] = []
        for half in self._halves:
            spare = half.spares.get(self.link.me)
            for start in range(0, half.here.stop - half.here.start, TILE):
                here = slice(half.here.start + start, min(half.here.stop, half.here.start + start + TILE))
                layout = self.link.keys.elementwise(here.stop - here.start)
                operands = twice[here], NOTHING if spare is None else spare.value[start : start + TILE]
                answers = [
                    Answer(layout, f, out[here]) for f, out in zip(operands, (self._share, self._c), strict=True)
                ]
                tiles.append((start, Unit(layout, self._own[here], answers, half.order)))
        return [unit for _, unit in sorted(tiles, key=lambda tile: tile[0])]  # so that all parties have work at a time

    def fresh(self) -> list[Shared]:
        return [*self._parts, *(spare for half in self._halves for spare in half.spares.values())]

    def authenticated(self) -> None:
        total = self._parts[0].mac
        for part in self._parts[1:]:
            total = field.add(total, part.mac)
        for (a, _), mac in zip(self._numbers, self._cut(total), strict=True):
            a.mac = mac

    def _cut(self, whole: Field) -> list[Field]:
        return np.split(whole, np.cumsum([a.value.size for a, _ in self._numbers])[:-1])

    @property
    def sealed(self) -> Field:
        """This party's share of s."""
        return self._share

    def check_value(self, chi: _core.Prg) -> int:
        return chi.combine([self._c])[0]

    def sums(self, chi: _core.Prg) -> list[Shared]:
        """<chi, s>; q_i of each party, and its x' for each verifier."""
        q, total = chi.combine([field.mul(self._own, self._own), self._share])
        self._sum = Shared(np.array([total], np.uint64))
        self._claims = [Shared(np.zeros(self.link.parties, np.uint64), owner=i) for i in range(self.link.parties)]
        self._claims[self.link.me].value[0] = q
        self._claims[self.link.me].value[1:] = self.link.random.field(self.link.parties - 1)
        return [self._sum, *self._claims]

    def rhos(self, weights: _core.Prg) -> list[Shared]:
        self._r = int(weights.field(1)[0])
        return [self._rho(half, j, spare) for half in self._halves for j, spare in half.spares.items()]

    def _rho(self, half: Half, owner: int, spare: Shared) -> Shared:
        part = self._parts[owner]
        value, mac = (
            field.sub(field.scale(x[half.here], 2 * self._r), y)
            for x, y in ((part.value, spare.value), (part.mac, spare.mac))
        )
        return Shared(value, mac, owner)

    def tau(self, chi: _core.Prg, rhos: Sequence[Field]) -> int:
        """The MAC of what is 0, but for that of <chi, c'>."""
        predicted, given = np.zeros_like(self._c), iter(rhos)
        for half in self._halves:
            by_party = {j: next(given) for j in half.spares}
            for i, met in half.met.items():
                for j in met:
                    product = field.mul(self._parts[i].mac[half.here], by_party[j])
                    predicted[half.here] = field.add(predicted[half.here], product)
        known = int(self._sum.mac[0]) - sum(int(c.mac[0]) for c in self._claims)
        return self._r * known - chi.combine([predicted])[0]

    def opened(self, chi: _core.Prg, value: Field) -> int:
        """Takes s, which is public now; the MAC of <chi, s> less what it should be."""
        for (_, square), part in zip(self._numbers, self._cut(value), strict=True):
            square.value = part
        return int(self._sum.mac[0]) - self.link.alpha * chi.combine([value])[0]

    @protocol_step
    def prove(self, chi: _core.Prg, peer: int) -> list[int]:
        """U_0, U_1 for one of those who have keys."""
        m, claim = self._parts[self.link.me].keys[peer], self._claims[self.link.me]
        squares, products = chi.combine([field.mul(m, m), field.mul(m, self._own)])
        at = 1 + turn(self.link.me, peer)
        m_q, m_mask = int(claim.keys[peer][0]), int(claim.keys[peer][at])
        return [(squares + m_mask) % P, (2 * products - m_q + int(claim.value[at])) % P]

    def accepts(self, chi: _core.Prg, owner: int, sent: Sequence[int]) -> bool:
        """Return whether the equation holds for what the owner sent."""
        delta, k = self.link.alpha, self._parts[owner].mac
        k_q, k_mask = (int(self._claims[owner].mac[at]) for at in (0, 1 + turn(owner, self.link.me)))
        (total,) = chi.combine([field.mul(k, k)])
        return (total - delta * k_q + k_mask - sent[0] - delta * sent[1]) % P == 0


SENT = 2
"""Numbers that a proof sends."""


def _private(link: Link, owner: int, count: int) -> Shared:
    """Uniform numbers of one party."""
    return Shared(link.random.field(count) if owner == link.me else np.zeros(count, np.uint64), owner=owner)
