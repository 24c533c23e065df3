"""What a forced graph needs: requests to the source of correlations, and tasks that run in rounds.

Lowering a graph fills a `Plan` on every party alike, before anything is sent. Its declared rounds and bytes are the costs
that `tacit plan` prints; a test holds them against the meter.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tacit import _core
from tacit.errors import CheatingDetected
from tacit.field import Field, size
from tacit.sharing.forms import Form
from tacit.sharing.maps import Shape
from tacit.sharing.masks import Expression, Mask
from tacit.sharing.requests import (
    BitsRequest,
    ComparisonRequest,
    DaBitsRequest,
    EdaBitsRequest,
    InputMask,
    MaskRequest,
    Material,
    ProductRequest,
    Request,
    TruncationRequest,
)

if TYPE_CHECKING:
    from tacit.sharing.wires import Wire


@dataclass(frozen=True)
class Exchange:
    """One message of a primitive in one round: arrays or bytes to each peer, and how many bytes come from each.

    `corrects`: the primitive does without a peer's message that is malformed, which it gets as an empty one.
    """

    out: Mapping[int, Sequence[Any]]
    expect: Mapping[int, int]
    corrects: bool = False


Rounds = Generator[Exchange, Mapping[int, memoryview], Any]
"""An interactive primitive: yields what it sends in a round, gets what came, returns its result."""


@dataclass(eq=False)
class Task:
    """A step of a graph: runs once all of `after` have. `rounds` and `sends` (bytes by this party) are declared."""

    run: Callable[[], "Rounds | None"]
    after: tuple["Task", ...] = ()
    rounds: int = 0
    sends: int = 0
    label: str = ""
    done: bool = False
    undone: bool = False
    """Its step was undone after a loss: what it opened is not known to all."""
    depth: int = 0


@dataclass(frozen=True)
class OpeningRecord:
    """The ledger's line for one opening: which value, how many elements, under which kind of mask."""

    label: str
    shape: Shape
    kind: str


@dataclass
class Plan:
    """Collects requests and tasks while a graph is lowered. `first` is the number of the next request of the session."""

    first: int
    requests: list[Request] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    material: dict[int, Material] = field(default_factory=dict)
    joined: Mapping[int, "Wire"] = field(default_factory=dict)
    """By id of a truncation's wire: the comparison of the same value, which opens it for both."""

    def _next(self) -> int:
        return self.first + len(self.requests)

    def mask(self, shape: Shape, binary: bool = False) -> tuple[Mask, Callable[[], Material]]:
        request = MaskRequest(self._next(), shape, binary)
        return Mask(request), self._ask(request)

    def input_mask(self, shape: Shape, owner: int) -> tuple[Mask, Callable[[], Material]]:
        request = InputMask(self._next(), shape, owner)
        return Mask(request), self._ask(request)

    def bits(self, shape: Shape) -> Callable[[], Material]:
        return self._ask(BitsRequest(self._next(), shape))

    def truncation(
        self, shape: Shape, bits: int, digits: int
    ) -> tuple[tuple[Mask, Mask, Mask], Callable[[], Material]]:
        request = TruncationRequest(self._next(), shape, bits, digits)
        return (Mask(request, 0), Mask(request, 1), Mask(request, 2)), self._ask(request)

    def comparison(
        self, shape: Shape, bits: int, binary: bool, drop: int = 0
    ) -> tuple[tuple[Mask, ...], Callable[[], Material]]:
        request = ComparisonRequest(self._next(), shape, bits, binary, drop)
        return tuple(Mask(request, place) for place in range(request.count)), self._ask(request)

    def dabits(self, shape: Shape) -> tuple[tuple[Mask, Mask], Callable[[], Material]]:
        request = DaBitsRequest(self._next(), shape)
        return (Mask(request, 0), Mask(request, 1)), self._ask(request)

    def edabits(self, shape: Shape, bits: int, binary: bool) -> tuple[tuple[Mask, ...], Callable[[], Material]]:
        request = EdaBitsRequest(self._next(), shape, bits, binary)
        return tuple(Mask(request, place) for place in range(request.count)), self._ask(request)

    def product(self, form: Form, x: Expression, y: Expression) -> Callable[[], Material]:
        """[f(x, y)]. The masks are leased until the material is there (verified)."""
        for leaf in (*x.leaves(), *y.leaves()):
            leaf.leases += 1
        return self._ask(ProductRequest(self._next(), form.shape(x.shape, y.shape), form, x, y))

    def _ask(self, request: Request) -> Callable[[], Material]:
        self.requests.append(request)
        # Not the plan: whoever has it does not keep all that was asked for.
        material, number = self.material, request.number
        return lambda: material.pop(number)

    def fill(self, material: Sequence[Material]) -> None:
        """Take what the source gave, verified, for all requests in order; the masks' leases end."""
        for request, given in zip(self.requests, material, strict=True):
            self.material[request.number] = given
            self.release(request)

    @staticmethod
    def release(request: Request) -> None:
        if isinstance(request, ProductRequest):
            for leaf in (*request.x.leaves(), *request.y.leaves()):
                leaf.leases -= 1

    def task(
        self, run: Callable[[], "Rounds | None"], after: Sequence[object], label: str, rounds: int = 0, sends: int = 0
    ) -> Task:
        """Add a task; `after` may hold tasks of earlier graphs, which are done."""
        before = tuple(t for t in after if isinstance(t, Task) and not t.done)
        depth = max((t.depth for t in before), default=0) + rounds
        task = Task(run, before, rounds, sends, label, depth=depth)
        self.tasks.append(task)
        return task

    @property
    def rounds(self) -> int:
        return max((t.depth for t in self.tasks), default=0)

    @property
    def sends(self) -> int:
        return sum(t.sends for t in self.tasks)


def elements(data: memoryview, shape: Shape) -> Field:
    """A received array of field elements, checked to be canonical by the caller's protocol."""
    values = np.frombuffer(data, np.uint64, size(shape)).reshape(shape)
    return values if values.flags.aligned else values.copy()  # packed bits before it in the frame may have any length


def received(data: memoryview, shape: Shape, sender: int) -> Field:
    """Field elements that `sender` sent; `CheatingDetected` unless they are so many, and canonical."""
    if len(data) != 8 * size(shape):
        raise CheatingDetected(f"party {sender} sent {len(data)} bytes where {8 * size(shape)} were due")
    value = elements(data, shape)
    if not _core.is_canonical(value):
        raise CheatingDetected(f"party {sender} sent a number outside the field")
    return value
