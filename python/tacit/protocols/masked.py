"""Protocols of masked values: every product is a bilinear form of opened values (Turbospeedz, Ben-Efraim et al. 2019).

    [f(x, y)] = f(D, [y]) + f([x], E) - f(D, E) + [f(A, B)]       x = D + A,  y = E + B

Linear schemes with openings get all of their operations here; a subclass opens and checks.
A value is opened at most once for each kind of mask; openings follow linear maps (`Openings.known`).
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tacit import field
from tacit.correlations.masks import Expression, Mask, Masked, Opening
from tacit.correlations.requests import Material
from tacit.field import Field, size
from tacit.graph.forms import Elementwise, Form
from tacit.graph.maps import Combine
from tacit.graph.operations import Bilinear, Input, OutputMask, Truncate
from tacit.graph.wires import Share, Wire
from tacit.interaction.exchange import Exchange, Rounds, received
from tacit.interaction.rounds import Task
from tacit.protocols.gadgets import comparison, truncation
from tacit.protocols.gadgets.bits import BitRing, FieldBits, WordBits
from tacit.protocols.opening import OpeningProtocol
from tacit.protocols.plan import OpeningRecord, Plan
from tacit.steps import protocol_step

NEGATE = Combine((-1,))
ELEMENTWISE = Elementwise()


class MaskedProtocol(OpeningProtocol):
    """Needs a source of [A] and [f(A, B)]; costs one opening for each value that is multiplied."""

    binary: bool
    """True if the source gives bits over GF(2); else they are field elements."""
    binary_unit: int
    """This party's share of the bit 1."""
    reuses: bool = True
    """True if the source makes products of masks that opened something (`Source.late`)."""

    def open_bits(self, words: Field) -> Rounds:
        """Open shared bits to all, to be checked later. Returns masks: all ones for a 1. For `binary` protocols."""
        raise NotImplementedError

    def bit_opening_cost(self, count: int) -> tuple[int, int]:
        raise NotImplementedError

    @abstractmethod
    def received_input(self, value: Field, owner: int) -> Rounds:
        """Take a public correction that `owner` must have sent alike to all; `CheatingDetected` now or at the next check."""

    def received_input_cost(self) -> tuple[int, int]:
        return 0, 0

    # Operations.

    @protocol_step
    def input(self, operation: Input, wire: Wire, plan: Plan) -> Task:
        """[x] = [A] + D with D = x - A sent by the owner, who knows A: the opening of x comes free."""
        mask, material = plan.input_mask(wire.shape, operation.owner)
        opened: list[Field] = []

        def run() -> Rounds:
            given = material()
            mask.seal()
            count = 8 * size(wire.shape)
            if operation.owner == self.me:
                assert operation.value is not None and given.clear is not None
                d = field.sub(operation.value(), given.clear)
                yield Exchange({peer: [d] for peer in self.others()}, {})
            else:
                came = yield Exchange({}, {operation.owner: count})
                d = received(came[operation.owner], wire.shape, operation.owner)
            yield from self.received_input(d, operation.owner)
            opened.append(d)
            wire.share = self.shifted(given.shares[0], d)

        sends = 8 * size(wire.shape) * len(self.others()) if operation.owner == self.me else 0
        rounds, more = self.received_input_cost()
        task = plan.task(run, (), wire.label, 1 + rounds, sends + more)
        self.open_values.open(wire, Opening(mask, (), opened.pop, (task,)))
        self.noted(wire, "input")
        return task

    @protocol_step
    def bilinear(self, operation: Bilinear, wire: Wire, plan: Plan) -> Task:
        form = operation.form
        x, y = wire.inputs
        opened_x, *rest = self._operands(form, (x,) if x is y else (x, y), plan, wire.label)
        opened_y = rest[0] if rest else opened_x
        if form.elementwise:
            base, late = self._products(opened_x, opened_y, plan)
        else:
            assert opened_x.mask is not None and opened_y.mask is not None
            base, late = plan.product(form, opened_x.mask, opened_y.mask), []

        def run() -> None:
            d, e = opened_x.public(), opened_y.public()
            shares: Sequence[Field | None] = base().shares[0] if base else (None,) * len(self.unit)
            z = tuple(
                form.masked(d, y_k, x_k, e, u, c)
                for x_k, y_k, c, u in zip(x.value(), y.value(), shares, self.unit, strict=True)
            )
            for coefficient, material in late:
                k = coefficient()
                z = tuple(field.add(z_k, field.mul(k, c)) for z_k, c in zip(z, material().shares[0], strict=True))
            wire.share = z

        return plan.task(run, (x.task, y.task, *opened_x.tasks, *opened_y.tasks), wire.label)

    def _operands(self, form: Form, wires: Sequence[Wire], plan: Plan, label: str) -> list[Opening]:
        """Openings of what is multiplied, under masks that the source makes products of."""
        if self.reuses:
            return [self.opened(w, form.elementwise, plan) for w in wires]
        if form.elementwise:
            found = [self.opened(w, True, plan) for w in wires]
            if not any(plan.fresh(o.mask) for o in found):
                found[0] = self.opened(wires[0], False, plan, label)
            return found
        found = [self.opened(w, False, plan, label) for w in wires]
        # A portion may have ended between them.
        return found if all(plan.fresh(o.mask) for o in found) else self._open(wires, plan, label)

    def _products(
        self, x: Opening, y: Opening, plan: Plan
    ) -> tuple[Callable[[], Material] | None, list[tuple[Callable[[], Field], Callable[[], Material]]]]:
        """[A B], and (e g, [A_i B_j]) for every pair of terms of which one at least is late."""
        left, right = _terms(x), _terms(y)
        base: Callable[[], Material] | None = None
        late: list[tuple[Callable[[], Field], Callable[[], Material]]] = []
        for i, (e, a) in enumerate(left):
            for j, (g, b) in enumerate(right):
                if x is y and j < i:
                    continue  # a square takes each mixed term once, doubled
                material = plan.product(ELEMENTWISE, a, b)
                if e is None and g is None:
                    base = material
                else:
                    late.append((_times(e, g, 2 if x is y and i != j else 1), material))
        return base, late

    def truncate(self, operation: Truncate, wire: Wire, plan: Plan) -> Task:
        """Section `gadgets.truncation`. c also opens x under -r; y has an opening with the wrap bit as a late term."""
        if (sign := plan.shared_openings.get(id(wire))) is not None:
            return comparison.lower_both(self, wire, sign, plan)
        (x,) = wire.inputs
        rounding = truncation.Rounding.alone(operation.divisor, self.summands, operation.magnitude)
        (r, top, high), material = plan.truncation(wire.shape, rounding.divisor, rounding.digits)
        offset = np.full(wire.shape, rounding.offset, np.uint64)
        opened: dict[str, Field] = {}

        def run() -> Rounds:
            share_r, share_top, share_high = material().shares
            for mask in (r, top, high):
                mask.seal()
            c = yield from self.open(_sum(self.shifted(x.value(), offset), share_r))
            opened["c"] = c
            wire.share = truncation.result(c, share_top, share_high, self.unit, rounding)

        rounds, sends = self.opening_cost(size(wire.shape))
        task = plan.task(run, (x.task,), wire.label, rounds, sends)
        self.opens(x, Opening(Masked(NEGATE, (r,)), (), lambda: field.sub(opened["c"], offset), (task,)))
        if self.late:
            self.open_values.decompose(wire, truncation.opening(lambda: opened["c"], top, high, rounding, task))
        self.noted(wire, "truncation")
        return task

    def output_mask(self, operation: OutputMask, wire: Wire, plan: Plan) -> Task:
        mask, material = plan.input_mask(wire.shape, operation.owner)

        def run() -> None:
            given = material()
            mask.seal()
            wire.share, wire.clear = given.shares[0], given.clear

        return plan.task(run, (), wire.label)

    # Openings.

    def ring(self) -> BitRing:
        return WordBits(self) if self.binary else FieldBits(self)

    def opens(self, wire: Wire, opening: Opening) -> None:
        if self.open_values.known(wire, False) is None:
            self.open_values.open(wire, opening)

    def opened(self, wire: Wire, elementwise: bool, plan: Plan, fresh: str = "") -> Opening:
        """The opening of `wire`, made now if there is none; a view (or a map that does not shrink) opens what it views.

        `fresh`: under a mask that opens nothing before products that are asked for now are there; the label of the product that
        this is for. A value opened before is opened anew, which serves all of this portion. A view opens no more than itself:
        later portions need other masks.
        """

        def good(opening: Opening) -> bool:
            return not fresh or plan.fresh(opening.mask)

        if (found := self.open_values.known(wire, elementwise, good)) is not None:
            return found
        map, _ = wire.linear()
        if map is not None and (map.view or len(wire.inputs) == 1):
            room = _total(wire.inputs) if map.view and not fresh else size(wire.shape)
            for roots in (list(self._roots(wire, good)), wire.inputs):
                if _total(roots) <= room:
                    for root in roots:
                        self.opened(root, False, plan, fresh)
                    if (found := self.open_values.known(wire, False, good)) is not None:
                        return found
        return self._open([wire], plan, fresh)[0]

    def _open(self, wires: Sequence[Wire], plan: Plan, label: str) -> list[Opening]:
        """Under new masks, of one portion: all are asked for before the first task."""
        asked = [plan.mask(w.shape) for w in wires]
        return [self._masked(w, *given, plan, label) for w, given in zip(wires, asked, strict=True)]

    def _masked(self, wire: Wire, mask: Mask, material: Callable[[], Material], plan: Plan, label: str) -> Opening:
        """`label`: what this is for, if the value was open before."""
        opened: list[Field] = []
        label, kind = (wire.label, "plain") if self.open_values.known(wire, False) is None else (label, "anew")

        def run() -> Rounds:
            a = material().shares[0]
            mask.seal()
            d = yield from self.open(tuple(field.sub(x_k, a_k) for x_k, a_k in zip(wire.value(), a, strict=True)))
            opened.append(d)

        rounds, sends = self.opening_cost(size(wire.shape))
        task = plan.task(run, (wire.task,), label, rounds, sends)
        opening = Opening(mask, (), opened.pop, (task,))
        self.opens(wire, opening)
        self.open_values.open(wire, opening)  # also if there was one before
        self.note(OpeningRecord(label, wire.shape, kind))
        return opening

    def _roots(self, wire: Wire, good: Callable[[Opening], bool]) -> Iterator[Wire]:
        """The values without a `good` opening that `wire` is a linear map of, each of one value or a view of several."""
        map, _ = wire.linear()
        if map is None or not (map.view or len(wire.inputs) == 1):
            yield wire
            return
        for inner in wire.inputs:
            if self.open_values.known(inner, False, good) is None:
                yield from self._roots(inner, good)


def _total(wires: Sequence[Wire]) -> int:
    return sum(size(w.shape) for w in wires)


def _sum(x: Share, y: Share) -> Share:
    return tuple(field.add(x_k, y_k) for x_k, y_k in zip(x, y, strict=True))


def _terms(opening: Opening) -> list[tuple[Callable[[], Field] | None, Expression]]:
    """(late coefficient, mask) of each term of x - D."""
    plain: list[tuple[Callable[[], Field] | None, Expression]] = [] if opening.mask is None else [(None, opening.mask)]
    return plain + [(t.coefficient, t.mask) for t in opening.late]


def _times(e: Callable[[], Field] | None, g: Callable[[], Field] | None, k: int) -> Callable[[], Field]:
    def coefficient() -> Field:
        out = None if e is None else e()
        if g is not None:
            out = g() if out is None else field.mul(out, g())
        assert out is not None
        return out if k == 1 else field.scale(out, k)

    return coefficient
