"""Reciprocals, quotients, roots and logarithms against NumPy: over the whole domain, and saturated outside."""

import numpy as np
import pytest

import tacit
from tacit.numbers.array import SecretArray
from tacit.numbers.functions import normal

FORMATS = [tacit.Format(16, 12), tacit.Format(16, 6), tacit.Format(9, 20), tacit.Format(24, 5)]
WIDE = [32, 40]


def largest(f):
    return 2.0**f.integer - 2.0**-f.fraction


def magnitudes(scale, integer):
    """Powers of 2 and what is beside them, the largest number, and a dense grid."""
    powers = 2.0 ** np.arange(-scale, integer)
    unit = 2.0**-scale
    grid = np.geomspace(unit, 2.0**integer, 1500)
    whole = np.unique(np.rint(np.concatenate([powers, powers + unit, powers - unit, grid]) / unit))
    return whole[(whole > 0) & (whole < 2.0 ** (scale + integer))] * unit


def number(s, values, scale):
    """Secret `values` at a scale of up to 40 in the default format: in two parts."""
    a, f = s.arithmetic, s.arithmetic.format
    if scale == f.fraction:
        return s.secret(values, owner=0).number
    upper = np.rint(values * 2.0**f.fraction) / 2.0**f.fraction
    lower = (values - upper) * 2.0 ** (scale - 16)
    high = s.secret(upper, owner=0).number
    low = s.secret(lower, owner=1, format=tacit.Format(16, 11)).number
    bits = scale + f.integer
    both = a.combine([(1.0, high), (2.0 ** (16 - scale), low)], 0.0, scale, bits, "wide")
    return both


def work(function, *arrays, scale=None, protocol="clear", format=FORMATS[0], debug=False, **options):
    """function(arithmetic, *numbers) revealed, and the session's costs."""

    def script(s):
        numbers = [number(s, x, scale or format.fraction) for x in arrays]
        got = s.reveal(SecretArray(s.arithmetic, function(s.arithmetic, *numbers, **options)))
        return got, s.engine.costs

    results = tacit.run(script, 2, protocol=protocol, format=format, debug=debug, backend="numpy")
    np.testing.assert_array_equal(results[0][0], results[1][0])
    return results[0]


def close(got, right, relative=2.0**-10, absolute=2.0**-12):
    error, allowed = np.abs(got - right), np.maximum(relative * np.abs(right), absolute)
    worst = np.unravel_index(np.argmax(error / allowed), error.shape)
    assert error[worst] <= allowed[worst], (worst, got[worst], right[worst])


def signed(f, scale=None):
    x = magnitudes(scale or f.fraction, f.integer)
    return np.concatenate([-x[::-1], [0.0], x])


def oracle(name, x, f, scale):
    top = largest(f)
    with np.errstate(all="ignore"):
        return {
            "reciprocal": lambda: np.where(x == 0, top, np.clip(1 / x, -top, top)),
            "sqrt": lambda: np.sqrt(np.maximum(x, 0)),
            "rsqrt": lambda: np.where(x <= 0, top, np.minimum(1 / np.sqrt(np.abs(x)), top)),
            "log": lambda: np.log(np.maximum(x, 2.0**-scale)),
        }[name]()


CASES = [(f, None, "clear") for f in FORMATS] + [(FORMATS[0], w, "clear") for w in WIDE]
CASES += [(FORMATS[0], None, "spdz"), (FORMATS[1], None, "spdz"), (FORMATS[0], 40, "spdz")]


@pytest.mark.parametrize(("format", "scale", "protocol"), CASES)
@pytest.mark.parametrize("name", ["reciprocal", "sqrt", "rsqrt", "log"])
def test_over_the_whole_domain(name, format, scale, protocol):
    x = signed(format, scale)
    got, _ = work(getattr(normal, name), x, scale=scale, protocol=protocol, format=format)
    assert np.abs(got).max() < 2.0 ** max(format.integer, 5)
    absolute = 2.0 ** -min(12, format.fraction) if name != "log" else 2.0**-12
    close(got, oracle(name, x, format, scale or format.fraction), absolute=absolute)


