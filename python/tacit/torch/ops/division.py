"""Quotients, roots, logarithms, powers, norms: what divides by secrets. The mathematics is `numbers.functions.normal`'s."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from tacit import field as fp
from tacit.errors import Unsupported
from tacit.field import CAPACITY
from tacit.numbers import comparison
from tacit.numbers.arithmetic import Arithmetic, Number, Product
from tacit.numbers.functions import normal, splines
from tacit.numbers.standard import spread, sum_of_squares, variance
from tacit.torch.operands import Operand, array, axes, scalar, shape_of
from tacit.torch.ops.arithmetic import add, mul, times
from tacit.torch.ops.comparison import in_backward
from tacit.torch.ops.reductions import mean, total
from tacit.torch.rules import floating, implements

aten = torch.ops.aten

LARGEST_POWER = 64

Dims = Sequence[int] | int | None


@implements(aten.div.Tensor, aten.div.Scalar, integers=floating)
def div(a: Arithmetic, x: Operand, y: Operand) -> Number:
    if not isinstance(y, Number):
        assert isinstance(x, Number)
        return _by_public(a, x, y)
    y = _denominator(a, y)
    if not isinstance(x, Number):
        if scalar(x) == 1 and np.broadcast_shapes(shape_of(x), y.shape) == y.shape:
            return normal.reciprocal(a, y)
        x = a.constant(array(x))
    return normal.divide(a, x, y)


def _denominator(a: Arithmetic, y: Number) -> Number:
    """y in all the bits that it has, where torch's gradients divide by multiples, and products, of numbers in the contract."""
    made = y.wire.origin[1] if y.wire.pending and y.wire.origin else None
    if isinstance(made, Product) and made.form.elementwise and in_backward():
        return replace(y, bits=max(y.bits, min(made.x.bits + made.y.bits, CAPACITY)))
    return a.grown(y)


def _by_public(a: Arithmetic, x: Number, y: torch.Tensor | float, factor: float = 1.0) -> Number:
    """factor x / y"""
    divisor = array(y)
    if not divisor.all():
        raise Unsupported(f"aten.div of a secret tensor by a public operand of shape {divisor.shape} that holds a zero")
    value = scalar(y)
    if value is None:
        return times(a, x, torch.from_numpy(factor / divisor), "div")
    quotient = times(a, a.expand(x, np.broadcast_shapes(x.shape, divisor.shape)), factor / value, "div")
    normal.remember(quotient, x, factor / value)
    return quotient


@implements(aten.reciprocal.default, integers=floating)
def reciprocal(a: Arithmetic, x: Number) -> Number:
    return normal.reciprocal(a, _denominator(a, x))


@implements(aten.addcdiv.default)
def addcdiv(a: Arithmetic, x: Operand, y: Operand, z: Operand, *, value: float = 1) -> Number:
    """x + value y / z, whatever y / z alone is; 0 for value y / z where a secret z is 0."""
    if isinstance(z, Number):
        step: Operand = normal.quotient(a, y if isinstance(y, Number) else a.constant(array(y)), a.grown(z), value)
    else:
        step = _by_public(a, y, z, value) if isinstance(y, Number) else value * torch.as_tensor(y) / z
    return add(a, x, step, name="addcdiv")


@implements(aten.addcmul.default)
def addcmul(a: Arithmetic, x: Operand, y: Operand, z: Operand, *, value: float = 1) -> Number:
    """x + value y z, whatever y z or value y alone is. A square, as of a gradient of 1e-4, keeps what the field holds of it."""
    if not isinstance(z, Number):
        return add(a, x, mul(a, y, value * torch.as_tensor(z)), name="addcmul")
    if not isinstance(y, Number):
        return add(a, x, mul(a, value * torch.as_tensor(y), z), name="addcmul")
    if y.wire is z.wire and y.scale == z.scale:
        squares = sum_of_squares(a, a.times(y, math.sqrt(abs(value))), (), a.format.integer)
        return add(a, x, squares, 1 if value > 0 else -1, "addcmul")
    if abs(value) <= 1:
        return add(a, x, mul(a, times(a, y, value), z), name="addcmul")
    r, y = a.apart(y, value)
    return add(a, x, times(a, a.multiply(y, z), r), name="addcmul")


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
    return splines.exp(a, a.multiple(exponent, math.log(x), "pow"))


