"""A `Wire` is one recorded value: the operation that makes it, and later this party's share and the value's openings."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tacit.correlations.masks import Opening, carry
from tacit.correlations.requests import Share
from tacit.errors import CheatingDetected
from tacit.field import Field
from tacit.graph.maps import LinearMap, Shape

if TYPE_CHECKING:
    from tacit.graph.operations import Operation
    from tacit.interaction.rounds import Task

MAX_DEPTH = 12
"""Longer chains of linear maps are not looked through: the value opens under a mask of its own."""


def _any(opening: Opening) -> bool:
    return True


class Wire:
    """A secret array. Pending until forced; then `share` is set and what made it is forgotten, but for views."""

    __slots__ = (
        "__weakref__",
        "base",
        "bound",
        "clear",
        "decomposed",
        "depth",
        "facts",
        "gone",
        "inputs",
        "label",
        "operation",
        "origin",
        "plain",
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
        self.plain: Opening | None = None  # good for any form
        self.decomposed: Opening | None = None  # has late terms: good for elementwise forms
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
            if i.plain is None and i.depth > depth:
                depth = i.depth
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

    def known(self, elementwise: bool, good: Callable[[Opening], bool] = _any) -> Opening | None:
        """The `good` opening of this value that exists, or follows from those of the values it is a linear map of."""
        if self.plain is not None and self.plain.undone:
            self.plain = None
        if self.decomposed is not None and self.decomposed.undone:
            self.decomposed = None
        if self.plain is None or not good(self.plain):
            self.plain = self._follow(False, good) or self.plain
        if self.plain is not None and good(self.plain):
            return self.plain
        if not elementwise:
            return None
        if self.decomposed is None or not good(self.decomposed):
            self.decomposed = self._follow(True, good) or self.decomposed
        return self.decomposed if self.decomposed is not None and good(self.decomposed) else None

    def _follow(self, elementwise: bool, good: Callable[[Opening], bool]) -> Opening | None:
        map, shift = self.linear()
        if map is None:
            return None
        openings = []
        for wire in self.inputs:
            if (opening := wire.known(elementwise, good)) is None:
                return None
            openings.append(opening)
        return carry(map, tuple(openings), shift)

    def linear(self) -> tuple[LinearMap | None, Field | None]:
        """(L, c) if this value is L(inputs) + c for a map that carries openings."""
        return (None, None) if self.operation is None or self.depth == 0 else self.operation.linear()

    def unlower(self) -> None:
        """Undo `lower` and what its task did: the value is pending again."""
        self.task = self.share = self.plain = self.decomposed = self.clear = None
        if self.was is not None:
            (self.operation, self.inputs), self.was = self.was, None
            self.depth = self._depth()

    def replace(self, share: "Share") -> None:
        """Hold another share of the value. Its openings under masks are not known to all any more."""
        self.share, self.plain, self.decomposed = share, None, None

    def drop(self, parties: Iterable[int]) -> None:
        """Forget the share and what opened it: `parties` hold none, so that no new ones were dealt."""
        self.share = self.plain = self.decomposed = None
        self.gone = tuple(parties)

    def settle(self) -> None:
        """After forcing: keep the openings that follow by now; forget what made the value, unless it is a view."""
        self.known(True)
        map, _ = self.linear()
        if map is None or not map.view or self.plain is not None:
            self.operation, self.inputs, self.depth = None, (), 0
        self.origin = self.was = None
