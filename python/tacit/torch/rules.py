"""How a rule on numbers becomes a handler of tensors: operands are read, the result is wrapped, writes go to their place.

@implements(aten.mul.Tensor, aten.mul.Scalar)
def mul(a, x, y): ...            # Numbers where secret, plain tensors and Python numbers where public

@views(aten.t.default)
def t(shape): return Permuted((1, 0))
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from tacit.errors import OutOfRange, Unsupported
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.torch import refusals
from tacit.torch.table import TABLE, Handler
from tacit.torch.tensor import Cell, SecretTensor, Value
from tacit.torch.views import Same, Step

Rule = Callable[..., Any]
"""rule(arithmetic, *operands) -> Number, plain tensor, `Typed`, or a list or tuple of them."""

Integers = Callable[[tuple[Any, ...]], torch.dtype]
"""The dtype of what comes out, from the operands, of a rule that knows what to do with secret integers and booleans."""


@dataclass(frozen=True)
class Typed:
    """A rule's result of another dtype than its operands, like the booleans of a comparison."""

    value: Value
    dtype: torch.dtype


RULES: dict[Any, Rule] = {}

LAYER = "tacit layer"
"""Key in an autograd node's metadata: the layer whose forward pass made it."""


INTEGERS: dict[Any, Integers] = {}


def implements(*overloads: Any, integers: Integers | None = None) -> Callable[[Rule], Rule]:
    """Register a rule on numbers for these overloads. Without `integers`, secret integers and booleans are refused."""

    def register(rule: Rule) -> Rule:
        for func in overloads:
            RULES[func] = rule
            TABLE[func] = lifted(rule)
            if integers is not None:
                INTEGERS[func] = integers
        return rule

    return register


def first(args: tuple[Any, ...]) -> torch.dtype:
    """The dtype of the first operand, or of the first in a list."""
    x = args[0][0] if isinstance(args[0], list | tuple) else args[0]
    dtype: torch.dtype = x.dtype
    return dtype


def promoted(args: tuple[Any, ...]) -> torch.dtype:
    """The dtype that torch makes of the first two operands."""
    return torch.result_type(args[0], args[1])


def floating(args: tuple[Any, ...]) -> torch.dtype:
    """The dtype that torch makes of the first operand and a real number."""
    return torch.result_type(args[0], 1.0)


