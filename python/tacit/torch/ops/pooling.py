"""Max-pooling over one or two spatial axes: the largest of each window, exact, found once for both passes.

    y_w = sum_i e_(w, i) x_(w, i),    dx = sum_w e_(w, i) dy_w,    e the one-hot of the first largest in window w

Windows are views; a place of the padding stands for the nearest one inside, which is in the same window. Products are with bits,
which they do not open. Windows of more than four are compared row by row, then the largest of the rows: 9 comparisons instead of
36 for 3 by 3 with stride 2, in twice the rounds.
"""

from collections.abc import Sequence

import numpy as np
import torch

from tacit.errors import Unsupported
from tacit.field import size
from tacit.graph.forms import MatMul
from tacit.numbers import selection
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.known import Fact
from tacit.torch.operands import Operand, array, ints, shape_of
from tacit.torch.rules import Typed, first, implements

aten = torch.ops.aten

WINDOWS: Fact[tuple[Number, ...]] = Fact("windows", bounded=False)
"""One-hots of the places that a max-pooling returns: of whole windows, or of their rows, then of these."""


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
    planes = a.reshape(x, (size(lead), height, width))
    (oh, kh), (ow, kw) = rows.shape, columns.shape
    if kh * kw <= selection.GROUP or 1 in (kh, kw):
        part = _gathered(a, _gathered(a, planes, 1, rows), 2, columns)
        part = a.permute(a.reshape(part, (size(lead), oh, kh, ow, kw)), (0, 1, 3, 2, 4))
        windows = a.reshape(part, (size(lead), oh * ow, kh * kw))
        one_hot = selection.winners_along(a, windows, 2)
        largest = selection.picked(a, windows, one_hot, 2)
        places = rows[:, None, :, None] * width + columns[None, :, None, :]
        found = _places(a, one_hot, places.reshape(oh * ow, kh * kw))
        kept: tuple[Number, ...] = (one_hot,)
    else:
        part = a.reshape(_gathered(a, planes, 2, columns), (size(lead), height, ow, kw))
        across = selection.winners_along(a, part, 3)
        column = _places(a, a.reshape(across, (size(lead), height * ow, kw)), np.tile(columns, (height, 1)))
        part, column = (
            _turned(a, a.reshape(n, (size(lead), height, ow)), rows)
            for n in (selection.picked(a, part, across, 3), column)
        )
        down = selection.winners_along(a, part, 3)
        largest = selection.picked(a, part, down, 3)
        row = _places(a, a.reshape(down, (size(lead), ow * oh, kh)), np.tile(rows * width, (ow, 1)))
        found = a.add(a.reshape(row, (size(lead), ow, oh)), selection.picked(a, column, down, 3))
        largest, found = (a.permute(n, (0, 2, 1)) for n in (largest, found))
        kept = across, down
    index = a.reshape(selection.bounded(found, (height * width).bit_length()), (*lead, oh, ow))
    WINDOWS.note(index, kept)
    return a.reshape(largest, (*lead, oh, ow)), Typed(index, torch.int64)


def _turned(a: Arithmetic, x: Number, rows: Places) -> Number:
    """(B, H, W') as windows of rows: (B, W', H', kernel)."""
    turned = _gathered(a, a.permute(x, (0, 2, 1)), 2, rows)
    return a.reshape(turned, (*turned.shape[:2], *rows.shape))


def _places(a: Arithmetic, one_hot: Number, places: Places) -> Number:
    """The place in each window (B, N, k) where the one-hot is 1: (B, N)."""
    return a.permute(selection.weighed(a, a.permute(one_hot, (1, 0, 2)), places), (1, 0))


def _gathered(a: Arithmetic, x: Number, axis: int, places: Places) -> Number:
    flat = places.reshape(-1)
    return x if np.array_equal(flat, np.arange(x.shape[axis])) else a.gather(x, axis, flat.tolist())


def _spread(
    a: Arithmetic, grad: Operand, shape: tuple[int, ...], rows: Places, columns: Places, places: Operand
) -> Number:
    """Each window's gradient at the place of its largest, summed over windows."""
    kept = WINDOWS.of(places) if isinstance(places, Number) else None
    if kept is None:
        raise Unsupported("the gradient of max-pooling needs the places that its forward pass returned")
    *lead, height, width = shape
    (oh, kh), (ow, kw) = rows.shape, columns.shape
    count = size(lead)
    if len(kept) == 1:
        part = _where(a, _shaped(a, grad, (count, oh * ow)), kept[0])
        part = a.permute(a.reshape(part, (count, oh, ow, kh, kw)), (0, 1, 3, 2, 4))
        part = a.permute(a.reshape(part, (count, oh * kh, ow * kw)), (0, 2, 1))
        part = a.permute(_added(a, part, rows, height), (0, 2, 1))
    else:
        across, down = kept
        planes = _shaped(a, grad, (count, oh, ow))
        turned = a.permute(planes, (0, 2, 1)) if isinstance(planes, Number) else planes.permute(0, 2, 1)
        part = _added(a, a.reshape(_where(a, turned, down), (count, ow, oh * kh)), rows, height)
        part = a.reshape(_where(a, a.permute(part, (0, 2, 1)), across), (count, height, ow * kw))
    return a.reshape(_added(a, part, columns, width), shape)


def _shaped(a: Arithmetic, x: Operand, shape: tuple[int, ...]) -> Number | torch.Tensor:
    if isinstance(x, Number):
        return a.reshape(x, shape)
    assert isinstance(x, torch.Tensor)
    return x.reshape(shape)


def _where(a: Arithmetic, grad: Number | torch.Tensor, one_hot: Number) -> Number:
    """The gradient of each window at its largest: shape of the one-hot."""
    if isinstance(grad, Number):
        return a.multiply(a.reshape(grad, (*grad.shape, 1)), one_hot, "gradient", bits=grad.bits)
    return a.times_public(one_hot, array(grad.unsqueeze(-1)), "gradient")


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
