"""The interface of protocols: a protocol lowers each recorded operation to requests and tasks, and it alone opens values.

A share is a tuple of components that are each linear in the secret. `unit` is this party's share of the public constant 1,
component by component; with it, everything local is written once:

    [x] + c = [x] + c unit,      L([x]) component by component.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from tacit import field
from tacit.correlations.requests import LEADING
from tacit.correlations.source import Source
from tacit.errors import Unsupported
from tacit.field import Field, size
from tacit.graph.operations import (
    AtLeast,
    Bilinear,
    Input,
    Linear,
    Operation,
    OutputMask,
    Public,
    RandomBits,
    Shift,
    Truncate,
    Winners,
)
from tacit.graph.wires import Share, Wire
from tacit.interaction.exchange import Rounds
from tacit.interaction.rounds import Task
from tacit.protocols.gadgets.truncation import ulps
from tacit.protocols.plan import OpeningRecord, Plan

REMEMBERED = 1 << 12
HELD = 1 << 10
"""Elements that an array counts for besides its own, where what waits for a check is bounded: many small ones take memory too."""
Rule = TypeVar("Rule", bound=Callable[..., Task])
LOWERS = "__tacit_lowers__"


def lowers(kind: type[Operation]) -> Callable[[Rule], Rule]:
    """The method lowers operations of this kind: `method(operation, wire, plan)`. Subclasses override it by its name."""

    def mark(method: Rule) -> Rule:
        setattr(method, LOWERS, kind)
        return method

    return mark


class Protocol(ABC):
    """One party's side of a protocol. Its state is its own: many parties live in one process in the tests."""

    rules: ClassVar[Mapping[type[Operation], str]] = {}
    """By kind of operation, the name of the method that lowers it."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.rules = {
            getattr(method, LOWERS): name
            for base in reversed(cls.__mro__)
            for name, method in vars(base).items()
            if hasattr(method, LOWERS)
        }

    def lower(self, wire: Wire, plan: Plan) -> Task:
        """Record what `wire`, made by its operation, needs and does."""
        operation = wire.operation
        assert operation is not None
        if (name := self.rules.get(type(operation))) is None:
            raise Unsupported(f"protocol {self.name} has no rule that lowers {type(operation).__name__} ({wire.label})")
        task: Task = getattr(self, name)(operation, wire, plan)
        return task

    name: str
    me: int
    parties: int
    unit: tuple[int, ...]
    ledger: list[OpeningRecord]
    """The openings made, in order: which value, how many elements, under which kind of mask. The last `REMEMBERED` at least."""
    openings: int
    """Elements opened in all."""
    summands: int = 1
    """See `Source.summands`."""
    swayed: int = 0
    """Summands of which a cheater may add a unit to the high part that a truncation takes (`gadgets.truncation`)."""
    late: bool = True
    """See `Source.late`."""
    checks: int = 0
    """How often everything opened was checked."""

    def chances(self) -> list[tuple[int, str, int]]:
        """Undetected errors so far: (how often one was possible, where, log2 of the chance of each)."""
        return [(self.checks, "checks", -60), (self.openings, "masked openings", -61)]

    @property
    def ulps(self) -> int:
        """A truncation is off by less than so many units of the last place, whatever cheaters do (`gadgets.truncation`)."""
        return ulps(self.summands) + self.swayed

    @property
    def leading(self) -> int:
        """Bits that a comparison by leading bits may have: a sum of several numbers blurs the last of them."""
        return LEADING - (self.summands - 1).bit_length()

    def note(self, record: OpeningRecord) -> None:
        self.openings += size(record.shape)
        self.ledger.append(record)
        if len(self.ledger) > 2 * REMEMBERED:
            del self.ledger[:REMEMBERED]

    faulty_parties: Collection[int] = ()
    """Parties whose wrong messages were corrected, as far as this one has met them."""

    @property
    def members(self) -> tuple[int, ...]:
        """The parties that are still there."""
        return tuple(range(self.parties))

    def start(self) -> Rounds:
        """Agree with the other parties, before the first operation, on what the protocol needs."""
        yield from ()

    def source(self, drive: Callable[[Rounds, str], Any]) -> Source | None:
        """The source of correlations that is part of the protocol: the parties make them by themselves, in rounds of `drive`."""
        return None

    def arranged(self, pending: Sequence[Wire], plan: Plan) -> Sequence[Wire]:
        """The order in which the wires of a graph are lowered. A method that lowers several at once sets their tasks."""
        return pending

    # Rules of lowering: each fills wire.share in a task.

    # Openings under masks, where there are any.

    def is_open(self, wire: Wire) -> bool:
        """Return whether the value is open under a mask, so that a product of it opens nothing more."""
        return False

    def settle(self, wire: Wire) -> None:
        """After forcing: keep the openings that follow by now; forget what made the value, unless it is a view."""
        wire.settle()

    def forget(self, wire: Wire) -> None:  # noqa: B027  (without openings there is nothing to forget)
        """The value has another share, or is pending again: what opened it is not known to all."""

    @lowers(Input)
    @abstractmethod
    def input(self, operation: Input, wire: Wire, plan: Plan) -> Task: ...

    @lowers(Bilinear)
    @abstractmethod
    def bilinear(self, operation: Bilinear, wire: Wire, plan: Plan) -> Task: ...

    @lowers(Truncate)
    @abstractmethod
    def truncate(self, operation: Truncate, wire: Wire, plan: Plan) -> Task:
        """floor(x / d) or one more, with the probability that makes the mean x / d, for |x| < 2^58 - 2^22.

        Where nobody may know a mask's low part the error is larger (`gadgets.truncation`), the mean the same.
        """

    @lowers(AtLeast)
    @abstractmethod
    def at_least(self, operation: AtLeast, wire: Wire, plan: Plan) -> Task:
        """1 if x >= t, else 0; with bits > 0 either, where |x - t| < 2^(magnitude + 1 - bits)."""

    @lowers(Winners)
    @abstractmethod
    def winners(self, operation: Winners, wire: Wire, plan: Plan) -> Task:
        """1 at the first of the largest along the last axis, 0 elsewhere."""

    @lowers(RandomBits)
    @abstractmethod
    def random_bits(self, operation: RandomBits, wire: Wire, plan: Plan) -> Task: ...

    @lowers(OutputMask)
    @abstractmethod
    def output_mask(self, operation: OutputMask, wire: Wire, plan: Plan) -> Task: ...

    @lowers(Public)
    def public(self, operation: Public, wire: Wire, plan: Plan) -> Task:
        def run() -> None:
            wire.share = self.constant(operation.value)

        return plan.task(run, (), wire.label)

    @lowers(Linear)
    def linear(self, operation: Linear, wire: Wire, plan: Plan) -> Task:
        def run() -> None:
            inputs = [w.value() for w in wire.inputs]
            wire.share = tuple(operation.map(*parts) for parts in zip(*inputs, strict=True))

        return plan.task(run, [w.task for w in wire.inputs], wire.label)

    @lowers(Shift)
    def shift(self, operation: Shift, wire: Wire, plan: Plan) -> Task:
        (x,) = wire.inputs

        def run() -> None:
            wire.share = self.shifted(x.value(), operation.constant)

        return plan.task(run, (x.task,), wire.label)

    def constant(self, value: Field) -> Share:
        return tuple(field.scale(value, k) for k in self.unit)

    def shifted(self, x: Share, constant: Field) -> Share:
        """[x] + constant."""
        return tuple(
            x_k if u == 0 else field.add(x_k, field.scale(constant, u)) for x_k, u in zip(x, self.unit, strict=True)
        )

    @abstractmethod
    def kept(self, share: Share) -> Field:
        """The part of a value that this party keeps beyond the session: all add up to it, or it lies on a polynomial with them
        (`shamir.polynomials`) of which `needed` determine it."""

    @property
    def needed(self) -> int:
        """Parts that put a value together; all of them, where they add up to it."""
        return self.parties

    # Interaction outside graphs.

    @abstractmethod
    def reveal(self, shares: Sequence[Share]) -> Rounds:
        """Check everything opened so far, open `shares` to all, check these too: list of arrays, or `CheatingDetected`."""

    @abstractmethod
    def check(self) -> Rounds:
        """Check everything opened so far."""

    @abstractmethod
    def unchecked(self) -> int:
        """Elements opened and not yet checked, and `HELD` for each array of them: the engine bounds them."""

    @abstractmethod
    def output_bytes(self, count: int) -> int:
        """Bytes of shares that this party sends to reveal `count` elements, checks aside."""

    @abstractmethod
    def output_rounds(self) -> int:
        """Rounds of one `reveal`, its checks included."""

    def burn(self) -> None:  # noqa: B027  (a protocol without keys has nothing to forget)
        """Forget keys: a check failed."""
