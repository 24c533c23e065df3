"""`SecretTensor`: what PyTorch sees of a secret array. Its shape and dtype are public; its value is a `Number` in a `Cell`.

A `Number` never changes. A `Cell` is a place whose number is replaced by a write; `detach` and `.data` share the cell, and
a view is (cell, steps): it is read through its steps and written through them. What cells hold hangs on one `Arithmetic`:
nothing here belongs to a process or a thread.
"""

import itertools
from typing import Any, NoReturn, TypeGuard

import torch

from tacit.errors import Unsupported
from tacit.field import CAPACITY
from tacit.numbers import saving
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.torch import refusals
from tacit.torch.arrays import operators
from tacit.torch.operands import array
from tacit.torch.table import dispatch
from tacit.torch.views import Step

Value = Number | torch.Tensor
"""A plain tensor stands for a value that is public though it came from secret operands, like ones_like(loss)."""

_CPU = torch.device("cpu")
_keys = itertools.count()  # only tells cells apart; unlike id(), never used again


class Cell:
    """A mutable place. `home`, the scale that it keeps, makes steps of training repeat exactly.

    `moved`: some step that was added to it could be seen at that scale.
    """

    __slots__ = ("_key", "_loose", "_value", "_views", "arithmetic", "home", "moved", "name", "version")

    def __init__(self, arithmetic: Arithmetic, value: Value, name: str = "") -> None:
        self.arithmetic, self.name, self.version = arithmetic, name, 0
        self.home = self._home_of(value) if isinstance(value, Number) else None
        self._value = value
        self._loose = self.moved = False
        self._key = next(_keys)
        self._views: dict[tuple[Step, ...], Number] = {}

    def read(self, steps: tuple[Step, ...] = ()) -> Value:
        value = self._conform() if self._loose else self._value
        if not steps:
            return value
        if not isinstance(value, Number):
            for step in steps:
                value = step.plain(value)
            return value
        if (known := self._views.get(steps)) is not None:
            return known
        for i, step in enumerate(steps):
            value = self._views.get(steps[: i + 1]) or step.apply(self.arithmetic, value)
            # Parts are not kept: all parts of a data set would take its memory once more.
            if all(s.whole for s in steps[: i + 1]):
                self._views[steps[: i + 1]] = value
        return value

    def peek(self) -> Value:
        """The value for an operation that will write its result back here: not brought home first."""
        return self._value

    def write(self, value: Value, steps: tuple[Step, ...] = (), loose: bool = False) -> None:
        """Replace the value of the place that `steps` lead to. `loose`: bring it home only when it is read.

        An empty place takes its first value as it is: autograd keeps a gradient, or copies it to a place, as it finds better.
        """
        if steps:
            value = self._through(steps, value)
        self.version += 1
        self._views = {}
        self._loose = False
        self._value = value
        if not isinstance(value, Number):
            return
        if self.home is None:
            self.home = self._home_of(value)
        elif loose and value.scale != self.home:
            self._loose = True
            self.arithmetic.engine.keep(self._key, value.wire)
        else:
            self._conform()

    def narrow(self) -> None:
        """Keep the width of the format from now on: for a state that will be updated again and again."""
        value, width = self._value, self.arithmetic.format.bits
        if isinstance(value, Number) and value.bits > width:
            self.home = value.scale - (value.bits - width)
            self._loose = True

    def refine(self) -> None:
        """Keep the fraction of the format from now on: for real numbers whose first values were whole, like those of a mask."""
        if self.home is not None and self.home < self.arithmetic.format.fraction:
            self.home = self.arithmetic.format.fraction
            self._loose = isinstance(self._value, Number)

    def _home_of(self, value: Number) -> int:
        """A scale at which the field holds all that the format allows."""
        return min(value.scale, CAPACITY - self.arithmetic.format.integer)

    def _conform(self) -> Number:
        assert isinstance(self._value, Number) and self.home is not None
        bit = (self._value.scale, self._value.bits, self.home) == (0, 1, 0)
        written = self._value if bit else self.arithmetic.like(self._value, self.home)
        self._value, self._loose = written, False
        self.arithmetic.engine.keep(self._key, written.wire)
        return written

    def _through(self, steps: tuple[Step, ...], value: Value) -> Value:
        a, base = self.arithmetic, self._conform() if self._loose else self._value
        if isinstance(base, torch.Tensor) and isinstance(value, torch.Tensor):
            base = place = base.clone()
            for step in steps:
                place = step.plain(place)
            place.copy_(value)
            return base
        base = _secret(a, base)
        value = _secret(a, value)
        value = a.like(value, base.scale)
        along = [base]
        for step in steps[:-1]:
            along.append(step.apply(a, along[-1]))
        for step, before in zip(reversed(steps), reversed(along), strict=True):
            value = step.put(a, before, value)
        return value


def _secret(a: Arithmetic, value: Value) -> Number:
    return value if isinstance(value, Number) else a.public(array(value))


