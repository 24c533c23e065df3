"""Softmax and its logarithm along the last axis.

    m = an almost largest x,   d = x - m,   e = exp(d),   s = sum e in [1, n]:     softmax = e / s,   log softmax = d - log s

1 / s needs no comparison. v = z - b s takes [1, n] into [-1, 1], and Chebyshev's T_2k = 2 T_k^2 - 1 gives, with N = 2^K,
    T_N(z) - T_N(v) = N (z - v) product_(j < K) (T_(2^j)(z) + T_(2^j)(v))
    1 / s = N b / T_N(z) product_(j < K) (T_(2^j)(z) + T_(2^j)(v)),     relatively but for T_N(v) / T_N(z)
in squares of v and one running product side by side, a round for each j: five rounds for ten classes. Costs stand in
docs/functions.md.
"""

import functools
import math
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext

import numpy as np

from tacit.field import CAPACITY
from tacit.graph.maps import Sum
from tacit.graph.operations import Linear
from tacit.numbers import masks
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.comparison import ONE
from tacit.numbers.functions.curves import DIGITS, ZERO, Curve, exp_of_twice
from tacit.numbers.functions.normal import log
from tacit.numbers.functions.splines import LOG_2, evaluate
from tacit.numbers.known import Fact
from tacit.numbers.selection import bounded, largest, picked, winners_along
from tacit.numbers.wide import widened

LAST: Fact[Number] = Fact("softmax along the last axis")
SOFTMAX: Fact[Number] = Fact("softmax", bounded=False)
"""By the axis of a log softmax: the softmax, pending, for its gradient."""
COARSE = 5
"""Bits after the point by which an almost largest number is found, where numbers are wider than the format and a truncation is
off by less than a unit; where it is off by more, as many more as keep d below 2^(1 - COARSE)."""
ABOVE, BELOW = Decimal("1.07"), 1 - Decimal(2) ** -9
"""s is between BELOW and n ABOVE: d is at most two units of a coarse number, and e is not exact."""
TAIL, STEP = (0.0, 5.8, 8.8), 2.25
"""Knots above where e^d is nothing, and the step from there, for quintics right to 2^-11.5."""
FEW = 8
WIDE = 4
"""Integer bits of a format that has room for all of that."""
ACCURATE = 1 << 12
"""1 / s is right to one part in so many."""
COSINE, FACTOR = 27, 26
"""Scale of T(v), and bits of the factors made of it."""
CONSTANT = 11
"""Significant bits of what is multiplied with e."""
BLURRED = 3
"""From so many bits of `Protocol.ulps` on, its operands keep more bits."""
LOGARITHM = 20
"""Scale of the logarithm."""


@dataclass(frozen=True)
class Exponentials:
    """m; d / 2; e; and s, which may be above what the format holds. m and s keep the last axis."""

    largest: Number
    half: Number
    e: Number
    s: Number


EXPONENTIALS: Fact[Exponentials] = Fact("exponentials")


@dataclass(frozen=True)
class Inverse:
    """1 / s = constant product_j (terms_j + T_(2^j)(start - slope s)), where slope has `places` bits after the point."""

    slope: float
    places: int
    start: float
    terms: tuple[float, ...]
    constant: float


def softmax(a: Arithmetic, x: Number) -> Number:
    """e^x / sum e^x along the last axis; shape of x. Found once for each number. A product of matrices may leave the contract."""
    if not x.shape or x.shape[-1] <= 1:
        return a.add_public(a.times(x, 0.0), ONE)
    if (masked := masks.shown(a, x, widened)) is not None:
        return a.times_public(_shares(a, masked.z), masked.seen, "softmax")
    return _shares(a, widened(a, x))


def _shares(a: Arithmetic, x: Number) -> Number:
    def make() -> Number:
        found = _exponentials(a, x)
        return _quotient(a, found.e, found.s, _inverse(x.shape[-1]))

    return LAST.found(x, make)


def log_softmax(a: Arithmetic, x: Number) -> Number:
    """x - log(sum e^x) along the last axis; shape of x. The fact SOFTMAX about it costs nothing until it is used."""
    if not x.shape or x.shape[-1] <= 1:
        out, shares = a.times(x, 0.0), softmax(a, x)
    elif (masked := masks.shown(a, x)) is not None:
        out = masks.added(a, log_softmax(a, masked.z), np.where(masked.hidden, masked.below, 0.0), "log_softmax")
        shares = a.times_public(_shares(a, masked.z), masked.seen, "softmax")
    else:
        found = _exponentials(a, x)
        d, log_s = replace(found.half, scale=found.half.scale - 1), _log(a, found.s)
        out = a.add(d, log_s, -1, "log_softmax")
        out = bounded(
            out, max(n.bits + out.scale - n.scale for n in (d, log_s)) + 1
        )  # perhaps twice what the format holds
        shares = _shares(a, x)
    SOFTMAX.note(out, shares, len(x.shape) - 1)
    return out


def logsumexp(a: Arithmetic, x: Number) -> Number:
    """log(sum e^x) along the last axis, which is kept."""
    if not x.shape or x.shape[-1] <= 1:
        return x
    if (masked := masks.shown(a, x)) is not None:
        return masks.added(a, logsumexp(a, masked.z), masked.top, "logsumexp")
    found = _exponentials(a, x)
    m, log_s = (replace(n, scale=n.scale + 1) for n in (found.largest, _log(a, found.s)))
    half = a.add(m, log_s, name="logsumexp")  # perhaps twice what the format holds
    return replace(half, scale=half.scale - 1)


