"""Layers that normalise: layer, group, and batch norm. z and 1 / sqrt(variance + eps) are kept for the backward pass."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from tacit.errors import Unsupported
from tacit.field import CAPACITY, size
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.format import SIGNIFICANT
from tacit.numbers.functions import normal
from tacit.numbers.known import Fact
from tacit.numbers.standard import DIGITS, Standard, gradient, standardise
from tacit.torch import refusals
from tacit.torch.operands import Operand, array, shape_of
from tacit.torch.ops.arithmetic import add, mul, sub
from tacit.torch.rules import Call, Scope, handles, implements, put
from tacit.torch.tensor import SecretTensor

aten = torch.ops.aten

KEPT = 8
"""Places that are added to a running variance before eps."""
STANDARD: Fact[Standard] = Fact("standardised", bounded=False)
"""The standardization that a forward pass found, kept with the 1 / sqrt(variance + eps) that it returned."""
INVERSE_ROOT: Fact[Number] = Fact("inverse root")
"""1 / sqrt(v + eps) of a running variance v, by eps."""

Gradients = tuple[Number | None, Number | None, Number | None]
"""Gradients of the input, the weight, and the bias."""


# Layer and group norm: each row has its own mean, the weight varies within the row.


@implements(aten.native_layer_norm.default)
def layer_norm(
    a: Arithmetic, x: Operand, shape: Sequence[int], weight: Operand | None, bias: Operand | None, eps: float
) -> tuple[Number, Number, Number]:
    rank = len(shape_of(x))
    found = standardise(a, _secret(a, x), range(rank - len(shape), rank), eps)
    STANDARD.note(found.inverse, found)
    return _affine(a, found.z, weight, bias), found.mean, found.inverse


@implements(aten.native_layer_norm_backward.default)
def layer_norm_backward(
    a: Arithmetic,
    grad: Operand,
    x: Operand,
    shape: Sequence[int],
    mean: Number,
    inverse: Number,
    weight: Operand | None,
    bias: Operand | None,
    mask: Sequence[bool],
) -> Gradients:
    found, g = _kept(inverse), _secret(a, grad)
    rank = len(g.shape)
    axes, rows = range(rank - len(shape), rank), range(rank - len(shape))
    return (
        a.multiply(gradient(a, _affine(a, g, weight, None), found.z, axes), found.inverse, "gradient")
        if mask[0]
        else None,
        a.sum(a.multiply(g, found.z, "gradient"), rows) if mask[1] else None,
        a.sum(g, rows) if mask[2] else None,
    )


@implements(aten.native_group_norm.default)
def group_norm(
    a: Arithmetic,
    x: Operand,
    weight: Operand | None,
    bias: Operand | None,
    batch: int,
    channels: int,
    places: int,
    groups: int,
    eps: float,
) -> tuple[Number, Number, Number]:
    grouped = a.reshape(_secret(a, x), (batch, groups, channels // groups * places))
    found = standardise(a, grouped, (2,), eps)
    z = a.reshape(found.z, (batch, channels, places))
    inverse = a.reshape(found.inverse, (batch, groups))
    STANDARD.note(inverse, found)
    out = _affine(a, z, _column(a, weight, 3), _column(a, bias, 3))
    return a.reshape(out, shape_of(x)), a.reshape(found.mean, (batch, groups)), inverse


@implements(aten.native_group_norm_backward.default)
def group_norm_backward(
    a: Arithmetic,
    grad: Operand,
    x: Operand,
    mean: Number,
    inverse: Number,
    weight: Operand | None,
    batch: int,
    channels: int,
    places: int,
    groups: int,
    mask: Sequence[bool],
) -> Gradients:
    found, g = _kept(inverse), a.reshape(_secret(a, grad), (batch, channels, places))
    weighted = a.reshape(_affine(a, g, _column(a, weight, 3), None), found.z.shape)
    z = a.reshape(found.z, g.shape)
    inner = gradient(a, weighted, found.z, (2,))
    return (
        a.reshape(a.multiply(inner, found.inverse, "gradient"), shape_of(x)) if mask[0] else None,
        a.sum(a.multiply(g, z, "gradient"), (0, 2)) if mask[1] else None,
        a.sum(g, (0, 2)) if mask[2] else None,
    )


# Batch norm: each channel has its own mean and weight.


@handles(aten.native_batch_norm.default)
def batch_norm(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Writes the running statistics, which are secret if the layer was shared."""
    *tensors, training, momentum, eps = args
    call = Call(func)
    with Scope(next(t for t in tensors if type(t) is SecretTensor)._cell.arithmetic):
        x, weight, bias, *running = [call.read(t) for t in tensors]
        if not call.secret:
            return call.wrap(func(x, weight, bias, *running, training, momentum, eps))
        a = call.arithmetic
        assert a is not None
        if not training:
            return call.wrap((_eval(a, x, weight, bias, running, eps), torch.zeros(0), torch.zeros(0)))
        found = standardise(a, _secret(a, x), _others(x), eps)
        channels = (shape_of(x)[1],)
        for place, old, new in zip(tensors[3:], running, (found.mean, found.variance(a, 1)), strict=True):
            if place is not None:
                if type(place) is not SecretTensor:
                    raise Unsupported(refusals.leak(func))
                put(func, place, _moved(a, old, a.reshape(new, channels), momentum))
        inverse = a.reshape(found.inverse, channels)
        STANDARD.note(inverse, found)
        rank = len(shape_of(x))
        out = _affine(a, found.z, _column(a, weight, rank), _column(a, bias, rank))
        return call.wrap((out, a.reshape(found.mean, channels), inverse))


