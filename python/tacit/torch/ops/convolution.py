"""Convolutions and average pooling, forward and backward, over one or two spatial axes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import grad as gradients

from tacit.errors import Unsupported
from tacit.field import size
from tacit.graph.forms import Conv2d, Conv2dInput, Conv2dWeight, Form
from tacit.numbers import convolution as fixed
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.convolution import Pair
from tacit.torch.operands import Operand, array, ints, shape_of
from tacit.torch.ops.arithmetic import add
from tacit.torch.rules import implements

aten = torch.ops.aten


@implements(aten.convolution.default)
def convolution(
    a: Arithmetic,
    x: Operand,
    w: Operand,
    bias: Operand | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Number:
    rank = _check(w, dilation, transposed, groups)
    steps, pads = _pair(stride, rank, 1), _pair(padding, rank, 0)
    image, kernel = _planar(a, x, rank), _planar(a, w, rank)
    if isinstance(image, Number) and isinstance(kernel, Number):
        if rank == 2 and isinstance(bias, Number):
            return fixed.conv2d(a, image, kernel, steps, pads, bias)
        out: Operand = fixed.conv2d(a, image, kernel, steps, pads)
    else:
        out = _product(a, Conv2d(steps, pads), image, kernel, size(shape_of(kernel)[1:]), "conv2d")
    if isinstance(bias, Number) and isinstance(out, Number):
        out = fixed.add_bias(a, out, bias)
    elif bias is not None:
        assert not isinstance(bias, float)
        column = a.reshape(bias, (*bias.shape, 1, 1)) if isinstance(bias, Number) else bias.reshape(-1, 1, 1)
        out = add(a, out, column, name="bias")
    return _linear(a, out, rank)


@implements(aten.convolution_backward.default)
def convolution_backward(
    a: Arithmetic,
    grad: Operand,
    x: Operand,
    w: Operand,
    bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[Operand | None, Operand | None, Operand | None]:
    rank = _check(w, dilation, transposed, groups)
    steps, pads = _pair(stride, rank, 1), _pair(padding, rank, 0)
    g, image, kernel = (_planar(a, v, rank) for v in (grad, x, w))
    shape_g, shape_x, shape_w = shape_of(g), shape_of(image), shape_of(kernel)
    spatial_x, spatial_w = (shape_x[2], shape_x[3]), (shape_w[2], shape_w[3])
    for_input: Operand | None = None
    for_weight: Operand | None = None
    for_bias: Operand | None = None
    if output_mask[0]:
        if isinstance(g, Number) and isinstance(kernel, Number):
            for_input = fixed.conv2d_input(a, g, kernel, spatial_x, steps, pads)
        else:
            terms = shape_w[0] * size(spatial_w)
            form: Form = Conv2dInput(steps, pads, spatial_x)
            for_input = _product(a, form, g, kernel, terms, "conv2d input gradient")
        for_input = _linear(a, for_input, rank)
    if output_mask[1]:
        if isinstance(g, Number) and isinstance(image, Number):
            for_weight = fixed.conv2d_weight(a, g, image, spatial_w, steps, pads)
        else:
            terms = shape_g[0] * shape_g[2] * shape_g[3]
            form = Conv2dWeight(steps, pads, spatial_w)
            for_weight = _product(a, form, g, image, terms, "conv2d weight gradient")
        for_weight = _linear(a, for_weight, rank)
    if output_mask[2]:
        if isinstance(g, Number):
            for_bias = fixed.conv2d_bias(a, g)
        else:
            assert isinstance(g, torch.Tensor)
            for_bias = g.sum((0, 2, 3))
    return for_input, for_weight, for_bias


def _product(a: Arithmetic, form: Form, x: Operand, y: Operand, terms: int, name: str) -> Operand:
    """form(x, y) of which one at least is public."""
    if isinstance(x, Number):
        assert isinstance(y, torch.Tensor)
        return a.with_public(form, x, array(y), False, terms, name)
    assert isinstance(x, torch.Tensor)
    if isinstance(y, Number):
        return a.with_public(form, y, array(x), True, terms, name)
    assert isinstance(y, torch.Tensor)
    return _plainly(form, x, y)


def _plainly(form: Form, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Both are public, though some other operand is secret."""
    if isinstance(form, Conv2d):
        return torch.nn.functional.conv2d(x, y, None, form.stride, form.padding)
    if isinstance(form, Conv2dInput):
        return gradients.conv2d_input([*form.shape(tuple(x.shape), tuple(y.shape))], y, x, form.stride, form.padding)
    assert isinstance(form, Conv2dWeight)
    return gradients.conv2d_weight(y, [*form.shape(tuple(x.shape), tuple(y.shape))], x, form.stride, form.padding)


