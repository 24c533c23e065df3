"""The conformance suite of `Source`: for each request the equation that defines it, and a MAC on every share.

    @pytest.mark.parametrize("check", source.CHECKS, ids=lambda check: check.__name__)
    def test_conformance(check):
        check(run, parties)

`run(n, work)` runs work(source) for n parties and returns their results in order. The checks put all shares together,
which no party could.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from tacit import field
from tacit.correlations.masks import Expression, Mask, Masked, MaskReused
from tacit.correlations.requests import Material
from tacit.correlations.source import Source
from tacit.field import Field, P
from tacit.graph.forms import Conv2d, Conv2dInput, Conv2dWeight, Elementwise, Form, MatMul
from tacit.graph.maps import Combine, Gather, Permute, Shape, Slice
from tacit.protocols.gadgets import truncation
from tacit.protocols.plan import Plan


class Runner(Protocol):
    def __call__(self, n: int, work: Callable[[Source], Any]) -> list[Any]: ...


Keys = tuple[int, int]
"""alpha over F_p, and over GF(2)^64."""
Check = Callable[[Runner, int], None]
CHECKS: list[Check] = []


def _check(function: Check) -> Check:
    CHECKS.append(function)
    return function


def _given(run: Runner, n: int, *plans: Callable[[], Plan]) -> tuple[Keys, list[list[Material]]]:
    """The keys, and for each party the material of all plans' requests, asked for one plan after the other."""

    def work(source: Source) -> tuple[Keys, list[Material]]:
        material: list[Material] = []
        for make in plans:
            material += source.take(source.request(make().requests))
        return (source.key, source.binary_key), material

    results = run(n, work)
    alpha, binary = (
        sum(key for (key, _), _ in results) % P,
        functools.reduce(operator.xor, (b for (_, b), _ in results)),
    )
    return (alpha, binary), [material for _, material in results]


def _opened(keys: Keys, parts: Sequence[Material]) -> list[Field]:
    """The values of one request's shares; asserts their MACs. Bits over GF(2) as zeros and ones."""
    values = []
    alpha, binary = keys
    for place in range(len(parts[0].shares)):
        if len(parts[0].shares[place]) == 1:
            words = functools.reduce(operator.xor, (part.shares[place][0] for part in parts))
            bits = words & np.uint64(1)
            np.testing.assert_array_equal(words, -bits & np.uint64(binary))
            values.append(bits)
            continue
        value, mac = parts[0].shares[place]
        for other in parts[1:]:
            value, mac = field.add(value, other.shares[place][0]), field.add(mac, other.shares[place][1])
        np.testing.assert_array_equal(mac, field.scale(value, alpha))
        values.append(value)
    return values


def _values(run: Runner, n: int, *plans: Callable[[], Plan]) -> list[list[Field]]:
    alpha, materials = _given(run, n, *plans)
    return [_opened(alpha, parts) for parts in zip(*materials, strict=True)]


