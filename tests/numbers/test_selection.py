"""Ranges, whole parts, comparisons and the largest along an axis, against NumPy: exact, ties included."""

import math

import numpy as np
import pytest

import tacit
from tacit import SecretArray
from tacit.numbers import selection
from tacit.numbers.functions.splines import elu, sigmoid

UNIT = 2.0**-16
X = np.round(np.random.default_rng(0).normal(size=(3, 17)) * 4 / UNIT) * UNIT
X[0, :9] = [0, 1, -1, 2.5, -2.5, 1 - UNIT, UNIT, -UNIT, 50.5]
X[1] = X[1, 0]  # ties
Y = X[:, ::-1]
HIGHEST = np.asarray(4096 - UNIT)


def one_hot(places, axis):
    return np.moveaxis(np.eye(X.shape[axis])[places], -1, axis)


def fill(relation, t):
    return lambda a, x, y: selection.compare(a, x, relation, t)


OPERATIONS = {
    "floor": (lambda a, x, y: selection.floor(a, x), np.floor(X)),
    "ceil": (lambda a, x, y: selection.ceil(a, x), np.ceil(X)),
    "trunc": (lambda a, x, y: selection.trunc(a, x), np.trunc(X)),
    "nearest": (lambda a, x, y: selection.nearest(a, x), np.floor(X + 0.5)),
    "floor of a product": (lambda a, x, y: selection.floor(a, a.multiply(x, y)), np.floor(X * Y)),
    "floor of floor": (lambda a, x, y: selection.floor(a, selection.floor(a, x)), np.floor(X)),
    "floor of all bits": (lambda a, x, y: selection.floor_shift(a, x, 40), np.floor(X * UNIT / 256) * 2.0**24),
    "clamp": (lambda a, x, y: selection.clamp(a, x, -1, 2.5), np.clip(X, -1, 2.5)),
    "clamp from": (lambda a, x, y: selection.clamp(a, x, 0.125, None), np.maximum(X, 0.125)),
    "clamp to": (lambda a, x, y: selection.clamp(a, x, None, -0.125), np.minimum(X, -0.125)),
    "clamp to one place": (lambda a, x, y: selection.clamp(a, x, 2, 1), np.ones(X.shape)),
    "clamp to everything": (lambda a, x, y: selection.clamp(a, x, -5000, math.inf), X),
    "clamp of whole numbers": (
        lambda a, x, y: selection.clamp(a, selection.floor(a, x), -0.5, 1.5),
        np.clip(np.floor(X), -0.5, 1.5),
    ),
    "clamp of whole numbers between two": (
        lambda a, x, y: selection.clamp(a, selection.floor(a, x), 0.25, 0.75),
        np.clip(np.floor(X), 0.25, 0.75),
    ),
    "floor of the largest": (lambda a, x, y: selection.floor(a, a.add_public(a.times(x, 0.0), HIGHEST)), 4095 + 0 * X),
    "maximum": (lambda a, x, y: selection.maximum(a, x, y), np.maximum(X, Y)),
    "minimum": (lambda a, x, y: selection.minimum(a, x, y), np.minimum(X, Y)),
    "largest": (lambda a, x, y: selection.largest(a, x, (1,)), X.max(1)),
    "largest of few": (lambda a, x, y: selection.largest(a, x, (0,), keepdims=True), X.max(0, keepdims=True)),
    "least": (lambda a, x, y: selection.least(a, x, (-1,)), X.min(1)),
    "winners": (lambda a, x, y: selection.winners_along(a, x, (1,)), one_hot(X.argmax(1), 1)),
    "winners of few": (lambda a, x, y: selection.winners_along(a, x, (0,)), one_hot(X.argmax(0), 0)),
    "winner of one": (lambda a, x, y: selection.winners_along(a, a.slice(x, 1, 3, 4), (1,)), np.ones((3, 1))),
    "largest of all": (lambda a, x, y: selection.largest(a, x, (0, 1)), X.max()),
    "place of the largest": (lambda a, x, y: selection.index(a, selection.winners_along(a, x, (1,))), X.argmax(1)),
    "< of whole numbers": (
        lambda a, x, y: selection.compare(a, selection.floor(a, x), "<", 1.5),
        np.floor(X) < 1.5,
    ),
    "== of whole numbers": (
        lambda a, x, y: selection.compare(a, selection.floor(a, x), "==", 1.5),
        np.zeros(X.shape),
    ),
    ">=": (fill(">=", 2.5), X >= 2.5),
    ">": (fill(">", 2.5), X > 2.5),
    "<": (fill("<", -1), X < -1),
    "<=": (fill("<=", -1), X <= -1),
    "==": (fill("==", UNIT), X == UNIT),
    "!=": (fill("!=", 1 - UNIT), X != 1 - UNIT),
    "> -inf": (fill(">", -math.inf), np.ones(X.shape)),
    "> 5000": (fill(">", 5000.0), np.zeros(X.shape)),
    "difference": (lambda a, x, y: selection.compare(a, selection.difference(a, x, y), "=="), X == Y),
    "and or xor": (
        lambda a, x, y: selection.differ(
            a,
            selection.both(a, selection.compare(a, x, ">"), selection.compare(a, y, ">")),
            selection.either(a, selection.compare(a, x, "<", 1), selection.compare(a, y, "<", 1)),
        ),
        ((X > 0) & (Y > 0)) ^ ((X < 1) | (Y < 1)),
    ),
    "select": (lambda a, x, y: selection.select(a, selection.compare(a, x, ">"), x, y), np.where(X > 0, X, Y)),
    "count": (lambda a, x, y: selection.count(a, selection.compare(a, x, ">"), (0, 1)), (X > 0).sum()),
}


