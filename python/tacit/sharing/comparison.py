"""Comparison by the leading bits, with a carry tree over shared bits (`sharing.bits`: over GF(2), or field elements).

    x' = 2^s x with s = 59 - k for |x| < 2^k;   M = (p - 1) / 2^T;   r = R M + rho, rho in [0, M), R's bits R_0 ... R_{T-1} shared
    c = open(x' - M / 2 + r);   q = floor(c / M);   [x >= 0] = 1 - top bit of (q - R mod 2^T)

(q - R mod 2^T) = floor((x' - M / 2 + rho) / M), so the sign is right unless |x'| < M / 2, |x| < 2^(k + 1 - T): a resolution,
which a ReLU does not notice. (For T >= k + 2, x' + 2^(s-1) makes it exact, zero included.) c is uniform, whatever x. The top bit
is q_{T-1} + R_{T-1} + [R' > q'] mod 2, for the low T - 1 bits R' of R and q' of q. q is public, so each bit gives
(g, e) = ([R_j > q_j], [R_j = q_j]) as a public affine map of R_j, and
    (g, e) of two neighbours = (g_1 + e_1 g_0, e_1 e_0)
makes a tree: its first level takes [R_1 R_0] from the source and opens nothing; every further one opens e_1, g_0, e_0 once each.
The result leaves GF(2) by a random bit beta that the source gives in both worlds: open b = [x >= 0] + beta, then
    [x >= 0] = b + (1 - 2 b) [beta] over F_p, an opening with a late term: a product with it opens nothing more.
T = 16: 19 bits and 5 rounds, c included; over field elements 19 of these, and one more when the result is multiplied.

Exactly (Rabbit, Makri et al. 2021): r uniform over F_p with its 61 bits, y = x + B, B = 2^58, c = open(y + r), c' = c - B mod p:
    [x < 0] = [y < B] = [r > c'] - [r > c] + [c < B]
two trees side by side over the bits of r: 188 bits and 8 rounds, c and the end included.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tacit import _core, field
from tacit.field import CAPACITY, Field, P, size
from tacit.sharing.bits import PRODUCT, BitRing, FieldBits, WordBits
from tacit.sharing.maps import Combine, Slice
from tacit.sharing.masks import Late, Mask, Masked, Opening
from tacit.sharing.operations import NonNegative
from tacit.sharing.plan import Plan, Rounds, Task
from tacit.sharing.requests import LENGTH, Material, Share
from tacit.sharing.wires import Wire

if TYPE_CHECKING:
    from tacit.sharing.masked import MaskedProtocol

BOUND = 1 << CAPACITY
FILL = 59
"""Bits of magnitude that x' may have: one less than the field, since c carries R."""


def resolution(magnitude: int, bits: int) -> int:
    """Below this magnitude the sign may be wrong."""
    return 1 << max(0, magnitude + 1 - bits)


def lower(protocol: "MaskedProtocol", operation: NonNegative, wire: Wire, plan: Plan) -> Task:
    """Leaves an opening of x as well, if there was none."""
    (x,) = wire.inputs
    ring: BitRing = WordBits(protocol) if protocol.binary else FieldBits(protocol)
    method = Leading(ring, operation, wire.shape, plan) if operation.bits else Exact(ring, wire.shape, plan)
    shape, s, offset = wire.shape, method.shift, method.offset
    opened: list[Field] = []

    def run() -> Rounds:
        shares = method.material().shares
        for mask in method.masks:
            mask.seal()
        scaled = tuple(field.scale(part, 1 << s) for part in x.value())
        shifted = protocol.shifted(scaled, np.full(shape, offset, np.uint64))
        c = yield from protocol.open(tuple(field.add(a, b) for a, b in zip(shifted, shares[0], strict=True)))
        opened.append(c)
        wire.share = yield from method.finish(c, shares)

    count = size(shape)
    costs = [protocol.opening_cost(count), *(ring.cost(k * count) for k in method.opens)]
    task = plan.task(run, (x.task,), wire.label, sum(c for c, _ in costs), sum(b for _, b in costs))
    if x.known(False) is None:
        back = pow(1 << s, -1, P)

        def public() -> Field:
            return field.scale(_core.add_scalar(np.ascontiguousarray(opened[0]), (P - offset) % P).reshape(shape), back)

        x.plain = Opening(Masked(Combine((-back,)), (method.masks[0],)), (), public, (task,))
    wire.decomposed = method.end.opening(task) if method.end else None
    protocol.noted(wire, "comparison")
    return task


