"""Secret indices: a use of one is a product with its one-hot, and opens nothing of it that was not open."""

from typing import Any

import torch

from tacit.errors import Unsupported
from tacit.field import size
from tacit.numbers import selection
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.torch import labels
from tacit.torch.operands import Operand, array, shape_of
from tacit.torch.ops.arithmetic import mul
from tacit.torch.ops.products import matmul
from tacit.torch.rules import first, implements

aten = torch.ops.aten


def chosen_rows(a: Arithmetic, table: Operand, one_hot: Number) -> Number:
    """table[index] along its first axis: a matrix product."""
    length, *rest = shape_of(table)
    _fits(length, one_hot)
    flat = a.reshape(one_hot, (size(one_hot.shape[:-1]), length))
    return a.reshape(matmul(a, flat, _flat(a, table, length)), (*one_hot.shape[:-1], *rest))


def added_rows(a: Arithmetic, values: Operand, one_hot: Number | torch.Tensor, length: int) -> Number:
    """The adjoint of `chosen_rows`: the values, added up by index."""
    count = size(one_hot.shape[:-1])
    if isinstance(one_hot, Number):
        _fits(length, one_hot)
        columns: Operand = a.permute(a.reshape(one_hot, (count, length)), (1, 0))
    else:
        columns = one_hot.reshape(count, length).t()
    rest = shape_of(values)[len(one_hot.shape) - 1 :]
    return a.reshape(matmul(a, columns, _flat(a, values, count)), (length, *rest))


def _flat(a: Arithmetic, x: Operand, length: int) -> Operand:
    shape = (length, size(shape_of(x)) // max(length, 1))
    return a.reshape(x, shape) if isinstance(x, Number) else x.reshape(shape)  # type: ignore[union-attr]


def _fits(length: int, one_hot: Number) -> None:
    if one_hot.shape[-1] != length:
        raise Unsupported(
            f"an index of {one_hot.shape[-1]} classes on an axis of length {length}: the two have to be the same"
        )


@implements(aten.gather.default, integers=first)
def gather(a: Arithmetic, x: Operand, dim: int, index: Operand, sparse_grad: bool = False) -> Number:
    """x[..., index, ...] along an axis: sum_c e_c x_c."""
    shape, at = shape_of(x), dim % max(1, len(shape_of(x)))
    chosen = _chosen(a, aten.gather, shape, index, at)
    order = [*range(at), *range(at + 1, len(shape)), at]
    wide = (*shape[:at], 1, *shape[at + 1 :], shape[at])
    columns = a.reshape(a.permute(x, order), wide) if isinstance(x, Number) else x.permute(order).reshape(wide)  # type: ignore[union-attr]
    return selection.only(a, mul(a, chosen, columns, "gather"), (len(shape),))


@implements(aten.scatter_add.default, aten.scatter.src, integers=first)
def scatter(a: Arithmetic, x: Operand, dim: int, index: Operand, values: Operand) -> Number:
    """The adjoint of `gather`, into zeros: the gradient of gather, and of max along an axis."""
    shape, at = shape_of(x), dim % max(1, len(shape_of(x)))
    if isinstance(x, Number) or array(x).any():
        raise Unsupported("aten.scatter into a secret tensor, or of secrets into values: into zeros it is there")
    chosen = _chosen(a, aten.scatter, shape, index, at)
    wide = (*shape_of(values), 1)
    columns = a.reshape(values, wide) if isinstance(values, Number) else values.reshape(wide)  # type: ignore[union-attr]
    product = mul(a, chosen, columns, "scatter")
    order = list(range(len(shape) - 1))
    order.insert(at, len(order))
    return a.permute(a.sum(product, (at,)), order)


def _chosen(a: Arithmetic, func: Any, shape: tuple[int, ...], index: Operand, at: int) -> Operand:
    """The one-hots of an index along the axis `at` of an array of `shape`, which it has to fit otherwise."""
    places = shape_of(index)
    if isinstance(index, Number):
        found = labels.needed(a, index, func)
        _fits(shape[at], found)
        chosen: Operand = found
    else:
        chosen = torch.nn.functional.one_hot(index, shape[at]).float()  # type: ignore[arg-type]
    if len(places) != len(shape) or any(m != n for i, (m, n) in enumerate(zip(places, shape, strict=True)) if i != at):
        raise Unsupported(
            f"{func} at indices of shape {places} beside {shape}: they have to be alike but for axis {at}"
        )
    return chosen


@implements(aten.embedding.default, integers=first)
def embedding(a: Arithmetic, weight: Operand, chosen: Operand, *ignored: Any) -> Number:
    if isinstance(chosen, Number):
        return chosen_rows(a, weight, labels.needed(a, chosen, aten.embedding))
    assert isinstance(weight, Number) and isinstance(chosen, torch.Tensor)
    return a.reshape(a.gather(weight, 0, chosen.reshape(-1).tolist()), (*chosen.shape, *weight.shape[1:]))


@implements(aten.embedding_dense_backward.default, integers=first)
def embedding_backward(
    a: Arithmetic, grad: Operand, chosen: Operand, count: int, padding: int, scale_by_frequency: bool
) -> Number:
    """The gradients added up by row; the row `padding` gets none."""
    if scale_by_frequency:
        raise Unsupported("aten.embedding with scale_grad_by_freq=True divides by counts: leave it out")
    if isinstance(chosen, Number):
        one_hot: Number | torch.Tensor = labels.needed(a, chosen, aten.embedding)
    else:
        assert isinstance(chosen, torch.Tensor)
        one_hot = torch.nn.functional.one_hot(chosen, count).float()
    summed = added_rows(a, grad, one_hot, count)
    if not 0 <= padding < count:
        return summed
    kept = torch.ones(count, 1)
    kept[padding] = 0
    return a.times_public(summed, array(kept))
