"""The options of a session. Whatever changes what is computed or sent has to be the same at all parties."""

import hashlib
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tacit import __version__
from tacit.field import P
from tacit.numbers.format import Format
from tacit.transport.handshake import MAY_DIFFER

TIMEOUT = 60.0
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Options:
    protocol: str = "spdz"
    format: Format = field(default_factory=Format)
    topology: str = "mesh"
    debug: bool = False
    guard: int = 0
    """Every so many steps, and before each reveal, one bit is revealed: whether some value left its contract; 0: never."""
    backend: str | None = None
    """"torch" or "numpy": the kind of secrets; None: tensors if the script has imported torch by now."""
    timeout: float = TIMEOUT
    seed: int = 0
    """The seed of the session's public randomness."""
    latency: float | None = None
    """One way, in milliseconds."""
    bandwidth: float | None = None
    """The rate of each party's line, in Mbit/s."""
    threshold: int | None = None
    """How many colluding parties a protocol that assumes a majority withstands; None: as many as there can be."""
    sets: int | None = None
    """Keys of sets at most of such a protocol (`shamir.randomness`); None: as many as are cheaper than what they save."""
    memory: int = 400
    """Megabytes that making material may take; half as much is made for a portion of a graph (`engine.engine`)."""
    on_party_lost: str = "continue"
    """The reaction to lost parties, where the protocol can go on: "continue", or "raise" for the script to decide."""

    def hello(self, parties: int) -> dict[str, str]:
        """The options that all parties compare in the handshake, by name."""
        return {
            **common_hello(self.protocol, parties),
            "format": f"{self.format.fraction} fraction and {self.format.integer} integer bits",
            "topology": self.topology,
            "debug": str(self.debug),
            "guard": f"every {self.guard} steps",
            "seed": str(self.seed),
            "threshold": str(self.threshold),
            "keys of sets": str(self.sets),
            "on party lost": self.on_party_lost,
            "timeout": f"{self.timeout:g} s",
            "memory": f"{self.memory} MB",
            "emulated line": f"{self.latency} ms, {self.bandwidth} Mbit/s",
        }


def common_hello(protocol: str, parties: int) -> dict[str, str]:
    """The options that a dealer compares too."""
    return {"tacit": __version__, "field": f"{P:#x}", "protocol": protocol, "parties": str(parties)}


def versions() -> dict[str, str]:
    """Versions of libraries that may round floats differently: fields of a hello that may differ (`handshake.MAY_DIFFER`)."""
    torch = sys.modules.get("torch")
    found = {
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "torch": getattr(torch, "__version__", "none"),
    }
    return {f"{MAY_DIFFER}{name}": version for name, version in found.items()}


def session_id(parts: Mapping[str, bytes]) -> bytes:
    """A hash of everything that makes this session this one."""
    h = hashlib.blake2b(person=b"tacit session", digest_size=32)
    for name in sorted(parts):
        for piece in (name.encode(), parts[name]):
            h.update(len(piece).to_bytes(8, "little"))
            h.update(piece)
    return h.digest()
