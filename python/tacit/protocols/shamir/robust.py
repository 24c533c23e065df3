"""Shamir's shares of n >= 3 t + 1 parties, of which t may send wrong shares of whatever is opened: these are corrected.

    [f(x, y)] = f(D, [y]) + f([x], E) - f(D, E) + [f(A, B)],        x = D + A,  y = E + B,        unit = 1
Operations are those of masked values (`protocols.masked`). Masks, their products and all else that is random are made and
verified by the parties themselves before they are used (`shamir.preprocessing`): there, a liar still ends the session.
Online only values of degree t are opened. All honest parties' shares of them lie on a polynomial, since nothing is dealt, and
determine it whatever t others send (Reed and Solomon 1960). Liars are found from a random combination of the whole array,
with coefficients that the receiver draws after it has it, and are ignored from then on: a lie passes with a chance of 2^-60.9.
After losses, of m parties that are not known to lie u may still do so, u = t less the known liars: min(u, m - u - t - 1) are
corrected, since those who remain are t + 1 honest ones at least; with more wrong shares the session ends. So of n = 3 t + 1
t may lie or be lost.
Inputs: the owner knows A and tells D = x - A, then all tell each other a hash of it. A party goes on if it has met its own
more than (m + u) / 2 times, so at more than half of the honest parties: no two go on with different D. Else the owner lied, for
certain if m > 3 u. If more than t lie, an honest owner can be named; they know every secret then, its data too.
"""

from collections.abc import Collection, Mapping
from operator import mul
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from tacit.correlations.masks import Opening
from tacit.correlations.source import Source
from tacit.errors import CheatingDetected, ConfigurationError
from tacit.field import Field, P
from tacit.graph.operations import Input, OutputMask
from tacit.graph.wires import Wire
from tacit.interaction.exchange import Exchange, Rounds, received
from tacit.interaction.rounds import Task
from tacit.protocols.masked import MaskedProtocol
from tacit.protocols.plan import Plan
from tacit.protocols.shamir.base import PolynomialProtocol
from tacit.protocols.shamir.polynomials import liars, point, weights
from tacit.protocols.shamir.preprocessing import Drive, Held, ShamirSource
from tacit.protocols.shamir.randomness import SETS
from tacit.protocols.shamir.shares import KEY, Group, Shares, combinations_of, hashed
from tacit.steps import protocol_step

MANY = (
    "so many parties sent wrong shares of values that were opened that they cannot be corrected. Nothing was revealed after it; "
    "the session's keys are destroyed. Start again, without those parties if you know them"
)


class CorrectedShares(Shares):
    """`faulty_parties`: the parties whose wrong shares this one has found, in all phases."""

    corrects = True

    def __init__(self, group: Group, phase: str, faulty_parties: set[int]) -> None:
        super().__init__(group, phase)
        # Random numbers are made by strict openings: there a wrong share may be what somebody else dealt.
        self._strict = Shares(group, f"{phase}, random numbers")
        self.randomness = self._strict.randomness
        self.faulty_parties = faulty_parties
        self._without(faulty_parties)

    def burn(self) -> None:
        super().burn()
        self._strict.burn()

    @property
    def remaining(self) -> tuple[int, int]:
        """(m, u): the parties that are not known to lie, and how many of them may."""
        return len(set(self.members) - self.faulty_parties), self.threshold - len(self.faulty_parties)

    def _fitting(self, mine: Field, came: Mapping[int, memoryview]) -> dict[int, Field]:
        """The shares that lie on polynomials of degree t; `CheatingDetected` if too few do."""
        shares: dict[int, Field] = {}
        for i in self.members:
            if i in self.faulty_parties:
                continue
            try:
                shares[i] = mine if i == self.me else received(came[i], mine.shape, i)
            except CheatingDetected:
                self.suspect([i])
        if (found := self.located(combinations_of(shares))) is None:
            raise CheatingDetected(MANY)
        self.suspect(found)
        return {i: share for i, share in shares.items() if i not in self.faulty_parties}

    def located(self, values: Mapping[int, int]) -> set[int] | None:
        """From the values of those that are not faulty_parties, as many as can be corrected."""
        t = self.threshold
        points = {point(i): v for i, v in values.items() if i not in self.faulty_parties}
        m, u = len(points), t - len(self.faulty_parties)
        if (found := liars(points, t, min(u, m - u - t - 1))) is None:
            return None
        base = [x for x in points if x not in found][: t + 1]
        known = [points[x] for x in base]
        expected = {i: sum(map(mul, weights(base, point(i)), known)) % P for i in values if i in self.faulty_parties}
        return {i for i in values if point(i) in found or (i in expected and expected[i] != values[i])}

    def suspect(self, parties: Collection[int]) -> None:
        if self.faulty_parties.issuperset(parties):
            return
        self.faulty_parties.update(parties)
        if len(self.faulty_parties) > self.threshold:
            raise CheatingDetected(MANY)
        self._without(self.faulty_parties)


