"""Trees over shared bits of either kind (`gadgets.bits`): [R > q] for a public q, and the product of many bits.

q is public, so each bit of R gives (g, e) = ([R_j > q_j], [R_j = q_j]) as a public affine map of R_j (`BitRing.leaves`), and
    (g, e) of two neighbours = (g_1 + e_1 g_0, e_1 e_0)
makes a tree: its first level takes [R_1 R_0] from the source and sends nothing; every further one opens e_1, g_0, e_0 once each
under masks, or multiplies.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from tacit import field
from tacit.correlations.masks import Mask, Masked
from tacit.field import Field
from tacit.graph.maps import Expand, Slice
from tacit.graph.wires import Share
from tacit.protocols.gadgets.bits import PRODUCT, BitRing, MaskedBits
from tacit.protocols.plan import Plan


class Step(ABC):
    """Products of bits that are of one level, whose operands are known at run time. `opens`: the cost for each value."""

    opens: int

    @abstractmethod
    def run(self, *operands: Share) -> Any:
        """A generator of rounds that returns the products."""


class Products(ABC):
    """How a ring multiplies its bits, prepared while a graph is lowered."""

    @abstractmethod
    def ladder(self, h: int, shape: tuple[int, ...]) -> Step:
        """(e_1 g_0, e_1' e_0) for h pairs; e_0 and e_1' lack the lowest of them."""

    @abstractmethod
    def pairs(self, h: int, shape: tuple[int, ...]) -> Step:
        """x y for h pairs."""

    @abstractmethod
    def flip(self, last: Mask, shape: tuple[int, ...]) -> Step:
        """R b for the bit R that is the mask `last`; b, of `shape`, may have leading axes more."""


class MaskedProducts(Products):
    """Under masks: each operand is opened once, [A B] comes from the source."""

    def __init__(self, ring: MaskedBits, plan: Plan) -> None:
        self.ring, self.plan = ring, plan

    def ladder(self, h: int, shape: tuple[int, ...]) -> Step:
        return MaskedLadder(self.ring, h, shape, self.plan)

    def pairs(self, h: int, shape: tuple[int, ...]) -> Step:
        return MaskedPairs(self.ring, h, shape, self.plan)

    def flip(self, last: Mask, shape: tuple[int, ...]) -> Step:
        return MaskedFlip(self.ring, last, shape, self.plan)


class MaskedStep(Step):
    """Opens `opens` bits of each value under one mask."""

    def __init__(self, ring: MaskedBits, opens: int, shape: tuple[int, ...], plan: Plan) -> None:
        self.ring, self.opens = ring, opens
        self.mask, self._material = plan.mask((opens, *shape), ring.binary)

    def opened(self, operands: Share) -> Any:
        share = self._material().shares[0]
        self.mask.seal()
        return (yield from self.ring.open(self.ring.subtract(operands, share)))

    def masked(self, start: int, stop: int) -> Masked:
        return Masked(Slice(0, start, stop), (self.mask,))


class MaskedLadder(MaskedStep):
    """The mask of e_1 (h), g_0 (h), e_0 (h - 1)."""

    def __init__(self, ring: MaskedBits, h: int, shape: tuple[int, ...], plan: Plan) -> None:
        super().__init__(ring, 3 * h - 1, shape, plan)
        self.pairs = h
        self.carried = plan.product(PRODUCT, self.masked(0, h), self.masked(h, 2 * h))
        self.equal = plan.product(PRODUCT, self.masked(1, h), self.masked(2 * h, 3 * h - 1)) if h > 1 else None

    def run(self, *operands: Share) -> Any:
        e1, g0, e0 = operands
        h, ring = self.pairs, self.ring
        d = yield from self.opened(joined(joined(e1, g0), e0))
        carried = ring.product(d[:h], g0, e1, d[h : 2 * h], self.carried().shares[0])
        if self.equal is None:
            return carried, e0
        return carried, ring.product(d[1:h], e0, part(e1, 1, None), d[2 * h :], self.equal().shares[0])


class MaskedPairs(MaskedStep):
    def __init__(self, ring: MaskedBits, h: int, shape: tuple[int, ...], plan: Plan) -> None:
        super().__init__(ring, 2 * h, shape, plan)
        self.product = plan.product(PRODUCT, self.masked(0, h), self.masked(h, 2 * h))

    def run(self, *operands: Share) -> Any:
        x, y = operands
        d = yield from self.opened(joined(x, y))
        h = len(x[0])
        return self.ring.product(d[:h], y, x, d[h:], self.product().shares[0])


class MaskedFlip(MaskedStep):
    """R is its own mask: b alone is opened."""

    def __init__(self, ring: MaskedBits, last: Mask, shape: tuple[int, ...], plan: Plan) -> None:
        super().__init__(ring, 1, shape, plan)
        self.product = plan.product(PRODUCT, Masked(Expand((1, *shape)), (last,)), self.mask)

    def run(self, *operands: Share) -> Any:
        last, b = operands
        d = yield from self.opened(tuple(part[None] for part in b))
        both = tuple(field.add(field.mul(d, part), c) for part, c in zip(last, self.product().shares[0], strict=True))
        return tuple(part[0] for part in both)


class Tree:
    """[R > q] for shared bits of R and public q of `shape`. `opens`: what the levels cost for each value.

    The bits of R may lack leading axes of `shape`: one R is then compared with several q.
    """

    def __init__(self, ring: BitRing, digits: tuple[Mask, ...], shape: tuple[int, ...], plan: Plan) -> None:
        self.ring = ring
        low = len(digits)
        self.neighbours = [plan.product(PRODUCT, digits[j + 1], digits[j]) for j in range(0, low - 1, 2)]
        self.levels: list[tuple[int, Step]] = []
        nodes = low - low // 2
        while nodes > 1:
            h = nodes // 2
            self.levels.append((h, ring.products(plan).ladder(h, shape)))
            nodes -= h
        self.opens = [step.opens for _, step in self.levels]

    def climb(self, q: Field, digits: list[Share]) -> Any:
        """Takes `digits` away: they are much, and not needed on the way up."""
        g, e = self.ring.leaves(q, digits, [both().shares[0] for both in self.neighbours])
        digits.clear()
        for h, step in self.levels:
            g, e = yield from self._up(h, step, g, e)
        return tuple(part[0] for part in g)

    def _up(self, h: int, step: Step, g: Share, e: Share) -> Any:
        """One level: (g_1 + e_1 g_0, e_1 e_0); a highest node without a partner stays as it is."""
        # e lacks the lowest node: e of node i is e[i - 1].
        e1, e0 = (tuple(e_k[start : 2 * h - 1 : 2] for e_k in e) for start in (0, 1))
        g0, g1 = (tuple(g_k[start : 2 * h : 2] for g_k in g) for start in (0, 1))
        carried, equal = yield from step.run(e1, g0, e0)
        return joined(self.ring.add(g1, carried), part(g, 2 * h, None)), joined(equal, part(e, 2 * h - 1, None))


class Conjunction:
    """The product of `count` shared bits of `shape`, which are stacked along the first axis."""

    def __init__(self, ring: BitRing, count: int, shape: tuple[int, ...], plan: Plan) -> None:
        self.levels: list[tuple[int, Step]] = []
        while count > 1:
            h = count // 2
            self.levels.append((h, ring.products(plan).pairs(h, shape)))
            count -= h
        self.opens = [step.opens for _, step in self.levels]

    def climb(self, bits: Share) -> Any:
        for h, step in self.levels:
            product = yield from step.run(part(bits, 0, h), part(bits, h, 2 * h))
            bits = joined(product, part(bits, 2 * h, None))
        return tuple(b[0] for b in bits)


def part(share: Share, start: int, stop: int | None) -> Share:
    return tuple(s[start:stop] for s in share)


def joined(x: Share, y: Share) -> Share:
    return tuple(np.concatenate(parts) for parts in zip(x, y, strict=True))
