"""Comparison by the leading bits, with a carry tree over shared bits (`sharing.bits`: over GF(2), or field elements).

    x' = 2^s x with s = 59 - k for |x| < 2^k;   M = (p - 1) / 2^T;   r = R M + rho, rho in [0, M), R's bits R_0 ... R_{T-1} shared
    c = open(x' + 2^(s-1) - M / 2 + r);   q = floor(c / M);   [x >= 0] = 1 - top bit of (q - R mod 2^T)

(q - R mod 2^T) = floor((x' + 2^(s-1) - M / 2 + rho) / M), so the sign is right unless |x'| < M / 2, |x| < 2^(k + 1 - T) or so: a
resolution, which a ReLU does not notice. c is uniform, whatever x. The top bit is q_{T-1} + R_{T-1} + [R' > q'] mod 2, for the
low T - 1 bits R' of R and q' of q. q is public, so each bit gives (g, e) = ([R_j > q_j], [R_j = q_j]) as a public affine map of
R_j, and
    (g, e) of two neighbours = (g_1 + e_1 g_0, e_1 e_0)
makes a tree: its first level takes [R_1 R_0] from the source and opens nothing; every further one opens e_1, g_0, e_0 once each.
The result leaves GF(2) by a random bit beta that the source gives in both worlds: open b = [x >= 0] + beta, then
    [x >= 0] = b + (1 - 2 b) [beta] over F_p, an opening with a late term: a product with it opens nothing more.
T = 16: 19 bits and 5 rounds, c included; over field elements 19 of these, and one more when the result is multiplied.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tacit import _core, field
from tacit.field import Field, P, size
from tacit.sharing.bits import PRODUCT, BitRing, FieldBits, WordBits
from tacit.sharing.maps import Combine, Slice
from tacit.sharing.masks import Late, Mask, Masked, Opening
from tacit.sharing.operations import NonNegative
from tacit.sharing.plan import Plan, Rounds, Task
from tacit.sharing.requests import Material, Share
from tacit.sharing.wires import Wire

if TYPE_CHECKING:
    from tacit.sharing.masked import MaskedProtocol

FILL = 59
"""Bits of magnitude that x' may have: one less than the field, since c carries R."""


def resolution(magnitude: int, bits: int) -> int:
    """Below this magnitude the sign may be wrong."""
    return 1 << max(0, magnitude + 1 - bits)


