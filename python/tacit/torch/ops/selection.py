"""Ranges, the largest and the least, whole parts: exact, compared once for both passes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tacit.errors import Unsupported
from tacit.field import size
from tacit.numbers import selection
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.torch.operands import Operand, array, axes, scalar, shape_of
from tacit.torch.ops.arithmetic import add, mul, sub, times
from tacit.torch.rules import Typed, first, implements, promoted

aten = torch.ops.aten

# Ranges. Activations compare at the resolution of a ReLU, and their gradients find the same bits.


def _with_ends(args: tuple[Any, ...]) -> torch.dtype:
    """The result's dtype: real where integers are held between real numbers."""
    dtype = first(args)
    for end in args[1:]:
        dtype = dtype if end is None else torch.promote_types(dtype, torch.result_type(args[0], end))
    return dtype


@implements(aten.clamp.default, aten.clamp.Tensor, integers=_with_ends)
def clamp(a: Arithmetic, x: Operand, low: Operand | None = None, high: Operand | None = None) -> Operand:
    """Numbers as ends: one opening for both. Tensors, secret or public, element by element."""
    ends = [None if e is None or isinstance(e, Number) else scalar(e) for e in (low, high)]
    plain = all(known is not None or e is None for known, e in zip(ends, (low, high), strict=True))
    if plain and isinstance(x, Number):
        return selection.clamp(a, x, ends[0], ends[1])
    above = x if low is None else larger(a, x, low)
    return above if high is None else smaller(a, above, high)


@implements(aten.clamp_min.default, aten.clamp_min.Tensor, integers=_with_ends)
def clamp_min(a: Arithmetic, x: Operand, low: Operand) -> Operand:
    return clamp(a, x, low)


@implements(aten.clamp_max.default, aten.clamp_max.Tensor, integers=_with_ends)
def clamp_max(a: Arithmetic, x: Operand, high: Operand) -> Operand:
    return clamp(a, x, None, high)


@implements(aten.hardtanh.default)
def hardtanh(a: Arithmetic, x: Number, low: float = -1, high: float = 1) -> Number:
    """Within 2^-7 of an end it may be either: the error is below that. ReLU6 is one."""
    return selection.clamp(a, x, low, high, exact=False)


@implements(aten.hardtanh_backward.default)
def hardtanh_backward(a: Arithmetic, grad: Operand, x: Number, low: float, high: float) -> Number:
    return mul(a, grad, _inside(a, x, low, high))


@implements(aten.hardsigmoid.default)
def hardsigmoid(a: Arithmetic, x: Number) -> Number:
    """(clamp(x, -3, 3) + 3) / 6, within 2^-9."""
    return times(a, add(a, hardtanh(a, x, -3, 3), 3.0), 1 / 6)


@implements(aten.hardsigmoid_backward.default)
def hardsigmoid_backward(a: Arithmetic, grad: Operand, x: Number) -> Number:
    return times(a, mul(a, grad, _inside(a, x, -3, 3)), 1 / 6)


@implements(aten.hardswish.default)
def hardswish(a: Arithmetic, x: Number) -> Number:
    """x hardsigmoid(x)"""
    return mul(a, x, hardsigmoid(a, x))


@implements(aten.hardswish_backward.default)
def hardswish_backward(a: Arithmetic, grad: Operand, x: Number) -> Number:
    """g ([-3 < x < 3] (2 x + 3) / 6 + [x >= 3])"""
    _, high = selection.edges(a, x, -3, 3, exact=False)
    slope = add(a, times(a, x, 1 / 3), 0.5)
    return mul(a, grad, add(a, selection.masked(a, _inside(a, x, -3, 3), slope), high))


@implements(aten.softshrink.default)
def softshrink(a: Arithmetic, x: Number, threshold: float = 0.5) -> Number:
    """x - clamp(x, -t, t)"""
    return sub(a, x, hardtanh(a, x, -threshold, threshold))


@implements(aten.hardshrink.default)
def hardshrink(a: Arithmetic, x: Number, threshold: float = 0.5) -> Number:
    return selection.masked(a, selection.outside(a, x, -threshold, threshold), x)


@implements(aten.softshrink_backward.default)
def softshrink_backward(a: Arithmetic, grad: Operand, x: Number, threshold: float) -> Number:
    return mul(a, grad, selection.complemented(a, _inside(a, x, -threshold, threshold)))


@implements(aten.hardshrink_backward.default)
def hardshrink_backward(a: Arithmetic, grad: Operand, x: Number, threshold: float) -> Number:
    return mul(a, grad, selection.outside(a, x, -threshold, threshold))


def _inside(a: Arithmetic, x: Number, low: float, high: float) -> Number:
    return selection.between(a, selection.edges(a, x, low, high, False), True)


# The larger or smaller of two.


@implements(aten.maximum.default, aten.fmax.default, aten.max.other, integers=promoted)
def larger(a: Arithmetic, x: Operand, y: Operand) -> Number:
    secret, other = (x, y) if isinstance(x, Number) else (y, x)
    assert isinstance(secret, Number)
    if isinstance(other, Number):
        return selection.maximum(a, secret, other)
    if (one := scalar(other)) is not None:
        return selection.clamp(a, a.expand(secret, np.broadcast_shapes(secret.shape, shape_of(other))), one, None)
    return selection.maximum(a, secret, array(other))