def _moved(a: Arithmetic, old: Operand, new: Number, momentum: float) -> Number:
    """(1 - momentum) old + momentum new. A variance may be as large as the square of the largest number."""
    most = 2 * a.format.integer + 1
    before = _secret(a, old) if isinstance(old, Number) else a.public(array(old))
    fraction = min(a.format.fraction, before.scale)
    pair = [a.truncate(n, n.scale - fraction) for n in (before, new)]
    places = min(SIGNIFICANT, CAPACITY - most - fraction)
    weight = math.ldexp(round(math.ldexp(momentum, places)), -places)
    scale = max(n.scale for n in pair) + places
    return a.combine([(1 - weight, pair[0]), (weight, pair[1])], 0.0, scale, min(scale + most, CAPACITY), "running")


def _eval(
    a: Arithmetic, x: Operand, weight: Operand | None, bias: Operand | None, running: Sequence[Any], eps: float
) -> Number:
    """(x - mean) s + bias with s = weight / sqrt(variance + eps), for each channel: one product an element."""
    mean, variance = running
    scale: Operand = _of_running(a, variance, eps)
    scale = scale if weight is None else _product(a, scale, weight)
    rank = len(shape_of(x))
    apart = _scaled(a, _less(a, x, _column(a, mean, rank)), _column(a, scale, rank))
    column = _column(a, bias, rank)
    if column is None:
        return _secret(a, apart)
    return add(a, apart, column, name="bias")


def _scaled(a: Arithmetic, x: Operand, s: Operand | None) -> Operand:
    """x s, in the contract, where s may be so small that it needs more places than the format has."""
    if not (isinstance(x, Number) and isinstance(s, Number)):
        return _product(a, x, s)
    s = a.truncate(s, s.scale - DIGITS)
    x = a.truncate(x, x.scale - (CAPACITY - a.format.integer - s.scale))
    return a.multiply(x, s, "standardise", bits=min(x.bits + s.bits, x.scale + s.scale + a.format.integer))


def _less(a: Arithmetic, x: Operand, mean: Operand | None) -> Operand:
    assert mean is not None
    return sub(a, x, mean) if isinstance(x, Number) or isinstance(mean, Number) else x - mean


def _of_running(a: Arithmetic, variance: Operand, eps: float) -> Operand:
    """1 / sqrt(variance + eps), once for each state of the running variance."""
    if not isinstance(variance, Number):
        return torch.rsqrt(torch.as_tensor(variance + eps))
    places = max(0, min(KEPT, CAPACITY - 1 - variance.bits))
    shifted = (variance.scale + places, variance.bits + places + 1)
    return INVERSE_ROOT.found(
        variance, lambda: normal.rsqrt(a, a.combine([(1.0, variance)], eps, *shifted, "running")), eps
    )


@implements(aten.native_batch_norm_backward.default)
def batch_norm_backward(
    a: Arithmetic,
    grad: Operand,
    x: Operand,
    weight: Operand | None,
    running_mean: Operand | None,
    running_var: Operand | None,
    mean: Operand,
    inverse: Operand,
    training: bool,
    eps: float,
    mask: Sequence[bool],
) -> Gradients:
    g, others, rank = _secret(a, grad), _others(x), len(shape_of(x))
    if training:
        assert isinstance(inverse, Number)
        found = _kept(inverse)
        z, scale = found.z, found.inverse
        inner = gradient(a, g, z, others)
    else:
        assert running_mean is not None and running_var is not None
        scale = _secret(a, _column(a, _of_running(a, running_var, eps), rank))
        z = a.multiply(_secret(a, sub(a, x, _column(a, running_mean, rank))), scale, "standardise")
        inner = g
    return (
        a.multiply(inner, _affine(a, scale, _column(a, weight, rank), None), "gradient") if mask[0] else None,
        a.sum(a.multiply(g, z, "gradient"), others) if mask[1] else None,
        a.sum(g, others) if mask[2] else None,
    )


def _product(a: Arithmetic, x: Operand, y: Operand | None) -> Operand:
    assert y is not None
    return mul(a, x, y) if isinstance(x, Number) or isinstance(y, Number) else x * y


def _others(x: Operand) -> tuple[int, ...]:
    """All axes but that of the channels."""
    return (0, *range(2, len(shape_of(x))))


def _column(a: Arithmetic, x: Operand | None, rank: int) -> Operand | None:
    """One number for each channel, along axis 1."""
    shape = (1, size(shape_of(x)), *(1,) * (rank - 2)) if x is not None else ()
    return a.reshape(x, shape) if isinstance(x, Number) else x.reshape(shape) if isinstance(x, torch.Tensor) else x


def _affine(a: Arithmetic, z: Number, weight: Operand | None, bias: Operand | None) -> Number:
    scaled = z if weight is None else mul(a, z, weight)
    return scaled if bias is None else add(a, scaled, bias, name="bias")


def _secret(a: Arithmetic, x: Operand | None) -> Number:
    if isinstance(x, Number):
        return x
    assert x is not None
    return a.expand(a.constant(array(x)), shape_of(x))


def _kept(inverse: Number) -> Standard:
    """The standardization that the forward pass kept with 1 / sqrt(variance + eps)."""
    known = STANDARD.of(inverse)
    if known is None:
        raise Unsupported("the gradient of a norm needs what its forward pass returned")
    return known
