"""Operations that can be recorded on secrets. They are data: a protocol has the rules that lower them (`protocols.base`)."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tacit.field import CAPACITY, Field
from tacit.graph.forms import Form
from tacit.graph.maps import Combine, LinearMap, Shape

MARK = "~"
"""Before a hash of what parties compare."""
OWN = "own"
"""Marks a field that is one party's alone: the others have another, or none."""


class Operation:
    """A kind of value that a graph can have: what it is made by, and nothing of how."""

    shown: ClassVar[tuple[str, ...]] = ()
    """Fields that `describe` tells as they are. No number of a script is one: it may use as public what it should not."""

    def describe(self, key: bytes) -> str:
        """A line that all parties compare before a graph runs: the kind by name, and all that is in the operation by a hash."""
        told = "".join(f" {name} {getattr(self, name)}" for name in self.shown)
        return f"{_kinds(self)}{told} {MARK}{fingerprint(self, key)}"

    def linear(self) -> tuple[LinearMap | None, Field | None]:
        return None, None


def fingerprint(item: Any, key: bytes) -> str:
    """A hash of all fields of a dataclass, and of theirs, but for those that are a party's own.

    Nothing is left out that is not marked so: a field of a kind that is not known is a TypeError.
    """
    h = hashlib.blake2b(key=key, digest_size=16, person=b"tacit public")
    _feed(h, item)
    return h.hexdigest()


def _feed(h: Any, item: Any) -> None:
    if isinstance(item, np.ndarray):
        h.update(f"array {item.dtype.str} {item.shape}:".encode())
        h.update(np.ascontiguousarray(item).reshape(-1))
    elif isinstance(item, tuple | list):
        h.update(f"list {len(item)}:".encode())
        if all(type(i) is int for i in item):  # indices may be many
            h.update(f"{item}:".encode())
        else:
            for i in item:
                _feed(h, i)
    elif dataclasses.is_dataclass(item):
        told = _told(item.__class__)
        h.update(f"{type(item).__name__} {told}:".encode())
        for name in told:
            _feed(h, getattr(item, name))
    elif isinstance(item, bool | int | str | np.integer | None):
        text = repr(int(item) if isinstance(item, np.integer) else item)
        h.update(f"{len(text)}:{text}".encode())
    else:
        raise TypeError(f"parties cannot compare a {type(item).__name__}")


@functools.cache
def _told(kind: Any) -> tuple[str, ...]:
    """Fields that parties compare."""
    return tuple(f.name for f in dataclasses.fields(kind) if not f.metadata.get(OWN))


def _kinds(item: Any) -> str:
    """Names of classes: Linear(With(MatMul))."""
    inner = [_kinds(i) for name in _told(item.__class__) if isinstance(i := getattr(item, name), LinearMap | Form)]
    return f"{type(item).__name__}({', '.join(inner)})" if inner else type(item).__name__


@dataclass(eq=False)
class Input(Operation):
    """A private array of `owner`; `value` gives it there."""

    owner: int
    value: Callable[[], Field] | None = field(metadata={OWN: True})
    shown = ("owner",)


@dataclass(eq=False)
class Public(Operation):
    """A public array as a secret-shared one."""

    value: Field


@dataclass(eq=False)
class Linear(Operation):
    """map(inputs)."""

    map: LinearMap

    def linear(self) -> tuple[LinearMap | None, Field | None]:
        return (None if hasattr(self.map, "constant") else self.map), None


@dataclass(eq=False)
class Shift(Operation):
    """x + constant, for a public array."""

    constant: Field

    def linear(self) -> tuple[LinearMap | None, Field | None]:
        return Combine((1,)), self.constant


@dataclass(eq=False)
class Bilinear(Operation):
    form: Form


@dataclass(eq=False)
class Truncate(Operation):
    """x / divisor, rounded at random, for |x| < 2^magnitude."""

    divisor: int
    magnitude: int = CAPACITY

    @property
    def bits(self) -> int:
        """f, if the divisor is 2^f; else 0."""
        return 0 if self.divisor & (self.divisor - 1) else self.divisor.bit_length() - 1


@dataclass(eq=False)
class AtLeast(Operation):
    """[x >= t] for each public integer t, stacked along a first axis, for |x| and |x - t| below 2^magnitude.

    At the resolution that `bits` bits give; exact if 0 (`gadgets.comparison`).
    """

    thresholds: tuple[int, ...]
    magnitude: int
    bits: int


@dataclass(eq=False)
class Winners(Operation):
    """One-hots of the largest along the last axis, for differences below 2^magnitude (`gadgets.argmax`)."""

    magnitude: int


@dataclass(eq=False)
class RandomBits(Operation):
    """Uniform secret bits that nobody knows."""

    shape: Shape


@dataclass(eq=False)
class OutputMask(Operation):
    """A uniform secret array that only `owner` knows (`wire.clear` there): hides an output from the others."""

    owner: int
    shown = ("owner",)