class Leading:
    """By the leading T bits of 2^s x + offset + r."""

    def __init__(self, ring: BitRing, operation: NonNegative, shape: tuple[int, ...], plan: Plan) -> None:
        self.ring, self.bits, self.shift = ring, operation.bits, FILL - operation.magnitude
        self.unit = (P - 1) >> self.bits
        # Half a unit more makes zero positive, where the bits resolve it; else it would only move the resolution.
        half = (1 << self.shift) >> 1 if self.bits >= operation.magnitude + 2 else 0
        self.offset = (half - self.unit // 2) % P
        self.masks, self.material = plan.comparison(shape, self.bits, ring.binary)
        self.tree = Tree(ring, self.masks[1 : self.bits], shape, plan)
        self.end = WordEnd(ring, self.masks[-1]) if ring.binary else None
        self.flip = None if ring.binary else Flip(ring, self.masks[self.bits], shape, plan)
        self.opens = [*self.tree.opens, 1]

    def finish(self, c: Field, shares: tuple[Share, ...]) -> Any:
        ring, t = self.ring, self.bits
        q = np.minimum(c // np.uint64(self.unit), np.uint64((1 << t) - 1))
        borrow = yield from self.tree.climb(q, shares[1:t])
        top, digit = _digit(q, t - 1), shares[t]
        if self.end is not None:  # over GF(2): 1 + q_top + R_top + borrow
            return (yield from self.end.run(ring.shifted(ring.add(digit, borrow), 1 - top), shares))
        assert self.flip is not None
        z = yield from self.flip.xor(digit, borrow)
        return ring.affine(1 - top, (2 * top - 1, z))  # 1 - (top xor z)


class Exact:
    """By all bits of r: two comparisons of public numbers with r."""

    def __init__(self, ring: BitRing, shape: tuple[int, ...], plan: Plan) -> None:
        self.ring, self.shift, self.offset = ring, 0, BOUND
        self.masks, self.material = plan.edabits(shape, ring.binary)
        self.tree = Tree(ring, self.masks[1 : LENGTH + 1], (2, *shape), plan)
        self.end = WordEnd(ring, self.masks[-1]) if ring.binary else None
        self.opens = [2 * k for k in self.tree.opens] + ([1] if ring.binary else [])

    def finish(self, c: Field, shares: tuple[Share, ...]) -> Any:
        """1 - [r > c'] + [r > c] - [c < B], which are sums over GF(2) as well."""
        ring = self.ring
        lower = _core.add_scalar(np.ascontiguousarray(c), P - BOUND).reshape(c.shape)
        greater = yield from self.tree.climb(np.stack([lower, c]), shares[1 : LENGTH + 1])
        less, more = (tuple(part[i] for part in greater) for i in range(2))
        bit = ring.shifted(ring.subtract(more, less), 1 - (c < np.uint64(BOUND)).astype(np.int64))
        return bit if self.end is None else (yield from self.end.run(bit, shares))


@dataclass
class Level:
    """What one level of the tree, of h pairs, takes: the mask of e_1 (h), g_0 (h), e_0 (h - 1), and two products."""

    pairs: int
    mask: Mask
    material: Callable[[], Material]
    carried: Callable[[], Material]
    equal: Callable[[], Material] | None


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
        mask, material = plan.mask((3 * h - 1, *shape), self.ring.binary)

        def part(start: int, stop: int) -> Masked:
            return Masked(Slice(0, start, stop), (mask,))

        carried = plan.product(PRODUCT, part(0, h), part(h, 2 * h))
        equal = plan.product(PRODUCT, part(1, h), part(2 * h, 3 * h - 1)) if h > 1 else None
        return Level(h, mask, material, carried, equal)

    def climb(self, q: Field, digits: tuple[Share, ...]) -> Any:
        g, e = self._leaves(q, digits)
        for level in self.levels:
            g, e = yield from self._up(level, g, e)
        return tuple(part[0] for part in g)

    def _leaves(self, q: Field, digits: tuple[Share, ...]) -> tuple[Share, Share]:
        """g of all nodes of the first level, lowest first, and e of all but the lowest; shapes (nodes, ...)."""
        ring, low = self.ring, len(digits)
        g: list[Share] = []
        e: list[Share] = []
        for j in range(0, low - 1, 2):
            # With n_j = 1 - q_j: e_j = n_j + b_j R_j with b_j = 1 - 2 n_j, and g_j = n_j R_j.
            n0, n1 = 1 - _digit(q, j), 1 - _digit(q, j + 1)
            b0, b1 = 1 - 2 * n0, 1 - 2 * n1
            both = self.neighbours[j // 2]().shares[0]
            g.append(ring.affine(None, (n1, digits[j + 1]), (n0 * n1, digits[j]), (n0 * b1, both)))
            e.append(ring.affine(n0 * n1, (n0 * b1, digits[j + 1]), (n1 * b0, digits[j]), (b0 * b1, both)))
        if low % 2:
            n0 = 1 - _digit(q, low - 1)
            g.append(ring.affine(None, (n0, digits[low - 1])))
            e.append(ring.affine(n0, (1 - 2 * n0, digits[low - 1])))
        return _stack(g), _stack(e[1:] or e)

    def _up(self, level: Level, g: Share, e: Share) -> Any:
        """One level: (g_1 + e_1 g_0, e_1 e_0); a highest node without a partner stays as it is."""
        h, ring = level.pairs, self.ring
        # e lacks the lowest node: e of node i is e[i - 1].
        operands = tuple(
            np.concatenate([e_k[0 : 2 * h - 1 : 2], g_k[0 : 2 * h : 2], e_k[1 : 2 * h - 2 : 2]])
            for g_k, e_k in zip(g, e, strict=True)
        )
        mask_share = level.material().shares[0]
        level.mask.seal()
        d = yield from ring.open(ring.subtract(operands, mask_share))
        e1, g0, e0 = _part(operands, 0, h), _part(operands, h, 2 * h), _part(operands, 2 * h, 3 * h - 1)
        product = ring.product(d[:h], g0, e1, d[h : 2 * h], level.carried().shares[0])
        raised = ring.add(tuple(part[1 : 2 * h : 2] for part in g), product)
        new_g = _join(raised, _part(g, 2 * h, None))
        new_e = _part(e, 2 * h - 1, None)
        if level.equal is not None:
            joined = ring.product(d[1:h], e0, _part(e1, 1, None), d[2 * h :], level.equal().shares[0])
            new_e = _join(joined, new_e)
        return new_g, new_e


class WordEnd:
    """A bit over GF(2) leaves it under beta, which is shared in both worlds."""

    def __init__(self, ring: BitRing, beta: Mask) -> None:
        self.ring, self.beta = ring, beta
        self._opened: list[Field] = []

    def run(self, bit: Share, shares: tuple[Share, ...]) -> Any:
        """b + (1 - 2 b) [beta] for the opened b = bit + beta."""
        masks = yield from self.ring.open(self.ring.add(bit, shares[-2]))
        self._opened.append(masks & np.uint64(1))
        signs = self._signs()
        return self.ring.protocol.shifted(tuple(field.mul(signs, part) for part in shares[-1]), self._opened[0])

    def _signs(self) -> Field:
        """1 - 2 b"""
        return field.from_signed(1 - 2 * self._opened[0].astype(np.int64))

    def opening(self, task: Task) -> Opening:
        return Opening(None, (Late(self._signs, self.beta),), lambda: self._opened[0], (task,))


class Flip:
    """R xor b = R + b - 2 R b over F_p, for a bit R that is its own mask: one opening."""

    def __init__(self, ring: BitRing, digit: Mask, shape: tuple[int, ...], plan: Plan) -> None:
        self.ring = ring
        self.mask, self.material = plan.mask(shape)
        self.product = plan.product(PRODUCT, digit, self.mask)

    def xor(self, digit: Share, b: Share) -> Any:
        ring, mask_share = self.ring, self.material().shares[0]
        self.mask.seal()
        d = yield from ring.protocol.open(ring.subtract(b, mask_share))
        both = ring.add(tuple(field.mul(d, part) for part in digit), self.product().shares[0])
        return ring.subtract(ring.add(digit, b), ring.add(both, both))


def _digit(q: Field, j: int) -> Any:
    return ((q >> np.uint64(j)) & np.uint64(1)).astype(np.int64)


def _part(share: Share, start: int, stop: int | None) -> Share:
    return tuple(part[start:stop] for part in share)


def _join(x: Share, y: Share) -> Share:
    return tuple(np.concatenate(parts) for parts in zip(x, y, strict=True))


def _stack(shares: list[Share]) -> Share:
    return tuple(np.stack(parts) for parts in zip(*shares, strict=True))