@pytest.mark.parametrize("name", ["reciprocal", "sqrt", "rsqrt", "log"])
@pytest.mark.parametrize(("format", "scale"), [(FORMATS[0], None), (FORMATS[1], None), (FORMATS[0], 40)])
def test_nothing_leaves_its_bits(name, format, scale):
    work(getattr(normal, name), signed(format, scale), scale=scale, format=format, debug=True)


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
def test_roots_keep_the_precision_of_small_numbers(protocol):
    """A variance of 1e-8 at scale 40 has a root of 1e-4 to three digits, though the format's last place is 1.5e-5."""
    x = np.rint(np.geomspace(1e-9, 1e-3, 200) * 2.0**40) * 2.0**-40
    got, _ = work(normal.sqrt, x, scale=40, protocol=protocol)
    close(got, np.sqrt(x), 2.0**-8, 0)
    inside = x[x > 2.0**-23]
    got, _ = work(normal.rsqrt, inside, scale=40, protocol=protocol)
    close(got, 1 / np.sqrt(inside), 2.0**-10, 0)


def quotients(f, count=4000):
    """Numerators and denominators: all powers of 2 with each other, zeros, and numbers of all sizes."""
    draws = np.random.default_rng(7)
    unit, top = 2.0**-f.fraction, largest(f)
    drawn = [
        np.clip(np.rint(s * 2.0**e / unit) * unit, -top, top)
        for s, e in zip(
            draws.choice([-1, 1], (2, count)), draws.uniform(-f.fraction, f.integer, (2, count)), strict=True
        )
    ]
    powers = 2.0 ** np.arange(-f.fraction, f.integer)
    x, y = (p.ravel() for p in np.meshgrid(powers, powers))
    numerators = [drawn[0], x, -x, x, np.array([0.0, 0.0, 1.0, -1.0, unit, top, top, -top])]
    denominators = [drawn[1], y, y, -y, np.array([0.0, 1.0, 0.0, 0.0, 0.0, top, unit, unit])]
    return np.concatenate(numerators), np.concatenate(denominators)


@pytest.mark.parametrize(("format", "protocol"), [(f, "clear") for f in FORMATS] + [(f, "spdz") for f in FORMATS[:2]])
def test_quotients_where_they_fit_and_where_they_do_not(format, protocol):
    x, y = quotients(format)
    top = largest(format)
    got, _ = work(normal.divide, x, y, protocol=protocol, format=format)
    assert np.abs(got).max() < 2.0**format.integer
    with np.errstate(all="ignore"):
        right = np.where(x == 0, 0, np.where(y == 0, np.sign(x) * top, np.clip(x / y, -top, top)))
    close(got, right, absolute=2.0 ** -min(12, format.fraction))


@pytest.mark.parametrize("factor", [1e-6, 1e-8, 2.0**-24])
@pytest.mark.parametrize("whole", [False, True])
def test_quotients_by_what_is_known_to_be_small(whole, factor):
    x, y = quotients(FORMATS[0], 500)
    x, y = np.sign(x) if whole else np.rint(x * 2.0**7) * 2.0**-16, np.where(np.abs(y) < 16, 0, y)

    def script(s):
        a, numerator = s.arithmetic, s.secret(x, owner=0)
        upper = (numerator > 0).number if whole else numerator.number
        return s.reveal(SecretArray(a, normal.divide(a, upper, (s.secret(y, owner=1) * factor).number)))

    got = tacit.run(script, 2, protocol="clear", backend="numpy", debug=True)[0]
    top, x = largest(FORMATS[0]), (np.where(x > 0, 1.0, 0.0) if whole else x)
    with np.errstate(all="ignore"):
        right = np.where(x == 0, 0, np.where(y == 0, np.sign(x) * top, np.clip(x / (y * factor), -top, top)))
    close(got, right, relative=2.0**-9)  # 16 significant bits of the factor


