"""Comparisons and what is made of them: ReLU, leaky ReLU, absolute value. One comparison each, found once for each value.

A sign is exact (20 bytes and 7 rounds in the default format), or right for |x| >= 2^-RESOLUTION and either nearer to zero (11
bytes, 6 rounds; fewer where the format has fewer integer bits). ReLU and its kin take the second: they are off by at most
2^-RESOLUTION there, and never elsewhere. (With more than 12 integer bits in the format the resolution is 2^(integer - 20); where
n parties make the correlated randomness themselves, 2^(integer - 20 + ceil(log2 n)) with more than 12 - log2 n.)
A product with a sign opens nothing. Costs are for a source with bits over GF(2).
"""

import math
from collections.abc import Sequence

import numpy as np

from tacit.errors import OutOfRange
from tacit.field import CAPACITY
from tacit.graph.operations import AtLeast, Operation, Public, Truncate, Winners
from tacit.graph.wires import Wire
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.known import Fact
from tacit.protocols.gadgets.comparison import FILL

ONE, MINUS_ONE = np.asarray(1.0), np.asarray(-1.0)
RESOLUTION = 8
"""Comparisons that are not exact are right for |x - t| >= 2^-RESOLUTION."""
COMPARED: Fact[tuple[Wire, int]] = Fact("compared", integers=True)
"""By thresholds t: [x >= t], right for |x - t| of at least the second number."""
WINNERS: Fact[Number] = Fact("winners", integers=True)
GATE: Fact[Number] = Fact("gate", integers=True, bounded=False, lasting=True)
"""The places where a ReLU, whose output this is, lets its input through."""


def non_negative(a: Arithmetic, x: Number, exact: bool = False) -> Number:
    """[x >= 0], as 0 or 1. One that was found before serves again if it is fine enough."""
    return a.reshape(at_least(a, x, (0.0,), exact), x.shape)


def at_least(a: Arithmetic, x: Number, thresholds: Sequence[float], exact: bool = False) -> Number:
    """[x >= t] for each of the public thresholds, as 0 or 1: shape (len(thresholds), *x.shape). x is opened once for all.

    The same comparison serves again where x was compared before, at this resolution or a finer one. Where a truncation is about
    to round x, what is compared (if `exact` is not asked for) is x before it was rounded. A number beyond the format is compared
    exactly: its resolution would be coarse.
    """
    levels, magnitude = _levels(x, thresholds)
    exact = exact or x.beyond
    if not exact and isinstance(x.wire.operation, Truncate) and x.wire.pending:
        # What a truncation is about to open is compared before it: one opening serves both.
        drop = x.wire.operation.bits
        whole = Number(x.wire.inputs[0], x.scale + drop, min(x.bits + drop, CAPACITY))
        finer, wider = _levels(whole, thresholds)
        if wider <= FILL:
            x, levels, magnitude = whole, finer, wider
    if magnitude > FILL:
        raise OutOfRange(
            f"a comparison of {x.bits} bits with {max(map(abs, thresholds)):.3g}: numbers of {FILL} bits at most can be compared"
        )
    leading = a.engine.protocol.leading
    bits = magnitude + 2 if exact else max(2, min(leading, magnitude + 1 - x.scale + RESOLUTION))
    bits = bits if bits <= leading else 0 if exact else leading
    unit = 0 if bits == 0 or bits >= magnitude + 2 else 1 << (magnitude + 1 - bits)
    known = COMPARED.of(x, levels)
    if known is None or known[1] > unit:
        shape = (len(levels), *x.shape)
        wire = a.engine.record(AtLeast(levels, magnitude, bits), (x.wire,), shape, "comparison")
        wire.bound = 1
        known = COMPARED.note(x, (wire, unit), levels)
    return Number(known[0], 0, 1)


def _levels(x: Number, thresholds: Sequence[float]) -> tuple[tuple[int, ...], int]:
    """The thresholds in units of x's last place, and the bits of x and of what it is away from them."""
    levels = tuple(math.ceil(math.ldexp(t, x.scale)) for t in thresholds)
    most = max(abs(t) for t in levels)
    return levels, x.bits if most == 0 else ((1 << x.bits) + most).bit_length()


def winners(a: Arithmetic, x: Number) -> Number:
    """One-hot along the last axis: 1 at the largest element, at the first of those if several are. Exact.

    All pairs are compared: n (n - 1) / 2 comparisons and about 8 + log2(n - 1) rounds; once for each value.
    """

    def record() -> Number:
        alone = x.shape[-1] == 1
        operation: Operation = Public(np.ones(x.shape, np.uint64)) if alone else Winners(x.bits + 1)
        wire = a.engine.record(operation, () if alone else (x.wire,), x.shape, "winners")
        wire.bound = 1
        return Number(wire, 0, 1)

    return WINNERS.found(x, record)


def relu(a: Arithmetic, x: Number) -> Number:
    """max(x, 0) = x [x >= 0]

    A number too wide to be multiplied by one in the format is truncated first: one opening serves that and the comparison.
    """
    if x.bits + a.format.bits > CAPACITY:
        x = a.rescale(x)
    bit = non_negative(a, x)
    out = a.multiply(x, bit, "relu")
    GATE.note(out, bit)
    return out


def leaky_relu(a: Arithmetic, x: Number, slope: float) -> Number:
    """slope x + (1 - slope) relu(x)"""
    gated = relu(a, x)
    out = a.add(a.times(x, slope), a.times(gated, 1 - slope), name="leaky_relu")
    GATE.note(out, gate(a, gated))
    return out


def gate(a: Arithmetic, x: Number) -> Number:
    """Where a ReLU lets its gradient through, from what came out of it.

    Where that is not known any more: x is 0 or more, so that it is compared with a number between 0 and what it resolves.
    """
    known = GATE.of(x)
    return known or non_negative(a, a.add_public(x, np.asarray(-(2.0 ** (1 - RESOLUTION)))))


def absolute(a: Arithmetic, x: Number) -> Number:
    """|x| = 2 x [x >= 0] - x, exact: what is divided by it, or its root, must not meet a negative number."""
    if x.bits + a.format.bits > CAPACITY:
        x = a.rescale(x)
    positive = a.multiply(x, non_negative(a, x, exact=True), "abs", bits=x.bits)
    return a.add(a.times(positive, 2.0), x, -1, "abs")


def complement(a: Arithmetic, bit: Number) -> Number:
    """1 - bit"""
    return a.add_public(a.negate(bit), ONE)
