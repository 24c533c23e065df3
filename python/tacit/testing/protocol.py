"""The conformance suite of `Protocol`: plain arithmetic is the oracle. A new protocol supplies a runner and runs all of `CHECKS`:

    @pytest.mark.parametrize("check", protocol.CHECKS, ids=lambda check: check.__name__)
    def test_conformance(check):
        check(run, parties)

`run(n, work)` runs work(engine) for n parties, each with its own engine (`engine.protocol.me` tells which), and returns
their results in order.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from tacit import field
from tacit.engine.engine import Engine
from tacit.field import CAPACITY, Field, P
from tacit.graph.forms import Conv2d, Conv2dInput, Conv2dWeight, Elementwise, Form, MatMul, With
from tacit.graph.maps import BoxSum, Combine, Concat, Expand, Gather, LinearMap, Permute, Reshape, Slice, Sum
from tacit.graph.operations import (
    AtLeast,
    Bilinear,
    Input,
    Linear,
    Public,
    RandomBits,
    Shift,
    Truncate,
    Winners,
)
from tacit.graph.wires import Wire
from tacit.protocols.gadgets.truncation import Rounding
from tacit.protocols.plan import Portion
from tacit.transport.meter import HEADER_SIZE, Totals


class Runner(Protocol):
    def __call__(self, n: int, work: Callable[[Engine], Any]) -> list[Any]: ...


Check = Callable[[Runner, int], None]
CHECKS: list[Check] = []


def _check(function: Check) -> Check:
    CHECKS.append(function)
    return function


def draw(*shape: int, seed: int = 0) -> Field:
    """Field elements, the extreme ones among them."""
    values = np.random.default_rng(seed).integers(0, P, shape, np.uint64)
    edges = [0, 1, P - 1, P // 2, (1 << 52) - 1]
    values.reshape(-1)[: min(len(edges), values.size)] = edges[: values.size]
    return values


def secret(engine: Engine, value: Field, owner: int = 0) -> Wire:
    mine = engine.protocol.me == owner
    return engine.record(Input(owner, (lambda: value) if mine else None), (), value.shape, f"input of {owner}")


def linear(engine: Engine, map: LinearMap, *inputs: Wire) -> Wire:
    return engine.record(Linear(map), inputs, map.shape(*(w.shape for w in inputs)), type(map).__name__)


def product(engine: Engine, form: Form, x: Wire, y: Wire) -> Wire:
    return engine.record(Bilinear(form), (x, y), form.shape(x.shape, y.shape), type(form).__name__)


def truncated(engine: Engine, x: Wire, bits: int, magnitude: int = CAPACITY) -> Wire:
    return divided(engine, x, 1 << bits, magnitude)


def divided(engine: Engine, x: Wire, divisor: int, magnitude: int = CAPACITY) -> Wire:
    return engine.record(Truncate(divisor, magnitude), (x,), x.shape, "truncate")


def everywhere(results: Sequence[Any], *expected: Field) -> None:
    """Every party got these arrays."""
    for values in results:
        for value, right in zip(values, expected, strict=True):
            np.testing.assert_array_equal(value, right)


@_check
def inputs_of_every_party(run: Runner, n: int) -> None:
    values = [draw(2, 3, seed=i) for i in range(n)]
    everywhere(run(n, lambda e: e.reveal([secret(e, v, i) for i, v in enumerate(values)])), *values)


@_check
def outputs_to_some(run: Runner, n: int) -> None:
    x, receivers = draw(4), sorted({0, n - 1})

    def work(e: Engine) -> Any:
        return e.reveal([secret(e, x), secret(e, x)], to=receivers)

    for me, values in enumerate(run(n, work)):
        for value in values:
            if me in receivers:
                np.testing.assert_array_equal(value, x)
            else:
                assert value is None


@_check
def linear_operations(run: Runner, n: int) -> None:
    x, y, c = draw(2, 3, 4), draw(2, 3, 4, seed=1), draw(2, 3, 4, seed=2)
    maps: list[LinearMap] = [Reshape((6, 4)), Permute((2, 0, 1)), Slice(2, 0, 4, 2), Gather(0, (1, 1, 0)), Sum((1,))]
    maps += [Expand((5, 2, 3, 4)), BoxSum((2, 2), (1, 2)), Combine((-7,)), With(Elementwise(), c)]

    def work(e: Engine) -> Any:
        a, b = secret(e, x), secret(e, y, n - 1)
        public = e.record(Public(c), (), c.shape, "public")
        shifted = e.record(Shift(c), (a,), c.shape, "shift")
        wires = [linear(e, m, a) for m in maps]
        wires += [linear(e, Combine((2, -3, 1)), a, b, public), linear(e, Concat(1), a, b), shifted]
        return e.reveal(wires)

    combined = field.add(field.sub(field.scale(x, 2), field.scale(y, 3)), c)
    everywhere(run(n, work), *(m(x) for m in maps), combined, np.concatenate([x, y], 1), field.add(x, c))


FORMS: list[tuple[Form, tuple[int, ...], tuple[int, ...]]] = [
    (Elementwise(), (3, 4), (3, 4)),
    (MatMul(), (3, 4), (4, 2)),
    (MatMul(True, False), (4, 3), (4, 2)),
    (MatMul(False, True), (3, 4), (2, 4)),
    (MatMul(), (2, 3, 4), (2, 4, 2)),
    (Conv2d((1, 1), (1, 1)), (2, 1, 5, 4), (3, 1, 3, 3)),
    (Conv2d((2, 2), (0, 0)), (2, 2, 6, 6), (3, 2, 2, 2)),
    (Conv2dInput((1, 1), (1, 1), (5, 4)), (2, 3, 5, 4), (3, 1, 3, 3)),
    (Conv2dWeight((1, 1), (1, 1), (3, 3)), (2, 3, 5, 4), (2, 1, 5, 4)),
]


@_check
def every_form(run: Runner, n: int) -> None:
    values = [(draw(*x, seed=i), draw(*y, seed=50 + i)) for i, (_, x, y) in enumerate(FORMS)]

    def work(e: Engine) -> Any:
        wires = []
        for (form, _, _), (x, y) in zip(FORMS, values, strict=True):
            # One operand with an opening (an input), one without (a sum with an input that has none yet).
            a, b = secret(e, x), product(e, Elementwise(), secret(e, y, n - 1), secret(e, np.ones_like(y)))
            wires.append(product(e, form, a, b))
        return e.reveal(wires)

    everywhere(run(n, work), *(form(x, y) for (form, _, _), (x, y) in zip(FORMS, values, strict=True)))


@_check
def products_in_a_row(run: Runner, n: int) -> None:
    """((x y)^2 y + x) x, through views, over several graphs."""
    x, y = draw(3, 2), draw(3, 2, seed=1)

    def work(e: Engine) -> Any:
        a, b = secret(e, x), secret(e, y, n - 1)
        ab = product(e, Elementwise(), a, b)
        e.force(ab)
        square = product(e, Elementwise(), ab, ab)
        cube = linear(e, Combine((1, 1)), product(e, Elementwise(), square, b), a)
        flat = linear(e, Reshape((6,)), cube)
        return e.reveal([square, product(e, Elementwise(), flat, linear(e, Reshape((6,)), a))])

    square = field.mul(field.mul(x, y), field.mul(x, y))
    last = field.mul(field.add(field.mul(square, y), x), x)
    everywhere(run(n, work), square, last.reshape(6))


LARGEST = (1 << 58) - (1 << 22)


@_check
def truncation(run: Runner, n: int) -> None:
    """floor(x / d) or one more, over the whole domain."""
    rng = np.random.default_rng(0)
    wide, narrow = (rng.integers(-largest, largest, 500) for largest in (LARGEST, 1 << 57))
    wide[:7] = [0, 1, -1, LARGEST, -LARGEST, 1 << 40, -(1 << 40)]
    narrow[:4] = [(1 << 57) - 1, 1 - (1 << 57), 0, -1]
    for d, magnitude, x in [
        *((d, CAPACITY, wide) for d in (2, 1 << 16, 1 << 24, 1 << 40, 3, 12_345, 10_737_418_240_000)),
        *((d, 57, narrow) for d in (2, 1 << 17, 1 << 40, 1 << 57, 1000, (1 << 50) - 1)),
    ]:

        def work(e: Engine, d: int = d, magnitude: int = magnitude, x: NDArray[np.int64] = x) -> Any:
            return *e.reveal([divided(e, secret(e, field.from_signed(x)), d, magnitude)]), e.protocol.summands

        for y in run(n, work):
            error = field.to_signed(y[0]) - x // d
            more = (y[1] + 1) // 2 - 1 + (d in (2, 1 << 24) or y[1] > 1)  # the low parts of several numbers carry
            if y[1] > 1 and d & (d - 1):
                more += -(-Rounding.alone(d, y[1], magnitude).digits // 4)  # and those of the digits
            assert error.min() >= 0 - more, d
            assert error.max() <= 1 + more, d
            assert d < 4 or abs(error.mean() - 0.5) < 0.2 * y[1], d


@_check
def products_of_truncated_values(run: Runner, n: int) -> None:
    """Elementwise products use the truncation's own opening; matrix products and shifted sums are right as well."""
    f, unit = 16, 1 << 32
    x = np.random.default_rng(1).integers(-1 << 20, 1 << 20, (6, 6))
    y = np.random.default_rng(2).integers(-1 << 20, 1 << 20, (6, 6))

    def work(e: Engine) -> Any:
        a = truncated(e, secret(e, field.from_signed(x << f)), f)
        b = truncated(e, secret(e, field.from_signed(y << f), n - 1), f)
        mixed = linear(e, Combine((3, -2)), a, b)
        moved = linear(e, Reshape((36,)), mixed)
        return e.reveal(
            [
                product(e, Elementwise(), a, b),
                product(e, Elementwise(), a, a),
                product(e, Elementwise(), mixed, b),
                product(e, Elementwise(), moved, moved),
                product(e, MatMul(False, True), a, b),
            ]
        )

    mixed = 3 * x - 2 * y
    for values in run(n, work):
        right = [x * y, x * x, mixed * y, (mixed * mixed).reshape(36), x @ y.T]
        # Each operand may be one unit in the last place above.
        for value, exact in zip(values, right, strict=True):
            assert np.abs(field.to_signed(value) - exact).max() < unit >> 4


