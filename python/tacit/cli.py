"""The command `tacit`."""

import sys

import click

from tacit.errors import ConfigurationError, TacitError

PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""What follows the script is the script's."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tacit")
def tacit() -> None:
    """Run scripts among several parties that keep their data secret from each other."""


@tacit.command(context_settings=PASS_ON)
@click.option("-n", "count", type=click.IntRange(1), help="Parties on this machine.")
@click.option("--protocol", default="spdz", show_default=True, help="spdz, or clear (INSECURE, for tests).")
@click.option("--dealer", is_flag=True, help="A dealer process makes the correlated randomness.")
@click.option("--topology", type=click.Choice(["mesh", "hub"]), default="mesh", show_default=True)
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds of silence until a peer is lost.")
@click.option("--wait", type=click.FloatRange(0, min_open=True), default=60.0, help="Seconds for the others to come.")
@click.option("--latency", type=click.FloatRange(0), help="Emulate a line: milliseconds one way.")
@click.option("--bandwidth", type=click.FloatRange(0, min_open=True), help="Emulate a line: Mbit/s of each party.")
@click.argument("script", type=click.Path(exists=True, dir_okay=False))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(
    count: int | None,
    protocol: str,
    dealer: bool,
    topology: str,
    timeout: float | None,
    wait: float,
    latency: float | None,
    bandwidth: float | None,
    script: str,
    arguments: tuple[str, ...],
) -> None:
    """Run SCRIPT as every party on this machine (-n)."""
    from tacit.launch.local import run_local
    from tacit.sessions.context import Context

    if count is None:
        raise click.UsageError("say how many parties: -n 2")
    sourced = _check_source(protocol, count, dealer)
    context = Context(
        parties=count,
        me=0,
        protocol=protocol,
        dealer=sourced,
        timeout=timeout,
        wait=wait,
        topology=topology,
        latency=latency,
        bandwidth=bandwidth,
    )
    sys.exit(run_local(context, [script, *arguments]))


def _check_source(protocol: str, parties: int, dealer: bool) -> bool:
    """Whether a dealer is started; refuses a protocol that would have no source of correlations."""
    from tacit.sessions.protocols import protocol_kind

    kind = protocol_kind(protocol, parties)
    if kind.sourced and not dealer:
        raise ConfigurationError(
            f"protocol {protocol} needs correlated randomness, and so far only a dealer makes it: add --dealer if there is "
            "one that all parties trust not to collude with any of them (a source without a third party is not there yet)"
        )
    return kind.sourced


def main() -> None:
    """Errors of tacit are one paragraph, and code 2."""
    try:
        tacit()
    except TacitError as error:
        click.echo(f"tacit: {error}", err=True)
        sys.exit(2)
