"""Plain arithmetic in the field behind the Protocol interface: the reference that every other protocol is tested against.

NO SECRECY: every party sees every input. For tests, for debugging a script, and for `tacit run --protocol clear`.

A value that leaves its contract goes wrong in every protocol where it is truncated or compared next. Here it is seen, and
refused: `OutOfRange` names the operation and the line that gave it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tacit import field
from tacit.errors import Mismatch, OutOfRange
from tacit.field import CAPACITY, Field, size
from tacit.graph.operations import AtLeast, Bilinear, Input, OutputMask, RandomBits, Truncate, Winners
from tacit.graph.wires import Share, Wire
from tacit.interaction.exchange import Exchange, Rounds, elements
from tacit.interaction.rounds import Task
from tacit.protocols.base import Protocol
from tacit.protocols.plan import OpeningRecord, Plan
from tacit.steps import protocol_step


class Clear(Protocol):
    name = "clear"

    def __init__(self, me: int, parties: int, seed: bytes) -> None:
        self.me, self.parties, self.unit = me, parties, (1,)
        self.ledger: list[OpeningRecord] = []
        self.openings = 0
        self._random = np.random.default_rng(list(seed))  # public randomness: there are no secrets here

    @protocol_step
    def input(self, operation: Input, wire: Wire, plan: Plan) -> Task:
        owner, count = operation.owner, 8 * size(wire.shape)

        def run() -> Rounds:
            if owner == self.me:
                assert operation.value is not None
                value = operation.value()
                yield Exchange({i: [value] for i in range(self.parties) if i != owner}, {})
            else:
                came = yield Exchange({}, {owner: count})
                if len(came[owner]) != count:
                    raise Mismatch(f"party {owner} sent {len(came[owner])} bytes where {count} were due")
                value = elements(came[owner], wire.shape)
            wire.share = (value,)

        sends = count * (self.parties - 1) if owner == self.me else 0
        return plan.task(run, (), wire.label, rounds=int(self.parties > 1), sends=sends)

    def bilinear(self, operation: Bilinear, wire: Wire, plan: Plan) -> Task:
        x, y = wire.inputs

        def run() -> None:
            wire.share = (operation.form(x.value()[0], y.value()[0]),)

        return plan.task(run, (x.task, y.task), wire.label)

    def truncate(self, operation: Truncate, wire: Wire, plan: Plan) -> Task:
        """floor(x / d + 1/2), for all that the field has room for."""
        (x,) = wire.inputs
        d = operation.divisor

        def run() -> None:
            signed = _inside(x, CAPACITY)
            wire.share = (field.from_signed((signed + d // 2) // d),)

        return plan.task(run, (x.task,), wire.label)

    def at_least(self, operation: AtLeast, wire: Wire, plan: Plan) -> Task:
        """Exact, for twice as large numbers as are stated, as in other protocols."""
        (x,) = wire.inputs

        def run() -> None:
            signed = _inside(x, operation.magnitude + 1)
            wire.share = (np.stack([signed >= t for t in operation.thresholds]).astype(np.uint64),)

        return plan.task(run, (x.task,), wire.label)

    def winners(self, operation: Winners, wire: Wire, plan: Plan) -> Task:
        (x,) = wire.inputs

        def run() -> None:
            best = _inside(x, operation.magnitude + 1).argmax(-1)
            wire.share = ((best[..., None] == np.arange(x.shape[-1])).astype(np.uint64),)

        return plan.task(run, (x.task,), wire.label)

    def random_bits(self, operation: RandomBits, wire: Wire, plan: Plan) -> Task:
        def run() -> None:
            wire.share = (self._random.integers(0, 2, wire.shape, np.uint64),)

        return plan.task(run, (), wire.label)

    def output_mask(self, operation: OutputMask, wire: Wire, plan: Plan) -> Task:
        def run() -> None:
            zero = np.zeros(wire.shape, np.uint64)
            wire.share, wire.clear = (zero,), zero if operation.owner == self.me else None

        return plan.task(run, (), wire.label)

    def kept(self, share: Share) -> Field:
        return share[0] if self.me == 0 else np.zeros_like(share[0])

    def reveal(self, shares: Sequence[Share]) -> Rounds:
        yield from ()
        return [share[0] for share in shares]

    def check(self) -> Rounds:
        yield from ()

    def unchecked(self) -> int:
        return 0

    def output_bytes(self, count: int) -> int:
        return 0

    def output_rounds(self) -> int:
        return 0


def _inside(x: Wire, magnitude: int) -> NDArray[np.int64]:
    """The integers of x. `OutOfRange` if one is above 2^magnitude: other protocols are wrong there, or may be.

    No bound is known for a partial sum, which may be anything.
    """
    signed = field.to_signed(x.value()[0])
    if x.bound and signed.size and (largest := int(np.abs(signed).max())) > 1 << magnitude:
        raise OutOfRange(
            f"{x.label} (shape {x.shape}) reached {largest:.3g} = 2^{np.log2(largest):.1f} in units of its last place, but its "
            f"contract is below 2^{x.bound}: scale the data or the learning rate down, or declare a format with more integer bits"
        )
    return signed
