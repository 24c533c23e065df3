"""Losses whose gradient needs products only."""

import torch

from tacit.field import size
from tacit.fixed.arithmetic import Arithmetic, Number
from tacit.torch.operands import Operand, scalar, shape_of
from tacit.torch.ops.arithmetic import mul, sub, times
from tacit.torch.ops.reductions import mean, total
from tacit.torch.rules import implements

aten = torch.ops.aten

NONE, MEAN, SUM = 0, 1, 2


@implements(aten.mse_loss.default)
def mse_loss(a: Arithmetic, x: Operand, y: Operand, reduction: int = MEAN) -> Number:
    """Never computed unless someone reveals it: the gradient needs the difference only."""
    difference = sub(a, x, y)
    squares = a.multiply(difference, difference, "mse_loss")
    return mean(a, squares) if reduction == MEAN else total(a, squares) if reduction == SUM else squares


@implements(aten.mse_loss_backward.default)
def mse_loss_backward(a: Arithmetic, grad: Operand, x: Operand, y: Operand, reduction: int = MEAN) -> Operand:
    factor = 2 / size(shape_of(x)) if reduction == MEAN else 2.0
    if isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor):
        return mul(a, grad, (x - y) * factor)
    difference = sub(a, x, y)
    known = None if isinstance(grad, Number) else scalar(grad)
    if known is not None:  # one constant, one scale
        return times(a, difference, known * factor, "mse_loss gradient")
    return mul(a, times(a, difference, factor, "mse_loss gradient"), grad)
