"""Functions of one number by piecewise polynomials, in the rounds of one comparison.

    b_j = [x >= t_j];     f(x) = p_0(x) + sum_j b_j (p_j(x) - p_(j-1)(x)),     p_j(x) = sum_k a_jk x^k,  k <= 5

x^2 ... x^5 are truncated while x is compared with all knots t_j at once. Their openings follow to the differences of polynomials,
which are linear in them, so the products with the bits b_j open nothing.

Only f(x) itself is bounded. Far outside the knots the powers leave the field, but there p_j is a line: the integer coefficients
of higher powers in the sum cancel to 0, and 0 times any element of the field is 0. Near a knot the bits may be of either side
(2^-7 in the default format), so each polynomial is fitted a little beyond its knots.
"""

import functools
import itertools
from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np

from tacit.field import CAPACITY, P
from tacit.graph.forms import Elementwise
from tacit.graph.maps import Combine
from tacit.graph.operations import Bilinear, Linear, Shift, Truncate
from tacit.graph.wires import Wire
from tacit.numbers import comparison
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.format import Format
from tacit.numbers.functions import curves
from tacit.numbers.functions.curves import DIGITS, Curve, Line
from tacit.numbers.known import Fact

COARSEST, FINEST = 16, 24
"""Scales at which x is taken to its powers."""
TOO_FINE = 53
"""Above this scale the field does not hold the knots."""
POWERS = (21, 18, 15, 12)
"""Scales of x^2 ... x^5: no product on the way leaves the field for |x| < 11, beyond which curves are lines."""
SCALE = 45
"""The scale of results, where that leaves room for a sum with a number of the format."""
SMALL = 4
"""From so many integer bits on, no function of a number is above the largest number, but for those that saturate."""
RESOLVED = 12
"""Integer bits up to which a comparison that is not exact is right but for 2^-7."""
BEYOND = Decimal(2) ** -6
"""How far beyond its knots a polynomial is fitted."""
TOP = Decimal("0.0009")
"""A result nearer to the largest number of the format than this, relatively, may become that number."""
LOG_2 = 0.6931471805599453
NODES = tuple(
    sign * Decimal(c) for sign in (-1, 1) for c in ("0.9659258262890683", "0.7071067811865475", "0.2588190451025208")
)
"""Chebyshev's, on [-1, 1]."""

OWN_POWERS: Fact[tuple[Number, ...]] = Fact("powers")
Polynomial = tuple[int, ...]
"""Coefficients of 1, x, x^2 ...: integers at what the scales of these leave of the result's scale."""


@dataclass(frozen=True)
class Spline:
    """A curve in a format: piece j is for x between knots j - 1 and j. Its value has `scale` and `bits`."""

    knots: tuple[float, ...]
    pieces: tuple[Polynomial, ...]
    scale: int
    bits: int


@functools.cache
def spline(curve: Curve, format: Format, scale: int, span: int = 0) -> Spline:
    """`curve` for |x| < 2^span, or 2^integer if that is more, whose first power has `scale`."""
    with localcontext(DIGITS):
        limit, wide = (Decimal(2) ** n for n in (format.integer, max(span, format.integer)))
        end = wide
        knots = [Decimal(t) for t in curve.knots]
        before, after = _line(curve.before), None
        integer = 1 if curve.bounded else max(SMALL, format.integer, span)
        match curve.after:
            case None:
                end = min(end, knots.pop())
            case (_, _):
                after = _line(curve.after)
            case inverse:
                top, integer = inverse(limit * (1 - TOP)), format.integer
                knots, after = [*(t for t in knots if t < top), top], (limit - Decimal(2) ** -format.fraction,)
        inner = [t for t in knots if abs(t) < wide]
        out = min(SCALE, CAPACITY - 1 - max(integer, format.integer))
        scales = (out, *(out - s for s in (scale, *POWERS)))
        pieces = []
        for low, high in itertools.pairwise([-wide, *inner, end]):
            outer = before if high <= knots[0] else after if low >= knots[-1] else None
            piece = outer or _interpolated(curve, low - BEYOND, high + BEYOND)
            pieces.append(tuple(int((c * 2**s).to_integral_value()) for c, s in zip(piece, scales, strict=False)))
        return Spline(tuple(float(t) for t in inner), tuple(pieces), out, out + integer)


