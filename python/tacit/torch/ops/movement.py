"""Views: reshaping, transposing, expanding, slicing. They share their place with what they are a view of."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from tacit.errors import Unsupported
from tacit.torch.operands import axes
from tacit.torch.rules import handles, views
from tacit.torch.views import Expanded, Permuted, Reshaped, Same, Shape, Sliced, Step

aten = torch.ops.aten


@views(aten.alias.default, aten.lift_fresh.default, aten._conj.default)
def alias(shape: Shape) -> Step:
    return Same()


@views(aten.view.default, aten._unsafe_view.default, aten._reshape_alias.default)
def view(shape: Shape, to: Sequence[int], stride: Sequence[int] | None = None) -> Step:
    sizes = [int(n) for n in to]
    if -1 in sizes:
        known = math.prod(n for n in sizes if n != -1)
        sizes[sizes.index(-1)] = math.prod(shape) // known if known else 0
    if math.prod(sizes) != math.prod(shape):
        raise RuntimeError(f"shape {list(to)} is invalid for a secret tensor of shape {shape}")
    return Same() if tuple(sizes) == shape else Reshaped(tuple(sizes))


@views(aten.t.default)
def transpose(shape: Shape) -> Step:
    return Permuted((1, 0)) if len(shape) == 2 else Same()


@views(aten.transpose.int)
def swap(shape: Shape, first: int, second: int) -> Step:
    order = list(range(len(shape)))
    if order:
        order[first], order[second] = order[second], order[first]
    return Permuted(tuple(order))


@views(aten.permute.default)
def permute(shape: Shape, dims: Sequence[int]) -> Step:
    return Permuted(tuple(d % len(shape) for d in dims))


@views(aten.expand.default)
def expand(shape: Shape, sizes: Sequence[int], implicit: bool = False) -> Step:
    padded = (1,) * (len(sizes) - len(shape)) + shape
    to = tuple(p if n == -1 else int(n) for n, p in zip(sizes, padded, strict=True))
    if any(p not in (1, n) for n, p in zip(to, padded, strict=True)):
        raise RuntimeError(f"a secret tensor of shape {shape} cannot be expanded to {list(sizes)}")
    return Same() if to == shape else Expanded(to)


@views(aten.squeeze.default)
def squeeze(shape: Shape) -> Step:
    return Reshaped(tuple(n for n in shape if n != 1))


@views(aten.squeeze.dim, aten.squeeze.dims)
def squeeze_dims(shape: Shape, dims: int | Sequence[int]) -> Step:
    chosen = axes([dims] if isinstance(dims, int) else dims, len(shape)) if dims != [] else ()
    return Reshaped(tuple(n for i, n in enumerate(shape) if n != 1 or i not in chosen))


@views(aten.unsqueeze.default)
def unsqueeze(shape: Shape, dim: int) -> Step:
    at = dim % (len(shape) + 1)
    return Reshaped((*shape[:at], 1, *shape[at:]))


@handles(aten.squeeze_.default, aten.squeeze_.dim, aten.squeeze_.dims, aten.unsqueeze_.default)
def reshape_(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """In place, PyTorch's own kernel changes the sizes that the wrapper reports; the value is then read in that shape."""
    x = args[0]
    with torch._C._DisableTorchDispatch():
        func(*args, **kwargs)
    x._steps, x._seen = (*x._steps, Reshaped(tuple(x.shape))), None
    return x


@views(aten.select.int)
def select(shape: Shape, dim: int, index: int) -> Step:
    dim, index = dim % len(shape), int(index)
    if not -shape[dim] <= index < shape[dim]:
        raise IndexError(f"index {index} is out of range for axis {dim} of a secret tensor of shape {shape}")
    at = index % shape[dim]
    return Sliced(dim, at, at + 1, 1, drop=True)


@views(aten.slice.Tensor)
def sliced(shape: Shape, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Step:
    dim %= len(shape)
    chosen = range(shape[dim])[start:end:step]
    return Same() if len(chosen) == shape[dim] else Sliced(dim, chosen.start, max(chosen.start, chosen.stop), step)


@views(aten.split.Tensor)
def split(shape: Shape, size: int, dim: int = 0) -> list[Step]:
    dim %= len(shape)
    total = shape[dim]
    return [Sliced(dim, i, min(i + size, total)) for i in range(0, max(total, 1), max(size, 1))]


@views(aten.split_with_sizes.default)
def split_with_sizes(shape: Shape, sizes: Sequence[int], dim: int = 0) -> list[Step]:
    dim %= len(shape)
    if sum(sizes) != shape[dim]:
        raise RuntimeError(f"split sizes {list(sizes)} do not add up to axis {dim} of a secret tensor of shape {shape}")
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [Sliced(dim, end - n, end) for n, end in zip(sizes, ends, strict=True)]


@views(aten.unbind.int)
def unbind(shape: Shape, dim: int = 0) -> list[Step]:
    if not shape:
        raise Unsupported("a secret tensor without axes cannot be iterated over")
    dim %= len(shape)
    return [Sliced(dim, i, i + 1, 1, drop=True) for i in range(shape[dim])]
