"""Quotients, roots, logarithms, powers, norms: what divides by secrets. The mathematics is `fixed.functions.normal`'s."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tacit import field as fp
from tacit.errors import Unsupported
from tacit.field import CAPACITY
from tacit.fixed import comparison
from tacit.fixed.arithmetic import Arithmetic, Number
from tacit.fixed.functions import normal, splines
from tacit.torch.operands import Operand, array, axes, scalar, shape_of
from tacit.torch.ops.arithmetic import add, mul, times
from tacit.torch.ops.reductions import total
from tacit.torch.rules import floating, implements

aten = torch.ops.aten

LARGEST_POWER = 64


@implements(aten.div.Tensor, aten.div.Scalar, integers=floating)
def div(a: Arithmetic, x: Operand, y: Operand, bounded: bool = False) -> Number:
    if not isinstance(y, Number):
        assert isinstance(x, Number)
        return _by_public(a, x, y)
    if not isinstance(x, Number):
        if scalar(x) == 1 and np.broadcast_shapes(shape_of(x), y.shape) == y.shape:
            return normal.reciprocal(a, y)
        x = a.constant(array(x))
    return normal.divide(a, x, y, bounded=bounded)


def _by_public(a: Arithmetic, x: Number, y: torch.Tensor | float) -> Number:
    divisor = array(y)
    if not divisor.all():
        raise Unsupported(f"aten.div of a secret tensor by a public operand of shape {divisor.shape} that holds a zero")
    value = scalar(y)
    if value is None:
        return times(a, x, torch.from_numpy(1 / divisor), "div")
    quotient = times(a, a.expand(x, np.broadcast_shapes(x.shape, divisor.shape)), 1 / value, "div")
    normal.remember(quotient, x, 1 / value)
    return quotient


@implements(aten.reciprocal.default, integers=floating)
def reciprocal(a: Arithmetic, x: Number) -> Number:
    return normal.reciprocal(a, x)


@implements(aten.addcdiv.default)
def addcdiv(a: Arithmetic, x: Operand, y: Operand, z: Operand, *, value: float = 1) -> Number:
    """x + value y / z, for a quotient that fits the format, as an optimiser's does; 0 where z is 0."""
    return add(a, x, mul(a, div(a, y, z, bounded=True), value), name="addcdiv")


# Roots and logarithms.


@implements(aten.sqrt.default, integers=floating)
def sqrt(a: Arithmetic, x: Number) -> Number:
    return normal.sqrt(a, x)


@implements(aten.rsqrt.default, integers=floating)
def rsqrt(a: Arithmetic, x: Number) -> Number:
    return normal.rsqrt(a, x)


@implements(aten.log.default, integers=floating)
def log(a: Arithmetic, x: Number) -> Number:
    return normal.log(a, x)


@implements(aten.log2.default, integers=floating)
def log2(a: Arithmetic, x: Number) -> Number:
    return a.times(normal.log(a, x), 1 / math.log(2), "log2")


@implements(aten.log10.default, integers=floating)
def log10(a: Arithmetic, x: Number) -> Number:
    return a.times(normal.log(a, x), 1 / math.log(10), "log10")


@implements(aten.log1p.default, integers=floating)
def log1p(a: Arithmetic, x: Number) -> Number:
    return normal.log(a, a.add_public(x, comparison.ONE))


# Powers.


@implements(aten.pow.Tensor_Scalar)
def power(a: Arithmetic, x: Number, exponent: float) -> Number | torch.Tensor:
    """By squaring, from the reciprocal or the root where that is needed; e^(exponent log x) for no multiple of 1/2."""
    if abs(exponent) > LARGEST_POWER:
        raise Unsupported(f"aten.pow of a secret tensor with the exponent {exponent}: the largest is {LARGEST_POWER}")
    if 2 * exponent != int(2 * exponent):
        return splines.exp(a, a.times(normal.log(a, x), exponent, "pow"))
    if exponent == 0:
        return torch.ones(x.shape)
    return normal.power(a, x, exponent)


