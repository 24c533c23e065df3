"""Comparison by the leading bits, with a carry tree over bits that are field elements.

    x' = 2^s x with s = 59 - k for |x| < 2^k;   M = (p - 1) / 2^T;   r = R M + rho, rho in [0, M), R's bits R_0 ... R_{T-1} shared
    c = open(x' + 2^(s-1) - M / 2 + r);   q = floor(c / M);   [x >= 0] = 1 - top bit of (q - R mod 2^T)

(q - R mod 2^T) = floor((x' + 2^(s-1) - M / 2 + rho) / M), so the sign is right unless |x'| < M / 2, |x| < 2^(k + 1 - T) or so: a
resolution, which a ReLU does not notice. c is uniform, whatever x. The top bit is q_{T-1} + R_{T-1} + [R' > q'] mod 2, for the
low T - 1 bits R' of R and q' of q. q is public, so each bit gives (g, e) = ([R_j > q_j], [R_j = q_j]) as a public affine map of
R_j, and
    (g, e) of two neighbours = (g_1 + e_1 g_0, e_1 e_0)
makes a tree: its first level takes [R_1 R_0] from the source and opens nothing; every further one opens e_1, g_0, e_0 once each.
T = 16: 19 elements and 5 rounds besides c. (Over GF(2) these openings would be bits; the tree is the same.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tacit import _core, field
from tacit.field import Field, P, size
from tacit.sharing.forms import Elementwise
from tacit.sharing.maps import Combine, Slice
from tacit.sharing.masks import Mask, Masked, Opening
from tacit.sharing.operations import NonNegative
from tacit.sharing.plan import Plan, Rounds, Task
from tacit.sharing.requests import Material, Share
from tacit.sharing.wires import Wire

if TYPE_CHECKING:
    from tacit.sharing.masked import MaskedProtocol

FILL = 59
"""Bits of magnitude that x' may have: one less than the field, since c carries R."""
PRODUCT = Elementwise()


def resolution(magnitude: int, bits: int) -> int:
    """Below this magnitude the sign may be wrong."""
    return 1 << max(0, magnitude + 1 - bits)


@dataclass
class Level:
    """What one level of the tree, of h pairs, takes: the mask of e_1 (h), g_0 (h), e_0 (h - 1), and two products."""

    pairs: int
    mask: Mask
    material: Callable[[], Material]
    carried: Callable[[], Material]
    equal: Callable[[], Material] | None


def _level(nodes: int, shape: tuple[int, ...], plan: Plan) -> Level:
    h = nodes // 2
    mask, material = plan.mask((3 * h - 1, *shape))

    def part(start: int, stop: int) -> Masked:
        return Masked(Slice(0, start, stop), (mask,))

    carried = plan.product(PRODUCT, part(0, h), part(h, 2 * h))
    equal = plan.product(PRODUCT, part(1, h), part(2 * h, 3 * h - 1)) if h > 1 else None
    return Level(h, mask, material, carried, equal)


