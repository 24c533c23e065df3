"""The functions that `splines` knows, to 40 digits: every party computes the same ones, whatever its processor's rounding.

A curve is a line before its first knot, polynomials between its knots, and after its last a line or the format's largest number.
Functions that are needed together, as GELU and its derivative are, have the same knots: one comparison serves both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal

DIGITS = Context(prec=40)
SQRT_2 = Decimal("1.414213562373095048801688724209698078570")
TWO_BY_SQRT_PI = Decimal("1.128379167095512573896158903121545171688")
SQRT_2_BY_PI = Decimal("0.797884560802865355879892119868763736952")
CUBIC = Decimal("0.044715")

Function = Callable[[Decimal], Decimal]
Line = tuple[int, int]
"""(a, b) of a + b x."""
ZERO, UNIT, SAME = (0, 0), (1, 0), (0, 1)


@dataclass(frozen=True)
class Curve:
    """`after` is a line, or the function's inverse if it grows out of every format, or None if nothing is above the last knot.

    `exact`: how it is compared.
    """

    name: str
    value: Function
    knots: tuple[float, ...]
    before: Line
    after: Line | Function | None
    exact: bool = False

    @property
    def bounded(self) -> bool:
        """Below 2 in magnitude."""
        return self.before[1] == 0 and (self.after is None or (isinstance(self.after, tuple) and self.after[1] == 0))


def _sigmoid(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


def _tanh(x: Decimal) -> Decimal:
    return 2 * _sigmoid(2 * x) - 1


def _erf(x: Decimal) -> Decimal:
    """2 / sqrt(pi) e^(-x^2) sum_n 2^n x^(2 n + 1) / (1 3 ... (2 n + 1))"""
    term = total = x
    n = 1
    while abs(term) > abs(total) * Decimal("1e-40"):
        term *= 2 * x * x / (2 * n + 1)
        total += term
        n += 1
    return TWO_BY_SQRT_PI * (-x * x).exp() * total


def _normal(x: Decimal) -> Decimal:
    return (1 + _erf(x / SQRT_2)) / 2


def _gelu(x: Decimal) -> Decimal:
    return x * _normal(x)


def _gelu_slope(x: Decimal) -> Decimal:
    return _normal(x) + x * (-x * x / 2).exp() * TWO_BY_SQRT_PI / (2 * SQRT_2)


def _gelu_tanh(x: Decimal) -> Decimal:
    return x * _sigmoid(2 * SQRT_2_BY_PI * (x + CUBIC * x**3))


def _gelu_tanh_slope(x: Decimal) -> Decimal:
    s = _sigmoid(2 * SQRT_2_BY_PI * (x + CUBIC * x**3))
    return s + x * s * (1 - s) * 2 * SQRT_2_BY_PI * (1 + 3 * CUBIC * x * x)


def _silu(x: Decimal) -> Decimal:
    return x * _sigmoid(x)


def _silu_slope(x: Decimal) -> Decimal:
    s = _sigmoid(x)
    return s + x * s * (1 - s)


def _softplus(x: Decimal) -> Decimal:
    return (1 + x.exp()).ln()


def _log_sigmoid(x: Decimal) -> Decimal:
    return -_softplus(-x)


def _log_sigmoid_slope(x: Decimal) -> Decimal:
    return _sigmoid(-x)


def _mish(x: Decimal) -> Decimal:
    return x * _tanh(_softplus(x))


def _mish_slope(x: Decimal) -> Decimal:
    t = _tanh(_softplus(x))
    return t + x * (1 - t * t) * _sigmoid(x)


def _expm1(x: Decimal) -> Decimal:
    return x.exp() - 1


def _log1p(x: Decimal) -> Decimal:
    return (1 + x).ln()


def exp_of_twice(shift: Decimal, x: Decimal) -> Decimal:
    return (2 * (x - shift)).exp()


SIGMOID = Curve("sigmoid", _sigmoid, (-8.4375, -1.875, 2.125, 7.25), ZERO, UNIT)
TANH = Curve("tanh", _tanh, (-4.0, -0.875, 0.875, 4.0), (-1, 0), UNIT)
ERF = Curve("erf", _erf, (-2.5, -0.625, 0.75, 2.5), (-1, 0), UNIT)

_OF_GELU = (-4.375, -2.125, -0.375, 1.25, 4.125)
GELU = Curve("gelu", _gelu, _OF_GELU, ZERO, SAME)
GELU_SLOPE = Curve("gelu's slope", _gelu_slope, _OF_GELU, ZERO, UNIT)
GELU_TANH = Curve("gelu", _gelu_tanh, _OF_GELU, ZERO, SAME)
GELU_TANH_SLOPE = Curve("gelu's slope", _gelu_tanh_slope, _OF_GELU, ZERO, UNIT)

_OF_SILU = (-10.875, -4.0, -1.25, 1.125, 5.5, 9.5)
SILU = Curve("silu", _silu, _OF_SILU, ZERO, SAME)
SILU_SLOPE = Curve("silu's slope", _silu_slope, _OF_SILU, ZERO, UNIT)

_OF_SOFTPLUS = (-8.4375, -2.5, 0.625, 5.25, 7.25)
SOFTPLUS = Curve("softplus", _softplus, _OF_SOFTPLUS, ZERO, SAME)
SOFTPLUS_SLOPE = Curve("softplus's slope", _sigmoid, _OF_SOFTPLUS, ZERO, UNIT)

_OF_LOG_SIGMOID = (-7.25, -5.25, -0.625, 2.5, 8.4375)
LOG_SIGMOID = Curve("log_sigmoid", _log_sigmoid, _OF_LOG_SIGMOID, SAME, ZERO)
LOG_SIGMOID_SLOPE = Curve("log_sigmoid's slope", _log_sigmoid_slope, _OF_LOG_SIGMOID, UNIT, ZERO)

_OF_MISH = (-10.875, -3.875, -1.125, 0.625, 3.0, 6.0)
MISH = Curve("mish", _mish, _OF_MISH, ZERO, SAME)
MISH_SLOPE = Curve("mish's slope", _mish_slope, _OF_MISH, ZERO, UNIT)

# Steep: what the resolution of a comparison misses would be too much.
EXP = Curve("exp", Decimal.exp, (-8.375, -2.75, 0.375, 3.0, 5.6875, 8.375, 11.0), ZERO, Decimal.ln, True)
EXPM1 = Curve("expm1", _expm1, (-8.3125, -1.9375, 0.8125, 3.25, 5.8125, 8.375, 11.0), (-1, 0), _log1p, True)
_OF_ELU = (-8.375, -2.75, 0.0)
ELU = Curve("elu", _expm1, _OF_ELU, (-1, 0), ZERO, True)
"""e^x - 1 below 0, and 0 above."""
ELU_SLOPE = Curve("elu's slope", Decimal.exp, _OF_ELU, ZERO, UNIT, True)
"""e^x below 0, and 1 above."""