def _line(line: Line) -> tuple[Decimal, ...]:
    return Decimal(line[0]), Decimal(line[1])


def _interpolated(curve: Curve, low: Decimal, high: Decimal) -> tuple[Decimal, ...]:
    """Newton's polynomial at Chebyshev's nodes of [low, high], as coefficients of the powers of x."""
    nodes = [(low + high) / 2 + (high - low) / 2 * c for c in NODES]
    differences = [curve.value(x) for x in nodes]
    for k in range(1, len(nodes)):
        for i in range(len(nodes) - 1, k - 1, -1):
            differences[i] = (differences[i] - differences[i - 1]) / (nodes[i] - nodes[i - k])
    powers = [Decimal(0)]
    for node, difference in zip(reversed(nodes), reversed(differences), strict=True):
        shifted = [Decimal(0), *powers]
        powers = [s - node * c for s, c in itertools.zip_longest(shifted, powers, fillvalue=Decimal(0))]
        powers[0] += difference
    return tuple(powers[: len(nodes)])


def evaluate(a: Arithmetic, x: Number, curve: Curve) -> Number:
    """curve(x), elementwise; rounds and bytes of one comparison with its knots, and 8 bytes for each higher power."""
    if curves.SAME in (curve.before, curve.after):
        a.within(x, curve.name)
    powers = _powers(a, x)
    found = spline(curve, a.format, powers[0].scale, x.bits - x.scale)
    wires = [p.wire for p in powers]
    parts = [_polynomial(a, wires, found.pieces[0], curve.name)]
    if found.knots:
        bits = compared(a, powers[0] if x.beyond else x, curve, found.knots)
        for j, (low, high) in enumerate(itertools.pairwise(found.pieces)):
            rise = tuple(v - u for u, v in itertools.zip_longest(low, high, fillvalue=0))
            bit = a.reshape(a.slice(bits, 0, j, j + 1), x.shape)
            step = _polynomial(a, wires, rise, curve.name)
            parts.append(a.engine.record(Bilinear(Elementwise()), (bit.wire, step), x.shape, curve.name))
    out = a.engine.record(Linear(Combine((1,) * len(parts))), tuple(parts), x.shape, curve.name)
    out.bound = found.bits
    return Number(out, found.scale, found.bits)


def compared(a: Arithmetic, x: Number, curve: Curve, knots: tuple[float, ...]) -> Number:
    """[x >= t] for the curve's knots t; once for all curves that have them."""
    x = a.truncate(x, x.scale - FINEST) if x.scale > TOO_FINE else x
    return comparison.at_least(a, x, knots, curve.exact or x.bits - x.scale > RESOLVED)


def _polynomial(a: Arithmetic, powers: list[Wire], coefficients: Polynomial, name: str) -> Wire:
    """sum_k coefficients[k] powers[k], of no stated bound: terms may have left the field where their sum has not."""
    shape = powers[0].shape
    terms = [(k % P, p) for k, p in zip(coefficients[1:], powers, strict=False) if k] or [(0, powers[0])]
    wire = a.engine.record(Linear(Combine(tuple(k for k, _ in terms))), tuple(p for _, p in terms), shape, name)
    if coefficients[0]:
        wire = a.engine.record(Shift(np.full(shape, coefficients[0] % P, np.uint64)), (wire,), shape, name)
    return wire


def _powers(a: Arithmetic, x: Number) -> tuple[Number, ...]:
    """x ... x^5, truncated; only x has a bound. Found once for each number."""
    if (known := OWN_POWERS.of(x)) is not None:
        return known
    scale = max(COARSEST, min(FINEST, x.scale - (x.bits - a.format.bits)))
    x1 = a.lift(x, scale) if x.scale < scale else a.truncate(x, x.scale - scale)
    x2 = _product(a, x1, x1, POWERS[0])
    x3, x4 = _product(a, x1, x2, POWERS[1]), _product(a, x2, x2, POWERS[2])
    return OWN_POWERS.note(x, (x1, x2, x3, x4, _product(a, x2, x3, POWERS[3])))


