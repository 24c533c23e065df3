"""A source of correlated randomness: the only thing that a protocol of masked values needs from outside."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from tacit.correlations.requests import Material, Request
from tacit.interaction.checks import Checks
from tacit.transport.channel import DEFAULT_TIMEOUT


@dataclass(frozen=True, eq=False)
class Ticket:
    """A batch of requests that was handed in and not yet taken."""

    requests: Sequence[Request]


class Source(ABC):
    """One party's side. Every party hands in the same requests in the same order (the engine has compared their hash).

    Material is verified when `take` returns it: products may be opened under, masks may be sealed.
    """

    name: str
    key: int
    """This party's share of the MAC key alpha."""
    binary_key: int = 0
    """This party's share of the key of bits over GF(2); the lowest bit of the whole key is 1."""
    binary: bool
    """True if bits come over GF(2); if not, they are field elements."""
    summands: int = 1
    """Private numbers that rho, in the r of a truncation or comparison, is the sum of: 1 from a dealer, who knows rho; else
    one of each party."""
    late: bool = True
    """True if products are made by somebody who sees no openings. Then they are cheap, several or a truncation cheaper than an
    opening: what a truncation leaves is multiplied term by term, and what will be multiplied again is truncated before it is
    opened. And they may be of any masks. Else `request` takes a product only if both its masks, or one if it is elementwise, are
    `unopened` and of the same list: for it, a value is opened once more under such a mask."""

    timeout: float = DEFAULT_TIMEOUT
    """Seconds; the session's, where several threads use the key."""

    @functools.cached_property
    def order(self) -> Checks:
        """The order of all that is opened and checked under the key."""
        return Checks(self.timeout)

    @abstractmethod
    def request(self, requests: Sequence[Request]) -> Ticket:
        """Hand in requests. Does not wait."""

    @abstractmethod
    def take(self, ticket: Ticket) -> list[Material]:
        """The material of a ticket, in the order of its requests. Waits; raises `PartyLost` or `CheatingDetected`."""

    def chances(self) -> list[tuple[int, str, int]]:
        """As `Protocol.chances`, of what was made in this session."""
        return []

    def opening(self) -> None:  # noqa: B027  (a key that no other session has is used up by its session alone)
        """Told before a value is opened under the key: what was opened may determine it, so no other session may use it."""

    def burn(self) -> None:
        """Forget the key and all material: a check failed, and what was opened then may determine alpha.

        Every later `request` or `take` raises: nothing may be masked with what others know by now.
        """
        self.order.end()
        self.key = self.binary_key = 0

    def stop(self) -> None:  # noqa: B027  (most do nothing by themselves)
        """The session is over and its connections are closed: end what is still under way."""

    def close(self) -> None:  # noqa: B027  (a source that holds nothing has nothing to close)
        """Release what the source holds."""