@pytest.fixture(scope="module", params=[("clear", 1), ("spdz", 2), ("spdz", 3)], ids=lambda p: f"{p[0]} {p[1]}")
def results(request):
    protocol, parties = request.param

    def script(s):
        a, x, y = s.arithmetic, s.secret(X, owner=0).number, s.secret(Y, owner=0).number
        return s.reveal([SecretArray(a, f(a, x, y)) for f, _ in OPERATIONS.values()])

    return tacit.run(script, parties, protocol=protocol, backend="numpy", debug=True)


@pytest.mark.parametrize("index", range(len(OPERATIONS)), ids=list(OPERATIONS))
def test_operations_are_those_of_numpy(results, index):
    expected = np.asarray(list(OPERATIONS.values())[index][1], np.float64)
    for values in results:
        np.testing.assert_array_equal(values[index], expected)


def test_what_was_compared_is_not_compared_again():
    def script(s):
        a, x = s.arithmetic, s.secret(X, owner=0).number
        selection.clamp(a, x, -1, 2)
        ledger = s.engine.protocol.ledger

        def comparisons(*numbers):
            seen = len(ledger)
            s.reveal([SecretArray(a, n) for n in numbers])
            return [r.shape for r in ledger[seen:] if r.kind in ("comparison", "winners")]

        counts = [comparisons(selection.clamp(a, x, -1, 2))]
        counts.append(comparisons(selection.compare(a, x, ">", -1), selection.compare(a, x, "<", 2)))
        counts.append(comparisons(selection.largest(a, x, (0,))))
        counts.append(
            comparisons(
                selection.winners_along(a, x, (0,)),
                selection.index(a, a.permute(selection.winners_along(a, x, (0,)), (1, 0))),
            )
        )
        return counts

    for counts in tacit.run(script, 2, backend="numpy"):
        assert counts == [[(2, 3, 17)], [], [(17, 3)], []]


def test_a_range_that_is_not_exact_is_off_by_its_resolution_at_most():
    values = np.linspace(-0.05, 6.05, 700)

    def script(s):
        a, x = s.arithmetic, s.secret(values, owner=0).number
        return s.reveal(SecretArray(a, selection.clamp(a, x, 0, 6, exact=False)))

    (got, _) = tacit.run(script, 2, backend="numpy")
    assert np.abs(got - np.clip(values, 0, 6)).max() <= 2**-7


def test_no_number():
    def script(s):
        with pytest.raises(tacit.OutOfRange, match="NaN"):
            selection.compare(s.arithmetic, s.secret(X, owner=0).number, ">", math.nan)

    tacit.run(script, 1, protocol="clear", backend="numpy")