def _product(a: Arithmetic, x: Number, y: Number, scale: int) -> Number:
    product = a.engine.record(Bilinear(Elementwise()), (x.wire, y.wire), x.shape, "power")
    return Number(a.engine.record(Truncate(1 << (x.scale + y.scale - scale)), (product,), x.shape, "power"), scale, 0)


def exp(a: Arithmetic, x: Number) -> Number:
    """e^x; the largest number of the format where that is larger. Compared exactly."""
    return evaluate(a, x, curves.EXP)


def expm1(a: Arithmetic, x: Number) -> Number:
    """e^x - 1; the largest number of the format where that is larger. Compared exactly."""
    return evaluate(a, x, curves.EXPM1)


def exp2(a: Arithmetic, x: Number) -> Number:
    """2^x; the largest number of the format where that is larger. Compared exactly."""
    return exp(a, a.times(x, LOG_2))


def sigmoid(a: Arithmetic, x: Number) -> Number:
    return evaluate(a, x, curves.SIGMOID)


def tanh(a: Arithmetic, x: Number) -> Number:
    return evaluate(a, x, curves.TANH)


def erf(a: Arithmetic, x: Number) -> Number:
    return evaluate(a, x, curves.ERF)


def gelu(a: Arithmetic, x: Number, approximate: bool = False) -> Number:
    """x times the normal distribution function, or what the formula with tanh gives for it."""
    return evaluate(a, x, curves.GELU_TANH if approximate else curves.GELU)


def gelu_slope(a: Arithmetic, x: Number, approximate: bool = False) -> Number:
    """The derivative; after `gelu` it compares nothing."""
    return evaluate(a, x, curves.GELU_TANH_SLOPE if approximate else curves.GELU_SLOPE)


def silu(a: Arithmetic, x: Number) -> Number:
    """x sigmoid(x)"""
    return evaluate(a, x, curves.SILU)


def silu_slope(a: Arithmetic, x: Number) -> Number:
    """The derivative; after `silu` it compares nothing."""
    return evaluate(a, x, curves.SILU_SLOPE)


def mish(a: Arithmetic, x: Number) -> Number:
    """x tanh(softplus(x))"""
    return evaluate(a, x, curves.MISH)


def mish_slope(a: Arithmetic, x: Number) -> Number:
    """The derivative; after `mish` it compares nothing."""
    return evaluate(a, x, curves.MISH_SLOPE)


def softplus(a: Arithmetic, x: Number) -> Number:
    """log(1 + e^x)"""
    return evaluate(a, x, curves.SOFTPLUS)


def softplus_slope(a: Arithmetic, x: Number) -> Number:
    """The derivative, sigmoid; after `softplus` it compares nothing."""
    return evaluate(a, x, curves.SOFTPLUS_SLOPE)


def log_sigmoid(a: Arithmetic, x: Number) -> Number:
    """log(sigmoid(x))"""
    return evaluate(a, x, curves.LOG_SIGMOID)


def log_sigmoid_slope(a: Arithmetic, x: Number) -> Number:
    """The derivative, sigmoid(-x); after `log_sigmoid` it compares nothing."""
    return evaluate(a, x, curves.LOG_SIGMOID_SLOPE)


def elu(a: Arithmetic, x: Number, alpha: float = 1.0) -> Number:
    """x above 0, alpha (e^x - 1) below. Compared exactly."""
    above, below = elu_parts(a, x)
    return a.add(a.multiply(x, above, "elu"), a.times(below, alpha), name="elu")


def elu_parts(a: Arithmetic, x: Number) -> tuple[Number, Number]:
    """[x >= 0], and e^x - 1 where x is below 0."""
    return _positive(a, x), evaluate(a, x, curves.ELU)


def elu_slope(a: Arithmetic, x: Number, alpha: float = 1.0) -> Number:
    """1 above 0, alpha e^x below; after `elu` it compares nothing."""
    both = a.times(evaluate(a, x, curves.ELU_SLOPE), alpha)
    return both if alpha == 1 else a.add(both, a.times(_positive(a, x), 1 - alpha))


def _positive(a: Arithmetic, x: Number) -> Number:
    """[x >= 0], by the last of the knots of `elu`."""
    bits = compared(a, x, curves.ELU, spline(curves.ELU, a.format, COARSEST).knots)
    return a.reshape(a.slice(bits, 0, bits.shape[0] - 1, bits.shape[0]), x.shape)
