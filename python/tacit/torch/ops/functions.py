"""Exponentials, activations, softmax. The mathematics is in `numbers.functions`; gradients find the comparisons of the values."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.errors import Unsupported
from tacit.field import size
from tacit.numbers import comparison
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.functions import softmax as softmaxes
from tacit.numbers.functions import splines
from tacit.numbers.known import Fact
from tacit.torch.operands import Operand, axes
from tacit.torch.ops.arithmetic import mul, sub, times
from tacit.torch.ops.reductions import total
from tacit.torch.rules import floating, implements

aten = torch.ops.aten

MULTIPLE: Fact[Number] = Fact("multiple")
"""By the factor."""
TOTALS: Fact[NDArray[np.float64]] = Fact("totals", bounded=False)
"""By an axis of a gradient: its sums along it, which are public, with the axis kept or to be broadcast."""
LINEAR = 7.0
"""Above this, softplus is a line within what it is right to."""


@implements(aten.exp.default, integers=floating)
def exp(a: Arithmetic, x: Number) -> Number:
    return splines.exp(a, a.resolved(x, "exp"))


@implements(aten.exp2.default, integers=floating)
def exp2(a: Arithmetic, x: Number) -> Number:
    return splines.exp2(a, a.resolved(x, "exp2"))


@implements(aten.expm1.default, integers=floating)
def expm1(a: Arithmetic, x: Number) -> Number:
    return splines.expm1(a, a.resolved(x, "expm1"))


@implements(aten.erf.default, integers=floating)
def erf(a: Arithmetic, x: Number) -> Number:
    return splines.erf(a, x)


@implements(aten.erfc.default, integers=floating)
def erfc(a: Arithmetic, x: Number) -> Number:
    return comparison.complement(a, splines.erf(a, x))


# Activations.


@implements(aten.sigmoid.default, integers=floating)
def sigmoid(a: Arithmetic, x: Number) -> Number:
    return splines.sigmoid(a, x)


@implements(aten.sigmoid_backward.default)
def sigmoid_backward(a: Arithmetic, grad: Operand, y: Number) -> Number:
    """g y (1 - y)"""
    y = a.rescale(y)
    return mul(a, grad, a.multiply(y, comparison.complement(a, y)))


@implements(aten.tanh.default, integers=floating)
def tanh(a: Arithmetic, x: Number) -> Number:
    return splines.tanh(a, x)


@implements(aten.tanh_backward.default)
def tanh_backward(a: Arithmetic, grad: Operand, y: Number) -> Number:
    """g (1 - y^2)"""
    return mul(a, grad, comparison.complement(a, a.multiply(y, y)))


@implements(aten.gelu.default)
def gelu(a: Arithmetic, x: Number, approximate: str = "none") -> Number:
    return splines.gelu(a, x, approximate == "tanh")


@implements(aten.gelu_backward.default)
def gelu_backward(a: Arithmetic, grad: Operand, x: Number, approximate: str = "none") -> Number:
    return mul(a, grad, splines.gelu_slope(a, x, approximate == "tanh"))


@implements(aten.silu.default)
def silu(a: Arithmetic, x: Number) -> Number:
    return splines.silu(a, x)


@implements(aten.silu_backward.default)
def silu_backward(a: Arithmetic, grad: Operand, x: Number) -> Number:
    return mul(a, grad, splines.silu_slope(a, x))


@implements(aten.mish.default)
def mish(a: Arithmetic, x: Number) -> Number:
    return splines.mish(a, x)


@implements(aten.mish_backward.default)
def mish_backward(a: Arithmetic, grad: Operand, x: Number) -> Number:
    return mul(a, grad, splines.mish_slope(a, x))


@implements(aten.softplus.default)
def softplus(a: Arithmetic, x: Number, beta: float = 1, threshold: float = 20) -> Number:
    """log(1 + e^(beta x)) / beta"""
    return a.times(splines.softplus(a, _softly(a, x, beta, threshold)), 1 / beta)


@implements(aten.softplus_backward.default)
def softplus_backward(a: Arithmetic, grad: Operand, x: Number, beta: float, threshold: float) -> Number:
    return mul(a, grad, splines.softplus_slope(a, _softly(a, x, beta, threshold)))


def _softly(a: Arithmetic, x: Number, beta: float, threshold: float) -> Number:
    if beta <= 0 or threshold < LINEAR:
        raise Unsupported(
            f"aten.softplus of a secret tensor with beta={beta} and threshold={threshold}: beta must be positive, and the "
            f"threshold at least {LINEAR:g} (torch's is 20)"
        )
    return _scaled(a, x, beta)


def _scaled(a: Arithmetic, x: Number, factor: float) -> Number:
    """factor x, the same value each time, so that it is compared once."""
    return MULTIPLE.found(x, lambda: a.multiple(x, factor), factor)


@implements(aten.log_sigmoid_forward.default)
def log_sigmoid(a: Arithmetic, x: Number) -> tuple[Number, torch.Tensor]:
    return splines.log_sigmoid(a, x), torch.zeros(0)


@implements(aten.log_sigmoid_backward.default)
def log_sigmoid_backward(a: Arithmetic, grad: Operand, x: Number, buffer: torch.Tensor) -> Number:
    return mul(a, grad, splines.log_sigmoid_slope(a, x))


@implements(aten.elu.default)
def elu(a: Arithmetic, x: Number, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Number:
    """scale x above 0, scale alpha (e^(input_scale x) - 1) below. SELU is one."""
    above, below = splines.elu_parts(a, _scaled(a, x, input_scale))
    line = a.times(a.multiply(x, above, "elu", bits=x.bits), scale)
    return a.add(line, a.times(below, scale * alpha), name="elu")


@implements(aten.elu_backward.default)
def elu_backward(
    a: Arithmetic, grad: Operand, alpha: float, scale: float, input_scale: float, of_result: bool, x: Number
) -> Number:
    """`of_result`: x is what came out, from which the slope below 0 is input_scale (x + scale alpha)."""
    if not of_result:
        slope = splines.elu_slope(a, _scaled(a, x, input_scale), alpha * input_scale)
        return mul(a, grad, a.times(slope, scale))
    below = a.times(a.add_public(x, np.asarray(scale * alpha)), input_scale)
    rise = a.add_public(a.negate(below), np.asarray(scale))
    return mul(a, grad, a.add(below, a.multiply(rise, comparison.non_negative(a, x, exact=True))))


@implements(aten.celu.default)
def celu(a: Arithmetic, x: Number, alpha: float = 1) -> Number:
    return elu(a, x, alpha, 1, 1 / alpha)


# Softmax.


@implements(aten._softmax.default)
def softmax(a: Arithmetic, x: Number, dim: int, half_to_float: bool = False) -> Number:
    order = _last(x, dim)
    return a.permute(softmaxes.softmax(a, a.permute(x, order)), order)


@implements(aten._softmax_backward_data.default)
def softmax_backward(a: Arithmetic, grad: Operand, y: Number, dim: int, dtype: torch.dtype) -> Number:
    """y (g - sum g y)"""
    weighed = mul(a, grad, y)
    return a.add(weighed, a.multiply(y, total(a, weighed, (dim,), True)), -1, "softmax gradient")


@implements(aten._log_softmax.default)
def log_softmax(a: Arithmetic, x: Number, dim: int, half_to_float: bool = False) -> Number:
    """The softmax, which is known of it, serves the gradient: the logarithm is taken only if somebody looks at the value."""
    order = _last(x, dim)
    moved = softmaxes.log_softmax(a, a.permute(x, order))
    out = a.permute(moved, order)
    shares = softmaxes.SOFTMAX.of(moved, len(x.shape) - 1)
    assert shares is not None
    softmaxes.SOFTMAX.note(out, a.permute(shares, order), dim % max(1, len(x.shape)))
    return out


@implements(aten._log_softmax_backward_data.default)
def log_softmax_backward(a: Arithmetic, grad: Operand, out: Number, dim: int, dtype: torch.dtype) -> Operand:
    """g - softmax sum g. Where the sums are known in public, as those of a loss of one-hots are, there is no product."""
    axis = dim % max(1, len(out.shape))
    y = softmaxes.SOFTMAX.of(out, axis)
    if y is None:
        y = splines.exp(a, out)
    if isinstance(grad, Number):
        sums = TOTALS.of(grad, axis)
        if sums is not None:
            return a.add(grad, a.times_public(y, sums), -1, "softmax gradient")
        return sub(a, grad, a.multiply(y, total(a, grad, (dim,), True)))
    assert isinstance(grad, torch.Tensor)
    return sub(a, grad, times(a, y, grad.sum(dim, keepdim=True)))


@implements(aten.logsumexp.default, integers=floating)
def logsumexp(a: Arithmetic, x: Number, dim: Sequence[int], keepdim: bool = False) -> Number:
    summed = axes(dim, len(x.shape))
    kept = [i for i in range(len(x.shape)) if i not in summed]
    rows = a.permute(x, [*kept, *summed])
    shape = tuple(x.shape[i] for i in kept)
    found = softmaxes.logsumexp(a, a.reshape(rows, (*shape, size([x.shape[i] for i in summed]))))
    return a.reshape(found, tuple(1 if i in summed else n for i, n in enumerate(x.shape)) if keepdim else shape)


def _last(x: Number, dim: int) -> list[int]:
    """The permutation that exchanges `dim` with the last axis."""
    order = list(range(len(x.shape)))
    if order:
        order[dim], order[-1] = order[-1], order[dim]
    return order
