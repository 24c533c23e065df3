"""Trees over shared bits of either kind (`sharing.bits`): [R > q] for a public q, and the product of many bits.

q is public, so each bit of R gives (g, e) = ([R_j > q_j], [R_j = q_j]) as a public affine map of R_j (`BitRing.leaves`), and
    (g, e) of two neighbours = (g_1 + e_1 g_0, e_1 e_0)
makes a tree: its first level takes [R_1 R_0] from the source and opens nothing; every further one opens e_1, g_0, e_0 once each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tacit.field import Field
from tacit.sharing.bits import PRODUCT, BitRing
from tacit.sharing.maps import Slice
from tacit.sharing.masks import Mask, Masked
from tacit.sharing.plan import Plan
from tacit.sharing.requests import Material, Share


@dataclass
class Level:
    """What one level of a tree, of h pairs, takes: the mask of what it opens, and two products of its parts."""

    pairs: int
    mask: Mask
    material: Callable[[], Material]
    carried: Callable[[], Material]
    equal: Callable[[], Material] | None = None

    def opened(self, ring: BitRing, operands: Share) -> Any:
        share = self.material().shares[0]
        self.mask.seal()
        return (yield from ring.open(ring.subtract(operands, share)))


class Tree:
    """[R > q] for shared bits of R and public q of `shape`. `opens`: how many bits of each value the levels open.

    The bits of R may lack leading axes of `shape`: one R is then compared with several q.
    """

    def __init__(self, ring: BitRing, digits: tuple[Mask, ...], shape: tuple[int, ...], plan: Plan) -> None:
        self.ring = ring
        low = len(digits)
        self.neighbours = [plan.product(PRODUCT, digits[j + 1], digits[j]) for j in range(0, low - 1, 2)]
        self.levels: list[Level] = []
        nodes = low - low // 2
        while nodes > 1:
            self.levels.append(self._level(nodes // 2, shape, plan))
            nodes -= nodes // 2
        self.opens = [3 * level.pairs - 1 for level in self.levels]

    def _level(self, h: int, shape: tuple[int, ...], plan: Plan) -> Level:
        """The mask of e_1 (h), g_0 (h), e_0 (h - 1)."""
        mask, material = plan.mask((3 * h - 1, *shape), self.ring.binary)
        carried = plan.product(PRODUCT, _masked(mask, 0, h), _masked(mask, h, 2 * h))
        equal = plan.product(PRODUCT, _masked(mask, 1, h), _masked(mask, 2 * h, 3 * h - 1)) if h > 1 else None
        return Level(h, mask, material, carried, equal)

    def climb(self, q: Field, digits: tuple[Share, ...]) -> Any:
        g, e = self.ring.leaves(q, digits, [both().shares[0] for both in self.neighbours])
        for level in self.levels:
            g, e = yield from self._up(level, g, e)
        return tuple(part[0] for part in g)

    def _up(self, level: Level, g: Share, e: Share) -> Any:
        """One level: (g_1 + e_1 g_0, e_1 e_0); a highest node without a partner stays as it is."""
        h, ring = level.pairs, self.ring
        # e lacks the lowest node: e of node i is e[i - 1].
        operands = tuple(
            np.concatenate([e_k[0 : 2 * h - 1 : 2], g_k[0 : 2 * h : 2], e_k[1 : 2 * h - 2 : 2]])
            for g_k, e_k in zip(g, e, strict=True)
        )
        d = yield from level.opened(ring, operands)
        e1, g0, e0 = part(operands, 0, h), part(operands, h, 2 * h), part(operands, 2 * h, 3 * h - 1)
        product = ring.product(d[:h], g0, e1, d[h : 2 * h], level.carried().shares[0])
        raised = ring.add(tuple(g_k[1 : 2 * h : 2] for g_k in g), product)
        new_g = joined(raised, part(g, 2 * h, None))
        new_e = part(e, 2 * h - 1, None)
        if level.equal is not None:
            both = ring.product(d[1:h], e0, part(e1, 1, None), d[2 * h :], level.equal().shares[0])
            new_e = joined(both, new_e)
        return new_g, new_e


class Conjunction:
    """The product of `count` shared bits of `shape`, which are stacked along the first axis. Each bit is opened once."""

    def __init__(self, ring: BitRing, count: int, shape: tuple[int, ...], plan: Plan) -> None:
        self.ring = ring
        self.levels: list[Level] = []
        while count > 1:
            h = count // 2
            mask, material = plan.mask((2 * h, *shape), ring.binary)
            carried = plan.product(PRODUCT, _masked(mask, 0, h), _masked(mask, h, 2 * h))
            self.levels.append(Level(h, mask, material, carried))
            count -= h
        self.opens = [2 * level.pairs for level in self.levels]

    def climb(self, bits: Share) -> Any:
        for level in self.levels:
            h = level.pairs
            operands = part(bits, 0, 2 * h)
            d = yield from level.opened(self.ring, operands)
            x, y = part(operands, 0, h), part(operands, h, None)
            product = self.ring.product(d[:h], y, x, d[h:], level.carried().shares[0])
            bits = joined(product, part(bits, 2 * h, None))
        return tuple(b[0] for b in bits)


def part(share: Share, start: int, stop: int | None) -> Share:
    return tuple(s[start:stop] for s in share)


def joined(x: Share, y: Share) -> Share:
    return tuple(np.concatenate(parts) for parts in zip(x, y, strict=True))


def _masked(mask: Mask, start: int, stop: int) -> Masked:
    return Masked(Slice(0, start, stop), (mask,))