def test_no_quotient_leaves_its_bits():
    x, y = quotients(FORMATS[0], 500)
    work(normal.divide, x, y, debug=True)


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
def test_quotients_that_are_known_to_fit(protocol):
    x, y = quotients(FORMATS[0])
    fits = np.abs(x) < 2.0**11 * np.abs(y)
    got, _ = work(normal.quotient, x[fits], y[fits], protocol=protocol)
    close(got, x[fits] / y[fits])
    got, _ = work(normal.quotient, np.array([3.0, -5.0, 0.0]), np.zeros(3), protocol=protocol)
    np.testing.assert_allclose(got, 0, atol=2.0**-20)


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("least", [2.0**-14, 2.0**-10, 0.5, 1.0, 1000.0])
def test_numbers_that_are_known_not_to_be_small(least, protocol):
    x = magnitudes(16, 12)
    x = x[x >= least]
    right = np.minimum(1 / x, largest(FORMATS[0]))
    for function in (normal.reciprocal, lambda a, x, least: normal.divide(a, a.constant(np.ones(())), x, least)):
        got, _ = work(function, x, least=least, protocol=protocol)
        close(got, right)
    got, _ = work(normal.rsqrt, x, least=least, factor=0.8, protocol=protocol)
    close(got, 0.8 / np.sqrt(x))
    tiny = np.rint(np.geomspace(1e-9, 1e-3, 200) * 2.0**40) * 2.0**-40
    got, _ = work(normal.rsqrt, tiny, scale=40, least=1e-9, protocol=protocol)
    close(got, np.minimum(1 / np.sqrt(tiny), largest(FORMATS[0])))


def test_denominators_broadcast_and_are_normalised_once():
    x, y = np.linspace(-9, 9, 60).reshape(12, 5), np.linspace(1, 30, 12).reshape(12, 1)

    def script(s):
        a, one, other = s.arithmetic, s.secret(x, owner=0).number, s.secret(x + 1, owner=1).number
        divisor = s.secret(y, owner=0).number
        first = normal.quotient(a, one, divisor)
        a.engine.force(first.wire)
        before = a.engine.costs.sends
        both = s.reveal([SecretArray(a, n) for n in (first, normal.quotient(a, other, divisor))])
        compared = [r.shape for r in s.engine.protocol.ledger if r.kind == "comparison"]
        return both, compared, a.engine.costs.sends - before

    (first, second), compared, sent = tacit.run(script, 2, backend="numpy")[0]
    close(first, x / y)
    close(second, (x + 1) / y)
    assert [shape[1:] for shape in compared] == [(12, 1)]
    assert sent <= 8 * (3 * 60 + 12)  # the numerator, its product with the looked-up factor, two results revealed


def test_a_quotient_by_a_root_takes_no_comparison_more():
    x, v = np.linspace(-3, 3, 40), np.geomspace(1e-3, 100, 40)

    def script(s):
        a, root = s.arithmetic, normal.sqrt(s.arithmetic, s.secret(v, owner=0).number)
        shifted = a.add_public(a.times(root, 3.0), np.asarray(2.0**-15))
        normal.remember(shifted, root, 3.0, 2.0**-15)
        got = s.reveal(SecretArray(a, normal.quotient(a, s.secret(x, owner=1).number, shifted)))
        return got, [r.kind for r in s.engine.protocol.ledger].count("comparison")

    got, comparisons = tacit.run(script, 2, backend="numpy")[0]
    close(got, x / (3 * np.sqrt(np.rint(v * 2**16) / 2**16) + 2.0**-15))
    assert comparisons == 1