def views(*overloads: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register what view an overload is: f(shape, *arguments) -> Step, or a list of them."""

    def register(steps: Callable[..., Any]) -> Callable[..., Any]:
        def handler(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            x = args[0]
            made = steps(tuple(x.shape), *args[1:], **kwargs)
            return [_view(x, step) for step in made] if isinstance(made, list) else _view(x, made)

        for func in overloads:
            TABLE[func] = handler
        return steps

    return register


def handles(*overloads: Any) -> Callable[[Handler], Handler]:
    """Register a handler that sees the tensors themselves."""

    def register(handler: Handler) -> Handler:
        for func in overloads:
            TABLE[func] = handler
        return handler

    return register


def _view(x: SecretTensor, step: Step) -> SecretTensor:
    if isinstance(step, Same):
        return x.again()
    return SecretTensor(x._cell, (*x._steps, step), step.shape(tuple(x.shape)), x.dtype)


def booleans(args: tuple[Any, ...]) -> torch.dtype:
    """For rules that take booleans only."""
    if any(type(x) is SecretTensor and x.dtype != torch.bool for x in args):
        raise Unsupported("secret numbers where booleans should be: compare them first, as in x != 0")
    return torch.bool


class Call:
    """One operation: reads its operands and wraps its results. All secrets are of one session."""

    __slots__ = ("arithmetic", "dtype", "func", "integral", "secret")

    def __init__(self, func: Any) -> None:
        self.func = func
        self.arithmetic: Arithmetic | None = None
        self.dtype = torch.float32
        self.secret = False  # some operand is; not merely public values in a wrapper
        self.integral = False  # some secret is of integers or booleans

    def meet(self, x: SecretTensor) -> None:
        arithmetic = x._cell.arithmetic
        if self.arithmetic is None:
            self.arithmetic, self.dtype = arithmetic, x.dtype
        elif arithmetic is not self.arithmetic:
            raise Unsupported(refusals.SESSIONS.format(self.func))
        self.integral = self.integral or not x.dtype.is_floating_point

    def value(self, value: Value) -> Value:
        if isinstance(value, Number):
            self.secret = True
        return value

    def read(self, x: Any) -> Any:
        """`x` with its secrets as numbers."""
        if type(x) is SecretTensor:
            self.meet(x)
            return self.value(x.read())
        if type(x) is list or type(x) is tuple:
            return [self.read(y) for y in x]
        return x

    def result(self, func: Any, args: tuple[Any, ...]) -> None:
        """The dtype of the result."""
        if (integers := INTEGERS.get(func)) is not None:
            self.dtype = integers(args)
        elif self.integral:
            raise Unsupported(refusals.integers(self.func))

    def run(self, rule: Rule, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """rule(...), or PyTorch's own `func` if no operand is secret."""
        if not self.secret:
            return func(*args, **kwargs)
        assert self.arithmetic is not None
        return rule(self.arithmetic, *args, **kwargs)

    def wrap(self, result: Any) -> Any:
        if isinstance(result, Typed):
            if not isinstance(result.value, Number):
                return result.value.to(result.dtype)
            assert self.arithmetic is not None
            return SecretTensor(Cell(self.arithmetic, result.value), (), result.value.shape, result.dtype)
        if isinstance(result, Number):
            assert self.arithmetic is not None
            return SecretTensor(Cell(self.arithmetic, result), (), result.shape, self.dtype)
        if isinstance(result, torch.Tensor):
            if type(result) is SecretTensor or not result.is_floating_point():
                return result
            assert self.arithmetic is not None
            return SecretTensor(Cell(self.arithmetic, result), (), tuple(result.shape), self.dtype)
        if isinstance(result, list | tuple):
            return type(result)(self.wrap(r) for r in result)
        return result


class Scope:
    """Labels what is recorded inside: by a place's name, or by the layer that the backward pass is in."""

    __slots__ = ("pushed", "scope")

    def __init__(self, arithmetic: Arithmetic, name: str = "") -> None:
        self.scope = arithmetic.engine.scope
        if not name and not self.scope and (node := torch._C._current_autograd_node()) is not None:
            metadata: Any = node.metadata
            name = (
                f"backward of {metadata.get(LAYER) or type(node).__name__.removesuffix('0').removesuffix('Backward')}"
            )
        self.pushed = bool(name) and not self.scope
        if self.pushed:
            self.scope.append(name)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        if self.pushed:
            self.scope.pop()


def lifted(rule: Rule) -> Handler:
    def handler(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = Call(func)
        with Scope(_arithmetic(args)):
            values = [call.read(x) for x in args]
            named = {k: call.read(v) for k, v in kwargs.items()} if kwargs else kwargs
            call.result(func, args)
            return call.wrap(call.run(rule, func, values, named))

    return handler


def _arithmetic(args: tuple[Any, ...]) -> Arithmetic:
    for x in args:
        if type(x) is SecretTensor:
            return x._cell.arithmetic
        if type(x) is list or type(x) is tuple:
            for y in x:
                if type(y) is SecretTensor:
                    return y._cell.arithmetic
    raise AssertionError("an operation without a secret operand was dispatched")


def written(rule: Rule, functional: Any) -> Handler:
    """The in-place form of `rule`. A place that is only scaled is brought home with the next write or read."""
    scales = functional._schema.name in ("aten::mul", "aten::div")

    def handler(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        target, others = args[0], args[1:]
        if type(target) is not SecretTensor:
            if any(holds_secret(x) for x in (*others, *kwargs.values())):
                raise Unsupported(refusals.leak(func))
            return func(target, *(public(x) for x in others), **{k: public(v) for k, v in kwargs.items()})
        cell = target._cell
        call = Call(func)
        call.meet(target)
        with Scope(cell.arithmetic, cell.name):
            old = call.value(target.read() if target._steps else cell.peek())
            values = [call.read(x) for x in others]
            named = {k: call.read(v) for k, v in kwargs.items()}
            call.result(functional, args)
            if "alpha" in named:
                _moving(func, cell, values[0], named["alpha"])
            if call.integral and not torch.can_cast(call.dtype, target.dtype):
                raise Unsupported(f"{func} would write {call.dtype} into a secret tensor of {target.dtype}")
            new = call.run(rule, functional, [old, *values], named)
            new = new.value if isinstance(new, Typed) else new
            loose = scales and not target._steps and not isinstance(values[0], Number)
            put(func, target, new, loose)
        return target

    return handler


def _moving(func: Any, cell: Cell, step: Any, factor: float) -> None:
    """Refuse steps, as of an optimizer, none of which a place can show: |factor step| is below half a unit of its last place.

    Not where larger steps were made before, as when a schedule ends near 0.
    """
    if cell.moved or not factor or not isinstance(step, Number) or cell.home is None:
        return
    reach = abs(factor) * math.ldexp(1.0, step.bits - step.scale)
    if reach < math.ldexp(0.5, -cell.home):
        raise OutOfRange(
            f"{func} with a factor of {abs(factor):g}: steps below {reach:.3g} would never move a place whose unit is "
            f"2^-{cell.home}. Take a larger learning rate, or declare a format with more fraction bits"
        )
    cell.moved = True


def put(func: Any, target: SecretTensor, new: Value, loose: bool = False) -> None:
    if tuple(new.shape) != tuple(target.shape):
        raise Unsupported(f"{func} would give shape {tuple(new.shape)} to a place of shape {tuple(target.shape)}")
    target.write(new, loose)


def is_public(x: SecretTensor) -> bool:
    """Return whether a wrapper holds a value that all parties know, like ones_like(loss)."""
    return not isinstance(x._cell.peek(), Number)


def holds_secret(x: Any) -> bool:
    if isinstance(x, list | tuple):
        return any(holds_secret(y) for y in x)
    return type(x) is SecretTensor and not is_public(x)


def public(x: Any) -> Any:
    if isinstance(x, list | tuple):
        return type(x)(public(y) for y in x)
    return x.read() if type(x) is SecretTensor else x
