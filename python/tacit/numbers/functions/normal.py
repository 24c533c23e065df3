"""Reciprocals, quotients, roots and logarithms: x is normalised by the position of its leading bit, then a polynomial serves.

    [X >= t_j] for public t_j, all from one comparison   ->   V = V_k, public, for t_k <= |X| < t_{k+1}:  linear in the bits
    u = |X| V 2^-b in [1/B, 1]                           ->   f(x) = g(V) P(u), or g(V) + P(u)
B is about 12 to 16, and P a Chebyshev series of 16 terms. Below t_0 V is 0, and a value of its own is looked up, so that nothing
wraps. The thresholds' bits and u are kept as facts of the value they were found for (`numbers.known`) and serve its gradient.

Costs stand in docs/functions.md. Inputs of more than 52 bits are truncated to 52 first.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from tacit import field as fp
from tacit.field import CAPACITY
from tacit.graph.operations import Public
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.comparison import at_least
from tacit.numbers.functions.chebyshev import FINE, Function, fitted, series
from tacit.numbers.known import Fact

WIDEST = 52
"""Inputs of more bits are truncated to this many."""
LARGE = CAPACITY - 1
"""Bits of the widest results: one is left for a sum."""
OCTAVES = 3.5
"""Between two thresholds."""
OCTAVES_OF_ROOTS = 4.0
PRECISE = 14
"""Significant bits, at least, of what is looked up."""
MANTISSA = 16
"""Above every m of 1/|x| = A m."""
LN2 = float(Decimal(2).ln())
MARGIN = 2.0**-11
"""A result that comes this near to the largest number, relatively, is set to the largest."""
CLOSE = 12
"""A quotient is the largest number where it comes to all but 2^-CLOSE of it."""
SMALL = 2.0**-5
"""An addend of this size beside the smallest root is small."""


@dataclass(frozen=True)
class Normal:
    """|x| V = u 2^width, where the factor V is public in each interval of x: 0 in those where x is too small.

    `intervals`: the first k of these bits are 1 in the k-th interval; None if there is one only.
    e = 1 - beta (1 - u), in [-1, 1] and opened; 0 where V is 0.
    """

    x: Number
    intervals: Number | None
    factors: tuple[int, ...]
    signs: tuple[int, ...]
    width: int
    beta: float
    e: Number

    def magnitude(self, factor: int) -> float:
        """|x| where u = 1."""
        return math.ldexp(1 / factor, self.width - self.x.scale)

    def lookup(self, a: Arithmetic, value: Callable[[int, int], float], scale: int) -> Number:
        """value(V, sign of x), rounded to `scale`."""
        values = [value(v, s) for v, s in zip(self.factors, self.signs, strict=True)]
        if self.intervals is not None:
            return a.lookup(self.intervals, values, scale)
        whole = round(math.ldexp(values[0], scale))
        wire = a.engine.record(Public(np.full(self.x.shape, whole % fp.P, np.uint64)), (), self.x.shape, "lookup")
        wire.bound = max(1, abs(whole).bit_length())
        return Number(wire, scale, wire.bound)

    def series(self, a: Arithmetic, f: Function) -> Number:
        """f(u) to a relative error, not opened."""
        return series(a, self.e, fitted(f, self.beta, True))


@dataclass(frozen=True)
class Root:
    """A value is factor sqrt(x) + addend, x normalised, the addend small and not negative."""

    normal: Normal
    factor: float = 1.0
    addend: float = 0.0


NORMAL: Fact[Normal] = Fact("normal", integers=True)
"""By what `_normal` is given."""
ROOT: Fact[Root] = Fact("root", bounded=False, lasting=True)
SERIES: Fact[Number] = Fact("series")
"""The series of e, by the function and beta."""


@dataclass(frozen=True)
class Inverse:
    """1/|x| = A m: A = `values` by interval, 0 where x is too small, and m opened, at least 1 and below 16."""

    normal: Normal
    values: tuple[float, ...]
    scale: int
    m: Number

    def lookup(self, a: Arithmetic, signed: bool) -> Number:
        """A, or A with the sign of x."""
        values = dict(zip(self.normal.factors, self.values, strict=True))
        return self.normal.lookup(a, lambda v, s: values[v] * (s if signed else 1), self.scale)


# Reciprocals and quotients.


def reciprocal(a: Arithmetic, x: Number, least: float | None = None) -> Number:
    """1/x; the format's largest number, with the sign of x, where 1/|x| does not fit; 1/0 is positive.

    `least`: a positive number that x is known not to be below. Fewer thresholds then: none below it, none for negative x.
    """
    if least is None and NORMAL.of(x, (1,), OCTAVES, True, True) is not None:  # x was a denominator
        return divide(a, a.constant(np.ones(())), x)
    x, integer = _narrow(a, x, WIDEST), a.format.integer
    low = min(max(1, math.ceil(math.ldexp(1 + MARGIN, x.scale - integer))), (1 << x.bits) + 1)
    normal = _normal(a, x, (low,), OCTAVES, True, least)
    fitting, inverse = _fitting(normal, -integer), _reciprocals(a, normal)
    values = tuple(value if v in fitting else 0.0 for v, value in zip(normal.factors, inverse.values, strict=True))
    factor = replace(inverse, values=values, scale=LARGE - FINE - integer).lookup(a, True)
    product = a.multiply(factor, inverse.m, "reciprocal", bits=LARGE)
    return _saturated(a, product, normal, fitting, "reciprocal")


def divide(a: Arithmetic, x: Number, y: Number, least: float | None = None) -> Number:
    """x / y, with broadcasting; where it does not fit, the format's largest number with its sign; 0 / 0 = 0.

    y is normalised in its own shape, once for all quotients; two exact comparisons are made in the shape of the quotient.
    `least`: a positive number that y is known not to be below.
    """
    shape, integer = np.broadcast_shapes(x.shape, y.shape), a.format.integer
    extra = max(0, CLOSE - integer)
    finest = (
        LARGE - extra - max(x.bits - x.scale, y.bits - y.scale + integer)
    )  # so that x and 2^integer y can be compared
    y = a.truncate(y, y.scale - finest)
    inverse = _inverse(a, y, least)
    fits = min(LARGE - integer - inverse.scale, finest)
    x = _numerator(a, a.expand(x, shape), inverse.scale, fits)
    above, below = _sides(a, x, a.expand(y, shape), extra)
    # Where the quotient fits, they differ by the sign of y; where it does not, both or none of them are, by the sign of x.
    x = a.multiply(x, a.combine([(1.0, above), (-1.0, below)], 0.0, 0, 1, "divide"), "divide", bits=x.bits)
    outside = a.combine([(1.0, above), (1.0, below)], -1.0, 0, 1, "divide")
    if len(set(inverse.normal.signs)) > 1:
        outside = a.multiply(outside, inverse.normal.lookup(a, lambda v, s: s, 0), "divide", bits=1)
    found = _by_mantissa(a, _by_power(a, x, inverse.lookup(a, False)), inverse)
    return a.combine([(1.0, found), (_largest(a), outside)], 0.0, found.scale, found.bits, "divide")


def quotient(a: Arithmetic, x: Number, y: Number, factor: float = 1.0) -> Number:
    """factor x / y, with broadcasting, for a public factor: known to be below 2^(integer + 1) in magnitude; 0 where y is 0.

        factor = r 2^e, 2 <= |r| < 4:     x 2^e, which is x at another scale, is divided by y, and r comes last
    So the quotient that is taken is in the format if the result is. Where |y| is large, 1/|y| = A m has many places after the
    point, and x needs few; where |y| is small, it is the other way round. If the field does not hold all places of both, the
    intervals of y are taken in two bands:
        x A = (x 2^e at a coarser scale) (A where it is small) + (x 2^e) (A where it is large, rounded)
    """
    r, x = a.apart(a.expand(x, np.broadcast_shapes(x.shape, y.shape)), factor)
    inverse, products = _inverse(a, _narrow(a, y, WIDEST), None), LARGE - a.format.integer
    parts = [
        _by_power(a, _numerator(a, x, band.scale, products - band.scale), band.lookup(a, True))
        for band in _bands(inverse, x.scale, products, a.format.fraction)
    ]
    scale = max(p.scale for p in parts)
    total = parts[0]
    if len(parts) > 1:
        total = a.combine([(1.0, p) for p in parts], 0.0, scale, scale + a.format.integer, "divide")
    found = _by_mantissa(a, total, inverse)
    return found if r == 1 else a.times(found, r, "divide")


def _bands(inverse: Inverse, finest: int, products: int, fraction: int) -> list[Inverse]:
    """The inverse in one band of intervals, or in two, so that a unit of x matters least in any of them.

    finest: the scale of x. products: that of x A, for which x is truncated. One band if it is not, or if a unit of it is at most
    one of the format in the quotient.
    """
    values = sorted({v for v in inverse.values if v})

    def off(scale: int, largest: float) -> float:
        return math.ldexp(largest * MANTISSA, scale - products) if finest > products - scale else 0.0

    def enough(least: float) -> int:
        return min(inverse.scale, _precise(least))

    whole = off(inverse.scale, values[-1])
    if whole <= math.ldexp(1.0, -fraction):
        return [inverse]
    cuts = [(max(off(inverse.scale, v), off(enough(cut), values[-1])), cut) for v, cut in itertools.pairwise(values)]
    error, cut = min(cuts, default=(whole, 0.0))
    if error >= whole:
        return [inverse]
    return [
        replace(inverse, values=tuple(v if v < cut else 0.0 for v in inverse.values)),
        replace(inverse, values=tuple(v if v >= cut else 0.0 for v in inverse.values), scale=enough(cut)),
    ]


def _numerator(a: Arithmetic, x: Number, scale: int, fits: int) -> Number:
    """x at scale `fits` at most, and at one at which its product with A, of this scale, shows the largest number."""
    x = a.truncate(x, x.scale - fits)
    enough = a.format.fraction - FINE - scale
    return a.lift(x, min(enough, fits)) if x.scale < enough else x


def _by_power(a: Arithmetic, x: Number, factor: Number) -> Number:
    """x A, in the contract since x A m is."""
    bits = max(1, min(x.bits + factor.bits, x.scale + factor.scale + a.format.integer))
    return a.multiply(x, factor, "divide", bits=bits)


def _by_mantissa(a: Arithmetic, scaled: Number, inverse: Inverse) -> Number:
    """x A m"""
    scaled = a.truncate(scaled, scaled.scale - (LARGE - a.format.integer - FINE))
    return a.multiply(scaled, inverse.m, "divide", bits=max(1, scaled.scale + FINE + a.format.integer))


def _sides(a: Arithmetic, x: Number, y: Number, extra: int) -> tuple[Number, Number]:
    """[x + C y >= 0] and [x - C y > 0], where C is 2^integer but for one part in 2^CLOSE."""
    scale = max(x.scale, y.scale) + extra
    most = math.ldexp(1 - 2.0**-CLOSE, a.format.integer)
    bits = max(x.bits - x.scale, y.bits - y.scale + a.format.integer) + scale + 1
    above = a.combine([(1.0, x), (most, y)], 0.0, scale, bits, "divide")
    below = a.combine([(1.0, x), (-most, y)], 0.0, scale, bits, "divide")
    bits_above = at_least(a, above, (0.0,), exact=True)
    bits_below = at_least(a, below, (math.ldexp(1.0, -scale),), exact=True)
    return a.reshape(bits_above, x.shape), a.reshape(bits_below, x.shape)


def _inverse(a: Arithmetic, y: Number, least: float | None) -> Inverse:
    """The inverse of y; if y is a root, from what the root was made of."""
    root = ROOT.of(y)
    if root is None:
        return _reciprocals(a, _normal(a, y, (1,), OCTAVES, True, least))
    normal = root.normal
    tops = [root.factor * math.sqrt(normal.magnitude(v)) if v else math.inf for v in normal.factors]
    addend = 2 * root.addend  # beside the middle of an interval: a half of its top
    values = tuple(1 / (top + addend) for top in tops)
    scale = _precise(min(v for v in values if v))
    return Inverse(normal, values, scale, _opened(a, normal, _rsqrt, "rsqrt"))


def _precise(least: float) -> int:
    """The scale at which a number of this size has PRECISE bits."""
    return PRECISE - math.frexp(least)[1]


def _reciprocals(a: Arithmetic, normal: Normal) -> Inverse:
    unit = normal.width - normal.x.scale
    values = tuple(math.ldexp(v, -unit) for v in normal.factors)
    return Inverse(normal, values, unit, _opened(a, normal, _reciprocal, "reciprocal"))


def _opened(a: Arithmetic, normal: Normal, f: Function, name: str) -> Number:
    """f(u), truncated to FINE bits; once for each value."""

    def make() -> Number:
        p = normal.series(a, f)
        return a.truncate(p, p.scale - FINE)

    return SERIES.found(normal.e, make, name, normal.beta)


def _largest(a: Arithmetic) -> float:
    return math.ldexp(1.0, a.format.integer) - math.ldexp(1.0, -a.format.fraction)


# Roots and logarithms.


def sqrt(a: Arithmetic, x: Number, factor: float = 1.0) -> Number:
    """factor sqrt(x), for a positive public factor near 1; 0 for x <= 0.

    Its scale is half that of x and 10 more: roots of small numbers keep their precision.
    """
    normal = _unsigned(a, x, OCTAVES_OF_ROOTS, None)
    scale = PRECISE + normal.x.scale // 2
    looked_up = normal.lookup(a, lambda v, s: factor * math.sqrt(normal.magnitude(v)) if v else 0.0, scale)
    p = normal.series(a, Decimal.sqrt)
    p = a.truncate(p, p.scale - min(FINE, LARGE - looked_up.bits))
    root = a.multiply(looked_up, p, "sqrt", bits=looked_up.bits + p.scale)
    root = a.truncate(root, root.scale - max(a.format.fraction + 2, normal.x.scale // 2 + 10))
    ROOT.note(root, Root(normal, factor))
    return root


def rsqrt(a: Arithmetic, x: Number, least: float | None = None, factor: float = 1.0) -> Number:
    """factor / sqrt(x), for a public factor of at most 1.

    The format's largest number where 1 / sqrt(x) does not fit, and for x <= 0.
    `least`: a positive number that x is known not to be below.
    """
    normal, integer = _unsigned(a, x, OCTAVES_OF_ROOTS, least), a.format.integer
    fitting = _fitting(normal, -2 * integer)
    values = {v: factor / math.sqrt(normal.magnitude(v)) for v in fitting}
    scale = min(_precise(min(values.values(), default=1.0)), LARGE - FINE - integer)
    looked_up = normal.lookup(a, lambda v, s: values.get(v, 0.0), scale)
    m = _opened(a, normal, _rsqrt, "rsqrt")
    product = a.multiply(looked_up, m, "rsqrt", bits=scale + FINE + integer)
    return _saturated(a, product, normal, fitting, "rsqrt")


def _fitting(normal: Normal, exponent: int) -> set[int]:
    """The factors of the intervals above 2^exponent, where there is a threshold (or all x are above it)."""
    return {v for v in normal.factors if v and normal.magnitude(v) > math.ldexp(1.5, exponent)}


def _saturated(a: Arithmetic, product: Number, normal: Normal, fitting: set[int], name: str) -> Number:
    """The format's largest number, with the sign of x, in the intervals where the product was looked up to be 0."""
    if fitting >= set(normal.factors):
        return product
    largest = _largest(a)
    ends = normal.lookup(a, lambda v, s: 0.0 if v in fitting else s * largest, product.scale)
    return a.combine([(1.0, product), (1.0, ends)], 0.0, product.scale, product.bits, name)