def _log(a: Arithmetic, s: Number) -> Number:
    """log s, also where s is above what the format holds."""
    more = max(0, s.bits - s.scale - a.format.integer)
    found = log(a, Number(s.wire, s.scale + more, s.bits))
    found = a.truncate(found, found.scale - LOGARITHM)
    return a.add_public(found, np.asarray(more * LOG_2)) if more else found


def _exponentials(a: Arithmetic, x: Number) -> Exponentials:
    return EXPONENTIALS.found(x, lambda: _made(a, x))


def _made(a: Arithmetic, x: Number) -> Exponentials:
    n, last = x.shape[-1], len(x.shape) - 1
    m = _largest(a, x)
    # Halves, since a difference may be twice what the format holds.
    if x.beyond:
        half = a.combine([(1.0, x), (-1.0, a.expand(m, x.shape))], 0.0, x.scale, min(x.bits + 1, CAPACITY), "softmax")
        half = replace(half, scale=x.scale + 1)
    else:
        half = a.add(replace(x, scale=x.scale + 1), replace(m, scale=m.scale + 1), -1, "softmax")
    curve, shift = _curve(n, a.format.integer)
    e = evaluate(a, a.add_public(half, np.asarray(shift), "softmax"), curve)
    room = CAPACITY - 2 - _inverse(n).places
    e = a.truncate(e, e.scale - room)
    bits = e.scale + math.ceil(n * ABOVE).bit_length()
    total = a.engine.record(Linear(Sum((last,), True)), (e.wire,), m.shape, "softmax")
    return Exponentials(m, half, e, bounded(Number(total, e.scale, bits), bits))


def _largest(a: Arithmetic, x: Number) -> Number:
    """The largest along the last axis, kept, or one that is nearly as large."""
    last = (len(x.shape) - 1,)
    if x.bits <= a.format.bits + 1:  # a bit for what is masked
        return largest(a, x, last, True)
    off = (a.engine.protocol.ulps - 1).bit_length()
    coarse = a.truncate(x, x.scale - COARSE - off)
    coarse = bounded(coarse, max(coarse.bits, off) + 1)  # rounded up, the largest number has a bit more
    return picked(a, x, winners_along(a, coarse, last), last, True)


@functools.cache
def _curve(n: int, integer: int) -> tuple[Curve, float]:
    """e^(2 (x - shift)) for x up to `shift` or a little more, and that shift.

    Right to one part in 2^11.5, but for 0 where it is less than 2^-11 / max(n, FEW).
    """
    lowest = round(8 * math.log(0.7 * 2.0**-11 / max(n, FEW))) / 8
    shift = -lowest / 4 if integer >= WIDE else 0.0  # between the ends, powers are small
    knots = [lowest + k for k in TAIL if lowest + k < 0]
    while knots[-1] + STEP < 0:
        knots.append(knots[-1] + STEP)
    value = functools.partial(exp_of_twice, Decimal(shift))
    return Curve("softmax", value, (*(t / 2 + shift for t in knots), shift + 2.0**-COARSE), ZERO, None), shift


@functools.cache
def _inverse(n: int) -> Inverse:
    with localcontext(DIGITS):
        places = max(11, n.bit_length() + 1)
        slope = int(2 / (n * ABOVE - BELOW) * 2**places) / Decimal(2) ** places
        terms = [1 + slope * BELOW]
        while terms[-1] < ACCURATE:
            terms.append(2 * terms[-1] ** 2 - 1)
        constant = 2 ** (len(terms) - 1) * slope / terms.pop()
        # The constant is rounded to few bits; the last term, which is much larger than its T(v), takes the rest.
        mantissa, exponent = math.frexp(constant)
        rounded = math.ldexp(round(math.ldexp(mantissa, CONSTANT)), exponent - CONSTANT)
        terms[-1] *= constant / Decimal(rounded)
        return Inverse(float(slope), places, float(1 + slope * BELOW), tuple(float(t) for t in terms), rounded)


def _quotient(a: Arithmetic, e: Number, s: Number, inverse: Inverse) -> Number:
    """e / s, in so few bits that it can be multiplied by a number in the format; in more where truncations are off by more."""
    spare = max(0, a.engine.protocol.ulps.bit_length() - BLURRED)
    scale = min(2 * FACTOR, CAPACITY - 2 - a.format.bits + 2 * spare)
    places = s.scale + inverse.places
    cosine = a.combine([(-inverse.slope, s)], inverse.start, places, places + 1, "softmax")
    product, top = _factor(a, cosine, inverse.terms[0]), inverse.terms[0] + 1
    for term in inverse.terms[1:]:
        cosine = _doubled(a, cosine)
        product = a.truncate(product, product.scale - (FACTOR - _size(top)))
        product = a.multiply(product, _factor(a, cosine, term), "softmax", bits=2 * FACTOR + 2)
        top *= term + 1
    product = a.truncate(product, product.scale - (scale // 2 + 1 - _size(top)))
    e = a.times(e, inverse.constant, "softmax")
    return a.multiply(a.truncate(e, e.scale - (scale - product.scale)), product, "softmax", bits=scale + 1)


def _factor(a: Arithmetic, cosine: Number, term: float) -> Number:
    """term + cosine"""
    scale = FACTOR - _size(term + 1)
    return a.combine([(1.0, a.truncate(cosine, cosine.scale - scale))], term, scale, FACTOR + 1, "softmax")


def _doubled(a: Arithmetic, cosine: Number) -> Number:
    """The cosine of twice the angle: 2 c^2 - 1"""
    c = a.truncate(cosine, cosine.scale - COSINE)
    square = a.multiply(c, c, "softmax", bits=2 * COSINE + 1)
    return a.combine([(2.0, square)], -1.0, 2 * COSINE, 2 * COSINE + 1, "softmax")


def _size(bound: float) -> int:
    """Bits before the point."""
    return math.frexp(bound)[1]