def _product(a: Arithmetic, x: Operand, y: Operand) -> Number:
    """x y on its way to an exponential: it may be far beyond the contract, where that is 0."""
    first, second = (replace(v, coarsest=a.format.fraction) if isinstance(v, Number) else v for v in (x, y))
    product = mul(a, first, second, "pow")
    assert isinstance(product, Number)
    return product


# Norms and variances.


@implements(aten.linalg_vector_norm.default)
def vector_norm(
    a: Arithmetic,
    x: Number,
    ord: float = 2,
    dim: Dims = None,
    keepdim: bool = False,
    dtype: Any = None,
) -> Number:
    if ord == 2:
        over = axes(dim, len(x.shape))
        squares = sum_of_squares(
            a, x, over, 2 * (x.bits - x.scale) + (fp.size([x.shape[i] for i in over]) - 1).bit_length()
        )
        return _kept(a, normal.sqrt(a, squares), x, over, keepdim)
    if ord == 1:
        sizes, over = comparison.absolute(a, x), axes(dim, len(x.shape))
        bits = sizes.bits + (fp.size([x.shape[i] for i in over]) - 1).bit_length()  # perhaps more than the contract has
        return a.sum(sizes, over, keepdim, bits) if bits <= CAPACITY else total(a, sizes, dim, keepdim)
    raise Unsupported(f"the norm of order {ord} of a secret tensor: 1 and 2 are there")


@implements(aten.norm.Scalar, aten.norm.ScalarOpt_dim)
def norm(
    a: Arithmetic, x: Number, p: float | None = 2, dim: Sequence[int] | None = None, keepdim: bool = False
) -> Number:
    return vector_norm(a, x, 2 if p is None else p, dim, keepdim)


@implements(aten.var.correction)
def var(
    a: Arithmetic, x: Number, dim: Dims = None, *, correction: float | None = None, keepdim: bool = False
) -> Number:
    _, divisor, over = _counted(x, dim, correction)
    _, squares, share = spread(a, x, over)
    return _kept(a, variance(a, squares, share**2 * divisor), x, over, keepdim)


@implements(aten.std.correction)
def std(
    a: Arithmetic, x: Number, dim: Dims = None, *, correction: float | None = None, keepdim: bool = False
) -> Number:
    """The divisor goes into what the root is looked up from: no variance is rounded."""
    count, divisor, over = _counted(x, dim, correction)
    _, squares, share = spread(a, x, over)
    scaled = Number(squares.wire, squares.scale + (count - 1).bit_length(), squares.bits)
    root = normal.sqrt(a, scaled, math.sqrt(count / (share**3 * divisor)))
    return _kept(a, root, x, over, keepdim)


@implements(aten.var_mean.correction)
def var_mean(
    a: Arithmetic, x: Number, dim: Dims = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Number, Number]:
    return var(a, x, dim, correction=correction, keepdim=keepdim), mean(a, x, dim, keepdim)


@implements(aten.std_mean.correction)
def std_mean(
    a: Arithmetic, x: Number, dim: Dims = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Number, Number]:
    return std(a, x, dim, correction=correction, keepdim=keepdim), mean(a, x, dim, keepdim)


def _counted(x: Number, dim: Dims, correction: float | None) -> tuple[int, float, tuple[int, ...]]:
    over = axes(dim, len(x.shape))
    count = fp.size([x.shape[i] for i in over])
    divisor = count - (1.0 if correction is None else correction)
    if divisor <= 0:
        raise Unsupported(f"a variance of {count} numbers with the correction {correction} divides by {divisor}")
    return count, divisor, over


def _kept(a: Arithmetic, rows: Number, x: Number, over: Sequence[int], keepdim: bool) -> Number:
    """Without the reduced axes, unless they are kept."""
    return rows if keepdim else a.reshape(rows, tuple(n for i, n in enumerate(x.shape) if i not in over))