class Corrected(MaskedProtocol, PolynomialProtocol):
    """The operations are `MaskedProtocol`'s; shares, openings and losses are `PolynomialProtocol`'s. No method is in both."""

    name = "shamir-corrected"
    binary = late = False
    binary_unit = 0
    shares: CorrectedShares

    def __init__(self, me: int, parties: int, threshold: int, session: bytes, sets: int = SETS) -> None:
        if parties < 3 * threshold + 1:
            raise ConfigurationError(
                f"protocol {self.name} with {parties} parties and a threshold of {threshold}: it takes 3 t + 1 parties to "
                f"correct t of them; choose a threshold from 1 to {(parties - 1) // 3}, or start more parties (four at least)"
            )
        self.faulty_parties: set[int] = set()
        self._held: Held = WeakKeyDictionary()
        self._openers: WeakSet[Task] = WeakSet()
        """The tasks that open values in this step."""
        super().__init__(me, parties, threshold, session, sets)

    def _shared(self, phase: str) -> CorrectedShares:
        return CorrectedShares(self.group, phase, self.faulty_parties)

    def source(self, drive: Drive) -> Source:
        """Its openings are not corrected: there a wrong share may be what somebody else dealt."""
        self._source = ShamirSource(Shares(self.group, "material"), drive, self._held)
        return self._source

    def chances(self) -> list[tuple[int, str, int]]:
        return [(self._checked(), "checks of material", -51), (self.openings, "openings", -60)]

    def others(self) -> list[int]:
        return self.group.others

    # Steps. Masks that opened a value in a step that ended serve on; what was opened in one that did not is forgotten.

    def mark(self) -> Any:
        self._openers.clear()

    def back(self, mark: Any) -> None:
        for task in self._openers:
            task.undo()

    def opens(self, wire: Wire, opening: Opening) -> None:
        super().opens(wire, opening)
        self._openers.update(opening.tasks)

    # Inputs.

    def input(self, operation: Input, wire: Wire, plan: Plan) -> Task:
        self._there(operation.owner, wire)
        return super().input(operation, wire, plan)

    def output_mask(self, operation: OutputMask, wire: Wire, plan: Plan) -> Task:
        self._there(operation.owner, wire)
        return super().output_mask(operation, wire, plan)

    @protocol_step
    def received_input(self, value: Field, owner: int) -> Rounds:
        mine = hashed("input", self.group.session, value.tobytes())
        others = self.others()
        came = yield Exchange({i: [mine] for i in others}, dict.fromkeys(others, KEY), corrects=True)
        m, u = self.shares.remaining
        alike = 1 + sum(bytes(came[i]) == mine for i in others if i not in self.faulty_parties)
        if 2 * alike <= m + u:
            if alike < m - u:  # an honest owner's word would have come to all honest parties alike
                raise CheatingDetected(
                    f"party {owner} did not tell all parties the same about its data, unless more than {self.shares.threshold} "
                    "parties lie about it; start again without it"
                )
            raise CheatingDetected(
                "the parties do not say the same about what an owner told them of its data: it told them different things, or "
                "others lie about it. Start again, without that party if you know it"
            )

    def received_input_cost(self) -> tuple[int, int]:
        return 1, KEY * len(self.others())

    # Openings are corrected when they are made, and products were verified before.

    def unchecked(self) -> int:
        return 0

    def check(self) -> Rounds:
        yield from ()

    def output_rounds(self) -> int:
        return 1