@_check
def comparisons(run: Runner, n: int) -> None:
    """[x >= t] outside the resolution, and x [x >= 0], whose factors are opened once each."""
    magnitude, bits = 40, 16
    x = np.random.default_rng(3).integers(1 << (magnitude + 2 - bits), 1 << magnitude, 60)
    x[:30] *= -1

    def work(e: Engine) -> Any:
        a, b = secret(e, field.from_signed(x)), secret(e, field.from_signed(near), n - 1)
        sign = linear(e, Reshape(a.shape), e.record(AtLeast((0,), magnitude, bits), (a,), (1, *a.shape), "sign"))
        exact = e.record(AtLeast((0, -3, 20), magnitude, 0), (b,), (3, *b.shape), "exact")
        return e.reveal([sign, product(e, Elementwise(), a, sign), exact])

    near = np.arange(-20, 20)
    right = [
        (x >= 0).astype(np.uint64),
        field.from_signed(np.maximum(x, 0)),
        np.stack([near >= t for t in (0, -3, 20)]).astype(np.uint64),
    ]
    everywhere(run(n, work), *right)


@_check
def winners(run: Runner, n: int) -> None:
    """One-hots of the first of the largest, and their products with what was compared."""
    x = np.random.default_rng(4).integers(-40, 40, (7, 5))
    x[0], x[1, 2:] = 3, 39
    one_hot = (x.argmax(-1)[:, None] == np.arange(5)).astype(np.uint64)

    def work(e: Engine) -> Any:
        a = secret(e, field.from_signed(x))
        small, large = (e.record(Winners(m), (a,), a.shape, "winners") for m in (7, 30))
        return e.reveal([small, large, linear(e, Sum((1,)), product(e, Elementwise(), a, small))])

    everywhere(run(n, work), one_hot, one_hot, field.from_signed(x.max(-1)))


