"""Protocols that open masked values on the way: comparisons and all that follows from them are written once, over these.

    c = open(x + r),    r random, of a known form, shared by the source (`gadgets.comparison`, `gadgets.truncation`)
A subclass says how a value is opened, and which kind of bits it has.
"""

import functools
from abc import abstractmethod
from typing import TYPE_CHECKING

from tacit.correlations.masks import Opening
from tacit.graph.operations import AtLeast, RandomBits, Winners
from tacit.graph.wires import Share, Wire
from tacit.interaction.exchange import Rounds
from tacit.interaction.rounds import Task
from tacit.protocols.base import Protocol
from tacit.protocols.gadgets import argmax, comparison
from tacit.protocols.openings import Openings
from tacit.protocols.plan import OpeningRecord, Plan

if TYPE_CHECKING:
    from tacit.protocols.gadgets.bits import BitRing


class OpeningProtocol(Protocol):
    late: bool = False
    """See `Source.late`."""

    @abstractmethod
    def open(self, share: Share) -> Rounds:
        """Open to all, to be checked later (or now). Returns the value."""

    @abstractmethod
    def opening_cost(self, count: int) -> tuple[int, int]:
        """(rounds, bytes that this party sends) of opening `count` elements."""

    @abstractmethod
    def ring(self) -> "BitRing":
        """The bits that this protocol computes with."""

    @functools.cached_property
    def open_values(self) -> Openings:
        return Openings()

    def is_open(self, wire: Wire) -> bool:
        return self.open_values.known(wire, True) is not None

    def settle(self, wire: Wire) -> None:
        self.open_values.known(wire, True)
        wire.settle(self.open_values.plain(wire) is not None)

    def forget(self, wire: Wire) -> None:
        self.open_values.forget(wire)

    def opens(self, wire: Wire, opening: Opening) -> None:
        """Note that `opening`, made for another purpose, opens the value of `wire` too."""

    def at_least(self, operation: AtLeast, wire: Wire, plan: Plan) -> Task:
        return comparison.lower(self, operation, wire, plan)

    def winners(self, operation: Winners, wire: Wire, plan: Plan) -> Task:
        return argmax.lower(self, operation, wire, plan)

    def random_bits(self, operation: RandomBits, wire: Wire, plan: Plan) -> Task:
        material = plan.bits(wire.shape)

        def run() -> None:
            wire.share = material().shares[0]

        return plan.task(run, (), wire.label)

    def noted(self, wire: Wire, kind: str) -> None:
        self.note(OpeningRecord(wire.label, wire.shape, kind))

    def others(self) -> list[int]:
        return [i for i in range(self.parties) if i != self.me]
