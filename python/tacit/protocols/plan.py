"""The needs of a forced graph: requests to the source of correlations, and tasks that run in rounds.

Lowering a graph fills a `Plan` on every party alike, before anything is sent. Its declared rounds and bytes are the costs
that `tacit plan` prints; a test holds them against the meter.

A graph that needs much is cut into *portions*, in the order of its tasks: each takes its material, and runs, when those before it
are done, so that all material is never there at once. The cuts follow from the graph and a setting, alike at all parties.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tacit.correlations.masks import Expression, Mask
from tacit.correlations.requests import (
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
    multiplied,
)
from tacit.graph.forms import Form
from tacit.graph.maps import Shape
from tacit.interaction.exchange import Rounds
from tacit.interaction.rounds import Task

if TYPE_CHECKING:
    from tacit.graph.wires import Wire
    from tacit.protocols.shamir.fused import Fused


@dataclass(frozen=True)
class OpeningRecord:
    """The ledger's line for one opening: which value, how many elements, under which kind of mask."""

    label: str
    shape: Shape
    kind: str


@dataclass
class Portion:
    """Tasks that run together, and requests whose material these take (or, now and then, later ones)."""

    requests: list[Request]
    tasks: list[Task]
    _material: dict[int, Material] = field(repr=False)

    def lease(self) -> None:
        """Masks of which products will be asked for open nothing until these are there."""
        for leaf in multiplied(self.requests):
            leaf.lease()

    def release(self) -> None:
        for leaf in multiplied(self.requests):
            leaf.release()

    def fill(self, material: Sequence[Material]) -> None:
        """Take what the source gave, verified, for all requests in order; the masks' leases end."""
        self._material.update((r.number, given) for r, given in zip(self.requests, material, strict=True))
        self.release()
        self.requests = []  # sources keep masks for as long as somebody knows them


@dataclass
class Plan:
    """Collects requests and tasks while a graph is lowered. `first` is the number of the next request of the session.

    `most`: bytes of material that a portion takes, if no single task needs more; 0: there is one portion.
    """

    first: int
    most: int = 0
    requests: list[Request] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    material: dict[int, Material] = field(default_factory=dict)
    shared_openings: Mapping[int, "Wire"] = field(default_factory=dict)
    """By id of a truncation's wire: the comparison of the same value, which opens it for both."""
    fused: Mapping[int, "Fused"] = field(default_factory=dict)
    """By id of a product's wire: the truncation that opens both (`shamir.fused`)."""
    _cuts: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    """The first request and task of each portion."""
    _held: int = 0
    """Bytes of the last portion's material."""
    _counted: int = 0
    """Requests that belong to a portion: those that were asked for before the last task."""
    _start: int = 0
    """Rounds of all portions but the last."""

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
        self, shape: Shape, divisor: int, digits: int
    ) -> tuple[tuple[Mask, Mask, Mask], Callable[[], Material]]:
        request = TruncationRequest(self._next(), shape, divisor, digits)
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
            leaf.lease()
        return self._ask(ProductRequest(self._next(), form.shape(x.shape, y.shape), form, x, y))

    def fresh(self, e: Expression | None) -> bool:
        """Return whether `e` is uniform, and opens nothing before products of it that are asked for now are there."""
        start, _ = self._cuts[-1]
        return e is not None and e.unopened and all(m.request.number >= self.first + start for m in e.leaves())

    def _ask(self, request: Request) -> Callable[[], Material]:
        self.requests.append(request)
        # Not the plan: whoever has it does not keep all that was asked for.
        material, number = self.material, request.number
        return lambda: material.pop(number)

    def task(
        self, run: Callable[[], "Rounds | None"], after: Sequence[object], label: str, rounds: int = 0, sends: int = 0
    ) -> Task:
        """Add a task; `after` may hold tasks of earlier graphs, which are done."""
        self._portion()
        before = tuple(t for t in after if isinstance(t, Task) and not t.done)
        depth = max((t.depth for t in before if t.depth > self._start), default=self._start) + rounds
        task = Task(run, before, rounds, sends, label, depth=depth)
        self.tasks.append(task)
        return task

    def _portion(self) -> None:
        """Assign the requests since the last task to the next one; cut before it, if the portion becomes too large.

        Products of the portion's own masks stay with it: there a mask is not open yet, and encrypted once for all of them.
        """
        asked = self.requests[self._counted :]
        more = sum(r.bytes for r in asked)
        start, _ = self._cuts[-1]
        own = all(isinstance(r, ProductRequest) and _newest(r) >= self.first + start for r in asked)
        if self._held and self._held + more > self.most > 0 and not own:
            self._cuts.append((self._counted, len(self.tasks)))
            self._held, self._start = 0, self.rounds
        self._held += more
        self._counted = len(self.requests)

    def portions(self) -> list[Portion]:
        """All that was collected, in order; handed over, but for what `rounds` and `sends` need."""
        ends = [*self._cuts[1:], (len(self.requests), len(self.tasks))]
        found = [
            Portion(self.requests[a:b], self.tasks[c:d], self.material)
            for (a, c), (b, d) in zip(self._cuts, ends, strict=True)
        ]
        self.requests = []
        for later in found[1:]:
            later.release()  # until it is their turn
        return found

    @property
    def rounds(self) -> int:
        return max((t.depth for t in self.tasks), default=0)

    @property
    def sends(self) -> int:
        return sum(t.sends for t in self.tasks)


def _newest(r: ProductRequest) -> int:
    return max(leaf.request.number for leaf in (*r.x.leaves(), *r.y.leaves()))
