"""The command `tacit`."""

import re
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import click

from tacit import __version__
from tacit.errors import TacitError

PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""All options that follow the script are passed on to it."""
POSITIVE = click.FloatRange(0, min_open=True)
SCRIPT = click.Path(exists=True, dir_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def tacit() -> None:
    """Run scripts among several parties that keep their data secret from each other."""


def placed(function: Callable[..., None]) -> Callable[..., None]:
    """Options of what starts parties: here, or one of several hosts."""
    options = [
        click.option("-n", "count", type=click.IntRange(1), help="Start so many parties on this machine."),
        click.option("--parties", "parties_file", type=FILE, help="Be one party of these, on several hosts."),
        click.option("--me", type=int, help="Which party of the file."),
        click.option("--key", type=FILE, help="Its private key (made by `tacit keygen`)."),
        click.option("--certificate", type=FILE, help="Its certificate, if that is not beside the key."),
        click.option("--listen", "listen_at", help="host:port to listen at, if that is not its address in the file."),
        click.option("--timeout", type=POSITIVE, help="Seconds of silence until a peer counts as lost."),
        click.option("--wait", type=POSITIVE, default=60.0, show_default=True, help="Seconds for the others to come."),
        click.option("--latency", type=click.FloatRange(0), help="Emulate a line: milliseconds one way."),
        click.option("--bandwidth", type=POSITIVE, help="Emulate a line: Mbit/s out of each party."),
        click.option(
            "--memory",
            type=click.IntRange(20),
            default=400,
            show_default=True,
            help="Megabytes that making material may take at a party. Half as much material is there at once.",
        ),
        click.option("--store", type=click.Path(path_type=Path, file_okay=False), help="Folder of prepared material."),
        click.option("--store-key", type=FILE, help="File of 32 random bytes or more, which seal the material."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@tacit.command(context_settings=PASS_ON)
@placed
@click.option(
    "--protocol", help="spdz (default), shamir or shamir-corrected (honest majority), or clear (INSECURE, for tests)."
)
@click.option("--threshold", type=click.IntRange(1), help="Parties that may collude; by default as many as can be.")
@click.option(
    "--rejoin",
    is_flag=True,
    help="shamir: start parties that are lost again (-n), or come back into a run that goes on (--parties).",
)
@click.option("--dealer", is_flag=True, help="Start a dealer, which makes the correlated randomness, and is trusted.")
@click.option("--topology", type=click.Choice(["mesh", "hub"]), default="mesh", show_default=True)
@click.argument("script", type=SCRIPT)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(script: str, arguments: tuple[str, ...], **options: Any) -> None:
    """Run SCRIPT as several parties on this machine (-n), or as one party of several hosts (--parties, --me, --key).

    Each party runs the same script; its output has the party's number in front. The first failure stops all.

    \b
    A file of --parties lists all of them, in order, and the dealer if the protocol needs one:
        protocol = "spdz"                 # or "shamir", "shamir-corrected", with: threshold = 2
        [[party]]
        address = "bank.example:7000"
        certificate = "bank.pem"          # or: fingerprint = "3f5c..."
        [[party]]
        address = "clinic.example:7000"
        certificate = "clinic.pem"
        [dealer]
        certificate = "dealer.pem"
    """
    command = [script, *arguments]
    sys.exit(_run_hosts(command, **options) if options["parties_file"] else _run_here(command, **options))


@tacit.command(context_settings=PASS_ON)
@placed
@click.argument("script", type=SCRIPT)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def prepare(script: str, arguments: tuple[str, ...], **options: Any) -> None:
    """Make what SCRIPT will ask for ahead, for one `tacit run` with the same --store, --store-key, --memory, SCRIPT, arguments.

    The script runs without data, as for `tacit plan`; then the parties make the material together. A store serves one run.
    """
    if options["store"] is None:
        raise click.UsageError("say where the material goes: --store FOLDER --store-key FILE")
    command = [script, *arguments]
    options |= {"protocol": None, "dealer": False, "ahead": True}
    sys.exit(_run_hosts(command, **options) if options["parties_file"] else _run_here(command, **options))


def _run_here(
    command: list[str], count: int | None, protocol: str | None, dealer: bool, ahead: bool = False, **options: Any
) -> int:
    from tacit.launch.local import run_local
    from tacit.launch.prepare import run_prepare
    from tacit.sessions.protocols import protocol_kind

    if count is None:
        raise click.UsageError("say how many parties to start on this machine (-n 2), or give a file of --parties")
    for name, flag in (("me", "--me"), ("key", "--key"), ("certificate", "--certificate"), ("listen_at", "--listen")):
        if options[name] is not None:
            raise click.UsageError(f"{flag} goes with --parties: with -n, keys and addresses are made for the run")
    name = protocol or "spdz"
    context = _context(count, name, _check_source(name, count, dealer, options.get("threshold")), **options)
    _check_rejoin(context)
    if context.store and (dealer or not protocol_kind(name, count).sourced):
        raise click.UsageError("--store is for spdz without a dealer: nothing else takes its material from the parties")
    return run_prepare(context, command, lambda c: run_local(c, command)) if ahead else run_local(context, command)


def _run_hosts(
    command: list[str],
    parties_file: Path,
    me: int | None,
    key: Path | None,
    certificate: Path | None,
    listen_at: str | None,
    count: int | None,
    protocol: str | None,
    dealer: bool,
    ahead: bool = False,
    **options: Any,
) -> int:
    from tacit.launch.hosts import run_party
    from tacit.launch.parties import load_parties
    from tacit.launch.prepare import run_prepare

    if me is None or key is None:
        raise click.UsageError("--parties needs --me (which party this is) and --key (its private key)")
    if count is not None or protocol is not None or dealer or options.get("threshold") is not None:
        raise click.UsageError(
            "the file of --parties says how many there are, the protocol, its threshold and the dealer"
        )
    known = load_parties(parties_file)
    template = replace(_context(len(known.parties), known.protocol, False, **options), me=me)
    _check_rejoin(template)

    def start(context: Any) -> int:
        return run_party(parties_file, me, key, certificate, listen_at, context, command)

    return run_prepare(template, command, start) if ahead else start(template)


@tacit.command()
@click.option("--parties", "parties_file", type=FILE, required=True, help="Whom it serves.")
@click.option("--key", type=FILE, required=True, help="The dealer's private key (made by `tacit keygen`).")
@click.option("--certificate", type=FILE, help="Its certificate, if that is not beside the key.")
@click.option("--timeout", type=POSITIVE, help="Seconds of silence until a party counts as lost.")
@click.option("--wait", type=POSITIVE, default=60.0, show_default=True, help="Seconds for the parties to come.")
def dealer(parties_file: Path, key: Path, certificate: Path | None, timeout: float | None, wait: float) -> None:
    """Be the dealer of one session.

    It sees no data, but knows every mask: never give it the parties' traffic, and run it where no party has access.
    """
    from tacit.launch.hosts import DEALER, run_party

    template = _context(1, "", True, timeout=timeout, wait=wait)
    sys.exit(run_party(parties_file, DEALER, key, certificate, None, template, []))


@tacit.command()
@click.option("--name", required=True, help="For people, and for the names of the files.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Where the files go.")
def keygen(name: str, out: Path) -> None:
    """Make an identity: NAME.key, which stays here, and NAME.pem, which all parties get."""
    from tacit.transport.identity import make_identity

    if not re.fullmatch(r"[\w.-]{1,64}", name) or name.startswith("."):
        raise click.UsageError("a name has letters, digits, dots, dashes and underscores")
    out.mkdir(parents=True, exist_ok=True)
    identity = make_identity(name)
    identity.save(out / f"{name}.pem", out / f"{name}.key")
    click.echo(f"{out / name}.key  the private key; it stays on this machine")
    click.echo(f"{out / name}.pem  the certificate; give it to all parties")
    click.echo(f'fingerprint = "{identity.fingerprint()}"')


@tacit.command(context_settings=PASS_ON)
@click.option("-n", "count", type=click.IntRange(1), default=2, show_default=True, help="Parties.")
@click.option("--protocol", default="spdz", show_default=True)
@click.option("--threshold", type=click.IntRange(1), help="Parties that may collude.")
@click.option("--dealer", is_flag=True, help="With a dealer.")
@click.option("--topology", type=click.Choice(["mesh", "hub"]), default="mesh", show_default=True)
@click.argument("script", type=SCRIPT)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def plan(count: int, protocol: str, dealer: bool, script: str, arguments: tuple[str, ...], **options: Any) -> None:
    """Print what SCRIPT would ask for and send, without data and peers. It runs on shapes; what it reveals is zeros."""
    from tacit.launch.plan import run_plan

    sourced = _check_source(protocol, count, dealer, options["threshold"])
    sys.exit(run_plan(_context(count, protocol, sourced, **options), [script, *arguments]))


@tacit.command(context_settings=PASS_ON)
@click.option("-n", "count", type=click.IntRange(2), default=2, show_default=True, help="Parties.")
@click.option("--protocol", default="spdz", show_default=True)
@click.option("--threshold", type=click.IntRange(1), help="Parties that may collude.")
@click.option("--dealer", is_flag=True, help="With a dealer.")
@click.option("--topology", type=click.Choice(["mesh", "hub"]), default="mesh", show_default=True)
@click.option("--timeout", type=POSITIVE, default=5.0, show_default=True, help="Seconds until a silent peer is lost.")
@click.option("--party", type=click.IntRange(0), default=1, show_default=True, help="Which party lies.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the lies.")
@click.option("--runs", type=click.IntRange(1), default=20, show_default=True, help="Lies, each in a run of its own.")
@click.argument("script", type=SCRIPT)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def attack(
    count: int,
    protocol: str,
    dealer: bool,
    party: int,
    seed: int,
    runs: int,
    script: str,
    arguments: tuple[str, ...],
    **options: Any,
) -> None:
    """Run SCRIPT again and again, each time with a party that lies once, at random. Prints what was noticed, when, who was named.

    Fails (exit code 1) if a lie led to a wrong value, or to the blame of an honest party.
    """
    from tacit.launch.attack import run_attack

    if party >= count:
        raise click.UsageError(f"--party {party}: the parties are numbered 0 to {count - 1}")
    context = _context(count, protocol, _check_source(protocol, count, dealer, options["threshold"]), **options)
    sys.exit(run_attack(context, [script, *arguments], party, seed, runs, click.echo))


def _context(parties: int, protocol: str, dealer: bool, **options: Any) -> Any:
    from tacit.sessions.context import Context

    store, store_key = options.get("store"), options.get("store_key")
    if (store is None) != (store_key is None):
        raise click.UsageError("--store and --store-key go together: the folder of prepared material, and its key")
    known = {"timeout", "wait", "topology", "latency", "bandwidth", "memory", "threshold", "rejoin"}
    given = {k: v for k, v in options.items() if k in known}
    if store is not None and store_key is not None:
        given |= {"store": str(store.absolute()), "store_key": str(store_key.absolute())}
    return Context(parties, 0, protocol, dealer, **given)


def _check_rejoin(context: Any) -> None:
    from tacit.sessions.protocols import protocol_kind

    if context.rejoin and not protocol_kind(context.protocol, context.parties).majority:
        raise click.UsageError(
            f"--rejoin goes with a protocol that goes on without lost parties (shamir), not {context.protocol}"
        )


def _check_source(protocol: str, parties: int, dealer: bool, threshold: int | None) -> bool:
    """True if a dealer is started: it was asked for, and the protocol has a use for it."""
    from tacit.sessions.protocols import protocol_kind

    kind = protocol_kind(protocol, parties, threshold)
    return kind.sourced and dealer


def _terminated(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)  # unwinds: the children are ended, and keys made for the run removed


def main() -> None:
    """Errors of tacit are one paragraph, and code 2."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores hang-ups, and that stays so
            signal.signal(number, _terminated)
    try:
        tacit()
    except TacitError as error:
        click.echo(f"tacit: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