@_check
def random_bits(run: Runner, n: int) -> None:
    results = run(n, lambda e: e.reveal([e.record(RandomBits((4000,)), (), (4000,), "bits")]))
    everywhere(results, results[0][0])
    assert set(results[0][0].tolist()) == {0, 1}
    assert 1800 < int(results[0][0].sum()) < 2200


@_check
def what_nobody_asks_for_is_not_computed(run: Runner, n: int) -> None:
    def work(e: Engine) -> Any:
        a = secret(e, draw(3))
        unused = product(e, Elementwise(), a, a)
        return e.reveal([a])[0], unused.pending

    for value, pending in run(n, work):
        np.testing.assert_array_equal(value, draw(3))
        assert pending


@_check
def independent_operations_share_rounds(run: Runner, n: int) -> None:
    """Ten chains of products take as many rounds as one."""

    def work(e: Engine, chains: int) -> int:
        xs = [secret(e, draw(4, seed=i)) for i in range(chains)]
        ys = [product(e, Elementwise(), product(e, Elementwise(), x, x), x) for x in xs]
        prepared = e.prepare(*ys)
        assert prepared is not None
        e.run(prepared)
        return prepared.plan.rounds

    assert run(n, lambda e: work(e, 1)) == run(n, lambda e: work(e, 10))