@implements(aten.pow.Tensor_Tensor)
def power_of_tensors(a: Arithmetic, x: Operand, exponent: Operand) -> Number:
    """e^(exponent log x), for x > 0."""
    if isinstance(x, Number):
        return splines.exp(a, _product(a, exponent, normal.log(a, x)))
    return splines.exp(a, _product(a, exponent, torch.from_numpy(np.log(array(x)))))


@implements(aten.pow.Scalar)
def power_of_public(a: Arithmetic, x: float, exponent: Number) -> Number:
    if x <= 0:
        raise Unsupported(f"aten.pow of {x} with a secret exponent: the base must be positive")
    return splines.exp(a, a.times(exponent, math.log(x), "pow"))


def _product(a: Arithmetic, x: Operand, y: Operand) -> Number:
    product = mul(a, x, y, "pow")
    assert isinstance(product, Number)
    return product


# Norms and variances.


@implements(aten.linalg_vector_norm.default)
def vector_norm(
    a: Arithmetic,
    x: Number,
    ord: float = 2,
    dim: Sequence[int] | int | None = None,
    keepdim: bool = False,
    dtype: Any = None,
) -> Number:
    if ord == 2:
        return normal.sqrt(a, total(a, a.multiply(x, x, "norm"), dim, keepdim))
    if ord == 1:
        return total(a, comparison.absolute(a, x), dim, keepdim)
    raise Unsupported(f"the norm of order {ord} of a secret tensor: 1 and 2 are there")


@implements(aten.norm.Scalar, aten.norm.ScalarOpt_dim)
def norm(
    a: Arithmetic, x: Number, p: float | None = 2, dim: Sequence[int] | None = None, keepdim: bool = False
) -> Number:
    return vector_norm(a, x, 2 if p is None else p, dim, keepdim)


@implements(aten.var.correction)
def var(
    a: Arithmetic,
    x: Number,
    dim: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> Number:
    return _spread(a, x, dim, correction, keepdim)[0]


@implements(aten.std.correction)
def std(
    a: Arithmetic,
    x: Number,
    dim: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> Number:
    return normal.sqrt(a, _spread(a, x, dim, correction, keepdim)[0])


@implements(aten.var_mean.correction)
def var_mean(
    a: Arithmetic,
    x: Number,
    dim: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> tuple[Number, Number]:
    return _spread(a, x, dim, correction, keepdim)


@implements(aten.std_mean.correction)
def std_mean(
    a: Arithmetic,
    x: Number,
    dim: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> tuple[Number, Number]:
    variance, mean = _spread(a, x, dim, correction, keepdim)
    return normal.sqrt(a, variance), mean


def _spread(
    a: Arithmetic, x: Number, dim: Sequence[int] | None, correction: float | None, keepdim: bool
) -> tuple[Number, Number]:
    """Variance and mean."""
    over = axes(dim, len(x.shape))
    count = fp.size([x.shape[i] for i in over])
    divisor = count - (1.0 if correction is None else correction)
    if divisor <= 0:
        raise Unsupported(f"a variance of {count} numbers with the correction {correction} divides by {divisor}")
    mean = a.mean(x, over, True)
    squares = squared(a, a.add(x, mean, -1, "variance"), count)
    variance = a.times(a.sum(squares, over, keepdim, squares.bits), 1 / divisor, "variance")
    return variance, a.reshape(mean, variance.shape)


def squared(a: Arithmetic, x: Number, terms: int = 1) -> Number:
    """x^2 at the highest scale at which a sum of `terms` fits whose mean is in the contract."""
    grow = max(0, (terms - 1).bit_length())
    x = a.truncate(x, x.scale - (CAPACITY - a.format.integer - grow) // 2)
    return a.multiply(x, x, "square", bits=min(2 * x.bits, 2 * x.scale + a.format.integer + grow, CAPACITY - grow))
