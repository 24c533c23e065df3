"""Max-pooling over one or two spatial axes: the largest of each window, exact, found once for both passes.

    y_w = sum_i e_(w, i) x_(w, i),    dx = sum_w e_(w, i) dy_w,    e the one-hot of the first largest in window w

Windows are views; a place of the padding stands for the nearest one inside, which is in the same window. Both products are with
bits: neither opens them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tacit.errors import Unsupported
from tacit.field import size
from tacit.fixed import selection
from tacit.fixed.arithmetic import Arithmetic, Number
from tacit.sharing.forms import MatMul
from tacit.torch.operands import Operand, array, ints, shape_of
from tacit.torch.rules import Typed, first, implements

aten = torch.ops.aten

WINDOWS = "windows"
"""The companion of the places that a max-pooling returns: its one-hots, shape (..., windows, window)."""


@implements(aten.max_pool2d_with_indices.default)
def max_pool2d(
    a: Arithmetic,
    x: Number,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[Number, Typed]:
    """(largest, its places in each plane as secret integers), shapes (..., H', W')."""
    rows, columns = _windows(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    return _pooled(a, x, rows, columns)


@implements(aten.max_pool2d_with_indices_backward.default, integers=first)
def max_pool2d_backward(
    a: Arithmetic,
    grad: Operand,
    x: Operand,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    places: Operand,
) -> Number:
    rows, columns = _windows(shape_of(x), kernel_size, stride, padding, dilation, ceil_mode)
    return _spread(a, grad, shape_of(x), rows, columns, places)


@implements(aten.adaptive_max_pool2d.default)
def adaptive_max_pool2d(a: Arithmetic, x: Number, output_size: Sequence[int]) -> tuple[Number, Typed]:
    return _pooled(a, x, *_adaptive(x.shape, output_size))


@implements(aten.adaptive_max_pool2d_backward.default, integers=first)
def adaptive_max_pool2d_backward(a: Arithmetic, grad: Operand, x: Operand, places: Operand) -> Number:
    return _spread(a, grad, shape_of(x), *_adaptive(shape_of(x), shape_of(grad)[-2:]), places)


Places = np.typing.NDArray[np.int64]
"""Along one axis: the place of each element of each window, shape (windows, length)."""


def _windows(
    shape: tuple[int, ...],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> tuple[Places, Places]:
    kernel, pads = ints(kernel_size, 2), ints(padding, 2)
    steps = ints(stride, 2) if len(stride) else kernel
    if any(d != 1 for d in dilation):
        raise Unsupported(f"max-pooling of secret tensors with dilation={tuple(dilation)}: without it, it is there")
    if any(p < 0 or 2 * p > k for p, k in zip(pads, kernel, strict=True)):
        raise RuntimeError(f"max-pooling with padding {pads}: it should be at most half of the kernel {kernel}")
    found = []
    for n, k, s, p in zip(shape[-2:], kernel, steps, pads, strict=True):
        count = (n + 2 * p - k + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (count - 1) * s >= n + p:
            count -= 1  # it would start in the padding
        if count < 1:
            raise RuntimeError(f"max-pooling of shape {shape} with kernel {kernel}: no window fits")
        found.append(np.clip(np.arange(count)[:, None] * s - p + np.arange(k), 0, n - 1))
    return found[0], found[1]


def _adaptive(shape: tuple[int, ...], output_size: Sequence[int]) -> tuple[Places, Places]:
    """torch's windows; the shorter ones repeat their last place."""
    found = []
    for n, m in zip(shape[-2:], ints(output_size, 2), strict=True):
        starts, ends = np.arange(m) * n // m, -(-(np.arange(m) + 1) * n // m)
        found.append(np.minimum(starts[:, None] + np.arange(max(ends - starts)), ends[:, None] - 1))
    return found[0], found[1]


def _pooled(a: Arithmetic, x: Number, rows: Places, columns: Places) -> tuple[Number, Typed]:
    *lead, height, width = x.shape
    (oh, kh), (ow, kw) = rows.shape, columns.shape
    part = _gathered(a, a.reshape(x, (size(lead), height, width)), 1, rows)
    part = _gathered(a, part, 2, columns)
    part = a.permute(a.reshape(part, (size(lead), oh, kh, ow, kw)), (0, 1, 3, 2, 4))
    windows = a.reshape(part, (size(lead), oh * ow, kh * kw))
    one_hot = selection.winners_along(a, windows, (-1,))
    out = a.reshape(selection.picked(a, windows, one_hot, (-1,)), (*lead, oh, ow))
    places = rows[:, None, :, None] * width + columns[None, :, None, :]
    found = selection.weighed(a, a.permute(one_hot, (1, 0, 2)), places.reshape(oh * ow, kh * kw))
    index = a.reshape(a.permute(found, (1, 0)), (*lead, oh, ow))
    index.wire.companions[WINDOWS] = one_hot
    return out, Typed(index, torch.int64)


def _gathered(a: Arithmetic, x: Number, axis: int, places: Places) -> Number:
    flat = places.reshape(-1)
    return x if np.array_equal(flat, np.arange(x.shape[axis])) else a.gather(x, axis, flat.tolist())


def _spread(
    a: Arithmetic, grad: Operand, shape: tuple[int, ...], rows: Places, columns: Places, places: Operand
) -> Number:
    """Each window's gradient at the place of its largest, summed over windows."""
    one_hot: Any = places.wire.companions.get(WINDOWS) if isinstance(places, Number) else None
    if one_hot is None:
        raise Unsupported("the gradient of max-pooling needs the places that its forward pass returned")
    *lead, height, width = shape
    (oh, kh), (ow, kw) = rows.shape, columns.shape
    wide = (size(lead), oh * ow, 1)
    if isinstance(grad, Number):
        part = a.multiply(a.expand(a.reshape(grad, wide), one_hot.shape), one_hot, "gradient", bits=grad.bits)
    else:
        assert isinstance(grad, torch.Tensor)
        part = a.times_public(one_hot, array(grad.reshape(wide)), "gradient")
    part = a.permute(a.reshape(part, (size(lead), oh, ow, kh, kw)), (0, 1, 3, 2, 4))
    part = a.reshape(part, (size(lead), oh * kh, ow * kw))
    part = a.permute(_added(a, a.permute(part, (0, 2, 1)), rows, height), (0, 2, 1))
    return a.reshape(_added(a, part, columns, width), shape)


def _added(a: Arithmetic, x: Number, places: Places, length: int) -> Number:
    """The adjoint of `_gathered` along the last axis: a sum of those that have one place."""
    flat = places.reshape(-1)
    if np.array_equal(flat, np.arange(len(flat))):
        return x if len(flat) == length else a.place(x, 2, 0, len(flat), 1, length)
    spread = np.zeros((len(flat), length))
    spread[np.arange(len(flat)), flat] = 1
    rows = a.reshape(x, (x.shape[0] * x.shape[1], len(flat)))
    most = int(spread.sum(0).max())
    return a.reshape(a.with_public(MatMul(), rows, spread, False, most, "gradient"), (*x.shape[:2], length))
