"""What can be recorded on secrets. Each operation lowers itself through one method of the `Protocol`."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tacit.field import CAPACITY, Field
from tacit.sharing.forms import Form
from tacit.sharing.maps import Combine, LinearMap, Shape
from tacit.sharing.wires import Wire

if TYPE_CHECKING:
    from tacit.sharing.plan import Plan, Task
    from tacit.sharing.protocol import Protocol


class Operation(ABC):
    @abstractmethod
    def lower(self, protocol: "Protocol", wire: Wire, plan: "Plan") -> "Task":
        """Record what `wire`, made by this operation, needs and does."""

    @abstractmethod
    def describe(self) -> str:
        """What all parties must agree on: compared by hash before a graph runs."""

    def linear(self) -> tuple[LinearMap | None, Field | None]:
        return None, None


def digest(array: NDArray[Any]) -> str:
    return hashlib.blake2b(array.tobytes(), digest_size=16, person=b"tacit public").hexdigest()


@dataclass(eq=False)
class Input(Operation):
    """A private array of `owner`; `value` gives it there."""

    owner: int
    value: Callable[[], Field] | None

    def lower(self, protocol: "Protocol", wire: Wire, plan: "Plan") -> "Task":
        return protocol.input(self, wire, plan)

    def describe(self) -> str:
        return f"input of party {self.owner}"


@dataclass(eq=False)
class Public(Operation):
    """A public array as a secret-shared one."""

    value: Field

    def lower(self, protocol: "Protocol", wire: Wire, plan: "Plan") -> "Task":
        return protocol.public(self, wire, plan)

    def describe(self) -> str:
        return f"public {digest(self.value)}"


@dataclass(eq=False)
class Linear(Operation):
    """map(inputs)."""

    map: LinearMap

    def lower(self, protocol: "Protocol", wire: Wire, plan: "Plan") -> "Task":
        return protocol.linear(self, wire, plan)

    def describe(self) -> str:
        """By digest: a peer with another script is shown this, and a script may use as public what it should not."""
        constant = getattr(self.map, "constant", None)
        if constant is not None:
            return f"{type(self.map).__name__} {digest(constant)}"
        fields = hashlib.blake2b(str(self.map).encode(), digest_size=16, person=b"tacit public").hexdigest()
        return f"{type(self.map).__name__} {fields}"

    def linear(self) -> tuple[LinearMap | None, Field | None]:
        return (None if hasattr(self.map, "constant") else self.map), None


@dataclass(eq=False)
class Shift(Operation):
    """x + constant, for a public array."""

    constant: Field

    def lower(self, protocol: "Protocol", wire: Wire, plan: "Plan") -> "Task":
        return protocol.shift(self, wire, plan)

    def describe(self) -> str:
        return f"shift {digest(self.constant)}"

    def linear(self) -> tuple[LinearMap | None, Field | None]:
        return Combine((1,)), self.constant


@dataclass(eq=False)
class Bilinear(Operation):
    form: Form

    def lower(self, protocol: "Protocol", wire: Wire, plan: "Plan") -> "Task":
        return protocol.bilinear(self, wire, plan)

    def describe(self) -> str:
        return str(self.form)


@dataclass(eq=False)
class Truncate(Operation):
    """x / divisor, rounded at random, for |x| < 2^magnitude."""

    divisor: int
    magnitude: int = CAPACITY

    @property
    def bits(self) -> int:
        """f, if the divisor is 2^f; else 0."""
        return 0 if self.divisor & (self.divisor - 1) else self.divisor.bit_length() - 1

    def lower(self, protocol: "Protocol", wire: Wire, plan: "Plan") -> "Task":
        return protocol.truncate(self, wire, plan)

    def describe(self) -> str:
        return f"truncate {self.magnitude} bits by {self.divisor}"


@dataclass(eq=False)
class AtLeast(Operation):
    """[x >= t] for each public integer t, stacked along a first axis, for |x| and |x - t| below 2^magnitude.

    At the resolution that `bits` bits give; exact if 0 (`sharing.comparison`).
    """

    thresholds: tuple[int, ...]
    magnitude: int
    bits: int

    def lower(self, protocol: "Protocol", wire: Wire, plan: "Plan") -> "Task":
        return protocol.at_least(self, wire, plan)

    def describe(self) -> str:
        levels = digest(np.asarray(self.thresholds, np.int64))
        return f"comparison with {levels} of {self.magnitude} bits by {self.bits or 'all'}"


@dataclass(eq=False)
class Winners(Operation):
    """One-hots of the largest along the last axis, for differences below 2^magnitude (`sharing.winners`)."""

    magnitude: int

    def lower(self, protocol: "Protocol", wire: Wire, plan: "Plan") -> "Task":
        return protocol.winners(self, wire, plan)

    def describe(self) -> str:
        return f"winners of {self.magnitude} bits"


@dataclass(eq=False)
class RandomBits(Operation):
    """Uniform secret bits that nobody knows."""

    shape: Shape

    def lower(self, protocol: "Protocol", wire: Wire, plan: "Plan") -> "Task":
        return protocol.random_bits(self, wire, plan)

    def describe(self) -> str:
        return "random bits"


@dataclass(eq=False)
class OutputMask(Operation):
    """A uniform secret array that only `owner` knows (`wire.clear` there): hides an output from the others."""

    owner: int

    def lower(self, protocol: "Protocol", wire: Wire, plan: "Plan") -> "Task":
        return protocol.output_mask(self, wire, plan)

    def describe(self) -> str:
        return f"output mask of party {self.owner}"
