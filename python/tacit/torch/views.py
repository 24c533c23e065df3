"""Views: how to read a part of a number or a rearrangement of it, and how a write goes through to what it is a view of."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch

from tacit.errors import Unsupported
from tacit.numbers.arithmetic import Arithmetic, Number

Shape = tuple[int, ...]


class Step(ABC):
    """One view of an array. Steps are equal if they do the same."""

    whole: ClassVar[bool] = True
    """It shows all elements."""

    @abstractmethod
    def shape(self, base: Shape) -> Shape: ...

    @abstractmethod
    def apply(self, a: Arithmetic, base: Number) -> Number: ...

    @abstractmethod
    def plain(self, base: torch.Tensor) -> torch.Tensor:
        """The same view of a plain tensor."""

    @abstractmethod
    def put(self, a: Arithmetic, base: Number, part: Number) -> Number:
        """`base` with `part` in the place that this shows; both have one scale."""


@dataclass(frozen=True)
class Same(Step):
    def shape(self, base: Shape) -> Shape:
        return base

    def apply(self, a: Arithmetic, base: Number) -> Number:
        return base

    def plain(self, base: torch.Tensor) -> torch.Tensor:
        return base

    def put(self, a: Arithmetic, base: Number, part: Number) -> Number:
        return part


@dataclass(frozen=True)
class Reshaped(Step):
    to: Shape

    def shape(self, base: Shape) -> Shape:
        return self.to

    def apply(self, a: Arithmetic, base: Number) -> Number:
        return a.reshape(base, self.to)

    def plain(self, base: torch.Tensor) -> torch.Tensor:
        return base.reshape(self.to)

    def put(self, a: Arithmetic, base: Number, part: Number) -> Number:
        return a.reshape(part, base.shape)


@dataclass(frozen=True)
class Permuted(Step):
    axes: Shape

    def shape(self, base: Shape) -> Shape:
        return tuple(base[i] for i in self.axes)

    def apply(self, a: Arithmetic, base: Number) -> Number:
        return a.permute(base, self.axes)

    def plain(self, base: torch.Tensor) -> torch.Tensor:
        return base.permute(self.axes)

    def put(self, a: Arithmetic, base: Number, part: Number) -> Number:
        return a.permute(part, [self.axes.index(i) for i in range(len(self.axes))])


@dataclass(frozen=True)
class Expanded(Step):
    to: Shape

    def shape(self, base: Shape) -> Shape:
        return self.to

    def apply(self, a: Arithmetic, base: Number) -> Number:
        return a.expand(base, self.to)

    def plain(self, base: torch.Tensor) -> torch.Tensor:
        return base.expand(self.to)

    def put(self, a: Arithmetic, base: Number, part: Number) -> Number:
        raise Unsupported(
            f"a write into an expanded secret tensor, of which several elements are one: clone it first ({self.to})"
        )


@dataclass(frozen=True)
class Sliced(Step):
    """start:stop:step along one axis; `drop` leaves the axis out (one index)."""

    axis: int
    start: int
    stop: int
    step: int = 1
    drop: bool = False
    whole: ClassVar[bool] = False

    def shape(self, base: Shape) -> Shape:
        length = () if self.drop else (len(range(self.start, self.stop, self.step)),)
        return (*base[: self.axis], *length, *base[self.axis + 1 :])

    def apply(self, a: Arithmetic, base: Number) -> Number:
        if (self.start, self.stop, self.step) == (0, base.shape[self.axis], 1):
            part = base
        else:
            part = a.slice(base, self.axis, self.start, self.stop, self.step)
        return a.reshape(part, self.shape(base.shape))

    def plain(self, base: torch.Tensor) -> torch.Tensor:
        key: tuple[slice | int, ...] = (slice(None),) * self.axis
        return base[(*key, self.start if self.drop else slice(self.start, self.stop, self.step))]

    def put(self, a: Arithmetic, base: Number, part: Number) -> Number:
        indices = range(self.start, self.stop, self.step)
        shape = (*base.shape[: self.axis], len(indices), *base.shape[self.axis + 1 :])
        return put_rows(a, base, self.axis, list(indices), a.reshape(part, shape))


def put_rows(a: Arithmetic, base: Number, axis: int, indices: list[int], rows: Number) -> Number:
    """`base` with `rows` at `indices` of an axis. Moves elements only, so what was opened of both is known of the result."""
    size = base.shape[axis]
    if not indices:
        return base
    if indices == list(range(size)):
        return rows
    order = list(range(size))
    for place, index in enumerate(indices):
        order[index] = size + place
    return a.gather(a.concat([base, rows], axis), axis, order)
