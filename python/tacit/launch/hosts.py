"""`tacit run --parties parties.toml --me 0 script.py`: one party of a run on several hosts; `tacit dealer` likewise."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tacit.errors import NAMES, ConfigurationError
from tacit.launch.local import child_environment, start
from tacit.launch.parties import Parties, load_parties, parse_address
from tacit.launch.processes import Group
from tacit.sessions.context import Context
from tacit.sessions.protocols import protocol_kind
from tacit.transport.identity import fingerprint, load_certificate
from tacit.transport.listening import listen

DEALER = -1


def run_party(
    parties_file: Path,
    me: int,
    key: Path,
    certificate: Path | None,
    listen_at: str | None,
    template: Context,
    command: Sequence[str],
) -> int:
    """One member's process (`me` is DEALER for the dealer); its exit code."""
    known = load_parties(parties_file)
    NAMES.set(known.names)
    count = len(known.parties)
    _check_member(known, me, parties_file)
    protocol_kind(known.protocol, count, known.threshold)
    index = count if me == DEALER else me
    if template.store and known.dealer is not None:
        raise ConfigurationError(
            f"{parties_file} has a [dealer], and a store is made without one: take the section out"
        )
    context = replace(
        template,
        parties=count,
        me=index,
        protocol=known.protocol,
        threshold=known.threshold,
        dealer=known.dealer is not None,
        addresses=known.addresses,
        pins=known.pins,
        certificate=str(_own_certificate(known, index, key, certificate, parties_file)),
        key=str(key.absolute()),
        names={count: "dealer"},
        members=known.names,
    )
    with tempfile.TemporaryDirectory(prefix="tacit-") as directory, Group() as group:
        path = Path(directory) / "context.json"
        if listen_at is not None:
            with listen(*parse_address(listen_at, "--listen")) as listener:
                context = replace(context, listener=listener.fileno())
                context.save(path)
                start(group, context, path, command, child_environment(1), prefixed=False)
        else:
            context.save(path)
            start(group, context, path, command, child_environment(1), prefixed=False)
        return group.wait()


def _check_member(known: Parties, me: int, path: Path) -> None:
    if me == DEALER:
        if known.dealer is None:
            raise ConfigurationError(f"{path} has no [dealer] section, so nobody would talk to this dealer")
    elif not 0 <= me < len(known.parties):
        raise ConfigurationError(f"--me {me}: {path} lists the parties 0 to {len(known.parties) - 1}")


def _own_certificate(known: Parties, index: int, key: Path, certificate: Path | None, path: Path) -> Path:
    """The certificate beside the key, which has to be the one that the others will look for."""
    if not key.is_file():
        raise ConfigurationError(f"there is no key {key}; make one with `tacit keygen`, or correct --key")
    file = (certificate or key.with_suffix(".pem")).absolute()
    if (mine := fingerprint(load_certificate(file))) != known.pins[index]:
        who = "the dealer" if index == len(known.parties) else f"party {index}"
        raise ConfigurationError(
            f"{path} knows {who} by the certificate {known.pins[index]}, and {file} is {mine}: the others would refuse it. "
            "Use that identity's --key, or give all parties this certificate"
        )
    return file
