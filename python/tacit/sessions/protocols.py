"""The protocols by name. A new one is one entry: what it is called, what it needs, and how a party of it is made.

Their modules are imported when a party is made: commands that only look here start fast.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tacit.errors import ConfigurationError

if TYPE_CHECKING:
    from tacit.sharing.protocol import Protocol
    from tacit.sharing.source import Source

HUB = 0
"""The party through which openings go under the topology "hub"."""
TOPOLOGIES = ("mesh", "hub")


@dataclass(frozen=True)
class Kind:
    """`sourced`: it needs a source of correlations (for now: a dealer). `warning` is shown at start-up."""

    make: "Callable[[int, int, Source | None, bytes, int | None], Protocol]"
    sourced: bool
    fewest: int
    warning: str = ""


def _spdz(me: int, parties: int, source: "Source | None", session: bytes, hub: int | None) -> "Protocol":
    from tacit.sharing.spdz import Spdz

    assert source is not None
    return Spdz(me, parties, source, session, hub)


def _clear(me: int, parties: int, source: "Source | None", session: bytes, hub: int | None) -> "Protocol":
    from tacit.sharing.clear import Clear

    return Clear(me, parties, session)


REGISTRY: Mapping[str, Kind] = {
    "spdz": Kind(_spdz, sourced=True, fewest=2),
    "clear": Kind(
        _clear,
        sourced=False,
        fewest=1,
        warning="protocol clear is INSECURE: every party is sent every input as it is. It is for tests only",
    ),
}

DEALER_TRUST = (
    "correlated randomness comes from a dealer. It sees no data, but it is trusted: if it colludes with a party, or gets "
    "hold of the traffic between the parties, it can learn everything that is secret"
)


def protocol_kind(name: str, parties: int) -> Kind:
    """The registry's entry, if it suits so many parties."""
    if (kind := REGISTRY.get(name)) is None:
        raise ConfigurationError(f"there is no protocol {name!r}; choose one of {', '.join(sorted(REGISTRY))}")
    if parties < kind.fewest:
        raise ConfigurationError(f"protocol {name} needs at least {kind.fewest} parties, not {parties}")
    return kind


def hub_of(topology: str) -> int | None:
    if topology not in TOPOLOGIES:
        raise ConfigurationError(f"there is no topology {topology!r}; choose one of {', '.join(TOPOLOGIES)}")
    return HUB if topology == "hub" else None
