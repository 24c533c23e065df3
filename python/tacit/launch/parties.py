"""`parties.toml`: who takes part, from where, and by which certificate each is known.

protocol = "spdz"                       # optional
threshold = 2                           # optional, for shamir: how many parties may collude

[[party]]                               # party 0, then party 1, ...
name = "bank"                           # optional, for people
address = "bank.example:7000"           # where the others reach it
certificate = "bank.pem"                # relative to this file; or its SHA-256:
# fingerprint = "3f5c..."

[dealer]                                # if the protocol needs one; it connects to the parties, so has no address
certificate = "dealer.pem"
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.errors import ConfigurationError
from tacit.transport.identity import fingerprint, load_certificate, pin

LONGEST_NAME = 64
DIGITS = 5
"""A port has so many at most."""
KEYS = {"name", "address", "certificate", "fingerprint"}


@dataclass(frozen=True)
class Member:
    name: str
    address: tuple[str, int] | None
    fingerprint: str


@dataclass(frozen=True)
class Parties:
    protocol: str
    parties: tuple[Member, ...]
    dealer: Member | None
    threshold: int | None = None

    @property
    def addresses(self) -> dict[int, tuple[str, int]]:
        return {i: m.address for i, m in enumerate(self.parties) if m.address is not None}

    @property
    def names(self) -> dict[int, str]:
        return {i: m.name for i, m in enumerate(self.parties) if m.name}

    @property
    def pins(self) -> dict[int, str]:
        members = [*self.parties, *([self.dealer] if self.dealer is not None else [])]
        return {i: m.fingerprint for i, m in enumerate(members)}


def load_parties(path: Path) -> Parties:
    """The file's content, checked; ConfigurationError says what is wrong with it and where."""
    try:
        found = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigurationError(f"cannot read the list of parties {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    if unknown := set(found) - {"protocol", "threshold", "party", "dealer"}:
        raise ConfigurationError(f"{path}: {sorted(unknown)[0]!r} means nothing here; see `tacit run --help`")
    members = found.get("party")
    if not isinstance(members, list) or not members:
        raise ConfigurationError(f"{path}: it lists no parties; write a [[party]] section for each")
    threshold = found.get("threshold")
    if threshold is not None and (not isinstance(threshold, int) or isinstance(threshold, bool)):
        raise ConfigurationError(f"{path}: threshold is to be a whole number, the parties that may collude")
    return Parties(
        str(found.get("protocol", "spdz")),
        tuple(_member(m, f"{path}: party {i}", path.parent, addressed=True) for i, m in enumerate(members)),
        _member(found["dealer"], f"{path}: the dealer", path.parent, addressed=False) if "dealer" in found else None,
        threshold,
    )


def _member(found: Any, where: str, folder: Path, *, addressed: bool) -> Member:
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise ConfigurationError(f"{where} is to be a section of texts")
    if unknown := set(found) - KEYS:
        raise ConfigurationError(
            f"{where}: {sorted(unknown)[0]!r} means nothing here; it may have {', '.join(sorted(KEYS))}"
        )
    if addressed and "address" not in found:
        raise ConfigurationError(f'{where} has no address; write address = "host:port"')
    if ("certificate" in found) == ("fingerprint" in found):
        raise ConfigurationError(
            f"{where} needs either a certificate (a file) or a fingerprint (its SHA-256), to be known by"
        )
    known = (
        fingerprint(load_certificate(folder / found["certificate"])) if "certificate" in found else found["fingerprint"]
    )
    try:
        digest = pin(known).hex()
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    name = found.get("name", "")
    if not name.isprintable() or len(name) > LONGEST_NAME:
        raise ConfigurationError(f"{where}: its name is to be one line of {LONGEST_NAME} characters at most")
    return Member(name, parse_address(found["address"], where) if "address" in found else None, digest)


def parse_address(text: str, where: str) -> tuple[str, int]:
    """host:port, [v6]:port."""
    host, _, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= DIGITS else 0
    if not host or not 0 < number < 1 << 16:
        raise ConfigurationError(f"{where}: {text!r} is no address; write host:port, such as bank.example:7000")
    return host.removeprefix("[").removesuffix("]"), number
