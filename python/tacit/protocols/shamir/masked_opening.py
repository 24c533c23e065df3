"""Openings where no share is spare (n <= 3 t): sums of 2 t + 1 summands that show nothing but the sum (`shamir.protocol`).

    c = sum_i m_i,     m_i = w_i z_i + o_i,     sum_i o_i = 0,     z of degree 2 t at most, under a uniform mask of its own
o_i is drawn from keys that two parties each have in common, added by one and subtracted by the other. Whatever honest parties
hold (two of them at least), their m_i are uniform but for their sum, and the mask makes that uniform. So they show nothing, even
where cheaters have made honest parties go on with different c. That all have the same is compared, by a hash of all c, before
anything that follows from them is opened otherwise; that c is z is tested by `shamir.verification`. An opening of degree t shows
both at once, but takes a value of degree t.
Up to four parties tell their summands to all: one round. From five on they tell them to one, which tells the sum to all: two
rounds, and 2 (n - 1) messages for n (n - 1).
"""

from collections.abc import Generator
from typing import Any

from tacit import _core
from tacit import field as fp
from tacit.field import Field
from tacit.interaction.exchange import Exchange, received
from tacit.protocols.shamir.polynomials import combined
from tacit.protocols.shamir.shares import Group, Shares
from tacit.steps import protocol_step

MESH = 4
"""Parties that tell their summands to all, at most."""


class Sums(Shares):
    unverified = True

    def __init__(self, group: Group, phase: str) -> None:
        super().__init__(group, phase)
        pairs = group.seeds.pairs
        partners = [i for i in group.multipliers if i in pairs and group.me in group.multipliers]
        self._zeros = [_core.Prg(self.key("zero", pairs[i])) for i in partners]
        self._signs = [1 if i > self.me else fp.P - 1 for i in partners]
        self._adder = None if len(self.members) <= MESH else self.members[-1]

    def burn(self) -> None:
        super().burn()
        self._zeros = []

    @protocol_step
    def masked(self, z: Field) -> Generator[Exchange, Any, Field]:
        self.alive()
        mine, others = None, self.group.others
        if self.me in self.group.multipliers:
            weight = self._reduce[self.group.multipliers.index(self.me)]
            flat = fp.contiguous(z).reshape(-1)
            (mine,) = _core.mix(z.size, [[weight, *self._signs]], [flat], self._zeros)
        told = [] if mine is None else [mine]
        summands = {i: 8 * z.size for i in self.group.multipliers if i != self.me}
        if self._adder is None:
            came = yield Exchange({i: told for i in others} if told else {}, summands)
            return self._sum(told, came, z.shape)
        if self.me == self._adder:
            came = yield Exchange({}, summands)
            c = self._sum(told, came, z.shape)
            yield Exchange({i: [c] for i in others}, {})
            return c
        yield Exchange({self._adder: told} if told else {}, {})
        came = yield Exchange({}, {self._adder: 8 * z.size})
        return received(came[self._adder], z.shape, self._adder)

    def _sum(self, told: list[Field], came: Any, shape: tuple[int, ...]) -> Field:
        summands = [*told, *(received(data, shape, i).reshape(-1) for i, data in came.items())]
        return combined([1] * len(summands), summands).reshape(shape)

    def masked_cost(self, count: int) -> tuple[int, int]:
        others, tells = len(self.group.others), self.me in self.group.multipliers
        if self._adder is None:
            return 1, 8 * count * others * tells
        return 2, 8 * count * (others if self.me == self._adder else tells)
