"""Protocols that go on when parties are lost: a step can be undone, and shares are dealt anew to whoever is there.

`engine.recovery` drives them; docs/decisions/0011 says what it relies on.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from tacit.graph.maps import Shape
from tacit.graph.wires import Share
from tacit.interaction.exchange import Rounds
from tacit.protocols.base import Protocol


class Recoverable(Protocol):
    @property
    @abstractmethod
    def min_parties(self) -> int:
        """How many parties it can go on with when others are lost."""

    @abstractmethod
    def mark(self) -> Any:
        """A mark with which `back` undoes all that was recorded since."""

    @abstractmethod
    def back(self, mark: Any) -> None: ...

    @abstractmethod
    def set_members(self, members: Sequence[int]) -> None:
        """Go on with these parties, after `start` among them. Randomness that is not used yet is thrown away."""

    @abstractmethod
    def reshare(self, held: Sequence[tuple[Shape, Share | None]], holders: Sequence[int]) -> Rounds:
        """New shares for all members, list of `Share`, of values by shape and the share that this party has if it is a holder."""
