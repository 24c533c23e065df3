"""Writes that are no arithmetic: copying into a place, filling it."""

from typing import Any

import torch

from tacit.errors import Unsupported
from tacit.numbers.arithmetic import Number
from tacit.torch import refusals
from tacit.torch.ops.creation import name_gradient
from tacit.torch.rules import Call, Scope, handles, implements, is_public
from tacit.torch.tensor import SecretTensor, Value

aten = torch.ops.aten


@handles(aten.copy_.default)
def copy_(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    target, source = args[0], args[1]
    if type(target) is not SecretTensor:
        if is_public(source):
            return target.copy_(source.read())
        raise Unsupported(refusals.leak(func))
    _write(func, target, source)
    return target


@handles(aten.fill_.Tensor)
def fill_(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return copy_(func, args, kwargs)


@handles(aten.fill_.Scalar)
def fill_scalar(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    target = args[0]
    target.write(torch.tensor(float(args[1]), dtype=target.dtype).expand(target.shape))
    return target


@handles(aten.zero_.default)
def zero_(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    target = args[0]
    target.write(torch.zeros((), dtype=target.dtype).expand(target.shape))
    return target


def _write(func: Any, target: SecretTensor, source: Any) -> None:
    cell, shape = target._cell, tuple(target.shape)
    if isinstance(source, torch.Tensor) and not torch.can_cast(source.dtype, target.dtype):
        raise Unsupported(f"{func} would write {source.dtype} into a secret tensor of {target.dtype}: convert it first")
    call = Call(func)
    call.meet(target)
    name_gradient(cell)
    with Scope(cell.arithmetic, cell.name):
        value: Value = call.read(source)
        if isinstance(value, Number):
            value = cell.arithmetic.expand(value, shape)
        else:
            value = value.detach().to(target.dtype).expand(shape).clone()
        target.write(value)


@implements(aten.copy.default)
def copy(a: Any, x: Any, source: Any, non_blocking: bool = False) -> Any:
    return a.expand(source, x.shape) if isinstance(source, Number) else source.expand(x.shape)