def log(a: Arithmetic, x: Number) -> Number:
    """The natural logarithm; for x <= 0 that of one unit in x's last place."""
    normal = _unsigned(a, x, OCTAVES, None)
    coefficients = fitted(Decimal.ln, normal.beta, False)
    middle = sum(c * sign for c, sign in zip(coefficients[::2], itertools.cycle((1, -1))))  # the series where V is 0
    lowest = -normal.x.scale * LN2 - middle
    values = {v: float(Decimal(normal.magnitude(v)).ln()) if v else lowest for v in normal.factors}
    p = series(a, normal.e, coefficients, math.frexp(max(abs(v) for v in values.values()))[1] + 1)
    return a.combine([(1.0, p), (1.0, normal.lookup(a, lambda v, s: values[v], p.scale))], 0.0, p.scale, p.bits, "log")


def _reciprocal(u: Decimal) -> Decimal:
    return 1 / u


def _rsqrt(u: Decimal) -> Decimal:
    return 1 / u.sqrt()


def remember(result: Number, x: Number, factor: float = 1.0, addend: float = 0.0) -> None:
    """result = factor x + addend. If x is a root, the quotient by `result` needs no more comparisons.

    Only if the addend is small beside all roots but 0: then the quotient is 0 where the root is.
    """
    root = ROOT.of(x)
    if root is None or factor <= 0 or addend < 0:
        return
    known = Root(root.normal, root.factor * factor, root.addend * factor + addend)
    if known.addend <= known.factor * math.ldexp(SMALL, -root.normal.x.scale // 2):
        ROOT.note(result, known)


def power(a: Arithmetic, x: Number, exponent: float) -> Number:
    """x^exponent for a multiple of 1/2 other than 0: by squaring, from the reciprocal or the root where that is needed."""
    whole = int(exponent)
    if whole == exponent:
        return _integer_power(a, x if whole > 0 else reciprocal(a, x), abs(whole))
    if exponent < 0:
        return _integer_power(a, rsqrt(a, x), int(-2 * exponent))
    root = sqrt(a, x)
    return root if whole == 0 else a.multiply(_integer_power(a, x, whole), root, "power")


def _integer_power(a: Arithmetic, x: Number, n: int) -> Number:
    """Both operands of a square are one number, which is opened once."""
    result: Number | None = None
    square = x
    while True:
        if n % 2:
            result = square if result is None else a.multiply(result, square, "power")
        n //= 2
        if n == 0:
            assert result is not None
            return result
        square = a.multiply(square, square, "square")


# Normalisation.


def _narrow(a: Arithmetic, x: Number, bits: int) -> Number:
    return a.truncate(x, x.bits - bits)


def _unsigned(a: Arithmetic, x: Number, octaves: float, least: float | None) -> Normal:
    """For roots and logarithms; with a threshold where 1 / sqrt(x) begins to fit."""
    x = _narrow(a, x, WIDEST)
    fits = min(math.ceil(math.ldexp(1 + 4 * MARGIN, x.scale - 2 * a.format.integer)), (1 << x.bits) + 1)
    return _normal(a, x, (fits, 1) if fits > 1 else (1,), octaves, False, least)


def _normal(
    a: Arithmetic, x: Number, cuts: tuple[int, ...], octaves: float, signed: bool, least: float | None
) -> Normal:
    """`cuts`: thresholds that there must be, the lowest last; smaller x are not normalised. `least`: all x are at least this."""
    if least is not None:
        low = (
            math.floor(math.ldexp(least * (1 - 2.0**-8), x.scale)) - a.engine.protocol.ulps + 1
        )  # x may have been rounded
        if low < 1:
            least = None
        else:
            cuts, signed = (*(c for c in cuts if c > low), low), False
    dead = least is None
    known = NORMAL.found(x, lambda: _normalised(a, x, cuts, octaves, signed, dead), cuts, octaves, signed, dead)
    return known if known.x.scale == x.scale else replace(known, x=replace(known.x, scale=x.scale))


def _normalised(a: Arithmetic, x: Number, cuts: tuple[int, ...], octaves: float, signed: bool, dead: bool) -> Normal:
    width = max(x.bits, cuts[0].bit_length() + 1)  # the intervals on both sides of a cut have factors of their own
    levels = _levels(width, cuts, octaves)
    factors = [(1 << width) // (above - 1) for above in (*levels[1:], 1 << width)]
    lowest = min(t * v for t, v in zip(levels, factors, strict=True)) / (1 << width)
    signs = [1] * len(factors)
    if dead:
        factors, signs = [0, *factors], [1, *signs]
    else:
        levels = levels[1:]
    if signed:
        middle = [0] if levels[0] > 1 else []  # zero and negative numbers near it are told apart
        levels = [*(1 - t for t in reversed(levels)), *middle, *levels]
        factors = [*reversed(factors[1:]), *(0 for _ in middle), *factors]
        signs = [-1] * (len(factors) // 2) + [1] * (len(factors) - len(factors) // 2)
    fine = min(30, CAPACITY - 1 - width)
    beta = math.ldexp(math.floor(math.ldexp(2 / (1 - lowest), min(fine, 16))), -min(fine, 16))
    scaled = Number(x.wire, width, x.bits)
    intervals: Number | None = None
    terms = [(beta * factors[0] * signs[0], scaled)]
    if levels:
        intervals = at_least(a, x, [math.ldexp(t, -x.scale) for t in levels], exact=True)
        gated = a.multiply(intervals, a.expand(scaled, intervals.shape), "normalise", bits=x.bits)
        steps = [v * s - u * r for (u, r), (v, s) in itertools.pairwise(zip(factors, signs, strict=True))]
        terms.append((beta, a.contract(gated, steps, width, "normalise")))
        nothing = a.lookup(intervals, [float(v == 0) for v in factors], 0)
        terms.append((beta - 1, nothing))
    e = a.combine(terms, 1 - beta, width + fine, width + fine + 1, "normalise")
    return Normal(x, intervals, tuple(factors), tuple(signs), width, beta, a.truncate(e, width + fine - FINE))


def _levels(width: int, cuts: Sequence[int], octaves: float) -> list[int]:
    """Thresholds from the last of the cuts up, each at most `octaves` above the one before, at equal ratios between cuts."""
    levels: list[int] = []
    above = 1 << width
    for cut in cuts:
        count = max(1, math.ceil(math.log2(above / cut) / octaves - 0.01))
        ratio = Decimal(above) / cut  # decimals: the same at every party
        levels += [round(cut * ratio ** (Decimal(j) / count)) for j in range(count)]
        above = cut
    return sorted(set(levels))