ARRAYS = {
    "max": (lambda x, y: x.max(), X.max()),
    "max along": (lambda x, y: x.max(axis=1, keepdims=True), X.max(axis=1, keepdims=True)),
    "min": (lambda x, y: x.min((0, 1)), X.min()),
    "min along": (lambda x, y: x.min(-1), X.min(-1)),
    "argmax": (lambda x, y: x.argmax(), X.argmax()),
    "argmax along": (lambda x, y: x.argmax(0), X.argmax(0)),
    "floor": (lambda x, y: (x * 1.5).floor(), np.floor(X * 1.5)),
    "clip": (lambda x, y: x.clip(-1, 1), np.clip(X, -1, 1)),
    "clip to": (lambda x, y: x.clip(high=0.5), np.minimum(X, 0.5)),
    "maximum": (lambda x, y: x.maximum(y), np.maximum(X, Y)),
    "maximum with public": (lambda x, y: x.maximum(Y[0]), np.maximum(X, Y[0])),
    "minimum": (lambda x, y: x.minimum(0.25), np.minimum(X, 0.25)),
    ">": (lambda x, y: x > y, X > Y),
    "<= public": (lambda x, y: x <= Y, X <= Y),
    "== number": (lambda x, y: x == 2.5, X == 2.5),
    "!=": (lambda x, y: x != y, X != Y),
    "where": (lambda x, y: (x > 0).where(x, Y), np.where(X > 0, X, Y)),
    "where of lists": (lambda x, y: (x[0, :2] > 0).where([1, 2], [3, 4]), np.where(X[0, :2] > 0, [1, 2], [3, 4])),
}


def test_arrays_have_it_as_methods():
    def script(s):
        x, y = s.secret(X, owner=0), s.secret(Y, owner=1)
        return s.reveal([f(x, y) for f, _ in ARRAYS.values()])

    for values in tacit.run(script, 2, backend="numpy"):
        for name, got, (_, right) in zip(ARRAYS, values, ARRAYS.values(), strict=True):
            np.testing.assert_allclose(got, right, atol=1e-9, err_msg=name)


def test_what_was_found_of_fewer_bits_does_not_serve_a_number_of_more():
    """64 x is x at another scale, of fewer bits by the contract; nobody uses it where it has not."""
    values = np.array([3000.0, -700.0])

    def work(s):
        x = s.secret(values, owner=0)
        selection.compare(s.arithmetic, (64 * x).number, ">=", 64000.0)
        selection.winners_along(s.arithmetic, (64 * x).number, (0,))
        best = selection.winners_along(s.arithmetic, x.number, (0,))
        return s.reveal([x >= 1000.0, SecretArray(s.arithmetic, best)])

    for reached, best in tacit.run(work, 2, backend="numpy"):
        np.testing.assert_array_equal(reached, [1, 0])
        np.testing.assert_array_equal(best, [1, 0])


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("lift", [13, 14, 29, 30])
def test_whole_parts_of_numbers_that_fill_the_field(lift, protocol):
    x = X.copy()
    x[0, :2] = 4096 - UNIT, UNIT - 4096

    def script(s):
        a, n = s.arithmetic, s.secret(x, owner=0).number
        n = a.lift(n, 16 + lift)
        whole = [f(a, n) for f in (selection.floor, selection.ceil, selection.trunc)]
        return s.reveal([SecretArray(a, w) for w in whole])

    floor, ceil, trunc = tacit.run(script, 2, protocol=protocol, backend="numpy", debug=True)[0]
    np.testing.assert_array_equal(floor, np.floor(x))
    np.testing.assert_array_equal(ceil, np.ceil(x))
    np.testing.assert_array_equal(trunc, np.trunc(x))


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
def test_small_numbers_at_scales_above_the_field(protocol):
    """A public factor of 1e-12 leaves a scale at which 1 is not in the field."""

    def script(s):
        a, n = s.arithmetic, (s.secret(X, owner=0) * 1e-12).number
        found = [selection.clamp(a, n, -1.0, 1.0, exact) for exact in (True, False)]
        found += [selection.clamp(a, n, 0.5, None), selection.trunc(a, n), sigmoid(a, n), elu(a, n)]
        return s.reveal([SecretArray(a, f) for f in found])

    results = tacit.run(script, 2, protocol=protocol, backend="numpy", debug=True)[0]
    for got, right in zip(results, (0, 0, 0.5, 0, 0.5, 0), strict=True):
        np.testing.assert_allclose(got, np.full(X.shape, right), atol=2.0**-12)
