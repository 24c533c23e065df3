"""Operations that need the sign of a value, found once and used again in the backward pass: comparisons, and their logic.

>, >=, <, <=, == and != are exact, and give secret booleans: bits, with which products open nothing.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from tacit.errors import Unsupported
from tacit.field import size
from tacit.graph.maps import Expand, Reshape
from tacit.numbers import comparison, selection
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.torch import labels
from tacit.torch.operands import Operand, array, axes, scalar, shape_of
from tacit.torch.ops.arithmetic import add, mul, times
from tacit.torch.rules import Typed, booleans, implements, promoted

aten = torch.ops.aten


@implements(aten.relu.default)
def relu(a: Arithmetic, x: Number) -> Number:
    return comparison.relu(a, x)


@implements(aten.threshold_backward.default)
def relu_backward(a: Arithmetic, g: Operand, x: Number, threshold: float) -> Number:
    """g [x > t]; for t = 0, x is the output of a ReLU."""
    return _gated(a, g, selection.compare(a, x, ">", threshold) if threshold else comparison.gate(a, x))


@implements(aten.threshold.default)
def above(a: Arithmetic, x: Number, threshold: float, value: float) -> Number:
    """x where it is above the threshold, else the value."""
    bit = selection.compare(a, x, ">", threshold)
    return add(a, selection.masked(a, bit, x), times(a, selection.complemented(a, bit), value))


@implements(aten._prelu_kernel.default)
def prelu(a: Arithmetic, x: Number, slope: Operand) -> Number:
    """relu(x) + slope (x - relu(x))"""
    gated = comparison.relu(a, x)
    return add(a, gated, mul(a, a.add(x, gated, -1), slope), name="prelu")


@implements(aten._prelu_kernel_backward.default)
def prelu_backward(a: Arithmetic, g: Operand, x: Operand, slope: Operand) -> tuple[Number, Number]:
    """(g ([x >= 0] + slope [x < 0]), g (x - relu(x))), the second still to be summed."""
    if not isinstance(x, Number):
        raise Unsupported("the gradient of aten.prelu of public values with a secret slope: use two ReLUs")
    below = _gated(a, g, selection.complemented(a, comparison.non_negative(a, x)))
    passed = _gated(a, g, comparison.non_negative(a, x))
    return add(a, passed, mul(a, below, slope)), mul(a, below, x)


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
    """[x > 0] + [x >= 0] - 1, exact. As the gradient of abs 2 [x >= 0] - 1, from what abs compared: 1 at zero."""
    if in_backward():
        return a.add_public(a.times(comparison.non_negative(a, x, exact=True), 2.0), comparison.MINUS_ONE)
    low, high = selection.reached(a, x, [0, 1])
    return a.add_public(a.add(low, high), comparison.MINUS_ONE, "sign")


def _gated(a: Arithmetic, g: Operand, bit: Number) -> Number:
    return a.multiply(g, bit, "gradient") if isinstance(g, Number) else times(a, bit, g)


# Comparisons.

MIRRORED = {">=": "<=", ">": "<", "<=": ">=", "<": ">", "==": "==", "!=": "!="}


def _compare(a: Arithmetic, x: Operand, y: Operand, relation: str) -> Typed:
    if not isinstance(x, Number):
        x, y, relation = y, x, MIRRORED[relation]
    assert isinstance(x, Number)
    equal = labels.equal(a, x, y) if relation in ("==", "!=") else None
    if equal is None and relation == "==" and in_backward() and isinstance(y, Number):
        equal = _winner(x, y) or _winner(y, x)
    if isinstance(equal, torch.Tensor):
        return Typed(equal if relation == "==" else ~equal, torch.bool)
    if equal is not None:
        return Typed(equal if relation == "==" else selection.complemented(a, equal), torch.bool)
    threshold = None if isinstance(y, Number) else scalar(y)
    if threshold is not None:
        x = a.expand(x, np.broadcast_shapes(x.shape, shape_of(y)))
        return Typed(selection.compare(a, x, relation, threshold, in_backward()), torch.bool)
    apart = selection.difference(a, x, y if isinstance(y, Number) else array(y))
    return Typed(selection.compare(a, apart, relation, 0.0, in_backward()), torch.bool)


for _relation, _packet in zip(MIRRORED, (aten.ge, aten.gt, aten.le, aten.lt, aten.eq, aten.ne), strict=True):
    implements(_packet.Tensor, _packet.Scalar, integers=promoted)(partial(_compare, relation=_relation))


def in_backward() -> bool:
    """A gradient may go to either of two equal numbers: what was compared for the value serves it."""
    return torch._C._current_autograd_node() is not None


def _winner(x: Number, largest: Number) -> Number | None:
    """Where in x its `largest` is, if it is that: at one place, the first, of those that are equal."""
    while largest.base is not None and isinstance(largest.base[0], Reshape | Expand):
        largest = largest.base[1]
    if (known := selection.LARGEST_OF.of(largest)) is None:
        return None
    whole, one_hot = known
    return one_hot if whole.wire is x.wire and whole.scale == x.scale else None


@implements(aten.isnan.default, aten.isinf.default, aten.isposinf.default, aten.isneginf.default)
def never(a: Arithmetic, x: Number) -> Typed:
    """Secret numbers are finite."""
    return Typed(torch.zeros(x.shape), torch.bool)


@implements(aten.isfinite.default)
def always(a: Arithmetic, x: Number) -> Typed:
    return Typed(torch.ones(x.shape), torch.bool)


# Logic.


@implements(aten.logical_not.default, aten.bitwise_not.default, integers=booleans)
def negation(a: Arithmetic, x: Number) -> Typed:
    return Typed(selection.complemented(a, x), torch.bool)


@implements(aten.logical_and.default, aten.bitwise_and.Tensor, aten.__and__.Tensor, integers=booleans)
def conjunction(a: Arithmetic, x: Operand, y: Operand) -> Typed:
    bit, other = _bits(x, y)
    return Typed(selection.both(a, bit, other) if isinstance(other, Number) else times(a, bit, other), torch.bool)


@implements(aten.logical_or.default, aten.bitwise_or.Tensor, aten.__or__.Tensor, integers=booleans)
def disjunction(a: Arithmetic, x: Operand, y: Operand) -> Typed:
    bit, other = _bits(x, y)
    if isinstance(other, Number):
        return Typed(selection.either(a, bit, other), torch.bool)
    kept = times(a, bit, ~other) if other.any() else a.expand(bit, np.broadcast_shapes(bit.shape, other.shape))
    return Typed(selection.bit(add(a, kept, other)), torch.bool)


@implements(aten.logical_xor.default, aten.bitwise_xor.Tensor, aten.__xor__.Tensor, integers=booleans)
def difference(a: Arithmetic, x: Operand, y: Operand) -> Typed:
    bit, other = _bits(x, y)
    if isinstance(other, Number):
        return Typed(selection.differ(a, bit, other), torch.bool)
    return Typed(selection.bit(add(a, times(a, bit, 1.0 - 2.0 * other), other)), torch.bool)


def _bits(x: Operand, y: Operand) -> tuple[Number, Number | torch.Tensor]:
    """The secret one first; a public one as booleans."""
    bit, other = (x, y) if isinstance(x, Number) else (y, x)
    assert isinstance(bit, Number)
    return bit, other if isinstance(other, Number) else torch.as_tensor(other).bool()


@implements(aten.any.default, aten.any.dim, aten.any.dims, integers=booleans)
def some(a: Arithmetic, x: Number, dim: Sequence[int] | int | None = None, keepdim: bool = False) -> Typed:
    """[count >= 1]"""
    return Typed(selection.compare(a, selection.count(a, x, axes(dim, len(x.shape)), keepdim), ">=", 1.0), torch.bool)


@implements(aten.all.default, aten.all.dim, aten.all.dims, integers=booleans)
def every(a: Arithmetic, x: Number, dim: Sequence[int] | int | None = None, keepdim: bool = False) -> Typed:
    """[count >= n]"""
    along = axes(dim, len(x.shape))
    n = float(size([x.shape[i] for i in along]))
    return Typed(selection.compare(a, selection.count(a, x, along, keepdim), ">=", n), torch.bool)
