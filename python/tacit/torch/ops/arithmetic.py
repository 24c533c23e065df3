"""Sums and products."""

from typing import Any

import numpy as np
import torch

from tacit.numbers import masks, selection
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.functions import normal
from tacit.torch.operands import Operand, array, scalar, shape_of
from tacit.torch.rules import booleans, first, implements, promoted

aten = torch.ops.aten


@implements(aten.add.Tensor, aten.add.Scalar, integers=promoted)
def add(a: Arithmetic, x: Operand, y: Operand, alpha: float = 1, name: str = "add") -> Number:
    """x + alpha y."""
    if isinstance(y, Number):
        if not isinstance(x, Number):
            return _shift(a, y if alpha == 1 else times(a, y, alpha), x, name)
        if abs(alpha) == 1:
            return a.add(x, y, int(alpha), name)
        return a.add(x, times(a, y, alpha), 1, name)
    assert isinstance(x, Number)
    return _shift(a, x, y if alpha == 1 else y * alpha, name)


def _shift(a: Arithmetic, x: Number, y: torch.Tensor | float, name: str) -> Number:
    """x + y for a public y. Adding zeros, as to a gradient that was zeroed, costs no bit."""
    values = array(y)
    if not values.any():
        return a.expand(x, np.broadcast_shapes(x.shape, values.shape))
    shifted = masks.added(a, x, values, name)
    if (addend := scalar(y)) is not None:
        normal.remember(shifted, x, 1.0, addend)
    return shifted


@implements(aten.sub.Tensor, aten.sub.Scalar, integers=promoted)
def sub(a: Arithmetic, x: Operand, y: Operand, alpha: float = 1) -> Number:
    return add(a, x, y, -alpha, "sub")


@implements(aten.rsub.Tensor, aten.rsub.Scalar, integers=promoted)
def rsub(a: Arithmetic, x: Operand, y: Operand, alpha: float = 1) -> Number:
    return add(a, y, x, -alpha, "sub")


@implements(aten.neg.default, integers=first)
def neg(a: Arithmetic, x: Number) -> Number:
    return a.negate(x)


@implements(aten.positive.default, integers=first)
def positive(a: Arithmetic, x: Number) -> Number:
    return x


@implements(aten.mul.Tensor, aten.mul.Scalar, integers=promoted)
def mul(a: Arithmetic, x: Operand, y: Operand, name: str = "mul") -> Number:
    if isinstance(x, Number):
        return a.multiply(x, y, name) if isinstance(y, Number) else times(a, x, y, name)
    assert isinstance(y, Number)
    return times(a, y, x, name)


def times(a: Arithmetic, x: Number, y: torch.Tensor | float, name: str = "mul") -> Number:
    """x times something public."""
    x = a.expand(x, np.broadcast_shapes(x.shape, shape_of(y)))
    factor = scalar(y)
    if factor == 1:
        return x
    if factor is None:
        return a.times_public(x, array(y), name)
    return masks.times(a, x, factor, name)


@implements(aten.lerp.Scalar, aten.lerp.Tensor)
def lerp(a: Arithmetic, x: Operand, y: Operand, weight: Operand) -> Number:
    return add(a, x, mul(a, sub(a, y, x), weight))


def _of_choices(args: tuple[Any, ...]) -> torch.dtype:
    booleans(args[:1])
    return torch.result_type(args[1], args[2])


def _of_filled(args: tuple[Any, ...]) -> torch.dtype:
    booleans(args[1:2])
    return first(args)


@implements(aten.where.self, integers=_of_choices)
def where(a: Arithmetic, condition: Operand, x: Operand, y: Operand) -> Number:
    """By a public condition, or by a secret boolean: y + c (x - y), a product with a bit."""
    if isinstance(condition, Number):
        if not isinstance(x, Number) and not isinstance(y, Number):
            return add(a, y, times(a, condition, torch.as_tensor(x) - y), name="where")
        if (isinstance(x, Number) and isinstance(y, Number)) or not _far(a, y if isinstance(x, Number) else x):
            return add(a, y, selection.masked(a, condition, sub(a, x, y)), name="where")
        one, other = _chosen(a, condition, x), _chosen(a, selection.complemented(a, condition), y)
        return a.add(one, other, name="where")
    assert isinstance(condition, torch.Tensor)
    return add(a, _masked(a, x, condition), _masked(a, y, ~condition.bool()))


def _far(a: Arithmetic, x: Operand) -> bool:
    """Return whether some public number is beyond the format."""
    return bool((np.abs(array(x)) >= 2.0**a.format.integer).any())  # type: ignore[arg-type]


def _chosen(a: Arithmetic, bit: Number, x: Operand) -> Number:
    return selection.masked(a, bit, x) if isinstance(x, Number) else a.times_public(bit, masks.finite(a, array(x)))


def _masked(a: Arithmetic, x: Operand, kept: torch.Tensor) -> Operand:
    return (
        masks.chosen(a, x, array(kept)) if isinstance(x, Number) else torch.where(kept.bool(), torch.as_tensor(x), 0.0)
    )


@implements(aten.masked_fill.Scalar, aten.masked_fill.Tensor, integers=_of_filled)
def masked_fill(a: Arithmetic, x: Operand, mask: Operand, value: Operand) -> Number:
    return where(a, mask, value, x)