def test_shapes():
    def script(s):
        a = s.arithmetic
        single, none = s.secret(4.0, owner=0, shape=()).number, s.secret(np.zeros((0, 3)), owner=0, shape=(0, 3)).number
        made = [f(a, x) for f in (normal.reciprocal, normal.sqrt, normal.rsqrt, normal.log) for x in (single, none)]
        made += [normal.divide(a, single, single), normal.divide(a, none, single)]
        return s.reveal([SecretArray(a, n) for n in made])

    got = tacit.run(script, 2, backend="numpy")[0]
    assert [np.shape(g) for g in got] == [(), (0, 3)] * 5
    np.testing.assert_allclose(got[::2], [0.25, 2, 0.5, np.log(4), 1], atol=2e-3)


# Rounds and bytes sent by one of two parties for each element, as docs/functions.md states them.
COSTS = {
    "reciprocal": (normal.reciprocal, 1, {}, 11, 164),
    "reciprocal of at least 1": (normal.reciprocal, 1, {"least": 1.0}, 11, 101),
    "divide": (normal.divide, 2, {}, 11, 240),
    "quotient": (normal.quotient, 2, {}, 11, 178),
    "sqrt": (normal.sqrt, 1, {}, 12, 130),
    "rsqrt": (normal.rsqrt, 1, {}, 11, 122),
    "log": (normal.log, 1, {}, 10, 112),
}


@pytest.mark.parametrize("name", COSTS)
def test_documented_costs(name):
    function, operands, options, rounds, most = COSTS[name]
    count = 1000

    def script(s):
        a = s.arithmetic
        numbers = [s.secret(np.linspace(1, 2, count), owner=0).number for _ in range(operands)]
        s.engine.force(*(n.wire for n in numbers))
        before = s.engine.costs.rounds, s.engine.costs.sends
        s.engine.force(function(a, *numbers, **options).wire)
        return s.engine.costs.rounds - before[0], (s.engine.costs.sends - before[1]) / count

    taken, sent = tacit.run(script, 2, backend="numpy")[0]
    assert taken == rounds and 0.95 * most <= sent <= most


def test_what_was_found_of_fewer_bits_does_not_serve_a_number_of_more():
    """64 x is x at another scale, of fewer bits by the contract; nobody uses it where it has not."""
    values = np.array([3000.0, 700.0, 1.0])

    def script(s):
        x = s.secret(values, owner=0)
        normal.reciprocal(s.arithmetic, (64 * x).number)
        return s.reveal(SecretArray(s.arithmetic, normal.reciprocal(s.arithmetic, x.number)))

    for found in tacit.run(script, 2, backend="numpy"):
        np.testing.assert_allclose(found, 1 / values, rtol=1e-3, atol=2**-16)


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
def test_bits(protocol):
    """Numbers of one bit, as comparisons give them."""
    x, bit = np.array([3.0, -2.0, 0.25]), np.array([1.0, 0.0, 1.0])

    def script(s):
        a, n = s.arithmetic, s.secret(x, owner=0)
        found = (n >= 0).number
        made = [normal.divide(a, n.number, found), *(f(a, found) for f in (normal.reciprocal, normal.sqrt, normal.log))]
        return s.reveal([SecretArray(a, m) for m in made])

    quotient, inverse, root, logarithm = tacit.run(script, 2, protocol=protocol, backend="numpy", debug=True)[0]
    top = largest(FORMATS[0])
    close(quotient, np.where(bit > 0, x, -top))
    close(inverse, np.where(bit > 0, 1, top))
    close(root, bit)
    close(logarithm, 0 * bit)


def test_numbers_whose_inverse_root_never_fits():
    f, values = tacit.Format(16, 0), np.array([2.0**-16, 0.01, 0.07, 0.5, 1 - 2.0**-16, -0.5, 0.0])
    got, _ = work(normal.rsqrt, values, format=f, debug=True)
    np.testing.assert_array_equal(got, largest(f))
