"""Selection: the largest, the nearest in a range, the whole part; and indices, which stand for a one-hot.

    clamp(x) = x ([x >= lo] - [x > hi]) + lo [x < lo] + hi [x > hi]        max_i x_i = sum_i e_i x_i,   argmax_i x_i = sum_i i e_i

with e the one-hot of the largest. Compared values are opened; a product with a bit opens nothing more. Everything is exact
where it does not say otherwise, and compared once for each value: gradients find the same bits again.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit import field as fp
from tacit.errors import OutOfRange
from tacit.field import CAPACITY
from tacit.graph.forms import MatMul, With
from tacit.graph.maps import Sum
from tacit.graph.operations import Linear
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.comparison import RESOLUTION, at_least, complement, winners
from tacit.numbers.known import Fact

ONE_HOT: Fact[Number] = Fact("one-hot", bounded=False)
"""The one-hot of an index: 1 at its place along one more axis, the last."""
ONE_ALONG: Fact[bool] = Fact("one along", bounded=False)
"""By axes: the sum of a one-hot along these is 1."""
LARGEST_OF: Fact[tuple[Number, Number]] = Fact("largest of", bounded=False)
"""The number among whose elements a largest or least one is, and its one-hot there."""
DIFFERENCE: Fact[Number] = Fact("difference")
"""By what is subtracted: x less that."""
REACHED: Fact[Number] = Fact("reached", integers=True)
"""By levels T, in units of the last place: [X >= T]."""
WINNERS_ALONG: Fact[Number] = Fact("winners along", integers=True)
"""By axes."""
NEGATED: Fact[Number] = Fact("negated")
ALL_PAIRS = 12
"""Up to so many elements, all pairs are compared at once; of more, those of groups, then the winners of the groups."""
GROUP = 4
AT_ONCE = 8
"""Up to so many units that a number may be off by, less one, are compared at once."""
Axes = int | Sequence[int]
HALF = np.asarray(0.5)


def bit(x: Number) -> Number:
    """x, which the caller knows to be 0 or 1."""
    x.wire.bound = 1
    return Number(x.wire, 0, 1)


def bounded(x: Number, bits: int) -> Number:
    """x, which the caller knows to be below 2^bits in units of its last place."""
    x.wire.bound = bits
    return replace(x, bits=bits)


# Comparisons. A number is its integer X 2^-scale, so that [x > t] = [X >= T + 1] for t = T 2^-scale.


def compare(a: Arithmetic, x: Number, relation: str, t: float = 0.0, loosely: bool = False) -> Number:
    """[x relation t] for a public t, rounded to the format, and one of >= > < <= == !=: exact, 20 to 30 bytes, 7 to 10 rounds.

    == and != compare twice, with one opening. `loosely`, for gradients: x = t may count as above or below, as was found before.
    """
    low, high = _level(a, x, t, False), _level(a, x, t, True)
    before, after = REACHED.of(x, low), REACHED.of(x, high)
    if loosely and (before is None) != (after is None):
        low = high = low if before is not None else high
    match relation:
        case ">=" | "<":
            (found,) = reached(a, x, [low])
        case ">" | "<=":
            (found,) = reached(a, x, [high])
        case _:
            some, more = reached(a, x, [low, high])
            found = bit(a.add(some, more, -1, "equal"))
    return complemented(a, found) if relation in ("<", "<=", "!=") else found


def difference(a: Arithmetic, x: Number, y: Number | NDArray[np.float64]) -> Number:
    """x - y, the same value each time, so that it is compared once."""
    if isinstance(y, Number):
        return DIFFERENCE.found(x, lambda: a.add(x, y, -1, "compare"), *_seen(y))
    digest = hashlib.blake2b(y.tobytes(), digest_size=16).digest()
    return DIFFERENCE.found(x, lambda: a.add_public(x, -y, "compare"), digest, y.shape)


def differed(x: Number, y: Number) -> bool:
    """Return whether x - y was found before."""
    return DIFFERENCE.of(x, *_seen(y)) is not None


def _seen(y: Number) -> tuple[Any, ...]:
    """All that a fact about y depends on. The wire itself: it is kept, so that no other takes its identity."""
    return y.wire, y.scale, y.bits


def reached(a: Arithmetic, x: Number, levels: Sequence[int]) -> list[Number]:
    """[X >= T] for each level, in units of the last place of x. One opening for those that were not asked for before."""
    bits = {t: known for t in levels if (known := REACHED.of(x, t)) is not None}
    most = 1 << x.bits
    if missing := [t for t in dict.fromkeys(levels) if t not in bits and -most < t < most]:
        found = at_least(a, x, [math.ldexp(t, -x.scale) for t in missing], exact=True)
        for i, t in enumerate(missing):
            bits[t] = REACHED.note(x, a.reshape(a.slice(found, 0, i, i + 1), x.shape), t)
    for t in levels:
        if t not in bits:  # no number of so many bits reaches it, or every one
            never = Number(a.times(x, 0.0).wire, 0, 1)
            bits[t] = REACHED.note(x, never if t > 0 else complemented(a, never), t)
    return [bits[t] for t in levels]


def _level(a: Arithmetic, x: Number, t: float, strict: bool) -> int:
    """T with [X >= T] = [x >= t], or [x > t] if `strict`, for t rounded to the format, or to the scale of x if that is finer."""
    if math.isnan(t):
        raise OutOfRange("a comparison of secret numbers with NaN")
    if math.isinf(t):
        return int(math.copysign(1 << CAPACITY, t))
    more = max(0, a.format.fraction - x.scale)
    level = round(math.ldexp(t, x.scale + more))
    return (level >> more) + 1 if strict else -(-level >> more)


def complemented(a: Arithmetic, x: Number) -> Number:
    """1 - x for a bit x."""
    return bit(complement(a, x))


def both(a: Arithmetic, x: Number, y: Number) -> Number:
    """x and y."""
    return a.multiply(x, y, "and", bits=1)


def either(a: Arithmetic, x: Number, y: Number) -> Number:
    """x or y: x + y - x y"""
    return bit(a.add(a.add(x, y), both(a, x, y), -1, "or"))


def differ(a: Arithmetic, x: Number, y: Number) -> Number:
    """x xor y: x + y - 2 x y"""
    return bit(a.add(a.add(x, y), a.multiply(x, Number(y.wire, -1, 2), "xor", bits=2), -1, "xor"))


def count(a: Arithmetic, x: Number, axes: Axes, keepdims: bool = False) -> Number:
    """The sum of bits, or of other whole numbers, along `axes`; it may leave the contract. Local."""
    axes = _axes(x, axes)
    return _sum(a, x, axes, keepdims, x.bits + (fp.size([x.shape[i] for i in axes]) - 1).bit_length())


def _axes(x: Number, axes: Axes) -> tuple[int, ...]:
    return tuple(sorted({i % len(x.shape) for i in ([axes] if isinstance(axes, int) else axes)}))


def _sum(a: Arithmetic, x: Number, axes: Sequence[int], keepdims: bool, bits: int) -> Number:
    if bits > CAPACITY:
        raise OutOfRange(f"a sum of shape {x.shape} needs {bits} bits, and the field holds {CAPACITY}")
    map = Sum(tuple(axes), keepdims)
    wire = a.engine.record(Linear(map), (x.wire,), map.shape(x.shape), "sum")
    return bounded(replace(x, wire=wire), bits)


# Choices.


def select(a: Arithmetic, condition: Number, x: Number, y: Number) -> Number:
    """x where the condition is 1, y where it is 0. One product with a bit."""
    return a.add(y, masked(a, condition, a.add(x, y, -1)), name="where")


def masked(a: Arithmetic, condition: Number, x: Number) -> Number:
    """x where the condition is 1, else 0."""
    return a.multiply(x, condition, "mask", bits=x.bits)


def maximum(a: Arithmetic, x: Number, y: Number | NDArray[np.float64]) -> Number:
    """The larger of each pair: y + [x >= y] (x - y)"""
    excess = _excess(a, x, y)
    return _wide_as(a.add(y, excess, name="maximum"), x, y) if isinstance(y, Number) else a.add_public(excess, y)


def minimum(a: Arithmetic, x: Number, y: Number | NDArray[np.float64]) -> Number:
    """The smaller of each pair: x - [x >= y] (x - y)"""
    return _wide_as(a.add(x, _excess(a, x, y), -1, name="minimum"), x, *([y] if isinstance(y, Number) else []))


def _excess(a: Arithmetic, x: Number, y: Number | NDArray[np.float64]) -> Number:
    apart = difference(a, x, y)
    return masked(a, compare(a, apart, ">="), apart)


def _wide_as(x: Number, *parts: Number) -> Number:
    """x, which is one of the parts, or their sum with at most one that is not 0."""
    return bounded(x, min(x.bits, max(p.bits + max(0, x.scale - p.scale) for p in parts)))


def clamp(a: Arithmetic, x: Number, low: float | None, high: float | None, exact: bool = True) -> Number:
    """The nearest to x in [low, high]; either end may be open. Both ends are compared at once.

    Not `exact`: within 2^-RESOLUTION of an end it may be either. The result has the bits of the ends. An end that no number of
    so many bits passes is open; another that is beyond the format takes the result out of the contract.
    """
    reach = math.ldexp(1.0, x.bits - x.scale)
    low = None if low is None or low <= -reach else low
    high = None if high is None or high >= reach else high
    if low is None and high is None:
        return x
    ends = [e for e in (low, high) if e is not None]
    if len(ends) == 2 and _level(a, x, ends[0], True) > _level(a, x, ends[1], False):
        return a.add_public(a.times(x, 0.0), np.asarray(ends[1]))  # as NumPy and torch have it
    x = a.truncate(x, x.scale + math.frexp(max(map(abs, ends)))[1] + 1 - CAPACITY)  # so that the field holds the ends
    steps = edges(a, x, low, high, exact)
    scale = x.scale if all(math.ldexp(e, x.scale).is_integer() for e in ends) else max(x.scale, a.format.fraction)
    values = [*([] if low is None else [low]), 0.0, *([] if high is None else [high])]
    outside = a.lookup(a.concat([a.reshape(s, (1, *s.shape)) for s in steps], 0), values, scale)
    inside = masked(a, between(a, steps, low is not None), x)
    scale = max(inside.scale, outside.scale)
    bits = max(n.bits + scale - n.scale for n in (inside, outside))  # one of them is 0
    out = a.combine([(1.0, inside), (1.0, outside)], 0.0, scale, bits, "clamp")
    if max(map(abs, ends)) >= 2.0**a.format.integer:
        out = replace(out, coarsest=min(a.format.fraction, out.scale) if out.coarsest is None else out.coarsest)
    return bounded(out, min(out.bits, outside.bits + out.scale - scale)) if len(ends) == 2 else out


def edges(a: Arithmetic, x: Number, low: float | None, high: float | None, exact: bool) -> list[Number]:
    """[x > low], [x >= high], of those that are given."""
    if exact or (low is not None and high is not None and high - low < 2.0 ** (2 - RESOLUTION)):
        levels = [_level(a, x, e, strict) for e, strict in ((low, True), (high, False)) if e is not None]
        return reached(a, x, levels)
    found = at_least(a, x, [e for e in (low, high) if e is not None])
    return [a.reshape(a.slice(found, 0, i, i + 1), x.shape) for i in range(found.shape[0])]


def between(a: Arithmetic, steps: Sequence[Number], low: bool) -> Number:
    """1 inside the range that has these `edges`; `low`: the first is its lower end."""
    if len(steps) == 2:
        return bit(a.add(steps[0], steps[1], -1, "between"))
    return steps[0] if low else complemented(a, steps[0])


def outside(a: Arithmetic, x: Number, low: float, high: float) -> Number:
    """[x < low] + [x > high], exact."""
    reaches, exceeds = reached(a, x, [_level(a, x, low, False), _level(a, x, high, True)])
    return complemented(a, bit(a.add(reaches, exceeds, -1, "outside")))


# The largest.


def winners_along(a: Arithmetic, x: Number, axes: Axes) -> Number:
    """One-hot along `axes`: 1 at the largest element, the first of those if several are. Shape of x.

    n <= 12: n (n - 1) / 2 comparisons at once. Else 3 n / 2 in groups of four, then those of the groups' winners.
    """
    axes = _axes(x, axes)
    if (known := WINNERS_ALONG.of(x, axes)) is not None:
        return known
    order = [i for i in range(len(x.shape)) if i not in axes] + list(axes)
    moved = a.permute(x, order)
    lead = moved.shape[: len(moved.shape) - len(axes)]
    found = _winners(a, a.reshape(moved, (*lead, fp.size([x.shape[i] for i in axes]))))
    one_hot = a.permute(a.reshape(found, moved.shape), [order.index(i) for i in range(len(order))])
    ONE_ALONG.note(one_hot, True, axes)
    return WINNERS_ALONG.note(x, one_hot, axes)


def _winners(a: Arithmetic, x: Number) -> Number:
    """The same along the last axis."""
    *lead, n = x.shape
    last = len(lead)
    if n == 0:
        raise ValueError("the largest of nothing")
    if n == 1:
        return complemented(a, Number(a.times(x, 0.0).wire, 0, 1))
    if n <= ALL_PAIRS:
        return winners(a, x)
    groups = -(-n // GROUP)
    filled = a.gather(
        x, last, [min(i, n - 1) for i in range(groups * GROUP)]
    )  # what is repeated comes last: it never wins
    grouped = a.reshape(filled, (*lead, groups, GROUP))
    inner = winners(a, grouped)
    outer = _winners(a, picked(a, grouped, inner, (-1,)))
    one_hot = a.reshape(both(a, inner, a.reshape(outer, (*outer.shape, 1))), (*lead, groups * GROUP))
    return a.slice(one_hot, last, 0, n)


def largest(a: Arithmetic, x: Number, axes: Axes, keepdims: bool = False) -> Number:
    """The largest along `axes`, exact. It remembers where that is, for its gradient."""
    one_hot = winners_along(a, x, axes)
    out = picked(a, x, one_hot, axes, keepdims)
    LARGEST_OF.note(out, (x, one_hot))
    return out


def least(a: Arithmetic, x: Number, axes: Axes, keepdims: bool = False) -> Number:
    one_hot = winners_along(a, negated(a, x), axes)
    out = picked(a, x, one_hot, axes, keepdims)
    LARGEST_OF.note(out, (x, one_hot))
    return out


def negated(a: Arithmetic, x: Number) -> Number:
    """-x, the same value each time: its winners are the least of x."""
    return NEGATED.found(x, lambda: a.negate(x))


def picked(a: Arithmetic, x: Number, one_hot: Number, axes: Axes, keepdims: bool = False) -> Number:
    """sum e x along `axes`: the element where e is 1. A product with bits, as wide as x."""
    return only(a, a.multiply(x, one_hot, "pick", bits=x.bits), axes, keepdims)


def only(a: Arithmetic, x: Number, axes: Axes, keepdims: bool = False) -> Number:
    """The sum along `axes` of numbers of which one at most is not 0: it has the bits of one."""
    return _sum(a, x, _axes(x, axes), keepdims, x.bits)


# Indices.


def index(a: Arithmetic, one_hot: Number) -> Number:
    """sum_c c e_c over the last axis: local. It remembers its one-hot."""
    *lead, classes = one_hot.shape
    rows = a.reshape(one_hot, (1, fp.size(lead), classes))
    found = a.reshape(weighed(a, rows, np.arange(classes)[None, :]), tuple(lead))
    ONE_HOT.note(found, one_hot)
    return found


def weighed(a: Arithmetic, one_hot: Number, values: NDArray[np.int64]) -> Number:
    """sum_c values[b, c] e[b, n, c], exact, for one-hots of shape (B, N, C): shape (B, N). Local."""
    batch, number, _ = one_hot.shape
    product = With(MatMul(), fp.from_signed(np.ascontiguousarray(values)[:, :, None]))
    wire = a.engine.record(Linear(product), (one_hot.wire,), (batch, number, 1), "index")
    bits = max(1, int(np.abs(values).max(initial=0)).bit_length())
    return a.reshape(bounded(Number(wire, 0, bits), bits), (batch, number))


# Whole parts.


def floor(a: Arithmetic, x: Number) -> Number:
    """The largest whole number that is not above x, exact, at scale 0.

    One truncation, then comparisons: one of about 60 bytes with a dealer, else more by the number of summands.
    """
    return floor_shift(a, x, x.scale)


def floor_shift(a: Arithmetic, x: Number, drop: int) -> Number:
    """floor(X / 2^drop), exact, of the integer X behind x: at scale - drop.

    A truncation y is off by less than u = `Protocol.ulps` units, so that X - 2^drop (y - u) is in (0, 2 u 2^drop). How many
    units that holds is counted by comparisons with their multiples, fewer than `AT_ONCE` at a time; of more, with about the root
    of their number first.
    """
    if drop <= 0:
        return x
    if drop >= x.bits:
        (sign,) = reached(a, x, [0])
        return bounded(_plus(a, Number(sign.wire, x.scale - drop, 1), -1), 1)
    excess = max(0, x.bits + 1 - CAPACITY)  # one bit, where x fills the field
    x, drop = a.truncate(x, excess), drop - excess
    y, count = a.truncate(x, drop), 2 * a.engine.protocol.ulps
    rest = a.combine(
        [(1.0, x), (-1.0, y)], math.ldexp(count // 2, -y.scale), x.scale, drop + count.bit_length(), "rest"
    )
    terms, first = [(1.0, y)], count // 2
    while count > 1:
        step = 1 if count <= AT_ONCE else math.isqrt(count - 1) + 1
        levels = range(step, count, step)
        reached_ones = at_least(a, rest, [math.ldexp(k, drop - rest.scale) for k in levels], exact=True)
        found = Number(
            _sum(a, reached_ones, (0,), False, len(levels).bit_length()).wire, y.scale, len(levels).bit_length()
        )
        terms.append((float(step), found))
        rest = a.combine([(1.0, rest), (-float(step), found)], 0.0, rest.scale, drop + step.bit_length(), "rest")
        count = step
    bits = min(y.bits + 1, max(1, y.scale + a.format.integer, y.bits if y.beyond else 0), CAPACITY)
    return a.combine(terms, -math.ldexp(first, -y.scale), y.scale, bits, "floor")


def _plus(a: Arithmetic, x: Number, units: int) -> Number:
    return a.add_public(x, np.asarray(math.ldexp(units, -x.scale)))


def ceil(a: Arithmetic, x: Number) -> Number:
    return a.negate(floor(a, negated(a, x)))


def trunc(a: Arithmetic, x: Number) -> Number:
    """The whole part, towards zero: the floor of x + [x < 0] (1 - one unit of its last place)."""
    if x.scale <= 0:
        return x
    if x.bits < x.scale:
        return Number(a.times(x, 0.0).wire, 0, 1)
    x = a.truncate(x, x.bits + 1 - CAPACITY)  # as the floor has it
    almost = a.lookup(a.reshape(compare(a, x, ">="), (1, *x.shape)), [1 - math.ldexp(1, -x.scale), 0.0], x.scale)
    return floor(a, _wide_as(a.add(x, almost), x, almost))


def nearest(a: Arithmetic, x: Number) -> Number:
    """floor(x + 1/2): the nearest whole number, of two the upper."""
    return x if x.scale <= 0 else floor(a, a.add_public(x, HALF))
