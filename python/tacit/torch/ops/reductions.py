"""Sums and means: local, and free of openings."""

from collections.abc import Sequence
from typing import Any

import torch

from tacit.field import size
from tacit.fixed.arithmetic import Arithmetic, Number
from tacit.torch.operands import axes
from tacit.torch.rules import implements

aten = torch.ops.aten


@implements(aten.sum.default, aten.sum.dim_IntList)
def total(
    a: Arithmetic, x: Number, dim: Sequence[int] | None = None, keepdim: bool = False, dtype: Any = None
) -> Number:
    return a.sum(x, axes(dim, len(x.shape)), keepdim)


@implements(aten.mean.default, aten.mean.dim)
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
