"""Comparison with public thresholds: x is opened once for all of them; a tree over shared bits does the rest (`carry_tree`).

By the leading T bits, for |x|, |x - t| < 2^k:
    s = 59 - k;   M = (p - 1) / 2^T;   r = R M + rho, rho in [0, M), R's bits R_0 ... R_{T-1} shared
    c = open(2^s x - M / 2 + r);   q = floor((c - 2^s t) / M);   [x >= t] = 1 - top bit of (q - R mod 2^T)
(q - R mod 2^T) = floor((2^s (x - t) - M / 2 + rho) / M), so the bit is right unless |x - t| < 2^(k + 1 - T): a resolution, which
a ReLU does not notice. (For T >= k + 2, half a unit more makes it exact, t included.) c is uniform, whatever x. The top bit is
q_{T-1} + R_{T-1} + [R' > q'] mod 2, for the low T - 1 bits R' of R and q' of q. Where rho is a sum of n numbers below M, n M / 2
stands for M / 2, and r has ceil(log2 n) bits more for the same resolution.

Exactly (Rabbit, Makri et al. 2021): r uniform over F_p, its top k + 3 bits shared; z = 2^s x + 2^(s-1) + B with B = 2^60,
    c = open(z + r),   B_t = B + 2^s t,   c_t = c - B_t mod p:     [x < t] = [z < B_t] = [r > c_t] - [r > c] + [c < B_t]
The low l = s - 1 bits need no look: [r > c] differs from [r >> l > c >> l] only if z > p - 2^l, which is not so,
and [r > c_t] only if -2^l < z - B_t < 0, while z - B_t is an odd multiple of 2^l.

A bit over GF(2) leaves it by a random bit beta that the source gives in both worlds: open b = bit + beta, then
    bit = b + (1 - 2 b) [beta] over F_p, an opening with a late term: a product with it opens nothing more.
One threshold, T = 16: 64 + 19 bits and 5 rounds; over field elements 20 of these, and one more when the result is multiplied.

A protocol whose masks may have more than 21 leading bits (`correlations.layouts`) compares exactly by as many as make the
resolution less than half a unit.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from tacit import _core, field
from tacit.correlations.layouts import layout
from tacit.correlations.masks import Late, Masked, Opening
from tacit.correlations.requests import LEADING, LENGTH
from tacit.field import CAPACITY, Field, P, size
from tacit.graph.maps import Combine
from tacit.graph.operations import AtLeast, Truncate
from tacit.graph.wires import Share, Wire
from tacit.interaction.exchange import Rounds
from tacit.interaction.rounds import Task
from tacit.protocols.gadgets import truncation
from tacit.protocols.gadgets.bits import BitRing, MaskedBits, WordBits, digit
from tacit.protocols.gadgets.carry_tree import Tree
from tacit.protocols.plan import Plan

if TYPE_CHECKING:
    from tacit.protocols.opening import OpeningProtocol

FILL = 59
"""Bits of magnitude that 2^s x may have: one less than the field."""
MIDDLE = 1 << 60


def resolution(magnitude: int, bits: int) -> int:
    """Nearer to the threshold the bit may be wrong."""
    return 1 << max(0, magnitude + 1 - bits)


def lower(protocol: "OpeningProtocol", operation: AtLeast, wire: Wire, plan: Plan) -> Task:
    """Leaves an opening of x as well, if there was none."""
    (x,) = wire.inputs
    compared = Compared(protocol, operation, x.shape, plan)
    return _climbing(compared, wire, compared.opened(x, plan, wire.label), plan)


def lower_both(protocol: "OpeningProtocol", wire: Wire, sign: Wire, plan: Plan) -> Task:
    """`wire` = x / 2^f and `sign` = [x >= t] from one opening of x: c = 2^s x + 2^58 + r with s = 58 - k, T one more for it.

    2^s x is truncated by f + s; r = R_{T-1} (p - 1) / 2 + rest is what `gadgets.truncation` needs.
    """
    (x,) = wire.inputs
    operation = wire.operation
    assert isinstance(operation, Truncate) and isinstance(sign.operation, AtLeast)
    compared = Compared(protocol, sign.operation, x.shape, plan, operation.bits)
    rounding = compared.method.rounding
    assert rounding is not None
    *_, top_mask, high_mask = compared.method.masks

    def truncate() -> None:
        top, high = compared.spare
        wire.share = truncation.result(compared.c(), top, high, protocol.unit, rounding)

    opened = compared.opened(x, plan, wire.label)
    task = plan.task(truncate, (opened,), wire.label)
    if protocol.late:
        protocol.open_values.decompose(wire, truncation.opening(compared.c, top_mask, high_mask, rounding, task))
    sign.task = _climbing(compared, sign, opened, plan)
    return task


def joins(operation: AtLeast, truncation: Truncate, leading: int) -> bool:
    """Return whether one opening can serve both: 2^s x is truncated by s bits more, below 58 in all."""
    return 0 < operation.bits < leading and 0 < truncation.bits < operation.magnitude <= CAPACITY


def _climbing(compared: "Compared", wire: Wire, opened: Task, plan: Plan) -> Task:
    end = ending(compared.ring, wire.shape, plan)

    def finish() -> Rounds:
        bits = yield from compared.climb()
        wire.share = yield from end.run(bits)

    costs = [compared.ring.cost(k * size(compared.shape)) for k in compared.opens] + [end.cost()]
    task = plan.task(finish, (opened,), wire.label, sum(c for c, _ in costs), sum(b for _, b in costs))
    compared.protocol.open_values.decompose(wire, end.opening(task))
    compared.protocol.noted(wire, "comparison")
    return task


class Compared:
    """[x >= t] for all thresholds, as bits of the kind that the source gives: first x is opened, then trees are climbed."""

    def __init__(
        self, protocol: "OpeningProtocol", operation: AtLeast, shape: tuple[int, ...], plan: Plan, drop: int = 0
    ) -> None:
        """`drop`: x is truncated by so many bits as well."""
        self.protocol, self.shape = protocol, shape
        self.ring = protocol.ring()
        self.method: Leading | Exact
        if operation.bits or protocol.leading > LEADING:
            self.method = Leading(self.ring, operation, shape, plan, drop)
        else:
            self.method = Exact(self.ring, operation, shape, plan)
        self.drop = drop > 0
        self.opens = self.method.opens
        self.spare: tuple[Share, ...] = ()
        """[R_{T-1}] and [r >> drop], if x is truncated."""
        self._c: Field | None = None
        self._digits: tuple[Share, ...] = ()

    def c(self) -> Field:
        assert self._c is not None
        return self._c

    def opened(self, x: Wire, plan: Plan, label: str) -> Task:
        """The task that opens x (a view of it has its shape)."""
        task = plan.task(lambda: self.open(x.value()), (x.task,), label, *self.protocol.opening_cost(size(self.shape)))
        back = pow(1 << self.method.shift, -1, P)

        def public() -> Field:
            centred = _core.add_scalar(field.contiguous(self.c()), (P - self.method.offset) % P)
            return field.scale(centred.reshape(self.shape), back)

        self.protocol.opens(x, Opening(Masked(Combine((-back,)), (self.method.masks[0],)), (), public, (task,)))
        return task

    def open(self, x: Share) -> Rounds:
        r, *digits = self.method.material().shares
        known = len(digits) - 2 * self.drop
        self._digits, self.spare = tuple(digits[:known]), tuple(digits[known:])
        for mask in self.method.masks:
            mask.seal()
        scaled = tuple(field.scale(part, 1 << self.method.shift) for part in x)
        shifted = self.protocol.shifted(scaled, np.full(self.shape, self.method.offset, np.uint64))
        self._c = yield from self.protocol.open(tuple(field.add(a, b) for a, b in zip(shifted, r, strict=True)))

    def climb(self) -> Any:
        """The bits, stacked by thresholds."""
        digits, self._digits = list(self._digits), ()
        return (yield from self.method.climb(self.c(), digits))


class Leading:
    """By the leading T bits of 2^s x + offset + r."""

    def __init__(self, ring: BitRing, operation: AtLeast, shape: tuple[int, ...], plan: Plan, drop: int) -> None:
        # A truncation needs a bit of the field: the same resolution takes one bit more of r. So does a sum of two numbers.
        summands = ring.protocol.summands
        wanted = operation.bits or operation.magnitude + 2
        self.layout = layout(wanted + (drop > 0) + (summands - 1).bit_length())
        self.ring, self.bits = ring, self.layout.bits
        self.shift = FILL - operation.magnitude - (drop > 0)
        # Half a unit more makes equality positive, where the bits resolve it; else it would only move the resolution.
        half = (1 << self.shift) >> 1 if wanted >= operation.magnitude + 2 else 0
        centre = half - (summands * self.layout.unit // 2 if self.layout.unit > 1 else 0)
        self.rounding = truncation.Rounding(1 << (drop + self.shift), self.bits, summands) if drop else None
        self.offset = self.rounding.offset if self.rounding else centre % P
        self.steps = [(centre - self.offset - (t << self.shift)) % P for t in operation.thresholds]
        self.masks, self.material = plan.comparison(shape, self.bits, ring.binary, drop and drop + self.shift)
        stacked = (len(self.steps), *shape)
        self.tree = Tree(ring, self.masks[1 : self.bits], stacked, plan)
        self.flip = None if ring.binary else ring.products(plan).flip(self.masks[self.bits], stacked)
        self.opens = [
            len(self.steps) * k for k in (*self.tree.opens, *([] if self.flip is None else [self.flip.opens]))
        ]

    def climb(self, c: Field, digits: list[Share]) -> Any:
        ring, t = self.ring, self.bits
        q = self.layout.digits(_shifts(c, self.steps))
        last = digits.pop()
        borrow = yield from self.tree.climb(q, digits)
        top = digit(q, t - 1)
        if self.flip is None:  # over GF(2): 1 + q_top + R_top + borrow
            return ring.shifted(ring.add(borrow, last), 1 - top)
        both = yield from self.flip.run(last, borrow)
        z = ring.subtract(ring.add(borrow, last), ring.add(both, both))  # last xor borrow
        return ring.affine(1 - top, (2 * top - 1, z))  # 1 - (top xor z)


class Exact:
    """By all bits that matter: public numbers are compared with r, one for each threshold and one more."""

    rounding = None

    def __init__(self, ring: BitRing, operation: AtLeast, shape: tuple[int, ...], plan: Plan) -> None:
        self.ring, self.shift = ring, FILL - operation.magnitude
        self.low = max(0, self.shift - 1)
        self.offset = MIDDLE + ((1 << self.shift) >> 1)
        self.levels = [MIDDLE + (t << self.shift) for t in operation.thresholds]
        self.masks, self.material = plan.edabits(shape, LENGTH - self.low, ring.binary)
        self.tree = Tree(ring, self.masks[1:], (len(self.levels) + 1, *shape), plan)
        self.opens = [(len(self.levels) + 1) * k for k in self.tree.opens]

    def climb(self, c: Field, digits: list[Share]) -> Any:
        """1 - [r > c_t] + [r > c] - [c < B_t], which are sums over GF(2) as well."""
        ring = self.ring
        levels = _shifts(c, [0, *(P - b for b in self.levels)])
        greater = yield from self.tree.climb(levels >> np.uint64(self.low), digits)
        less, more = tuple(g[1:] for g in greater), tuple(g[:1] for g in greater)
        below = np.stack([c < np.uint64(b) for b in self.levels]).astype(np.int64)
        return ring.shifted(ring.subtract(more, less), 1 - below)


def _shifts(c: Field, constants: list[int]) -> Field:
    """c + each of the constants, mod p, stacked."""
    return np.stack([_core.add_scalar(field.contiguous(c), k).reshape(c.shape) for k in constants])


class WordEnd:
    """Bits over GF(2) leave it under beta, which is shared in both worlds."""

    def __init__(self, ring: MaskedBits, shape: tuple[int, ...], plan: Plan) -> None:
        self.ring, self.shape = ring, shape
        self.masks, self.material = plan.dabits(shape)
        self._opened: list[Field] = []

    def cost(self) -> tuple[int, int]:
        return self.ring.cost(size(self.shape))

    def run(self, bits: Share) -> Any:
        """b + (1 - 2 b) [beta] for the opened b = bit + beta."""
        word, beta = self.material().shares
        for mask in self.masks:
            mask.seal()
        opened = yield from self.ring.open(self.ring.add(tuple(b.reshape(self.shape) for b in bits), word))
        self._opened.append(opened & np.uint64(1))
        signs = self._signs()
        return self.ring.protocol.shifted(tuple(field.mul(signs, part) for part in beta), self._opened[0])

    def _signs(self) -> Field:
        """1 - 2 b"""
        return field.from_signed(1 - 2 * self._opened[0].astype(np.int64))

    def opening(self, task: Task) -> Opening | None:
        return Opening(None, (Late(self._signs, self.masks[1]),), lambda: self._opened[0], (task,))


class FieldEnd:
    """Bits that are field elements stay what they are."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def cost(self) -> tuple[int, int]:
        return 0, 0

    def run(self, bits: Share) -> Any:
        yield from ()
        return tuple(b.reshape(self.shape) for b in bits)

    def opening(self, task: Task) -> Opening | None:
        return None


def ending(ring: BitRing, shape: tuple[int, ...], plan: Plan) -> WordEnd | FieldEnd:
    """How bits become field elements of `shape`."""
    return WordEnd(ring, shape, plan) if isinstance(ring, WordBits) else FieldEnd(shape)
