"""Sums and means: local, and free of openings."""

from collections.abc import Sequence
from typing import Any

import torch

from tacit.field import size
from tacit.numbers import selection
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.torch.operands import axes
from tacit.torch.rules import Typed, first, floating, implements

aten = torch.ops.aten


def _counted(args: tuple[Any, ...]) -> torch.dtype:
    dtype = first(args)
    return dtype if dtype.is_floating_point else torch.int64


@implements(aten.sum.default, aten.sum.dim_IntList, integers=_counted)
def total(
    a: Arithmetic, x: Number, dim: Sequence[int] | None = None, keepdim: bool = False, dtype: Any = None
) -> Number | Typed:
    along = axes(dim, len(x.shape))
    if along and selection.ONE_ALONG.of(x, along):
        shape = tuple(1 if i in along else n for i, n in enumerate(x.shape) if keepdim or i not in along)
        return Typed(torch.ones(shape), torch.int64)
    whole = x.scale == 0 and a.format.fraction > 0  # counts, which may leave the contract
    return selection.count(a, x, along, keepdim) if whole else a.sum(x, along, keepdim)


@implements(aten.mean.default, aten.mean.dim, integers=floating)
def mean(
    a: Arithmetic, x: Number, dim: Sequence[int] | None = None, keepdim: bool = False, dtype: Any = None
) -> Number:
    return a.mean(x, axes(dim, len(x.shape)), keepdim)


@implements(aten.cumsum.default)
def cumsum(a: Arithmetic, x: Number, dim: int, dtype: Any = None) -> Number:
    """A product with a public triangle of ones."""
    if not x.shape:
        return x
    from tacit.torch.ops.products import matmul

    moved = torch.arange(len(x.shape)).tolist()
    dim %= len(x.shape)
    moved[dim], moved[-1] = moved[-1], moved[dim]
    last = a.permute(x, moved)
    rows = a.reshape(last, (size(last.shape[:-1]), last.shape[-1]))
    summed = matmul(a, rows, torch.ones(last.shape[-1], last.shape[-1]).triu())
    return a.permute(a.reshape(summed, last.shape), moved)
