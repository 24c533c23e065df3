"""The common part of `Shamir` and `Corrected`: values shared by polynomials of degree t, dealt anew when parties are lost.

    [x]_i = f(i + 1),     f(0) = x,     unit = 1: everyone's share of a constant is the constant
Products are not here: `Shamir` multiplies shares, `Corrected` opens operands under masks.
"""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from tacit.errors import PartyLost
from tacit.field import Field, size
from tacit.graph.maps import Shape
from tacit.graph.wires import Share, Wire
from tacit.interaction.exchange import Rounds
from tacit.protocols.opening import OpeningProtocol
from tacit.protocols.plan import OpeningRecord
from tacit.protocols.recoverable import Recoverable
from tacit.protocols.shamir import resharing
from tacit.protocols.shamir.preprocessing import ShamirSource
from tacit.protocols.shamir.randomness import SETS
from tacit.protocols.shamir.shares import Group, Shares
from tacit.protocols.shamir.verification import Verifier


class PolynomialProtocol(OpeningProtocol, Recoverable):
    unit = (1,)
    leading = 60

    def __init__(self, me: int, parties: int, threshold: int, session: bytes, sets: int = SETS) -> None:
        """`sets`: see `Group`."""
        self.group = Group(me, range(parties), threshold, session, sets)
        self.me, self.parties, self.threshold = me, parties, threshold
        self.ledger: list[OpeningRecord] = []
        self.openings = 0
        self._source: ShamirSource | None = None
        self._started(self._shared("online"))

    @abstractmethod
    def _shared(self, phase: str) -> Shares:
        """The shares of one phase: how they are dealt and opened."""

    def _started(self, shares: Shares) -> None:
        self.shares = shares
        self.summands = shares.group.summands
        self._verifier = Verifier(shares)
        self.shares.unproven = lambda: self._verifier.pending

    def chances(self) -> list[tuple[int, str, int]]:
        return [(self._checked(), "checks", -51), (self.openings, "openings", -60)]

    def _checked(self) -> int:
        """Checks of all phases."""
        return self.checks + self.shares.randomness.checks + (self._source.checks if self._source else 0)

    @property
    def members(self) -> tuple[int, ...]:
        return self.group.members

    @property
    def min_parties(self) -> int:
        return 2 * self.threshold + 1

    # Losses.

    def set_members(self, members: Sequence[int]) -> None:
        pending = self._verifier.mark()
        self.checks = self._checked()
        self.shares.burn()
        self.group = self.group.among(members)
        self._started(self._shared("none"))
        self._verifier.back(pending)

    def reshare(self, held: Sequence[tuple[Shape, Share | None]], holders: Sequence[int]) -> Rounds:
        self.checks += 1
        yield from self._compare(holders)
        mine = None
        if self.me in holders:
            mine = np.concatenate([np.zeros(0, np.uint64), *(share[0].reshape(-1) for _, share in held if share)])
        sizes = [size(shape) for shape, _ in held]
        new = yield from resharing.reshare(self.shares, holders, mine, sum(sizes))
        ends = np.cumsum(sizes, dtype=np.int64)
        return [(new[e - n : e].reshape(shape).copy(),) for e, n, (shape, _) in zip(ends, sizes, held, strict=True)]

    def start(self) -> Rounds:
        """Agree on keys. Two rounds."""
        pending = self._verifier.mark()
        yield from self.group.agree()
        self._started(self._shared("online"))
        self._verifier.back(pending)

    def _compare(self, parties: Sequence[int]) -> Rounds:
        """All of `parties` have opened the same; nothing to compare where that is so by itself."""
        yield from ()

    def _there(self, owner: int, wire: Wire) -> None:
        if owner not in self.members:
            raise PartyLost(owner, "what only it could give was not shared before", wire.label)

    # Openings.

    def open(self, share: Share) -> Rounds:
        """Open a value that has a uniform mask of its own."""
        c = yield from self.shares.masked(share[0])
        return c

    def opening_cost(self, count: int) -> tuple[int, int]:
        return self.shares.masked_cost(count)

    def kept(self, share: Share) -> Field:
        return share[0]

    @property
    def needed(self) -> int:
        return self.threshold + 1

    def reveal(self, shares: Sequence[Share]) -> Rounds:
        yield from self.check()  # before the shares of an output are sent
        parts = [share[0] for share in shares]
        flat = yield from self.shares.open(np.concatenate([p.reshape(-1) for p in parts]))
        ends = np.cumsum([p.size for p in parts])[:-1]
        return [v.reshape(p.shape) for v, p in zip(np.split(flat, ends), parts, strict=True)]

    def output_bytes(self, count: int) -> int:
        return self.opening_cost(count)[1]

    def burn(self) -> None:
        self.group.seeds.burn()
        self._verifier.forget()
        self.shares.burn()
        if self._source is not None:
            self._source.burn()
