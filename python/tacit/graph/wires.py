"""A `Wire` is one recorded value: the operation that makes it, and later this party's share."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tacit.errors import CheatingDetected
from tacit.field import Field
from tacit.graph.maps import LinearMap, Shape

if TYPE_CHECKING:
    from tacit.graph.operations import Operation
    from tacit.interaction.rounds import Task

Share = tuple[Field, ...]
"""This party's share of a value: components that are each linear in the secret (for SPDZ: value share, MAC share)."""
MAX_DEPTH = 12
"""Longer chains of linear maps are not looked through: the value opens under a mask of its own."""


class Wire:
    """A secret array. Pending until forced; then `share` is set and what made it is forgotten, but for views."""

    __slots__ = (
        "__weakref__",
        "base",
        "bound",
        "clear",
        "depth",
        "facts",
        "gone",
        "inputs",
        "label",
        "operation",
        "origin",
        "serial",
        "shape",
        "share",
        "task",
        "was",
    )

    def __init__(self, operation: "Operation", inputs: "tuple[Wire, ...]", shape: Shape, label: str) -> None:
        self.operation: Operation | None = operation
        self.inputs = inputs
        self.shape = shape
        self.label = label
        self.share: Share | None = None
        self.task: Task | None = None
        self.serial = -1  # the engine's count of forced values, alike at all parties
        self.bound = 0  # |value| < 2^bound by contract, in units of the last place; 0: not stated
        self.facts: dict[Any, dict[Any, Any]] = {}  # what is known of the value; only `numbers.known` looks into it
        self.base: tuple[LinearMap, Wire] | None = None  # what this is a view of
        self.origin: Any = None  # how a pending value came about, for whoever rewrites products; forgotten when forced
        self.clear: Field | None = None  # the value itself, where this party owns it
        self.gone: tuple[int, ...] = ()  # the parties that said that they hold no share of it, when all were dealt anew
        self.was: tuple[Operation | None, tuple[Wire, ...]] | None = (
            None  # how it was recorded, if lowering changed that
        )
        self.depth = self._depth()

    def _depth(self) -> int:
        """Linear maps that openings are followed through."""
        if self.operation is None or self.operation.linear()[0] is None:
            return 0
        depth = 0
        for i in self.inputs:
            depth = max(depth, i.depth)
        return depth + 1 if depth < MAX_DEPTH else 0

    def becomes(self, operation: "Operation", inputs: "tuple[Wire, ...]") -> None:
        """Another way to the same value, until `unlower`."""
        self.was = self.operation, self.inputs
        self.operation, self.inputs = operation, inputs
        self.depth = self._depth()

    def views(self, map: LinearMap, whole: "Wire") -> "Wire":
        """Note that this is a view of `whole`, unless it ends a long chain of views, which would be kept alive."""
        self.base = (map, whole) if self.depth else None
        return self

    @property
    def pending(self) -> bool:
        return self.task is None

    def needed(self) -> None:
        """All parties have agreed to compute with this value: `CheatingDetected` if some said that they hold no share of it."""
        if self.gone:
            who = " and ".join(f"party {i}" for i in self.gone)
            raise CheatingDetected(
                f"{who} said that it holds no share of value #{self.serial} when all shares were dealt anew, so that it was "
                "dropped; yet all parties compute with it. The session is over: start again, without that party"
            )

    def value(self) -> Share:
        self.needed()
        assert self.share is not None, f"{self.label} was not forced"
        return self.share

    def linear(self) -> tuple[LinearMap | None, Field | None]:
        """(L, c) if this value is L(inputs) + c for a map that carries openings."""
        return (None, None) if self.operation is None or self.depth == 0 else self.operation.linear()

    def unlower(self) -> None:
        """Undo `lower` and what its task did: the value is pending again."""
        self.task = self.share = self.clear = None
        if self.was is not None:
            (self.operation, self.inputs), self.was = self.was, None
            self.depth = self._depth()

    def replace(self, share: "Share") -> None:
        """Hold another share of the value."""
        self.share = share

    def drop(self, parties: Iterable[int]) -> None:
        """Forget the share: `parties` hold none, so that no new ones were dealt."""
        self.share = None
        self.gone = tuple(parties)

    def settle(self, opened: bool = False) -> None:
        """After forcing: forget what made the value, unless it is a view that is not `opened` itself."""
        map, _ = self.linear()
        if map is None or not map.view or opened:
            self.operation, self.inputs, self.depth = None, (), 0
        self.origin = self.was = None
