"""The protocol for many parties on networks that lose nodes: Shamir's shares, an honest majority (`shamir.shares`).

    n >= 2 t + 1 parties, of which t may collude, curious or cheating;    unit = 1: everyone's share of a constant is the constant
A product of any bilinear form sends 8 (2 t + 1) (n - 1 - t) bytes for each *output* (all parties together), in one round:
    [f(x, y)] = reduce(f([x], [y]))
Openings of masked values serve truncations and comparisons, whose masks the parties make themselves (`shamir.preprocessing`).
Where n <= 3 t they are sums (`shamir.masked_opening`) of degree 2 t at most. A product that is truncated at once is not reduced:
    c = open(k f([x], [y]) + [rest] + [r]),     k [z] + [rest] = c - [r]

Before any reveal all products are verified in one batch (`shamir.verification`), so that a wrong one ends the session
before anything depends on it outside. Openings are verified when they are made, sums before that batch: until then cheaters see
uniform numbers only.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tacit import _core, field
from tacit.correlations.masks import Mask
from tacit.correlations.requests import TruncationRequest
from tacit.correlations.source import Source
from tacit.errors import CheatingDetected
from tacit.field import Field, P, size
from tacit.graph.forms import Elementwise, Form
from tacit.graph.operations import Bilinear, Input, OutputMask, Truncate
from tacit.graph.wires import Share, Wire
from tacit.interaction.exchange import Exchange, Rounds
from tacit.interaction.rounds import Task
from tacit.protocols.gadgets import comparison, truncation
from tacit.protocols.gadgets.bits import BitRing, FieldRing
from tacit.protocols.gadgets.carry_tree import Products, Step, joined, part
from tacit.protocols.plan import Plan
from tacit.protocols.shamir import fused
from tacit.protocols.shamir.base import PolynomialProtocol
from tacit.protocols.shamir.fused import Fused
from tacit.protocols.shamir.masked_opening import Sums
from tacit.protocols.shamir.polynomials import combined
from tacit.protocols.shamir.preprocessing import Drive, ShamirSource
from tacit.protocols.shamir.randomness import SETS
from tacit.protocols.shamir.shares import KEY, Shares, hashed
from tacit.protocols.shamir.verification import rounds
from tacit.steps import protocol_step

ELEMENTWISE = Elementwise()


class Shamir(PolynomialProtocol):
    name = "shamir"

    def __init__(self, me: int, parties: int, threshold: int, session: bytes, sets: int = SETS) -> None:
        """`sets`: see `Group`."""
        self._lowered = 0
        """Products lowered since the last check."""
        self._opened = False
        """True if anything was lowered since then that is opened unverified."""
        self._transcript = b""
        """A hash of all that was opened since the last check, where it may not be the same at all parties."""
        super().__init__(me, parties, threshold, session, sets)

    def _shared(self, phase: str) -> Shares:
        return Shares(self.group, phase) if self.group.certain else Sums(self.group, phase)

    def mark(self) -> Any:
        return self._verifier.mark(), self._transcript

    def back(self, mark: Any) -> None:
        pending, self._transcript = mark
        self._verifier.back(pending)

    def source(self, drive: Drive) -> Source:
        self._source = ShamirSource(Shares(self.group, "material"), drive)
        return self._source

    # Operations.

    def input(self, operation: Input, wire: Wire, plan: Plan) -> Task:
        return self._dealt(operation.owner, lambda: self._own(operation, wire), wire, plan)

    def _own(self, operation: Input, wire: Wire) -> Field:
        assert operation.value is not None
        return operation.value()

    def output_mask(self, operation: OutputMask, wire: Wire, plan: Plan) -> Task:
        def draw() -> Field:
            wire.clear = self.shares.private.field(size(wire.shape)).reshape(wire.shape)
            return wire.clear

        return self._dealt(operation.owner, draw, wire, plan)

    def _dealt(self, owner: int, value: Any, wire: Wire, plan: Plan) -> Task:
        """`value()` is what the owner deals."""
        self._there(owner, wire)

        def run() -> Rounds:
            mine = value() if owner == self.me else None
            dealt = yield from self.shares.deal([owner], mine, wire.shape)
            self._verifier.dealt(dealt[owner])
            wire.share = (dealt[owner],)

        return plan.task(run, (), wire.label, *self.shares.deal_cost([owner], size(wire.shape)))

    def arranged(self, pending: Sequence[Wire], plan: Plan) -> Sequence[Wire]:
        if self.shares.unverified:
            plan.fused = fused.found(pending, plan.shared_openings)
        return fused.ordered(pending, plan.fused)

    def bilinear(self, operation: Bilinear, wire: Wire, plan: Plan) -> Task:
        both, material = plan.fused.get(id(wire)), TruncationRequest(0, wire.shape, 0, 0).bytes
        if both is not None and (material <= plan.most or not plan.most):
            return self._fused(operation.form, both, plan)
        x, y = wire.inputs

        def run() -> Rounds:
            wire.share = yield from self.multiply(operation.form, x.value(), y.value())

        self._lowered += size(wire.shape)
        return plan.task(run, (x.task, y.task), wire.label, *self.product_cost(size(wire.shape)))

    def multiply(self, form: Form, x: Share, y: Share) -> Rounds:
        """[f(x, y)]. One round."""
        z = yield from self.shares.reduce(form(x[0], y[0]))
        self._verifier.equals(form, x[0], y[0], z)
        return (z,)

    def product_cost(self, outputs: int) -> tuple[int, int]:
        return self.shares.reduce_cost(outputs)

    def _fused(self, form: Form, both: Fused, plan: Plan) -> Task:
        """c = open(k f([x], [y]) + [rest] + [r]) of degree 2 t,   k [z] + [rest] = c - [r],   and [y] from c."""
        x, y = both.product.inputs
        k, rest = both.terms
        inverse = pow(k, -1, P)
        rounded = Rounded(self, both.truncation, plan)

        def run() -> Rounds:
            a, b = x.value()[0], y.value()[0]
            mask = rounded.mask()
            known = combined([1, *(c for c, _ in rest)], [mask, *(w.value()[0] for _, w in rest)])
            c = yield from self._summed(field.add(known, field.scale(form(a, b), k)))
            z = field.scale(field.sub(c, known), inverse)
            self._verifier.equals(form, a, b, z)
            both.product.share = (z,)
            if both.total is not None:
                both.total.share = (field.sub(c, mask),)
            both.truncation.share = rounded.result(c)

        after = (x.task, y.task, *(w.task for _, w in rest))
        shape = both.product.shape
        task = plan.task(run, after, both.product.label, *self.opening_cost(size(shape)))
        both.truncation.task = task
        if both.total is not None:
            both.total.task = task
        self._lowered += size(shape)
        self.noted(both.truncation, "truncation")
        return task

    def truncate(self, operation: Truncate, wire: Wire, plan: Plan) -> Task:
        """Off by (K + 1) / 2 units at most, for K sets of keys (`gadgets.truncation`); on average by nothing."""
        if (sign := plan.shared_openings.get(id(wire))) is not None:
            return comparison.lower_both(self, wire, sign, plan)
        (x,) = wire.inputs
        rounded = Rounded(self, wire, plan)

        def run() -> Rounds:
            c = yield from self.open((field.add(x.value()[0], rounded.mask()),))
            wire.share = rounded.result(c)

        self.noted(wire, "truncation")
        return plan.task(run, (x.task,), wire.label, *self.opening_cost(size(wire.shape)))

    def ring(self) -> BitRing:
        return SharedBits(self)

    # Openings.

    def open(self, share: Share) -> Rounds:
        """Open a value that has a uniform mask of its own."""
        c = yield from self._summed(share[0])
        if self.shares.unverified:
            self._verifier.zero(field.sub(share[0], c))
        return c

    def _summed(self, z: Field) -> Rounds:
        """The value of shares of degree 2 t at most, or only t where they are verified at once."""
        c = yield from self.shares.masked(z)
        if self.shares.unverified:
            self._transcript = hashed("opened", self._transcript, c.tobytes())
        return c

    def noted(self, wire: Wire, kind: str) -> None:
        super().noted(wire, kind)
        self._opened |= self.shares.unverified

    @protocol_step
    def _compare(self, parties: Sequence[int]) -> Rounds:
        """All of `parties` have opened the same. One round."""
        mine, self._transcript, self._opened = self._transcript or bytes(KEY), b"", False
        others = [i for i in parties if i != self.me and self.me in parties]
        came = yield Exchange({i: [mine] for i in others}, dict.fromkeys(others, len(mine)))
        for i in others:
            if bytes(came[i]) != mine:
                raise CheatingDetected(
                    f"party {i} and party {self.me} were told different values of what was opened. Nothing was revealed; the "
                    "session's keys are destroyed. Start again, without the party that told them so if you know it"
                )

    def unchecked(self) -> int:
        return self._verifier.pending

    def check(self) -> Rounds:
        self.checks += 1
        if self._transcript:  # alike at all parties, but for what is in it
            yield from self._compare(self.members)
        yield from self._verifier.check()
        self._lowered = 0

    def output_rounds(self) -> int:
        return self._opened + rounds(self._lowered) + 1


class Rounded:
    """One truncation's mask, and what it makes of the opened value (`gadgets.truncation`)."""

    def __init__(self, protocol: Shamir, wire: Wire, plan: Plan) -> None:
        operation = wire.operation
        assert isinstance(operation, Truncate)
        self._rounding = truncation.Rounding.alone(operation.divisor, protocol.summands, operation.magnitude)
        self._masks, self._material = plan.truncation(wire.shape, self._rounding.divisor, self._rounding.digits)
        self._ends: list[Share] = []

    def mask(self) -> Field:
        """[r] + offset."""
        r, *self._ends = self._material().shares
        for mask in self._masks:
            mask.seal()
        return _core.add_scalar(field.contiguous(r[0]), self._rounding.offset)

    def result(self, c: Field) -> Share:
        top, high = self._ends
        self._ends = []
        return truncation.result(c, top, high, Shamir.unit, self._rounding)