@implements(aten.minimum.default, aten.fmin.default, aten.min.other, integers=promoted)
def smaller(a: Arithmetic, x: Operand, y: Operand) -> Number:
    secret, other = (x, y) if isinstance(x, Number) else (y, x)
    assert isinstance(secret, Number)
    if isinstance(other, Number):
        return selection.minimum(a, secret, other)
    if (one := scalar(other)) is not None:
        return selection.clamp(a, a.expand(secret, np.broadcast_shapes(secret.shape, shape_of(other))), None, one)
    return selection.minimum(a, secret, array(other))


# The largest or least along axes. The first of equal ones counts, and takes the whole gradient.


@implements(aten.amax.default, integers=first)
def amax(a: Arithmetic, x: Number, dim: Sequence[int] = (), keepdim: bool = False) -> Number:
    return selection.largest(a, x, axes(dim, len(x.shape)), keepdim) if x.shape else x


@implements(aten.amin.default, integers=first)
def amin(a: Arithmetic, x: Number, dim: Sequence[int] = (), keepdim: bool = False) -> Number:
    return selection.least(a, x, axes(dim, len(x.shape)), keepdim) if x.shape else x


@implements(aten.max.default, integers=first)
def maximum(a: Arithmetic, x: Number) -> Number:
    return amax(a, x)


@implements(aten.min.default, integers=first)
def minimum(a: Arithmetic, x: Number) -> Number:
    return amin(a, x)


@implements(aten.aminmax.default, integers=first)
def aminmax(a: Arithmetic, x: Number, *, dim: int | None = None, keepdim: bool = False) -> tuple[Number, Number]:
    chosen = () if dim is None else (dim,)
    return amin(a, x, chosen, keepdim), amax(a, x, chosen, keepdim)


@implements(aten.max.dim, integers=first)
def max_dim(a: Arithmetic, x: Number, dim: int, keepdim: bool = False) -> tuple[Number, Typed]:
    return amax(a, x, (dim,), keepdim), argmax(a, x, dim, keepdim)


@implements(aten.min.dim, integers=first)
def min_dim(a: Arithmetic, x: Number, dim: int, keepdim: bool = False) -> tuple[Number, Typed]:
    return amin(a, x, (dim,), keepdim), argmin(a, x, dim, keepdim)


@implements(aten.argmax.default, integers=first)
def argmax(a: Arithmetic, x: Number, dim: int | None = None, keepdim: bool = False) -> Typed:
    """A secret index, which remembers its one-hot."""
    return _place(a, x, dim, keepdim)


@implements(aten.argmin.default, integers=first)
def argmin(a: Arithmetic, x: Number, dim: int | None = None, keepdim: bool = False) -> Typed:
    return _place(a, selection.negated(a, x), dim, keepdim)


def _place(a: Arithmetic, x: Number, dim: int | None, keepdim: bool) -> Typed:
    rank = len(x.shape)
    if not rank:
        return Typed(torch.zeros(()), torch.int64)
    along = axes(None if dim is None else (dim,), rank)
    kept = [i for i in range(rank) if i not in along]
    one_hot = a.permute(selection.winners_along(a, x, along), [*kept, *along])
    shape = [1 if i in along else n for i, n in enumerate(x.shape) if keepdim or i not in along]
    return Typed(selection.index(a, a.reshape(one_hot, (*shape, size([x.shape[i] for i in along])))), torch.int64)


# Whole parts: their gradient is zero.


@implements(aten.floor.default)
def floor(a: Arithmetic, x: Number) -> Number:
    return selection.floor(a, x)


@implements(aten.ceil.default)
def ceil(a: Arithmetic, x: Number) -> Number:
    return selection.ceil(a, x)


@implements(aten.trunc.default)
def trunc(a: Arithmetic, x: Number) -> Number:
    return selection.trunc(a, x)


@implements(aten.round.default)
def nearest(a: Arithmetic, x: Number) -> Number:
    """The nearest integer; the upper one of two that are equally near, where torch takes the even one."""
    return selection.nearest(a, x)


@implements(aten.frac.default)
def frac(a: Arithmetic, x: Number) -> Number:
    return a.add(x, selection.trunc(a, x), -1, "frac")


def converted(a: Arithmetic, x: Number, old: torch.dtype, new: torch.dtype) -> Number:
    """x, of dtype `old`, as `new`: towards zero as integers, [x != 0] as booleans."""
    if new == torch.bool:
        return x if old == torch.bool else selection.compare(a, x, "!=")
    if new.is_floating_point or not old.is_floating_point:
        return x
    if new not in (torch.int64, torch.int32, torch.int16):
        raise Unsupported(
            f"aten._to_copy of a secret tensor of {old} to {new}: torch.int64 and floating dtypes are there"
        )
    return selection.trunc(a, x)