@_check
def declared_costs_are_the_metered_ones(run: Runner, n: int) -> None:
    """Rounds exactly (a party may be silent in one, which its meter does not count); bytes up to the headers of frames."""

    def work(e: Engine) -> Any:
        assert e.channel is not None
        a, b = secret(e, draw(40, 30)), secret(e, draw(30, 20, seed=1), n - 1)
        y = truncated(e, product(e, MatMul(), a, b), 16)
        out = linear(e, Sum((0,)), product(e, Elementwise(), y, y))
        sign = e.record(AtLeast((0, 5), 40, 16), (y,), (2, *y.shape), "sign")
        exact = e.record(AtLeast((0,), 40, 0), (y,), (1, *y.shape), "exact sign")
        best = e.record(Winners(41), (y,), y.shape, "winners")
        before = e.channel.meter.by_label().get("agree", Totals()).rounds
        prepared = e.prepare(out, product(e, MatMul(), y, linear(e, Permute((1, 0)), y)), sign, exact, best)
        assert prepared is not None
        made, supply, meter = Totals(), e._supply, e.channel.meter

        def counted(portion: Portion) -> None:
            """The material of later portions is not the graph's, where the parties make it on the same lines."""
            nonlocal made
            started = meter.snapshot()
            supply(portion)
            made += meter.since(started).total

        agreed = meter.snapshot()
        with mock.patch.object(e, "_supply", counted):
            e.run(prepared)
        spent = meter.since(agreed).total - made
        listing = e.channel.meter.by_label().get("agree", Totals()).rounds - before
        return prepared.plan.rounds, prepared.plan.sends, spent.rounds, spent.sent, listing

    results = run(n, work)
    assert max(spent for _, _, spent, _, _ in results) == results[0][0]
    for rounds, sends, spent, sent, listing in results:
        assert spent <= rounds
        assert listing == int(n > 1)
        assert sends <= sent <= sends + spent * (n - 1) * (HEADER_SIZE + 16)
