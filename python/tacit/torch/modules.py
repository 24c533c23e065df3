"""Whole modules: their parameters become secret in place, so that optimisers, ties and hooks stay what they were."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import nn

from tacit.engine.engine import Engine, Purpose
from tacit.errors import Unsupported
from tacit.numbers.arithmetic import Arithmetic
from tacit.torch.operands import array, plain
from tacit.torch.rules import LAYER
from tacit.torch.tensor import is_secret, number, wrap

Place = tuple[nn.Module, str]
"""A module and the name of its parameter or buffer."""


class Session(Protocol):
    """The part of a session that modules need."""

    @property
    def me(self) -> int: ...

    @property
    def arithmetic(self) -> Arithmetic: ...


def share_module(session: Session, module: nn.Module, owner: int) -> nn.Module:
    """`module`, with party `owner`'s parameters as secrets. The other parties' values of them do not matter; shapes do."""
    _check(module)
    a = session.arithmetic
    for name, x in _tensors(module).items():
        if is_secret(x):
            continue
        values = array(x) if session.me == owner else None
        secret = a.input(owner, values, tuple(x.shape), None, name)
        _swap(name, x, wrap(a, secret, x.dtype, name))
    for name, layer in module.named_modules():
        if name and not any(isinstance(hook, _Enter) for hook in layer._forward_pre_hooks.values()):
            named = _Layer(a.engine, f"{name}({type(layer).__name__})")
            layer.register_forward_pre_hook(_Enter(named))
            layer.register_forward_hook(_Leave(named), always_call=True)
    return module


def reveal_module(
    session: Session,
    module: nn.Module,
    to: Sequence[int] | int | None = None,
    purpose: Purpose | None = None,
) -> nn.Module:
    """`module` with plain parameters at the parties `to` (all if None); at the others they stay secret."""
    a = session.arithmetic
    receivers = [to] if isinstance(to, int) else to
    secrets = {name: x for name, x in _tensors(module).items() if is_secret(x)}
    values = a.reveal([number(x) for x in secrets.values()], receivers, purpose)
    for (name, x), value in zip(secrets.items(), values, strict=True):
        if value is not None:
            _swap(name, x, plain(value, x.dtype))
    if not any(is_secret(x) for x in _tensors(module).values()):
        for layer in module.modules():
            _unhook(layer._forward_pre_hooks)
            _unhook(layer._forward_hooks)
    return module


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """Unique parameters and floating buffers by name; a tied one by its first name."""
    found: dict[str, torch.Tensor] = dict(module.named_parameters())
    found.update((name, b) for name, b in module.named_buffers() if b.is_floating_point())
    return found


def _check(module: nn.Module) -> None:
    for name, parameter in module.named_parameters():
        if isinstance(parameter, nn.UninitializedParameter):
            raise Unsupported(
                f"the parameter {name} has no shape yet (a lazy module): run the module once before sharing it"
            )
        if not parameter.is_floating_point():
            raise Unsupported(f"the parameter {name} is of {parameter.dtype}: only floating parameters can be secret")


def _swap(name: str, old: torch.Tensor, new: torch.Tensor) -> None:
    """`old`, the object that modules and optimisers hold, becomes `new`."""
    old.grad = None
    if isinstance(old, nn.Parameter):
        new = nn.Parameter(new, requires_grad=old.requires_grad)
    try:
        torch.utils.swap_tensors(old, new)
    except RuntimeError as error:
        raise Unsupported(
            f"{name} is still held by a computation: share or reveal a module before it computes, or after its results "
            f"were dropped ({error})"
        ) from None


class _Layer:
    """Names a module while it computes: in the engine's scope, and on the autograd nodes that it makes."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine, self.name = engine, name
        self.outer: list[list[str]] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Layer":
        return self  # a copied module is of the same session


class _Enter:
    def __init__(self, layer: _Layer) -> None:
        self.layer = layer

    def __call__(self, module: nn.Module, args: Any) -> None:
        scope = self.layer.engine.scope
        self.layer.outer.append(list(scope))
        scope[:] = [self.layer.name]


class _Leave:
    def __init__(self, layer: _Layer) -> None:
        self.layer = layer

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        if self.layer.outer:
            self.layer.engine.scope[:] = self.layer.outer.pop()
        for x in output if isinstance(output, list | tuple) else [output]:
            if is_secret(x) and x.grad_fn is not None:
                _sign(x.grad_fn, self.layer.name)


def _sign(node: Any, name: str) -> None:
    """Name the nodes of a backward graph that have no name: inner modules signed theirs before."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if node is None or LAYER in node.metadata or type(node).__name__ == "AccumulateGrad":
            continue
        node.metadata[LAYER] = name
        waiting.extend(following for following, _ in node.next_functions)


def _unhook(hooks: dict[int, Any]) -> None:
    for key in [k for k, hook in hooks.items() if isinstance(hook, _Enter | _Leave)]:
        del hooks[key]