@operators
class SecretTensor(torch.Tensor):
    """A tensor whose value no party sees. `session.reveal` opens it; nothing else does."""

    # No __slots__: torch.utils.swap_tensors exchanges __dict__.
    _cell: Cell
    _steps: tuple[Step, ...]
    _seen: tuple[int, Value] | None

    @staticmethod
    def __new__(
        cls, cell: Cell, steps: tuple[Step, ...], shape: tuple[int, ...], dtype: torch.dtype = torch.float32
    ) -> "SecretTensor":
        if torch.is_inference_mode_enabled():
            # A view of a normal tensor, shared with it, has to be a normal tensor too.
            with torch.inference_mode(False):
                return SecretTensor(cell, steps, shape, dtype)
        made: SecretTensor = torch.Tensor._make_wrapper_subclass(cls, shape, dtype=dtype, device=_CPU)
        made._cell, made._steps, made._seen = cell, steps, None
        return made

    def __init__(self, *args: Any) -> None:
        super().__init__()

    # Operations are caught below autograd, by __torch_dispatch__; nothing needs to be caught above it.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return dispatch(func, args, kwargs or {})

    def read(self) -> Value:
        """The value now; the same object as long as nothing was written, so that what was opened of it is known."""
        cell = self._cell
        if not self._steps:
            return cell.read()
        if self._seen is None or self._seen[0] != cell.version:
            self._seen = (cell.version, cell.read(self._steps))
        return self._seen[1]

    def write(self, value: Value, loose: bool = False) -> None:
        if self.dtype.is_floating_point:
            self._cell.refine()
        self._cell.write(value, self._steps, loose)

    def again(self, dtype: torch.dtype | None = None) -> "SecretTensor":
        """Another tensor of the same place."""
        other = SecretTensor(self._cell, self._steps, tuple(self.shape), dtype or self.dtype)
        other._seen = self._seen
        return other

    @property
    def data(self) -> torch.Tensor:
        return self.again()

    @data.setter
    def data(self, other: Any) -> None:
        # PyTorch's own setter would leave the secret as it was and say nothing.
        if not is_secret(other) or other._cell.arithmetic is not self._cell.arithmetic or other.shape != self.shape:
            raise Unsupported(
                f".data of a secret tensor of shape {tuple(self.shape)} was set to something else than a secret tensor of "
                "that shape and session; use copy_ under torch.no_grad()"
            )
        self._cell, self._steps, self._seen = other._cell, other._steps, other._seen

    # What would show the value.

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        grad = ", requires_grad=True" if self.requires_grad else ""
        return f"SecretTensor(shape={tuple(self.shape)}, dtype={self.dtype}{grad})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        if spec:
            self._refuse("format()")
        return repr(self)

    def _refuse(self, what: str) -> NoReturn:
        raise Unsupported(refusals.showing(what))

    def __bool__(self) -> bool:
        self._refuse("bool(), `if` or `while`")

    def __int__(self) -> int:
        self._refuse("int()")

    def __index__(self) -> int:
        self._refuse("use as an index")

    def __float__(self) -> float:
        self._refuse("float()")

    def __complex__(self) -> complex:
        self._refuse("complex()")

    def item(self) -> NoReturn:
        self._refuse("item()")

    def tolist(self) -> NoReturn:
        self._refuse("tolist()")

    def numpy(self, *, force: bool = False) -> NoReturn:
        self._refuse("numpy()")

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("conversion to a NumPy array")

    def __dlpack__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("__dlpack__()")

    def __contains__(self, element: object) -> bool:
        self._refuse("`in`")

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickled, as by torch.save, it is this party's share of it as plain values; all parties have to save it alike."""
        if getattr(self, "_is_param", False):
            raise Unsupported(
                "a shared module cannot be pickled: save model.state_dict() with session.save or torch.save, and load it with "
                "model.load_state_dict(session.restore(path))"
            )
        return saving.reduced(self._cell.arithmetic, kept(self))

    def __copy__(self) -> "SecretTensor":
        return self.again()

    def __deepcopy__(self, memo: dict[int, Any]) -> "SecretTensor":
        if id(self) in memo:
            copied: SecretTensor = memo[id(self)]
            return copied
        if not self.is_leaf:
            raise Unsupported(
                "only secret tensors that are leaves of autograd can be copied with deepcopy; detach first"
            )
        with torch.no_grad():
            copied = wrap(self._cell.arithmetic, number(self), self.dtype)
        copied._cell.home, copied._cell.name = self._cell.home, self._cell.name
        copied.requires_grad_(self.requires_grad)
        if getattr(self, "_is_param", False):
            copied._is_param = True
        memo[id(self)] = copied
        return copied


def wrap(arithmetic: Arithmetic, number: Number, dtype: torch.dtype = torch.float32, name: str = "") -> "SecretTensor":
    """`number` as a tensor. `dtype` is what PyTorch is told; the precision is that of the number's format."""
    return SecretTensor(Cell(arithmetic, number, name), (), number.shape, dtype)


def is_secret(x: object) -> TypeGuard[SecretTensor]:
    return isinstance(x, SecretTensor)


def number(x: SecretTensor) -> Number:
    """The number that `x` holds now."""
    return _secret(x._cell.arithmetic, x.read())


def kept(x: SecretTensor) -> saving.Item:
    """The parts of `x` that are saved: its number, its kind, and how words are held in a file that torch reads."""
    if not x.dtype.is_floating_point:
        raise Unsupported(
            "secret labels cannot be saved, since the one-hots that they came from would be lost: save the numbers that they are "
            "computed from, or enter the labels again"
        )
    return number(x), str(x.dtype), torch.from_numpy
