"""What needs the sign of a value: found once, used again in the backward pass."""

import torch

from tacit.errors import Unsupported
from tacit.fixed import comparison
from tacit.fixed.arithmetic import Arithmetic, Number
from tacit.torch.operands import Operand
from tacit.torch.ops.arithmetic import add, times
from tacit.torch.rules import implements

aten = torch.ops.aten


@implements(aten.relu.default)
def relu(a: Arithmetic, x: Number) -> Number:
    return comparison.relu(a, x)


@implements(aten.threshold_backward.default)
def relu_backward(a: Arithmetic, g: Operand, x: Number, threshold: float) -> Number:
    """g [x > 0], where x is the output of a ReLU."""
    if threshold != 0:
        raise Unsupported("aten.threshold_backward at a threshold other than 0: use a ReLU of the difference")
    return _gated(a, g, comparison.gate(a, x))


@implements(aten.leaky_relu.default)
def leaky_relu(a: Arithmetic, x: Number, slope: float = 0.01) -> Number:
    return comparison.leaky_relu(a, x, slope)


@implements(aten.leaky_relu_backward.default)
def leaky_relu_backward(a: Arithmetic, g: Operand, x: Number, slope: float, of_result: bool) -> Number:
    """`of_result`: x is what came out, else what went in."""
    bit = comparison.gate(a, x) if of_result else comparison.non_negative(a, x)
    gated = times(a, _gated(a, g, bit), 1 - slope)
    return add(a, gated, times(a, g, slope) if isinstance(g, Number) else g * slope)


@implements(aten.abs.default)
def absolute(a: Arithmetic, x: Number) -> Number:
    return comparison.absolute(a, x)


@implements(aten.sgn.default, aten.sign.default)
def sign(a: Arithmetic, x: Number) -> Number:
    """2 [x >= 0] - 1: 1 at zero, unlike torch's."""
    return a.add_public(a.times(comparison.non_negative(a, x), 2.0), comparison.MINUS_ONE)


def _gated(a: Arithmetic, g: Operand, bit: Number) -> Number:
    return a.multiply(g, bit, "gradient") if isinstance(g, Number) else times(a, bit, g)