@_check
def masks_are_uniform_and_fresh(run: Runner, n: int) -> None:
    def plan() -> Plan:
        p = Plan(0)
        p.mask((1000,))
        p.mask((1000,))
        return p

    alpha, materials = _given(run, n, plan)
    (a,), (b,) = (_opened(alpha, parts) for parts in zip(*materials, strict=True))
    for values in (a, b, *(m.shares[0][0] for party in materials for m in party)):
        assert 350 < int((values < P // 2).sum()) < 650
        assert len(np.unique(values)) == 1000
    assert not np.isin(a, b).any()
    assert alpha[0] != 0
    if all(run(n, lambda source: source.binary)):
        assert alpha[1] & 1


@_check
def input_masks_are_known_to_their_owner_alone(run: Runner, n: int) -> None:
    def plan() -> Plan:
        p = Plan(0)
        for owner in range(n):
            p.input_mask((3, 2), owner)
        return p

    alpha, materials = _given(run, n, plan)
    for owner, parts in enumerate(zip(*materials, strict=True)):
        (value,) = _opened(alpha, parts)
        for me, part in enumerate(parts):
            if me == owner:
                np.testing.assert_array_equal(part.clear, value)
            else:
                assert part.clear is None


@_check
def bits(run: Runner, n: int) -> None:
    def plan() -> Plan:
        p = Plan(0)
        p.bits((2000,))
        return p

    ((value,),) = _values(run, n, plan)
    assert set(value.tolist()) == {0, 1}
    assert 850 < int(value.sum()) < 1150


@_check
def truncations(run: Runner, n: int) -> None:
    """r = sum b_j 2^j M + rho with 0 <= rho < (number of summands) M; the top bit; the high part but for lost carries."""
    summands = run(n, lambda source: source.summands)[0]

    kinds = ((1 << 16, 58), (1 << 40, 58), (1 << 17, 57), (1000, 58), (10_737_418_240_000, 57))
    roundings = [truncation.Rounding.alone(d, summands, magnitude) for d, magnitude in kinds]

    def plan() -> Plan:
        p = Plan(0)
        for rounding in roundings:
            p.truncation((500,), rounding.divisor, rounding.digits)
        return p

    for rounding, (r, top, high) in zip(roundings, _values(run, n, plan), strict=True):
        assert set(top.tolist()) == {0, 1}
        _high_part(r, high, rounding)
        rest = field.sub(r, field.scale(top, (P - 1) // 2))
        unit = (P - 1) >> rounding.digits
        assert int(rest.max()) < (P - 1) // 2 + (summands - 1) * unit


def _digits(run: Runner, n: int) -> int:
    """The number of digits of any truncation's r."""
    return truncation.Rounding.alone(1 << 16, run(n, lambda source: source.summands)[0]).digits


def _high_part(r: Field, high: Field, rounding: truncation.Rounding) -> None:
    if rounding.summands == 1:
        np.testing.assert_array_equal(high, r // np.uint64(rounding.divisor))
        return
    # r may have wrapped: what is left of it without its high part is small either way.
    low = field.to_signed(field.sub(r, field.scale(high, rounding.divisor)))
    digits = -(-rounding.digits // 2) if rounding.divisor & (rounding.divisor - 1) else 0  # half a unit each
    assert np.abs(low).max() < (rounding.summands + 1 + digits) * rounding.divisor


@_check
def comparisons(run: Runner, n: int) -> None:
    """r = R M + rho with rho < (number of summands) M, M = (p - 1) / 2^T, R of the bits that are given"""
    summands = run(n, lambda source: source.summands)[0]

    def plan() -> Plan:
        p = Plan(0)
        p.comparison((300,), 16, False)
        p.comparison((300,), 5, False)
        p.comparison((300,), 9, False, 30)
        return p

    for t, (r, *digits) in zip((16, 5, 9), _values(run, n, plan), strict=True):
        m = (P - 1) >> t
        if t == 9:
            *digits, top, high = digits
            np.testing.assert_array_equal(top, digits[-1])
            _high_part(r, high, truncation.Rounding(1 << 30, 9, summands))
        assert len(digits) == t
        for j, digit in enumerate(digits):
            assert set(digit.tolist()) == {0, 1}
            r = field.sub(r, field.scale(digit, m << j))
        assert int(r.max()) < summands * m


@_check
def elements_with_their_bits(run: Runner, n: int) -> None:
    """[r], r uniform over F_p, and its top bits"""
    words = all(run(n, lambda source: source.binary))

    def plan() -> Plan:
        p = Plan(0)
        p.edabits((200,), 61, False)
        p.edabits((200,), 61, words)
        p.edabits((200,), 7, words)
        return p

    for count, (r, *digits) in zip((61, 61, 7), _values(run, n, plan), strict=True):
        assert 60 < int((r < P // 2).sum()) < 140
        assert len(digits) == count
        for j, digit in enumerate(digits):
            np.testing.assert_array_equal(digit, (r >> np.uint64(61 - count + j)) & np.uint64(1))


@_check
def bits_over_gf2(run: Runner, n: int) -> None:
    """Masks, their products, comparisons whose bits are words, and bits in both worlds; for sources that have them."""
    if not all(run(n, lambda source: source.binary)):
        return

    def plan() -> Plan:
        p = Plan(0)
        (a, _), (b, _) = p.mask((50, 4), True), p.mask((50, 4), True)
        p.product(Elementwise(), a, b)
        (_, *digits), _ = p.comparison((50,), 8, True)
        p.product(Elementwise(), digits[1], digits[0])
        p.product(Elementwise(), Masked(Slice(1, 0, 2), (a,)), Masked(Slice(1, 2, 4), (a,)))
        p.dabits((300,))
        return p

    (a,), (b,), (ab,), (r, *digits), (neighbours,), (parts,), (word, beta) = _values(run, n, plan)
    np.testing.assert_array_equal(ab, a & b)
    for j, digit in enumerate(digits[:8]):
        r = field.sub(r, field.scale(digit, ((P - 1) >> 8) << j))
    assert int(r.max()) < (P - 1) >> 8
    np.testing.assert_array_equal(word, beta)
    assert 90 < int(beta.sum()) < 210
    np.testing.assert_array_equal(neighbours, digits[1] & digits[0])
    np.testing.assert_array_equal(parts, a[:, :2] & a[:, 2:])
    assert 60 < int(a.sum()) < 140


@_check
def products_of_masks_and_of_maps_of_masks(run: Runner, n: int) -> None:
    digits, reuses = _digits(run, n), all(run(n, lambda source: source.late))

    def plan() -> Plan:
        p = Plan(0)
        (a, _), (b, _) = p.mask((4, 3)), p.input_mask((4, 3), n - 1)
        (r, _, high), _ = p.truncation((4, 3), 1 << 16, digits)
        p.product(Elementwise(), a, b)
        p.product(Elementwise(), a, a)
        p.product(MatMul(True, False), a, Masked(Combine((2, -1)), (b, r)))
        p.product(MatMul(), Masked(Gather(0, (3, 0)), (high if reuses else r,)), Masked(Permute((1, 0)), (a,)))
        (g, _), (x, _) = p.mask((2, 3, 5, 4)), p.mask((2, 1, 5, 4))
        p.product(Conv2dWeight((1, 1), (1, 1), (3, 3)), g, x)
        return p

    values = _values(run, n, plan)
    (a,), (b,), (r, _, high) = values[:3]
    np.testing.assert_array_equal(values[3][0], field.mul(a, b))
    np.testing.assert_array_equal(values[4][0], field.mul(a, a))
    np.testing.assert_array_equal(values[5][0], MatMul(True)(a, field.sub(field.scale(b, 2), r)))
    np.testing.assert_array_equal(values[6][0], MatMul()((high if reuses else r)[[3, 0]], np.ascontiguousarray(a.T)))
    (g,), (x,) = values[7:9]
    np.testing.assert_array_equal(values[9][0], Conv2dWeight((1, 1), (1, 1), (3, 3))(g, x))


@_check
def products_of_masks_of_earlier_tickets(run: Runner, n: int) -> None:
    first, reuses = Plan(0), all(run(n, lambda source: source.late))
    (a, _), (r, _, _) = first.mask((5,)), first.truncation((5,), 1 << 20, _digits(run, n))[0]

    def then() -> Plan:
        p = Plan(2)
        (b, _) = p.mask((5,))
        p.product(Elementwise(), b, a)
        if reuses:
            p.product(Elementwise(), a, r)
        return p

    values = _values(run, n, lambda: first, then)
    np.testing.assert_array_equal(values[3][0], field.mul(values[2][0], values[0][0]))
    if reuses:
        np.testing.assert_array_equal(values[4][0], field.mul(values[0][0], values[1][0]))


@_check
def products_that_would_show_what_was_opened_are_refused(run: Runner, n: int) -> None:
    """By sources that do not reuse masks: `MaskReused`, before anything is sent."""
    if any(run(n, lambda source: source.late)):
        return
    digits = _digits(run, n)

    def opened(p: Plan, a: Mask, b: Mask) -> tuple[Mask, Mask]:
        a.sealed = True
        return a, b

    def older(p: Plan, a: Mask, b: Mask) -> tuple[Mask, Mask]:
        return Plan(0).mask(a.shape)[0], b

    def not_uniform(p: Plan, a: Mask, b: Mask) -> tuple[Mask, Mask]:
        return p.truncation(a.shape, 1 << 16, digits)[0][2], b

    def mixed(p: Plan, a: Mask, b: Mask) -> tuple[Expression, Mask]:
        return Masked(Combine((1, 1)), (older(p, a, b)[0], a)), b

    forms: list[tuple[Form, Shape, Shape]] = [
        (MatMul(), (4, 3), (3, 4)),
        (MatMul(True, True), (3, 4), (4, 3)),
        (Conv2d((1, 1), (1, 1)), (2, 1, 5, 4), (3, 1, 3, 3)),
        (Conv2dInput((1, 1), (1, 1), (5, 4)), (2, 3, 5, 4), (3, 1, 3, 3)),
        (Conv2dWeight((1, 1), (1, 1), (3, 3)), (2, 3, 5, 4), (2, 1, 5, 4)),
    ]

    def work(source: Source) -> None:
        for form, x, y in forms:
            for spoilt in (opened, older, not_uniform, mixed):
                for right in (False, True):
                    p = Plan(10)
                    a, b = p.mask(x)[0], p.mask(y)[0]
                    left, other = spoilt(p, b, a) if right else spoilt(p, a, b)
                    p.product(form, *((other, left) if right else (left, other)))
                    _refused(source, p)
        for spoilt in (opened, older, not_uniform, mixed):
            p = Plan(10)
            left, _ = spoilt(p, p.mask((3,))[0], p.mask((3,))[0])
            p.product(Elementwise(), left, left)
            _refused(source, p)

    run(n, work)


def _refused(source: Source, plan: Plan) -> None:
    try:
        source.request(plan.requests)
    except MaskReused:
        return
    raise AssertionError(f"{plan.requests[-1]} was not refused")


@_check
def large_requests_arrive_whole(run: Runner, n: int) -> None:
    def plan() -> Plan:
        p = Plan(0)
        (a, _), (b, _) = p.mask((700, 1000)), p.mask((700, 1000))
        p.product(Elementwise(), a, b)
        p.bits((3,))
        return p

    values = _values(run, n, plan)
    np.testing.assert_array_equal(values[2][0], field.mul(values[0][0], values[1][0]))
    assert values[3][0].shape == (3,)
