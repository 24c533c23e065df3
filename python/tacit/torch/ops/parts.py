"""Data movement that makes new values: gathering by public indices, concatenation, padding, gradients of slices."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tacit.errors import Unsupported
from tacit.field import size
from tacit.numbers import masks
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.torch import labels, refusals
from tacit.torch.operands import Operand, array, shape_of
from tacit.torch.ops.arithmetic import add
from tacit.torch.ops.indices import added_rows, chosen_rows
from tacit.torch.ops.products import matmul
from tacit.torch.rules import first, implements
from tacit.torch.views import put_rows

aten = torch.ops.aten


@implements(aten.index.Tensor, integers=first)
def index(a: Arithmetic, x: Operand, indices: Sequence[Any]) -> Number:
    """x[indices]: rows along one axis at once, so that all batches of a data set share its opening; else element by element."""
    if isinstance(indices[0], Number) and len(indices) == 1:
        return chosen_rows(a, x, labels.needed(a, indices[0], aten.index))
    x = _indexable(aten.index.Tensor, x, indices)
    axis, rows = _rows(x.shape, indices)
    if rows is not None:
        picked = a.gather(x, axis, rows.reshape(-1).tolist())
        return a.reshape(picked, (*x.shape[:axis], *rows.shape, *x.shape[axis + 1 :]))
    places = aten.index.Tensor(torch.arange(size(x.shape)).reshape(x.shape), indices)
    picked = a.gather(a.reshape(x, (size(x.shape),)), 0, places.reshape(-1).tolist())
    return a.reshape(picked, tuple(places.shape))


@implements(aten.index_put.default, integers=first)
def index_put(a: Arithmetic, x: Operand, indices: Sequence[Any], values: Operand, accumulate: bool = False) -> Number:
    """x with x[indices] = values, or += with `accumulate` (the gradient of indexing)."""
    if not isinstance(x, Number):
        assert isinstance(x, torch.Tensor)
        if x.any():
            x = a.public(array(x))
    shape = shape_of(x)
    if accumulate and len(indices) == 1 and isinstance(indices[0], Number):
        summed = added_rows(a, values, labels.needed(a, indices[0], aten.index_put), shape[0])
        return add(a, summed, x) if isinstance(x, Number) else summed
    _indexable(aten.index_put.default, values, indices)
    places = aten.index.Tensor(torch.arange(size(shape)).reshape(shape), indices)
    part = values if isinstance(values, Number) else a.public(array(values))
    part = a.reshape(a.expand(part, tuple(places.shape)), (places.numel(),))
    flat = places.reshape(-1)
    if accumulate:
        return _accumulated(a, x, indices, part, places, shape)
    if len(set(flat.tolist())) != flat.numel():
        raise Unsupported(
            "aten.index_put of secret values at indices that repeat: use accumulate=True, or distinct indices"
        )
    base = _fine(a, x if isinstance(x, Number) else a.public(array(x)), values)
    part = a.like(part, base.scale)
    return a.reshape(put_rows(a, a.reshape(base, (size(shape),)), 0, flat.tolist(), part), shape)


def _fine(a: Arithmetic, x: Number, values: Operand) -> Number:
    """x, with the fraction of the format if it is whole, like a mask, and the values put into it are not."""
    fraction = a.format.fraction
    whole = values.scale <= x.scale if isinstance(values, Number) else not torch.as_tensor(values).is_floating_point()
    return x if whole or x.scale >= fraction else a.like(x, fraction)


def _accumulated(
    a: Arithmetic, x: Operand, indices: Sequence[Any], part: Number, places: torch.Tensor, shape: tuple[int, ...]
) -> Number:
    """x + (the public 0/1 matrix of the indices, transposed) values: no opening."""
    axis, rows = _rows(shape, indices)
    if rows is not None and axis == 0:
        flat, length, width = rows.reshape(-1), shape[0], size(shape[1:])
    else:
        flat, length, width = places.reshape(-1), size(shape), 1
    one_hot = torch.zeros(length, flat.numel())
    one_hot[flat, torch.arange(flat.numel())] = 1
    spread = a.reshape(matmul(a, one_hot, a.reshape(part, (flat.numel(), width))), shape)
    return add(a, spread, x) if isinstance(x, Number) else spread


def _rows(shape: tuple[int, ...], indices: Sequence[Any]) -> tuple[int, torch.Tensor | None]:
    """(axis, rows) if only one axis is indexed, by integers or a mask of that axis."""
    given = [(i, t) for i, t in enumerate(indices) if t is not None]
    if len(given) != 1:
        return 0, None
    axis, chosen = given[0]
    if chosen.dtype in (torch.bool, torch.uint8):
        if chosen.dim() != 1:
            return 0, None
        chosen = chosen.nonzero().reshape(-1)
    return axis, torch.arange(shape[axis])[chosen]


@implements(aten.masked_select.default, integers=first)
def masked_select(a: Arithmetic, x: Operand, mask: Operand) -> Number:
    """By a public mask: how many a secret one lets through would show."""
    if not isinstance(mask, torch.Tensor):
        raise Unsupported(refusals.showing("aten.masked_select by a secret mask"))
    assert isinstance(x, Number)
    shape = np.broadcast_shapes(x.shape, tuple(mask.shape))
    return index(a, a.expand(x, shape), [mask.expand(shape)])


@implements(aten.masked_scatter.default, integers=first)
def masked_scatter(a: Arithmetic, x: Operand, mask: Operand, values: Operand) -> Number:
    """The adjoint of `masked_select`, where x is zeros."""
    if not isinstance(mask, torch.Tensor):
        raise Unsupported("aten.masked_scatter by a secret mask: torch.where takes one")
    places = mask.expand(shape_of(x))
    count = int(places.sum())
    flat = (size(shape_of(values)),)
    chosen = a.reshape(values, flat) if isinstance(values, Number) else values.reshape(flat)  # type: ignore[union-attr]
    first_ones = a.slice(chosen, 0, 0, count) if isinstance(chosen, Number) else chosen[:count]
    return index_put(a, x, [places], first_ones)


def _indexable(func: Any, x: Operand, indices: Sequence[Any]) -> Number:
    if any(isinstance(i, Number) for i in indices):
        raise Unsupported(f"{func} with a secret index: only x[labels] is there; use a one-hot matrix product")
    return x  # type: ignore[return-value]


@implements(aten.index_select.default, integers=first)
def index_select(a: Arithmetic, x: Number, dim: int, chosen: torch.Tensor) -> Number:
    _indexable(aten.index_select.default, x, [chosen])
    return a.gather(x, dim % len(x.shape), chosen.reshape(-1).tolist())


@implements(aten.index_fill.int_Scalar, aten.index_fill.int_Tensor)
def index_fill(a: Arithmetic, x: Operand, dim: int, chosen: torch.Tensor, value: Operand) -> Number:
    shape = shape_of(x)
    axis = dim % len(shape)
    rows = sorted({i % shape[axis] for i in chosen.reshape(-1).tolist()})
    base = _fine(a, x if isinstance(x, Number) else a.public(array(x)), value)
    part = value if isinstance(value, Number) else a.public(array(value))
    part = a.expand(a.like(part, base.scale), (*shape[:axis], len(rows), *shape[axis + 1 :]))
    return put_rows(a, base, axis, rows, part)


@implements(aten.cat.default, integers=first)
def cat(a: Arithmetic, tensors: Sequence[Operand], dim: int = 0) -> Number:
    # torch ignores empty vectors, whatever the other shapes are
    kept = [t for t in tensors if shape_of(t) != (0,)]
    numbers = [t if isinstance(t, Number) else a.public(array(t)) for t in kept]
    return numbers[0] if len(numbers) == 1 else labels.joined(a, numbers, dim % len(numbers[0].shape))


@implements(aten.stack.default, integers=first)
def stack(a: Arithmetic, tensors: Sequence[Operand], dim: int = 0) -> Number:
    shape = shape_of(tensors[0])
    at = dim % (len(shape) + 1)
    numbers = [t if isinstance(t, Number) else a.public(array(t)) for t in tensors]
    return labels.joined(a, [a.reshape(n, (*shape[:at], 1, *shape[at:])) for n in numbers], at)


@implements(aten.repeat.default, integers=first)
def repeat(a: Arithmetic, x: Number, repeats: Sequence[int]) -> Number:
    shape = (1,) * (len(repeats) - len(x.shape)) + x.shape
    apart = tuple(n for s in shape for n in (1, s))
    spread = tuple(n for r, s in zip(repeats, shape, strict=True) for n in (int(r), s))
    joined = tuple(int(r) * s for r, s in zip(repeats, shape, strict=True))
    return a.reshape(a.expand(a.reshape(x, apart), spread), joined)


@implements(aten.constant_pad_nd.default)
def pad(a: Arithmetic, x: Number, padding: Sequence[int], value: float = 0) -> Number:
    """Negative padding crops."""
    shape = x.shape
    for i in range(len(padding) // 2):
        axis, before, after = len(shape) - 1 - i, int(padding[2 * i]), int(padding[2 * i + 1])
        if before < 0 or after < 0:
            x = a.slice(x, axis, max(0, -before), x.shape[axis] - max(0, -after))
        before, after = max(0, before), max(0, after)
        if before or after:
            length = x.shape[axis]
            x = a.place(x, axis, before, before + length, 1, before + length + after)
    if value:
        frame = torch.nn.functional.pad(torch.zeros(shape), [int(p) for p in padding], value=value)
        return masks.added(a, x, array(frame), "pad")
    return x


@implements(aten.select_backward.default, integers=first)
def select_backward(a: Arithmetic, grad: Number, sizes: Sequence[int], dim: int, index: int) -> Number:
    shape = tuple(int(n) for n in sizes)
    dim %= len(shape)
    at = int(index) % shape[dim]
    row = a.reshape(grad, (*shape[:dim], 1, *shape[dim + 1 :]))
    return a.place(row, dim, at, at + 1, 1, shape[dim])


@implements(aten.slice_backward.default, integers=first)
def slice_backward(
    a: Arithmetic, grad: Number, sizes: Sequence[int], dim: int, start: int, end: int, step: int
) -> Number:
    shape = tuple(int(n) for n in sizes)
    dim %= len(shape)
    chosen = range(shape[dim])[start:end:step]
    return a.place(grad, dim, chosen.start, chosen.stop, step, shape[dim])


@implements(aten.flip.default, integers=first)
def flip(a: Arithmetic, x: Number, dims: Sequence[int]) -> Number:
    for dim in dims:
        axis = dim % len(x.shape)
        x = a.gather(x, axis, range(x.shape[axis] - 1, -1, -1))
    return x


@implements(aten.tril.default)
def tril(a: Arithmetic, x: Number, diagonal: int = 0) -> Number:
    return a.times_public(x, array(torch.ones(x.shape).tril(diagonal)))


@implements(aten.triu.default)
def triu(a: Arithmetic, x: Number, diagonal: int = 0) -> Number:
    return a.times_public(x, array(torch.ones(x.shape).triu(diagonal)))
