"""The protocols by name. A new one is one entry: what it is called, what it needs, and how a party of it is made.

Their modules are imported when a party is made: commands that only look here start fast.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tacit.errors import ConfigurationError

if TYPE_CHECKING:
    from tacit.correlations.requests import Request
    from tacit.correlations.source import Source
    from tacit.protocols.base import Protocol

HUB = 0
"""The party through which openings go under the topology "hub"."""
TOPOLOGIES = ("mesh", "hub")
BACKENDS = ("torch", "numpy")
ON_PARTY_LOST = ("continue", "raise")


@dataclass(frozen=True)
class Setting:
    """The settings from which a party of any protocol is made."""

    me: int
    parties: int
    source: "Source | None"
    session: bytes
    hub: int | None = None
    threshold: int | None = None
    sets: int | None = None


@dataclass(frozen=True)
class Kind:
    """`sourced`: it needs a source of correlations (for now: a dealer). `warning` is shown at start-up.

    `times`: of `times` t + 1 parties it withstands t, the threshold; 0: it has none, and withstands all but one (or none).
    `material`: about what each party sends each other one to make what a request asks for, for so many parties and a threshold.
    """

    make: "Callable[[Setting], Protocol]"
    sourced: bool
    min_parties: int
    material: "Callable[[Request, int, int], int]"
    warning: str = ""
    times: int = 0

    @property
    def majority(self) -> bool:
        """True if it assumes that fewer than half of the parties collude."""
        return self.times > 0

    def threshold(self, parties: int) -> int:
        """The largest there can be."""
        return (parties - 1) // self.times if self.times else 0


def _spdz(s: Setting) -> "Protocol":
    from tacit.protocols.spdz.protocol import Spdz

    assert s.source is not None
    return Spdz(s.me, s.parties, s.source, s.session, s.hub)


def _shamir(s: Setting) -> "Protocol":
    from tacit.protocols.shamir.protocol import Shamir

    return Shamir(s.me, s.parties, _threshold("shamir", s), s.session, _sets(s))


def _corrected(s: Setting) -> "Protocol":
    from tacit.protocols.shamir.robust import Corrected

    return Corrected(s.me, s.parties, _threshold("shamir-corrected", s), s.session, _sets(s))


def _threshold(name: str, s: Setting) -> int:
    return REGISTRY[name].threshold(s.parties) if s.threshold is None else s.threshold


def _sets(s: Setting) -> int:
    from tacit.protocols.shamir.randomness import SETS

    return SETS if s.sets is None else s.sets


def _clear(s: Setting) -> "Protocol":
    from tacit.protocols.clear import Clear

    return Clear(s.me, s.parties, s.session)


def _lattice_bytes(request: "Request", parties: int, threshold: int) -> int:
    from tacit.preprocessing.lattice.maker import expected_bytes

    return expected_bytes(request, parties)


def _shamir_bytes(request: "Request", parties: int, threshold: int) -> int:
    from tacit.protocols.shamir.preprocessing import expected_bytes

    return expected_bytes(request, parties, threshold)


REGISTRY: Mapping[str, Kind] = {
    "spdz": Kind(_spdz, sourced=True, min_parties=2, material=_lattice_bytes),
    "shamir": Kind(_shamir, sourced=False, min_parties=3, material=_shamir_bytes, times=2),
    "shamir-corrected": Kind(_corrected, sourced=False, min_parties=4, material=_shamir_bytes, times=3),
    "clear": Kind(
        _clear,
        sourced=False,
        min_parties=1,
        material=lambda request, parties, threshold: 0,
        warning="protocol clear is INSECURE: every party is sent every input as it is. It is for tests only",
    ),
}

DEALER_TRUST = (
    "correlated randomness comes from a dealer. It sees no data, but it is trusted: if it colludes with a party, or gets "
    "hold of the traffic between the parties, it can learn everything that is secret"
)


def protocol_kind(name: str, parties: int, threshold: int | None = None) -> Kind:
    """The registry's entry, if it suits so many parties and this threshold."""
    if (kind := REGISTRY.get(name)) is None:
        raise ConfigurationError(f"there is no protocol {name!r}; choose one of {', '.join(sorted(REGISTRY))}")
    if parties < kind.min_parties:
        raise ConfigurationError(f"protocol {name} needs at least {kind.min_parties} parties, not {parties}")
    if threshold is not None and not kind.majority:
        raise ConfigurationError(f"a threshold goes with a protocol for an honest majority (shamir), not with {name}")
    if threshold is not None and not 1 <= threshold <= kind.threshold(parties):
        raise ConfigurationError(
            f"protocol {name} with {parties} parties: a threshold of t needs {kind.times} t + 1 parties; choose one from 1 to "
            f"{kind.threshold(parties)}, or start more parties"
        )
    return kind


def checked_backend(backend: str | None) -> str:
    """The backend by name; by default torch if it is imported."""
    if backend is None:
        return "torch" if "torch" in sys.modules else "numpy"
    if backend not in BACKENDS:
        raise ConfigurationError(f"backend={backend!r}: choose one of {', '.join(BACKENDS)}")
    return backend


def checked_policy(on_party_lost: str) -> str:
    if on_party_lost not in ON_PARTY_LOST:
        raise ConfigurationError(f"on_party_lost={on_party_lost!r}: choose one of {', '.join(ON_PARTY_LOST)}")
    return on_party_lost


def hub_of(topology: str) -> int | None:
    if topology not in TOPOLOGIES:
        raise ConfigurationError(f"there is no topology {topology!r}; choose one of {', '.join(TOPOLOGIES)}")
    return HUB if topology == "hub" else None