class SharedBits(FieldRing):
    """Bits as elements of F_p, multiplied as shares are: one reduction for each product."""

    def __init__(self, protocol: Shamir) -> None:
        self.protocol: Shamir = protocol

    def products(self, plan: Plan) -> Products:
        return SharedProducts(self.protocol)

    def cost(self, count: int) -> tuple[int, int]:
        return self.protocol.product_cost(count)


class SharedProducts(Products):
    def __init__(self, protocol: Shamir) -> None:
        self.protocol = protocol

    def ladder(self, h: int, shape: tuple[int, ...]) -> Step:
        return Ladder(self.protocol, 2 * h - 1)

    def pairs(self, h: int, shape: tuple[int, ...]) -> Step:
        return Pairs(self.protocol, h)

    def flip(self, last: Mask, shape: tuple[int, ...]) -> Step:
        return Pairs(self.protocol, 1)


class Pairs(Step):
    def __init__(self, protocol: Shamir, products: int) -> None:
        self.protocol, self.opens = protocol, products

    def run(self, *operands: Share) -> Any:
        x, y = (p[0] for p in operands)
        return (yield from self.protocol.multiply(ELEMENTWISE, (np.broadcast_to(x, y.shape),), (y,)))


class Ladder(Pairs):
    def run(self, *operands: Share) -> Any:
        e1, g0, e0 = operands
        h = len(g0[0])
        z = yield from super().run(joined(e1, part(e1, 1, None)), joined(g0, e0))
        return part(z, 0, h), part(z, h, None)
