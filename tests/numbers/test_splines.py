"""Functions by piecewise polynomials: right over the whole domain, in every format, in the rounds that are documented."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

import tacit
from tacit.numbers.array import SecretArray
from tacit.numbers.functions import curves, splines

DOCUMENTED = Path(__file__).parents[2] / "docs" / "functions.md"
DEFAULT = tacit.Format()


@np.vectorize
def erf(x):
    return math.erf(x)


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def normal(x):
    return (1 + erf(x / math.sqrt(2))) / 2


def by_tanh(x):
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)


def gelu_tanh_slope(x):
    t = np.tanh(by_tanh(x))
    return (1 + t) / 2 + x * (1 - t * t) / 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)


def mish_slope(x):
    t = np.tanh(np.logaddexp(0, x))
    return t + x * (1 - t * t) * sigmoid(x)


def elu(x, alpha):
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)


def elu_slope(x, alpha):
    return np.where(x < 0, alpha * np.exp(np.minimum(x, 0)), 1)


FUNCTIONS = {  # name: (ours, NumPy's, the curve whose knots are looked at closely)
    "exp": (splines.exp, np.exp, curves.EXP),
    "exp2": (splines.exp2, np.exp2, curves.EXP),
    "expm1": (splines.expm1, np.expm1, curves.EXPM1),
    "sigmoid": (splines.sigmoid, sigmoid, curves.SIGMOID),
    "tanh": (splines.tanh, np.tanh, curves.TANH),
    "erf": (splines.erf, erf, curves.ERF),
    "gelu": (splines.gelu, lambda x: x * normal(x), curves.GELU),
    "gelu_slope": (
        splines.gelu_slope,
        lambda x: normal(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
        curves.GELU_SLOPE,
    ),
    "gelu, tanh": (
        lambda a, x: splines.gelu(a, x, approximate=True),
        lambda x: x * (1 + np.tanh(by_tanh(x))) / 2,
        curves.GELU_TANH,
    ),
    "gelu_slope, tanh": (
        lambda a, x: splines.gelu_slope(a, x, approximate=True),
        gelu_tanh_slope,
        curves.GELU_TANH_SLOPE,
    ),
    "silu": (splines.silu, lambda x: x * sigmoid(x), curves.SILU),
    "silu_slope": (splines.silu_slope, lambda x: sigmoid(x) * (1 + x * sigmoid(-x)), curves.SILU_SLOPE),
    "mish": (splines.mish, lambda x: x * np.tanh(np.logaddexp(0, x)), curves.MISH),
    "mish_slope": (splines.mish_slope, mish_slope, curves.MISH_SLOPE),
    "softplus": (splines.softplus, lambda x: np.logaddexp(0, x), curves.SOFTPLUS),
    "softplus_slope": (splines.softplus_slope, sigmoid, curves.SOFTPLUS_SLOPE),
    "log_sigmoid": (splines.log_sigmoid, lambda x: -np.logaddexp(0, -x), curves.LOG_SIGMOID),
    "log_sigmoid_slope": (splines.log_sigmoid_slope, lambda x: sigmoid(-x), curves.LOG_SIGMOID_SLOPE),
    "elu": (splines.elu, lambda x: elu(x, 1), curves.ELU),
    "elu_slope": (splines.elu_slope, lambda x: elu_slope(x, 1), curves.ELU_SLOPE),
    "elu, alpha 0.5": (lambda a, x: splines.elu(a, x, 0.5), lambda x: elu(x, 0.5), curves.ELU),
    "elu_slope, alpha 0.5": (lambda a, x: splines.elu_slope(a, x, 0.5), lambda x: elu_slope(x, 0.5), curves.ELU_SLOPE),
}


def grid(format=DEFAULT, knots=()):
    """The whole domain coarsely, where functions bend finely, each knot closely; the ends, zero and its neighbours."""
    limit, unit = 2.0**format.integer, 2.0**-format.fraction
    near = np.concatenate([[t + k * unit for k in (0, 1, 100, 400, 700, 2000)] for t in knots] or [[]])
    near = np.concatenate([near, 2 * np.asarray(knots, np.float64) - near[: 6 * len(knots) : 6].repeat(1)])
    x = np.concatenate(
        [
            np.linspace(-limit, limit, 4001)[1:-1],
            np.linspace(-13, 13, 8001),
            near,
            [0, unit, -unit, limit - unit, unit - limit],
        ]
    )
    return np.clip(np.rint(x / unit) * unit, unit - limit, limit - unit)


def largest_error(got, right):
    """Of what is allowed: max(2^-10 |f(x)|, 2^-12)."""
    return (np.abs(got - right) / np.maximum(2.0**-10 * np.abs(right), 2.0**-12)).max()


def computed(function, x, protocol="spdz", format=DEFAULT, **options):
    def work(s):
        secret = s.secret(x, owner=0, shape=x.shape)
        return s.reveal(SecretArray(s.arithmetic, function(s.arithmetic, secret.number)))

    return tacit.run(work, parties=2, protocol=protocol, format=format, backend="numpy", **options)[0]


def expected(reference, x, format=DEFAULT):
    with np.errstate(over="ignore"):
        return np.minimum(reference(x), 2.0**format.integer - 2.0**-format.fraction)


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_over_the_whole_domain(name, protocol):
    function, reference, curve = FUNCTIONS[name]
    x = grid(knots=[*curve.knots, 12 * math.log(2)])
    got = computed(function, x, protocol)
    assert largest_error(got, expected(reference, x)) <= 1


@pytest.mark.parametrize("format", [(16, 6), (8, 5), (12, 16), (24, 4), (16, 0)])
@pytest.mark.parametrize("name", ["exp", "expm1", "gelu", "silu_slope", "log_sigmoid", "elu"])
def test_in_other_formats(name, format):
    """What is below 2^-fraction has no place in the format, but comes out with more."""
    function, reference, curve = FUNCTIONS[name]
    format = tacit.Format(*format)
    x = grid(format, curve.knots)
    assert largest_error(computed(function, x, format=format), expected(reference, x, format)) <= 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_comes_out_is_within_its_bits(name):
    function, _, curve = FUNCTIONS[name]
    computed(function, grid(knots=curve.knots), debug=True)


@pytest.mark.parametrize("lift", [4, 12, 28])
def test_of_numbers_that_are_wider_than_the_format(lift):
    x = grid(knots=curves.GELU.knots)

    def wide(a, number):
        return splines.gelu(a, a.lift(number, number.scale + lift))

    assert largest_error(computed(wide, x), expected(FUNCTIONS["gelu"][1], x)) <= 1


def test_of_the_result_of_a_product():
    x = np.linspace(-3, 3, 2001)
    got = computed(lambda a, n: splines.sigmoid(a, a.multiply(n, n)), x)
    assert largest_error(got, sigmoid(x * x)) <= 1


def test_of_whole_numbers_and_of_bits():
    def work(s):
        x = s.secret(np.arange(-9.0, 9.0), owner=0, shape=(18,), format=tacit.Format(0, 5))
        signs = x >= 0
        return s.reveal([SecretArray(s.arithmetic, splines.sigmoid(s.arithmetic, n.number)) for n in (x, signs)])

    got, of_signs = tacit.run(work, parties=2, protocol="spdz", backend="numpy")[0]
    whole = np.arange(-9.0, 9.0)
    assert largest_error(got, sigmoid(whole)) <= 1
    assert largest_error(of_signs, sigmoid((whole >= 0) * 1.0)) <= 1


@pytest.mark.parametrize("shape", [(), (1,), (2, 3, 4), (0, 3)])
def test_shapes(shape):
    x = np.full(shape, 0.75)
    np.testing.assert_allclose(computed(splines.tanh, x), np.tanh(x), atol=1e-3)


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "softplus", "log_sigmoid", "elu"])
def test_a_slope_shares_the_comparison_and_the_powers(name):
    def work(s):
        x = s.secret(np.linspace(-4, 4, 50), owner=0, shape=(50,))
        f = getattr(splines, name)(s.arithmetic, x.number)
        s.reveal(SecretArray(s.arithmetic, f))
        before = s.engine.costs.sends
        slope = getattr(splines, f"{name}_slope")(s.arithmetic, x.number)
        s.engine.force(slope.wire)
        return s.engine.costs.sends - before

    assert tacit.run(work, parties=2, protocol="spdz", backend="numpy")[0] == 0


def documented():
    """(name, rounds, bytes) of the table's rows."""
    rows = re.findall(r"^\| `(\w+)`[^|]*\|[^|]*\| (\d+) \| (\d+) \|", DOCUMENTED.read_text(), re.MULTILINE)
    return {name: (int(rounds), int(sent)) for name, rounds, sent in rows}


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if "," not in n])
def test_rounds_and_bytes_are_those_of_the_documentation(name):
    function = FUNCTIONS[name][0]

    def work(s):
        x = s.secret(np.zeros(800), owner=0, shape=(800,))
        s.engine.force(x.number.wire)
        costs = s.engine.costs
        rounds, sends = costs.rounds, costs.sends
        s.engine.force(function(s.arithmetic, x.number).wire)
        return costs.rounds - rounds, (costs.sends - sends) / 800

    rounds, sends = tacit.run(work, parties=2, protocol="spdz", backend="numpy")[0]
    assert (rounds, round(sends)) == documented()[name]