def lower(protocol: "MaskedProtocol", operation: NonNegative, wire: Wire, plan: Plan) -> Task:
    """Leaves an opening of x as well, if there was none."""
    (x,) = wire.inputs
    t, s, shape = operation.bits, FILL - operation.magnitude, wire.shape
    m = (P - 1) >> t
    offset = (((1 << s) >> 1) - m // 2) % P
    (r, *digits), material = plan.comparison(shape, t)
    neighbours = [plan.product(PRODUCT, digits[j + 1], digits[j]) for j in range(0, t - 2, 2)]
    levels, nodes = [], (t - 1) - (t - 1) // 2
    while nodes > 1:
        levels.append(_level(nodes, shape, plan))
        nodes -= nodes // 2
    last, last_material = plan.mask(shape)
    flipped = plan.product(PRODUCT, digits[t - 1], last)
    opened: list[Field] = []

    def run() -> Rounds:
        share_r, *bits = material().shares
        for mask in (r, *digits):
            mask.seal()
        scaled = tuple(field.scale(part, 1 << s) for part in x.value())
        shifted = protocol.shifted(scaled, np.full(shape, offset, np.uint64))
        c = yield from protocol.open(_each(field.add, shifted, share_r))
        opened.append(c)
        q = np.minimum(c // np.uint64(m), np.uint64((1 << t) - 1))
        g, e = _leaves(protocol, q, bits, [n().shares[0] for n in neighbours])
        for level in levels:
            g, e = yield from _climb(protocol, level, g, e)
        borrow = tuple(part[0] for part in g)
        mask_share = last_material().shares[0]
        last.seal()
        d = yield from protocol.open(_each(field.sub, borrow, mask_share))
        # z = R_top xor borrow = R + b - 2 R b, where R b = d R + [B R]
        both = _each(field.add, _times(d, bits[t - 1]), flipped().shares[0])
        z = _each(field.sub, _each(field.add, bits[t - 1], borrow), tuple(field.scale(part, 2) for part in both))
        top = (q >> np.uint64(t - 1)) & np.uint64(1)
        wire.share = _select(protocol, top, z)

    count = size(shape)
    openings = [count, *((3 * level.pairs - 1) * count for level in levels), count]
    costs = [protocol.opening_cost(k) for k in openings]
    task = plan.task(run, (x.task,), wire.label, sum(c for c, _ in costs), sum(b for _, b in costs))
    if x.known(False) is None:
        back = pow(1 << s, -1, P)

        def public() -> Field:
            return field.scale(_core.add_scalar(np.ascontiguousarray(opened[0]), (P - offset) % P).reshape(shape), back)

        x.plain = Opening(Masked(Combine((-back,)), (r,)), (), public, (task,))
    protocol.noted(wire, "comparison", plan)
    return task


def _leaves(protocol: "MaskedProtocol", q: Field, bits: list[Share], neighbours: list[Share]) -> tuple[Share, Share]:
    """g of all nodes of the first level, lowest first, and e of all but the lowest; shapes (nodes, ...)."""
    low = len(bits) - 1
    g: list[Share] = []
    e: list[Share] = []
    for j in range(0, low - 1, 2):
        q0, q1 = _digit(q, j), _digit(q, j + 1)
        a0, a1 = 1 - q0, 1 - q1  # [q_j = 0], as signed integers
        b0, b1 = 2 * q0 - 1, 2 * q1 - 1
        both = neighbours[j // 2]
        # e_j = a_j + b_j R_j, g_j = a_j R_j
        g.append(_affine(protocol, None, (a1, bits[j + 1]), (a0 * a1, bits[j]), (a0 * b1, both)))
        e.append(_affine(protocol, a0 * a1, (a0 * b1, bits[j + 1]), (a1 * b0, bits[j]), (b0 * b1, both)))
    if low % 2:
        q0 = _digit(q, low - 1)
        g.append(_affine(protocol, None, (1 - q0, bits[low - 1])))
        e.append(_affine(protocol, 1 - q0, (2 * q0 - 1, bits[low - 1])))
    return _stack(g), _stack(e[1:] or e)


def _climb(protocol: "MaskedProtocol", level: Level, g: Share, e: Share) -> Any:
    """One level of the tree: (g_1 + e_1 g_0, e_1 e_0); a highest node without a partner stays as it is."""
    h = level.pairs
    # e lacks the lowest node: e of node i is e[i - 1].
    operands = tuple(
        np.concatenate([e_k[0 : 2 * h - 1 : 2], g_k[0 : 2 * h : 2], e_k[1 : 2 * h - 2 : 2]])
        for g_k, e_k in zip(g, e, strict=True)
    )
    mask_share = level.material().shares[0]
    level.mask.seal()
    d = yield from protocol.open(_each(field.sub, operands, mask_share))
    carried, equal = level.carried().shares[0], level.equal().shares[0] if level.equal else None
    new_g, new_e = [], []
    for k, (unit, v) in enumerate(zip(protocol.unit, operands, strict=True)):
        e1, g0, e0 = v[:h], v[h : 2 * h], v[2 * h :]
        product = PRODUCT.masked(d[:h], g0, e1, d[h : 2 * h], unit, carried[k])
        new_g.append(np.concatenate([field.add(g[k][1 : 2 * h : 2], product), g[k][2 * h :]]))
        rest = e[k][2 * h - 1 :]
        if equal is not None:
            joined = PRODUCT.masked(d[1:h], e0, e1[1:], d[2 * h :], unit, equal[k])
            rest = np.concatenate([joined, rest])
        new_e.append(rest)
    return tuple(new_g), tuple(new_e)


def _digit(q: Field, j: int) -> Any:
    return ((q >> np.uint64(j)) & np.uint64(1)).astype(np.int64)


def _affine(protocol: "MaskedProtocol", constant: Any, *terms: tuple[Any, Share]) -> Share:
    """constant + sum of public times shared, the public ones in {-1, 0, 1}."""
    total: Share | None = None
    for coefficient, share in terms:
        product = _times(field.from_signed(coefficient), share)
        total = product if total is None else _each(field.add, total, product)
    assert total is not None
    return total if constant is None else protocol.shifted(total, field.from_signed(constant))


def _select(protocol: "MaskedProtocol", top: Field, z: Share) -> Share:
    """1 - (top xor z)"""
    signs = field.from_signed(2 * top.astype(np.int64) - 1)
    return protocol.shifted(_times(signs, z), np.ascontiguousarray(np.uint64(1) - top))


def _times(public: Field, share: Share) -> Share:
    return tuple(field.mul(public, part) for part in share)


def _each(operation: Callable[[Field, Field], Field], x: Share, y: Share) -> Share:
    return tuple(operation(a, b) for a, b in zip(x, y, strict=True))


def _stack(shares: list[Share]) -> Share:
    return tuple(np.stack(parts) for parts in zip(*shares, strict=True))