def lower(protocol: "MaskedProtocol", operation: NonNegative, wire: Wire, plan: Plan) -> Task:
    """Leaves an opening of x as well, if there was none."""
    (x,) = wire.inputs
    t, s, shape = operation.bits, FILL - operation.magnitude, wire.shape
    m = (P - 1) >> t
    offset = (((1 << s) >> 1) - m // 2) % P
    ring: BitRing = WordBits(protocol) if protocol.binary else FieldBits(protocol)
    masks, material = plan.comparison(shape, t, ring.binary)
    r, digits = masks[0], masks[1 : t + 1]
    tree = Tree(ring, digits, shape, plan)
    end = WordEnd(ring, masks, shape) if ring.binary else FieldEnd(ring, masks, shape, plan)
    opened: list[Field] = []

    def run() -> Rounds:
        shares = material().shares
        for mask in masks:
            mask.seal()
        scaled = tuple(field.scale(part, 1 << s) for part in x.value())
        shifted = protocol.shifted(scaled, np.full(shape, offset, np.uint64))
        c = yield from protocol.open(tuple(field.add(a, b) for a, b in zip(shifted, shares[0], strict=True)))
        opened.append(c)
        q = np.minimum(c // np.uint64(m), np.uint64((1 << t) - 1))
        borrow = yield from tree.climb(q, shares[1 : t + 1])
        wire.share = yield from end.run(_digit(q, t - 1), borrow, shares)

    count = size(shape)
    costs = [protocol.opening_cost(count), *(ring.cost(k * count) for k in tree.opens), ring.cost(count)]
    task = plan.task(run, (x.task,), wire.label, sum(c for c, _ in costs), sum(b for _, b in costs))
    if x.known(False) is None:
        back = pow(1 << s, -1, P)

        def public() -> Field:
            return field.scale(_core.add_scalar(np.ascontiguousarray(opened[0]), (P - offset) % P).reshape(shape), back)

        x.plain = Opening(Masked(Combine((-back,)), (r,)), (), public, (task,))
    wire.decomposed = end.opening(task)
    protocol.noted(wire, "comparison", plan)
    return task


@dataclass
class Level:
    """What one level of the tree, of h pairs, takes: the mask of e_1 (h), g_0 (h), e_0 (h - 1), and two products."""

    pairs: int
    mask: Mask
    material: Callable[[], Material]
    carried: Callable[[], Material]
    equal: Callable[[], Material] | None


class Tree:
    """[R' > q'] for the low bits of R and q. `opens`: how many bits of each value the levels open."""

    def __init__(self, ring: BitRing, digits: tuple[Mask, ...], shape: tuple[int, ...], plan: Plan) -> None:
        self.ring = ring
        low = len(digits) - 1
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
        ring, low = self.ring, len(digits) - 1
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
    """Over GF(2) the top bit is a sum; beta carries it to F_p."""

    def __init__(self, ring: BitRing, masks: tuple[Mask, ...], shape: tuple[int, ...]) -> None:
        self.ring, self.beta, self.shape = ring, masks[-1], shape
        self._opened: list[Field] = []

    def run(self, top: Any, borrow: Share, shares: tuple[Share, ...]) -> Any:
        """[x >= 0] = 1 + q_top + R_top + borrow over GF(2)."""
        ring, protocol = self.ring, self.ring.protocol
        digit, beta_word, beta = shares[-3], shares[-2], shares[-1]
        hidden = ring.add(ring.shifted(ring.add(digit, borrow), 1 - top), beta_word)
        masks = yield from ring.open(hidden)
        b = masks & np.uint64(1)
        self._opened.append(b)
        signs = self._signs()
        return protocol.shifted(tuple(field.mul(signs, part) for part in beta), b)

    def _signs(self) -> Field:
        """1 - 2 b"""
        return field.from_signed(1 - 2 * self._opened[0].astype(np.int64))

    def opening(self, task: Task) -> Opening | None:
        return Opening(None, (Late(self._signs, self.beta),), lambda: self._opened[0], (task,))


class FieldEnd:
    """Over F_p: z = R_top xor borrow = R + b - 2 R b takes one product."""

    def __init__(self, ring: BitRing, masks: tuple[Mask, ...], shape: tuple[int, ...], plan: Plan) -> None:
        self.ring = ring
        self.mask, self.material = plan.mask(shape)
        self.product = plan.product(PRODUCT, masks[-1], self.mask)

    def run(self, top: Any, borrow: Share, shares: tuple[Share, ...]) -> Any:
        ring, digit = self.ring, shares[-1]
        mask_share = self.material().shares[0]
        self.mask.seal()
        d = yield from ring.protocol.open(ring.subtract(borrow, mask_share))
        both = ring.add(tuple(field.mul(d, part) for part in digit), self.product().shares[0])
        z = ring.subtract(ring.add(digit, borrow), ring.add(both, both))
        return ring.affine(1 - top, (2 * top - 1, z))  # 1 - (top xor z)

    def opening(self, task: Task) -> Opening | None:
        return None


def _digit(q: Field, j: int) -> Any:
    return ((q >> np.uint64(j)) & np.uint64(1)).astype(np.int64)


def _part(share: Share, start: int, stop: int | None) -> Share:
    return tuple(part[start:stop] for part in share)


def _join(x: Share, y: Share) -> Share:
    return tuple(np.concatenate(parts) for parts in zip(x, y, strict=True))


def _stack(shares: list[Share]) -> Share:
    return tuple(np.stack(parts) for parts in zip(*shares, strict=True))