def _check(w: Operand, dilation: Sequence[int], transposed: bool, groups: int) -> int:
    """The number of spatial axes."""
    rank = len(shape_of(w)) - 2
    wrong = (
        f"{rank} spatial axes"
        if rank not in (1, 2)
        else "transposed=True"
        if transposed
        else f"groups={groups}"
        if groups != 1
        else f"dilation={tuple(dilation)}"
        if any(d != 1 for d in dilation)
        else ""
    )
    if wrong:
        raise Unsupported(f"aten.convolution of secret tensors with {wrong}: Conv1d and Conv2d without it are there")
    return rank


def _pair(values: Sequence[int], rank: int, unit: int) -> Pair:
    given = ints(values, rank)
    return (unit, given[0]) if rank == 1 else (given[0], given[1])


def _planar(a: Arithmetic, x: Operand, rank: int) -> Operand:
    """[N, C, L] as [N, C, 1, L]."""
    assert not isinstance(x, float)
    if rank == 2:
        return x
    shape = shape_of(x)
    flat = (*shape[:2], 1, shape[2])
    return a.reshape(x, flat) if isinstance(x, Number) else x.reshape(flat)


def _linear(a: Arithmetic, x: Operand, rank: int) -> Any:
    assert not isinstance(x, float)
    if rank == 2:
        return x
    shape = shape_of(x)
    flat = (*shape[:2], shape[3])
    return a.reshape(x, flat) if isinstance(x, Number) else x.reshape(flat)


@implements(aten.avg_pool2d.default)
def avg_pool2d(
    a: Arithmetic,
    x: Number,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Number:
    kernel, steps, pads = _pooling(x.shape, kernel_size, stride, padding, ceil_mode, count_include_pad)
    return fixed.avg_pool2d(a, x, kernel, steps, pads, divisor_override)


@implements(aten.avg_pool2d_backward.default)
def avg_pool2d_backward(
    a: Arithmetic,
    grad: Operand,
    x: Operand,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Operand:
    shape = shape_of(x)
    if not isinstance(grad, Number):
        plainly: Callable[..., torch.Tensor] = aten.avg_pool2d_backward.default
        return plainly(
            grad, torch.zeros(shape), kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        )
    kernel, steps, pads = _pooling(shape, kernel_size, stride, padding, ceil_mode, count_include_pad)
    return fixed.avg_pool2d_input(a, grad, kernel, steps, pads, (shape[-2], shape[-1]), divisor_override)


def _pooling(
    shape: tuple[int, ...],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
) -> tuple[Pair, Pair, Pair]:
    k, p = ints(kernel_size, 2), ints(padding, 2)
    s = ints(stride, 2) if len(stride) else k
    fits = all((n + 2 * pad - window) % step == 0 for n, pad, window, step in zip(shape[-2:], p, k, s, strict=True))
    if ceil_mode and not fits:
        raise Unsupported(
            "aten.avg_pool2d of a secret tensor with ceil_mode=True where the windows do not fill the input"
        )
    if not count_include_pad and any(p):
        raise Unsupported("aten.avg_pool2d of a secret tensor with padding and count_include_pad=False")
    return (k[0], k[1]), (s[0], s[1]), (p[0], p[1])


@implements(aten._adaptive_avg_pool2d.default)
def adaptive_avg_pool2d(a: Arithmetic, x: Number, output_size: Sequence[int]) -> Number:
    kernel = _adaptive(x.shape, output_size)
    return fixed.avg_pool2d(a, x, kernel, kernel, (0, 0))


@implements(aten._adaptive_avg_pool2d_backward.default)
def adaptive_avg_pool2d_backward(a: Arithmetic, grad: Operand, x: Operand) -> Operand:
    shape = shape_of(x)
    if not isinstance(grad, Number):
        plainly: Callable[..., torch.Tensor] = aten._adaptive_avg_pool2d_backward.default
        return plainly(grad, torch.zeros(shape))
    kernel = _adaptive(shape, grad.shape[-2:])
    return fixed.avg_pool2d_input(a, grad, kernel, kernel, (0, 0), (shape[-2], shape[-1]))


def _adaptive(shape: tuple[int, ...], output_size: Sequence[int]) -> Pair:
    sizes = tuple(zip(shape[-2:], ints(output_size, 2), strict=True))
    if any(n % m for n, m in sizes):
        raise Unsupported(
            f"aten._adaptive_avg_pool2d of a secret tensor of {shape[-2:]} to {tuple(output_size)}: the sizes must divide"
        )
    return sizes[0][0] // sizes[0][1], sizes[1][0] // sizes[1][1]
